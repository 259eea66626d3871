package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/miekg/dns"

	"dens/internal/bench/load"
	"dens/internal/bench/peers"
	"dens/internal/bench/report"
	"dens/internal/bench/zone"
)

const (
	mixQuestions = 50_000
	// mixPeriod is how many questions there are to each miss.
	mixPeriod = 10
)

// mix measures nine hits to each miss, which the upstream takes 20 ms to answer.
func (b *bench) mix(ctx context.Context, found *report.Report) (err error) {
	f, err := b.newField(ctx, []load.Transport{load.UDP})
	if err != nil {
		return err
	}
	defer func() { err = stopped(err, f.servers) }()
	series := make([]report.Series, len(f.servers))
	for round := range b.rounds {
		file, err := b.questions("mix", mixQuestions, func(i int) string {
			if i%mixPeriod == 0 {
				return zone.SlowName(round*mixQuestions + i)
			}
			return zone.Name(f.order[i%len(f.order)])
		})
		if err != nil {
			return err
		}
		for n := range f.servers {
			i := (n + round) % len(f.servers)
			s := f.servers[i]
			r, err := f.mixRound(ctx, s, file)
			if err != nil {
				return err
			}
			b.log.Info("mix", "round", round+1, "server", s.Name, "cpu", fmt.Sprintf("%.2f", r.CPU), "qps", int(r.QPS), "problem", r.Problem)
			series[i].Server, series[i].Transport = s.Name, string(load.UDP)
			series[i].Rounds = append(series[i].Rounds, r)
		}
	}
	report.Summarise(series, peers.Reference)
	found.Mix = series
	return nil
}

func (f *field) mixRound(ctx context.Context, s *peers.Running, file string) (report.Round, error) {
	before := f.upstream.Queries()
	var latency report.Latency
	r, _, err := f.timed(ctx, s, load.UDP, func() (result load.Result, err error) {
		latency = f.probeWhile(ctx, s, func() {
			result, err = load.Dnsperf{Server: s.Addr, Transport: load.UDP, File: file}.Run(ctx)
		})
		return result, err
	})
	if err != nil {
		return report.Round{}, err
	}
	r.Latency = &latency
	if missed := f.upstream.Queries() - before; r.Problem == "" && missed < mixQuestions/mixPeriod {
		r.Problem = fmt.Sprintf("only %d misses reached the upstream", missed)
	}
	return r, nil
}

// probeWhile times answers for warm names while a function runs.
func (f *field) probeWhile(ctx context.Context, s *peers.Running, during func()) report.Latency {
	ctx, cancel := context.WithCancel(ctx)
	asker := load.NewAsker(load.UDP.At(s.Addr), load.UDP, time.Second, f.identity.trust)
	defer asker.Close()
	random := rand.New(rand.NewPCG(3, 4))
	var last int
	probe := load.Probe{
		Asker: asker,
		Name: func() string {
			last = random.IntN(f.names)
			return zone.Name(last)
		},
		Check: func(_ string, m *dns.Msg) bool { return zone.Check(m, last, f.age()) == nil },
	}
	timings := make(chan load.Timings)
	go func() { timings <- probe.Run(ctx) }()
	during()
	cancel()
	t := <-timings
	return report.Latency{
		Asked: t.Asked, Lost: t.Lost + t.Wrong, Median: t.Quantile(0.5), P99: t.Quantile(0.99), Max: t.Quantile(1),
	}
}
