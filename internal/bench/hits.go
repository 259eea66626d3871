package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"dens/internal/bench/load"
	"dens/internal/bench/peers"
	"dens/internal/bench/report"
	"dens/internal/bench/zone"
)

const (
	// warmOutstanding is so few that no server or socket loses a cold question.
	warmOutstanding = 50
	// warmPasses is how often all names are asked for: some servers have a cache for each thread.
	warmPasses = 3
	// samples is how many answers are looked at before and after each round.
	samples = 50
	// askTimeout is how long such an answer may take.
	askTimeout = 2 * time.Second
)

// hits measures warm names over each transport, all servers in turn, in another order in each round.
func (b *bench) hits(ctx context.Context, found *report.Report) (err error) {
	field, err := b.newField(ctx, b.transports)
	if err != nil {
		return err
	}
	defer func() { err = stopped(err, field.servers) }()
	series := make(map[load.Transport]map[string]*report.Series)
	for _, t := range b.transports {
		series[t] = make(map[string]*report.Series)
		for _, s := range field.servers {
			if s.Speaks(t) {
				series[t][s.Name] = &report.Series{Server: s.Name, Transport: string(t)}
			}
		}
	}
	for round := range b.rounds {
		for _, t := range b.transports {
			for _, s := range rotate(field.servers, round) {
				if !s.Speaks(t) {
					continue
				}
				r, err := field.round(ctx, s, t)
				if err != nil {
					return err
				}
				b.log.Info("hits", "round", round+1, "transport", t, "server", s.Name, "cpu", fmt.Sprintf("%.2f", r.CPU), "qps", int(r.QPS), "problem", r.Problem)
				series[t][s.Name].Rounds = append(series[t][s.Name].Rounds, r)
			}
		}
	}
	for _, t := range b.transports {
		for _, s := range field.servers {
			if list := series[t][s.Name]; list != nil {
				found.Hits = append(found.Hits, *list)
			}
		}
	}
	report.Summarise(found.Hits, peers.Reference)
	return nil
}

// rotate returns the list from its n-th element on, and then from its beginning.
func rotate[T any](list []T, n int) []T {
	n %= len(list)
	return append(append([]T(nil), list[n:]...), list[:n]...)
}

// stopped ends the servers, and returns what went wrong before or then.
func stopped(err error, servers []*peers.Running) error {
	if ended := stopAll(servers); err == nil {
		return ended
	}
	return err
}

// field is all servers at once, warm, and the questions for them.
type field struct {
	*bench
	servers []*peers.Running
	warm    time.Time // when warming began
	file    string    // of all names, for dnsperf
	order   []int
}

// newField starts all servers and makes them warm over the given transports.
func (b *bench) newField(ctx context.Context, transports []load.Transport) (*field, error) {
	f := &field{bench: b, warm: time.Now(), order: rand.New(rand.NewPCG(1, 2)).Perm(b.names)}
	var err error
	if f.file, err = b.questions("names", len(f.order), func(i int) string { return zone.Name(f.order[i]) }); err != nil {
		return nil, err
	}
	if f.servers, err = b.startAll(ctx, b.names); err != nil {
		return nil, err
	}
	for _, s := range f.servers {
		for _, t := range transports {
			if !s.Speaks(t) {
				continue
			}
			if err := f.warmUp(ctx, s, t); err != nil {
				return nil, stopped(fmt.Errorf("warm %s over %s: %w", s.Name, t, err), f.servers)
			}
		}
		b.log.Info("warm", "server", s.Name)
	}
	return f, nil
}

// warmUp asks for all names until they must be in the cache.
func (f *field) warmUp(ctx context.Context, s *peers.Running, t load.Transport) error {
	if t == load.DoH {
		if _, err := f.urls(s.Addr, f.order); err != nil {
			return err
		}
	}
	for range warmPasses {
		result, err := f.pass(ctx, s, t)
		if err != nil {
			return err
		}
		if err := result.Fit("NOERROR", "2xx"); err != nil {
			f.log.Warn("warming", "server", s.Name, "transport", t, "error", err)
		}
	}
	return nil
}

// pass asks for all names once.
func (f *field) pass(ctx context.Context, s *peers.Running, t load.Transport) (load.Result, error) {
	if t == load.DoH {
		return load.H2load{File: f.urlFile(s), Streams: warmOutstanding, Requests: len(f.order)}.Run(ctx)
	}
	return load.Dnsperf{Server: s.Addr, Transport: t, File: f.file, Outstanding: warmOutstanding}.Run(ctx)
}

func (f *field) urlFile(s *peers.Running) string {
	return filepath.Join(f.dir, "urls-"+s.Addr.String())
}

// run asks for warm names for the length of a round.
func (f *field) run(ctx context.Context, s *peers.Running, t load.Transport) (load.Result, error) {
	if t == load.DoH {
		return load.H2load{File: f.urlFile(s), Duration: f.length}.Run(ctx)
	}
	return load.Dnsperf{Server: s.Addr, Transport: t, File: f.file, Duration: f.length}.Run(ctx)
}

// round measures one server once. What is wrong with its answers is in the Round; an error is one of the
// benchmark, or the end of the server.
func (f *field) round(ctx context.Context, s *peers.Running, t load.Transport) (report.Round, error) {
	before := f.upstream.Queries()
	r, result, err := f.timed(ctx, s, t, func() (load.Result, error) { return f.run(ctx, s, t) })
	if err != nil {
		return report.Round{}, err
	}
	if missed := f.upstream.Queries() - before; r.Problem == "" && missed*100 > result.Answered {
		r.Problem = fmt.Sprintf("%d of %d were no hits", missed, result.Answered)
	}
	return r, nil
}

// usage is what a server has used so far, and what the kernel has dropped.
type usage struct {
	cpu   time.Duration
	drops uint64
}

func (f *field) usage(s *peers.Running) (u usage, err error) {
	if u.cpu, err = f.table.CPU(s.PIDs()...); err != nil {
		return usage{}, err
	}
	u.drops, err = f.table.Drops()
	return u, err
}

// timed runs a client, and looks at samples of warm names over the transport before and after.
func (f *field) timed(ctx context.Context, s *peers.Running, t load.Transport, client func() (load.Result, error)) (report.Round, load.Result, error) {
	wrong := f.sample(ctx, s, t)
	before, err := f.usage(s)
	if err != nil {
		return report.Round{}, load.Result{}, err
	}
	result, failed := client()
	if err := errors.Join(ctx.Err(), s.Ended()); err != nil {
		return report.Round{}, load.Result{}, err
	}
	after, err := f.usage(s)
	if err != nil {
		return report.Round{}, load.Result{}, err
	}
	var r report.Round
	if r.Resident, err = f.table.Resident(s.PIDs()...); err != nil {
		return report.Round{}, load.Result{}, err
	}
	if r.QPS = result.QPS(); result.Answered > 0 {
		r.CPU = float64((after.cpu - before.cpu).Nanoseconds()) / 1000 / float64(result.Answered)
	}
	if failed == nil {
		failed = result.Fit("NOERROR", "2xx")
	}
	if dropped := after.drops - before.drops; failed != nil && dropped > 0 {
		failed = fmt.Errorf("%w; %d datagrams found a socket full", failed, dropped)
	}
	for _, e := range []error{wrong, failed, f.sample(ctx, s, t)} {
		if e != nil {
			r.Problem = e.Error()
			break
		}
	}
	return r, result, ctx.Err()
}

// sample looks at some answers from all over the warm names.
func (f *field) sample(ctx context.Context, s *peers.Running, t load.Transport) error {
	asker := load.NewAsker(t.At(s.Addr), t, askTimeout, f.identity.trust)
	defer asker.Close()
	for n := range samples {
		i := n * f.names / samples
		reply, err := asker.Ask(ctx, zone.Name(i))
		if err != nil {
			return fmt.Errorf("%s: %w", zone.Name(i), err)
		}
		if err := zone.Check(reply, i, f.age()); err != nil {
			return err
		}
	}
	return nil
}

// age is how long ago the server may have cached an answer, in seconds.
func (f *field) age() uint32 { return uint32(time.Since(f.warm)/time.Second) + 1 }
