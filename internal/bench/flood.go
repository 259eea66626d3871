package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"dens/internal/bench/load"
	"dens/internal/bench/peers"
	"dens/internal/bench/report"
	"dens/internal/bench/zone"
)

const (
	// floodRate is how many random names are asked for in a second: the same for all servers, and less
	// than what a small machine can bear, so that latencies can be compared.
	floodRate = 10_000
	// floodOutstanding is so many that slow answers do not slow the flood.
	floodOutstanding = 2000
	quietTime        = 2 * time.Second
)

// floods asks each server in turn for names that do not exist, and sees what becomes of the warm ones.
func (b *bench) floods(ctx context.Context, found *report.Report) error {
	random := rand.New(rand.NewPCG(5, 6))
	file, err := b.questions("flood", b.flood, func(int) string { return zone.RandomName(random) })
	if err != nil {
		return err
	}
	for _, p := range b.peers {
		alone := *b
		alone.peers = []peers.Peer{p}
		f, err := alone.newField(ctx, []load.Transport{load.UDP})
		if err != nil {
			return err
		}
		flood, err := f.flooded(ctx, f.servers[0], file)
		if err = stopped(err, f.servers); err != nil {
			return err
		}
		b.log.Info("flood", "server", p.Name, "kept", flood.Kept, "answered", flood.Answered)
		found.Floods = append(found.Floods, flood)
	}
	return nil
}

func (f *field) flooded(ctx context.Context, s *peers.Running, file string) (report.Flood, error) {
	flood := report.Flood{Server: s.Name, Names: f.flood}
	flood.Quiet = f.probeWhile(ctx, s, func() { pause(ctx, quietTime) })
	var err error
	if flood.Before, err = f.table.Resident(s.PIDs()...); err != nil {
		return flood, err
	}
	used, err := f.table.CPU(s.PIDs()...)
	if err != nil {
		return flood, err
	}
	var result load.Result
	flood.During = f.probeWhile(ctx, s, func() {
		result, err = load.Dnsperf{
			Server: s.Addr, Transport: load.UDP, File: file, Outstanding: floodOutstanding, Rate: floodRate,
		}.Run(ctx)
	})
	if err = errors.Join(err, ctx.Err(), s.Ended()); err != nil {
		return flood, err
	}
	after, err := f.table.CPU(s.PIDs()...)
	if err != nil {
		return flood, err
	}
	// What the probe asked is in the server's time too.
	if flood.Answered = result.Classes["NXDOMAIN"]; flood.Answered > 0 {
		flood.CPU = float64((after - used).Nanoseconds()) / 1000 / float64(result.Answered+uint64(flood.During.Asked))
	}
	if flood.After, err = f.table.Resident(s.PIDs()...); err != nil {
		return flood, err
	}
	flood.Kept, err = f.kept(ctx, s)
	return flood, err
}

// kept is the share of the warm names that a server answers without asking the upstream.
func (f *field) kept(ctx context.Context, s *peers.Running) (float64, error) {
	before := f.upstream.Queries()
	result, err := f.pass(ctx, s, load.UDP)
	if err != nil {
		return 0, err
	}
	if err := result.Fit("NOERROR"); err != nil {
		return 0, fmt.Errorf("%s, warm names after a flood: %w", s.Name, err)
	}
	asked := min(f.upstream.Queries()-before, result.Answered)
	return 1 - float64(asked)/float64(result.Answered), nil
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
