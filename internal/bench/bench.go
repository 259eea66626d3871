package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"dens/internal/bench/load"
	"dens/internal/bench/peers"
	"dens/internal/bench/proc"
	"dens/internal/bench/report"
	"dens/internal/bench/zone"
)

// slowness is how long the upstream takes for a slow name.
const slowness = 20 * time.Millisecond

// bench has what all measurements share: the upstream, certificates, files of questions.
type bench struct {
	options
	built    binaries
	dir      string
	upstream *zone.Server
	identity identity
	table    proc.Table
	log      *slog.Logger
}

// newBench sets up the network namespace that it runs in. close ends what it starts.
func newBench(o options) (*bench, error) {
	built, err := decodeBinaries(os.Getenv(builtVar))
	if err != nil {
		return nil, err
	}
	if err := setUpLoopback(o.peers); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dens-bench-run-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, built: built, dir: dir, log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if b.identity, err = newIdentity(dir); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if b.upstream, err = zone.Serve(netip.MustParseAddrPort("127.0.0.1:5300"), slowness); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// setUpLoopback gives the namespace's only interface the addresses of the servers: BIND listens on none that
// it does not see there.
func setUpLoopback(list []peers.Peer) error {
	commands := [][]string{{"link", "set", "lo", "up"}}
	for _, p := range list {
		commands = append(commands, []string{"address", "add", address(p).String() + "/32", "dev", "lo"})
	}
	for _, args := range commands {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %q: %w: %s", args, err, out)
		}
	}
	return nil
}

func (b *bench) close() error {
	if b.upstream != nil {
		b.upstream.Close()
	}
	return os.RemoveAll(b.dir)
}

// measure does all that was asked for.
func (b *bench) measure(ctx context.Context) (*report.Report, error) {
	found := &report.Report{
		Date: time.Now().UTC().Format(time.RFC3339), CPUs: runtime.NumCPU(), Threads: peers.Threads,
		Names: b.names, Rounds: b.rounds, Length: b.length, Reference: peers.Reference,
	}
	for _, p := range b.peers {
		found.Servers = append(found.Servers, report.Server{Name: p.Name, Title: p.Title, Version: p.Version(ctx, b.built[p.Name])})
	}
	steps := map[string]func(context.Context, *report.Report) error{
		"hits": b.hits, "mix": b.mix, "flood": b.floods, "cold": b.starts, "memory": b.memory,
	}
	for _, test := range tests {
		if !b.wants(test) {
			continue
		}
		if err := steps[test](ctx, found); err != nil {
			return nil, fmt.Errorf("%s: %w", test, err)
		}
	}
	return found, nil
}

// start starts a server with a cache for so many entries, and waits until it answers.
func (b *bench) start(ctx context.Context, p peers.Peer, entries int) (*peers.Running, time.Duration, error) {
	dir, err := os.MkdirTemp(b.dir, p.Name+"-")
	if err != nil {
		return nil, 0, err
	}
	running, err := p.Start(peers.Site{
		Addr: address(p), Upstream: b.upstream.Addr(), Dir: dir,
		Cert: b.identity.cert, Key: b.identity.key, Binary: b.built[p.Name], Entries: entries,
	})
	if err != nil {
		return nil, 0, err
	}
	at, err := running.WaitReady(ctx)
	if err != nil {
		return nil, 0, errors.Join(err, running.Stop())
	}
	return running, at.Sub(running.Began), nil
}

// startAll starts all servers, each with a cache for so many entries.
func (b *bench) startAll(ctx context.Context, entries int) (all []*peers.Running, err error) {
	for _, p := range b.peers {
		running, _, err := b.start(ctx, p, entries)
		if err != nil {
			return nil, errors.Join(err, stopAll(all))
		}
		all = append(all, running)
	}
	return all, nil
}

func stopAll(all []*peers.Running) error {
	var errs []error
	for _, r := range all {
		errs = append(errs, r.Stop())
	}
	return errors.Join(errs...)
}

// address is that of a peer: one for each, so that all have the usual ports.
func address(p peers.Peer) netip.Addr {
	for i, name := range peers.Names() {
		if name == p.Name {
			return netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)})
		}
	}
	return netip.Addr{}
}

// questions writes a file of names for dnsperf, in the order that the function gives them.
func (b *bench) questions(name string, n int, question func(i int) string) (string, error) {
	data := make([]byte, 0, 32*n)
	for i := range n {
		data = append(append(data, question(i)...), " A\n"...)
	}
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, data, 0o644)
}

// urls writes a file of URLs for h2load: the names in the given order, asked of one server.
func (b *bench) urls(server netip.Addr, order []int) (string, error) {
	data := make([]byte, 0, 100*len(order))
	for _, i := range order {
		url, err := load.URL(load.DoH.At(server), zone.Name(i))
		if err != nil {
			return "", err
		}
		data = append(append(data, url...), '\n')
	}
	path := filepath.Join(b.dir, "urls-"+server.String())
	return path, os.WriteFile(path, data, 0o644)
}
