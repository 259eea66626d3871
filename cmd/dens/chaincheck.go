package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dens/chain"
	"dens/chain/beacon"
	"dens/chain/verify"
	"dens/configs"
)

// anchorReport is what dens check found about who vouches for a chain's blocks.
type anchorReport struct {
	chain  *chainStack
	anchor chain.Anchor
	err    error
	apis   []beaconReport
}

// beaconReport is what asking one beacon API alone led to.
type beaconReport struct {
	name   string
	status beacon.Status
	err    error
}

// probeAnchors has the chain's newest block vouched for, and asks each beacon API by itself.
func probeAnchors(ctx context.Context, c *chainStack) anchorReport {
	report := anchorReport{chain: c}
	var running sync.WaitGroup
	running.Go(func() {
		var from verify.Anchorer = c.anchors
		switch c.cfg.conf.Trust {
		case configs.TrustQuorum:
			from = c.quorum
		case configs.TrustSingle:
			from = c.pool
		}
		report.anchor, report.err = from.Anchor(ctx)
		if b := report.anchor.Beacon; b != nil && !b.Finalized && pastCheckpoint(ctx, c.light) {
			report.anchor, report.err = from.Anchor(ctx)
		}
	})
	if c.light != nil {
		report.apis = make([]beaconReport, len(c.cfg.light.endpoints))
		for i, e := range c.cfg.light.endpoints {
			running.Go(func() { report.apis[i] = probeBeacon(ctx, c, e) })
		}
	}
	running.Wait()
	return report
}

// probeBeacon has a light client of its own follow one beacon API.
func probeBeacon(ctx context.Context, c *chainStack, e configs.Beacon) beaconReport {
	cfg := c.cfg.light
	cfg.endpoints, cfg.finalized, cfg.readOnly = []configs.Beacon{e}, false, true
	l, err := newLightClient(cfg, c.hosts.get(), quietLogger())
	if err != nil {
		return beaconReport{name: e.Operator, err: err}
	}
	defer l.release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a client has patience with its endpoints; who looks at a configuration need not
		waitFor(ctx, checkBeaconTime, func() bool { return l.Status().Endpoints[0].Errors >= checkBeaconTries })
		cancel()
	}()
	_, err = l.Anchor(ctx)
	if err == nil && !pastCheckpoint(ctx, l) {
		err = errors.New("it proves no block that is newer than the checkpoint")
	}
	status := l.Status()
	api := status.Endpoints[0]
	if err != nil && api.LastError != "" {
		err = errors.New(api.LastError)
	}
	return beaconReport{name: api.Name, status: status, err: err}
}

// pastCheckpoint waits until a newer block than the checkpoint is proven, or all beacon APIs have failed, and
// tells whether one is. A checkpoint that is young enough is an anchor by itself, which shows nothing of what
// beacon APIs serve.
func pastCheckpoint(ctx context.Context, l *lightClient) (ok bool) {
	waitFor(ctx, checkBeaconTime, func() bool {
		s := l.Status()
		b := s.Anchor.Beacon
		ok = b != nil && b.Slot > b.CheckpointSlot
		return ok || !slices.ContainsFunc(s.Endpoints, func(e beacon.EndpointStatus) bool { return e.Errors < checkBeaconTries })
	})
	return ok
}

// What a beacon API is given to prove a block, for dens check.
const (
	checkBeaconTime  = 15 * time.Second
	checkBeaconTries = 2
)

// printAnchors prints what is in force for each chain and tells whether it works.
func printAnchors(table io.Writer, reports []anchorReport) bool {
	ok := true
	for _, r := range reports {
		source, why := r.chain.anchorInForce()
		anchor, block, age, verdict := "-", "-", "-", "ok"
		if source != chain.AnchorNone {
			anchor = r.chain.describeAnchor(source)
		}
		switch {
		case r.err != nil:
			verdict, ok = r.err.Error(), false
		case source == chain.AnchorQuorum && r.chain.light != nil:
			verdict, ok = why, false
		case why != "":
			verdict = "ok: " + why
		}
		if r.err == nil {
			block = fmt.Sprint(r.anchor.Number)
			if !r.anchor.Time.IsZero() {
				age = time.Since(r.anchor.Time).Round(time.Second).String()
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.chain.name, r.chain.describeTrust(), anchor, block, age, printable(verdict))
		for _, w := range r.chain.warnings() {
			fmt.Fprintf(table, "\t\t\t\t\t%s\n", printable(w))
		}
	}
	return ok
}

// printCheckpoints prints what the light clients begin with, and where they keep what they prove.
func printCheckpoints(table io.Writer, reports []anchorReport) bool {
	ok := true
	for _, r := range reports {
		if r.chain.light == nil {
			continue
		}
		cfg, slot, age, period, verdict := r.chain.cfg.light, "-", "-", "-", "ok"
		status := r.chain.light.Status()
		if from := status.Finalized.Beacon; from != nil {
			slot, age = fmt.Sprint(from.CheckpointSlot), days(slotAge(cfg.network, from.CheckpointSlot, time.Now()))
			period = fmt.Sprint(status.Period)
		} else {
			verdict, ok = or(status.Reason, "it was not found"), false
		}
		if err := checkState(r.chain.cfg.conf.State.Reveal()); err != nil {
			verdict, ok = err.Error(), false
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.chain.name, cfg.network.Name, cfg.checkpoint.Hex(), slot, age, period, printable(verdict))
	}
	return ok
}

// checkState tries whether a directory could be written to, or made.
func checkState(dir string) error {
	for dir != "" {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	if dir == "" {
		return nil
	}
	f, err := os.CreateTemp(dir, ".dens-check-*")
	if err != nil {
		return fmt.Errorf("state: %w; dens must be able to write to the directory", err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// printBeacons prints a line for each beacon API.
func printBeacons(table io.Writer, reports []anchorReport) bool {
	ok := true
	for _, r := range reports {
		for _, api := range r.apis {
			slot, lag, final, verdict := "-", "-", "-", "ok"
			if b := api.status.Anchor.Beacon; b != nil {
				slot = fmt.Sprint(b.Slot)
				if now := r.chain.cfg.light.network.Slot(time.Now()); now > b.Slot {
					lag = fmt.Sprint(now - 1 - b.Slot) // the block of this slot has no signatures yet
				}
			}
			if b := api.status.Finalized.Beacon; b != nil && b.Slot > b.CheckpointSlot {
				final = fmt.Sprint(b.Slot)
			}
			if api.err != nil {
				verdict, ok = api.err.Error(), false
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.chain.name, api.name, slot, lag, final, printable(verdict))
		}
	}
	return ok
}
