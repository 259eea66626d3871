package validate

import (
	"context"
	"sync/atomic"

	"dens/dnssec"
)

// Chain judges Responses by the chain of trust from an anchor down to who signed them. It remembers the
// keys of zones, and where the chain ends. It is safe for concurrent use.
type Chain struct {
	cfg      Config
	negative map[string]bool
	memory   memory
	counts   counts
}

// New returns a Chain.
func New(cfg Config) *Chain {
	cfg = cfg.withDefaults()
	return &Chain{cfg: cfg, negative: canonical(cfg.Negative), memory: newMemory(cfg.Keys)}
}

type counts struct {
	verdicts    [dnssec.Exhausted + 1]atomic.Uint64
	ds, dnskeys atomic.Uint64
	failures    atomic.Uint64
}

// Stats are counts since the start, for metrics.
type Stats struct {
	Judged   map[string]uint64 // responses by the Status that they were found to have
	DS       uint64            // DS RRsets fetched
	DNSKEY   uint64            // DNSKEY RRsets fetched
	Failures uint64            // judgements that ended in an error: the chain could not be followed
	Zones    int               // zones whose keys, or lack of keys, are remembered now
	Cuts     int               // names that are remembered now to be a zone cut or none
}

// Stats returns the counts so far.
func (c *Chain) Stats() Stats {
	s := Stats{
		Judged: make(map[string]uint64, len(c.counts.verdicts)),
		DS:     c.counts.ds.Load(), DNSKEY: c.counts.dnskeys.Load(), Failures: c.counts.failures.Load(),
		Zones: c.memory.entries.Len(), Cuts: c.memory.cuts.Len(),
	}
	for i := range c.counts.verdicts {
		s.Judged[dnssec.Status(i).String()] = c.counts.verdicts[i].Load()
	}
	return s
}

// Validate judges r from anchors down. Its error says that the chain could not be followed: keys or DS
// could not be had. It is a *resolver.Error, or wraps one, where the client is to be told. Data that does
// not hold is no error but a Judgement that Failed.
func (c *Chain) Validate(ctx context.Context, r *Response, anchors *dnssec.Anchors, b *dnssec.Budget) (Judgement, error) {
	w := c.walk(ctx, anchors, b)
	out, err := w.judge(r)
	if err != nil {
		c.counts.failures.Add(1)
		w.traceFailure(r, err)
		return Judgement{}, err
	}
	c.counts.verdicts[out.Status].Add(1)
	w.traceVerdict(r, out.Verdict)
	return out, nil
}

// Probe validates the keys of each zone that has an anchor, of the root first, and returns the first
// verdict that is not Secure. Status Indeterminate says that there are no anchors, or that the keys could
// not be had.
func (c *Chain) Probe(ctx context.Context, anchors *dnssec.Anchors) dnssec.Verdict {
	if anchors == nil || len(anchors.Zones()) == 0 {
		return indeterminate("no trust anchor")
	}
	w := c.walk(ctx, anchors, dnssec.NewBudget(dnssec.Limits{}))
	for i, zone := range anchors.Zones() {
		if i == maxAnchors {
			break
		}
		p, err := w.start(zone)
		switch {
		case err != nil:
			return indeterminate("the keys of %s could not be had: %v", zone, err)
		case p.verdict.Status != dnssec.Secure && !c.negative[p.zone]:
			return p.verdict
		}
	}
	return dnssec.Verdict{Status: dnssec.Secure}
}
