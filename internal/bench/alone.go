package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dens/internal/bench/load"
	"dens/internal/bench/peers"
	"dens/internal/bench/report"
	"dens/internal/bench/zone"
)

// settle is how long a server is left alone before its memory is read.
const settle = time.Second

// starts measures from the start of each server's process to its first answer, which comes from upstream.
func (b *bench) starts(ctx context.Context, found *report.Report) error {
	list := make([]report.Start, len(b.peers))
	for range b.rounds {
		for i, p := range b.peers {
			running, took, err := b.start(ctx, p, b.names)
			if err != nil {
				return err
			}
			if err := running.Stop(); err != nil {
				return err
			}
			list[i].Server, list[i].All = p.Name, append(list[i].All, took)
		}
	}
	for i := range list {
		list[i].Median = report.Median(list[i].All)
	}
	found.Starts = list
	return nil
}

// memory measures what each server holds after all names have been asked for once, and for dens and the
// reference also with many more names.
func (b *bench) memory(ctx context.Context, found *report.Report) error {
	for _, n := range []int{b.names, b.large()} {
		if n == 0 {
			continue
		}
		file, err := b.questions("memory", n, zone.Name)
		if err != nil {
			return err
		}
		for _, p := range b.peers {
			if n != b.names && !slices.Contains([]string{"dens", peers.Reference}, p.Name) {
				continue
			}
			resident, err := b.residentAfter(ctx, p, file, n)
			if err != nil {
				return err
			}
			b.log.Info("memory", "server", p.Name, "names", n, "bytes", resident)
			found.Memory = append(found.Memory, report.Memory{Server: p.Name, Names: n, Resident: resident})
		}
	}
	return nil
}

// residentAfter starts a server, asks it for the names in a file, and returns its memory in bytes.
func (b *bench) residentAfter(ctx context.Context, p peers.Peer, file string, names int) (resident uint64, err error) {
	running, _, err := b.start(ctx, p, names)
	if err != nil {
		return 0, err
	}
	defer func() { err = stopped(err, []*peers.Running{running}) }()
	result, err := load.Dnsperf{Server: running.Addr, Transport: load.UDP, File: file, Outstanding: warmOutstanding}.Run(ctx)
	if err != nil {
		return 0, err
	}
	// A few lost questions of a million change nothing here.
	if good := result.Classes["NOERROR"]; good*1000 < uint64(names)*999 {
		return 0, fmt.Errorf("%s answered %d of %d names", p.Name, good, names)
	}
	pause(ctx, settle)
	return b.table.Resident(running.PIDs()...)
}
