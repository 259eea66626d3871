package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"dens/chain"
	"dens/chain/pool"
	"dens/configs"
)

// backendReport is what probing one RPC backend found.
type backendReport struct {
	name, operator string
	probe          pool.Probe
	err            error
}

func probeBackends(ctx context.Context, c *chainStack) []backendReport {
	endpoints := c.pool.Endpoints()
	reports := make([]backendReport, len(endpoints))
	var wg sync.WaitGroup
	for i, e := range endpoints {
		wg.Go(func() {
			probe, err := e.Probe(ctx)
			reports[i] = backendReport{e.Name(), e.Operator(), probe, err}
		})
	}
	wg.Wait()
	return reports
}

// printBackends prints a line for each backend of a chain, and what the chain as a whole lacks.
func printBackends(table io.Writer, c *chainStack, conf configs.Chain, reports []backendReport) bool {
	var best uint64
	for _, r := range reports {
		if r.err == nil {
			best = max(best, r.probe.Head.Number)
		}
	}
	ok, operators := true, map[string]bool{}
	for _, r := range reports {
		verdict := r.verdict(conf)
		if verdict == "ok" {
			operators[r.operator] = true
		} else {
			ok = false
		}
		printBackend(table, c.name, r, best, verdict)
	}
	need, what := 1, "trust "+conf.Trust
	switch source, _ := c.anchorInForce(); {
	case conf.Trust == configs.TrustQuorum:
		need = conf.Quorum
	case source == chain.AnchorQuorum:
		need, what = conf.Quorum, "a quorum anchor"
	}
	if len(operators) < need {
		fmt.Fprintf(table, "%s\t%d of %d operators needed for %s are usable: names on this chain would not be answered\n",
			c.name, len(operators), need, what)
	}
	return ok
}

func printBackend(table io.Writer, name string, r backendReport, best uint64, verdict string) {
	id, head, lag, age := "-", "-", "-", "-"
	if r.probe.ChainID != 0 {
		id = fmt.Sprint(r.probe.ChainID)
	}
	if !r.probe.Head.Time.IsZero() {
		head, age = fmt.Sprint(r.probe.Head.Number), time.Since(r.probe.Head.Time).Round(time.Second).String()
		if r.probe.Head.Number <= best {
			lag = fmt.Sprint(best - r.probe.Head.Number)
		}
	}
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, r.name, r.operator, id, head, lag, age,
		short(r.probe.Latency), r.seen(r.probe.Archive), r.window(), r.seen(r.probe.AccessLists), r.seen(r.probe.Batches), verdict)
}

func (r backendReport) verdict(conf configs.Chain) string {
	switch {
	case r.err != nil:
		return r.err.Error()
	case conf.MaxHeadAge > 0 && time.Since(r.probe.Head.Time) > conf.MaxHeadAge:
		return fmt.Sprintf("its newest block is older than max_head_age, %v", conf.MaxHeadAge)
	case conf.Trust == configs.TrustProven && r.probe.ProofWindow == 0:
		return "it serves no proofs (eth_getProof) at a block's hash: it is of no use with trust: proven"
	case conf.Trust == configs.TrustProven && conf.Anchor == configs.AnchorFinalized && r.probe.ProofWindow <= min(finalDepth, r.probe.Head.Number):
		return fmt.Sprintf("it serves proofs of the newest %d blocks only: too few for anchor: finalized", r.probe.ProofWindow)
	default:
		return "ok"
	}
}

// finalDepth is how many blocks a final one may lie behind the newest: three epochs.
const finalDepth = 96

// window tells of how many blocks the backend serves proofs.
func (r backendReport) window() string {
	switch n := r.probe.ProofWindow; {
	case n > 0 && n > r.probe.Head.Number:
		return "all"
	case n == 1:
		return "head only"
	case n > 1:
		return fmt.Sprintf("%d blocks", n)
	}
	return r.seen(false)
}

// seen tells whether the backend was seen to do something; of one that was not reached nothing is known.
func (r backendReport) seen(ability bool) string {
	switch {
	case ability:
		return "yes"
	case r.probe.Latency == 0:
		return "-"
	default:
		return "no"
	}
}
