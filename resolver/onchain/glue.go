package onchain

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/resolver"
)

// Bounds of what is remembered about name servers' addresses. They spare the backends two calls for each
// server at each cold question below a delegation; a change on chain shows at the latest when maxGlueAge
// is over.
const (
	maxGlueStored = 1024
	maxGlueAge    = time.Minute
	maxAddrs      = 8 // of one host
	glueTimeout   = 5 * time.Second
)

// glue is the addresses that the chain holds for one host name. It does not change once done is closed.
type glue struct {
	done      chan struct{}
	expires   time.Time // zero while not done; guarded by glueStore.mu
	addrs     []netip.Addr
	ttl       time.Duration
	tags      []string
	gateways  []string
	signature bool // as names.Source.Signature
	trust     chain.Trust
	err       error
}

// glueStore remembers glue. Equal look-ups at the same time are one.
type glueStore struct {
	look func(ctx context.Context, host string) *glue
	now  func() time.Time

	mu    sync.Mutex
	hosts map[string]*glue // guarded by mu
}

// get returns the glue of a host; when ctx ends first, one with its error.
func (s *glueStore) get(ctx context.Context, host string) *glue {
	g := s.begin(ctx, host)
	select {
	case <-g.done:
		return g
	case <-ctx.Done():
		return &glue{err: ctx.Err()}
	}
}

// begin returns what is known or being looked up, or begins to look it up. Whoever asked first may go
// away: the others still wait for the result.
func (s *glueStore) begin(ctx context.Context, host string) *glue {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.hosts[host]; g != nil && (g.expires.IsZero() || s.now().Before(g.expires)) {
		return g
	}
	g := &glue{done: make(chan struct{})}
	s.makeRoom()
	s.hosts[host] = g
	go s.fill(context.WithoutCancel(ctx), host, g)
	return g
}

func (s *glueStore) fill(ctx context.Context, host string, g *glue) {
	ctx, cancel := context.WithTimeout(ctx, glueTimeout)
	defer cancel()
	found, err := resolver.Safely(func() (*glue, error) { return s.look(ctx, host), nil })
	if err != nil {
		found = &glue{err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.addrs, g.ttl, g.tags, g.err = found.addrs, found.ttl, found.tags, found.err
	g.gateways, g.signature, g.trust = found.gateways, found.signature, found.trust
	g.expires = s.now().Add(min(g.ttl, maxGlueAge))
	if g.err != nil && s.hosts[host] == g {
		delete(s.hosts, host)
	}
	close(g.done)
}

// makeRoom drops what has expired when the store is full, or else anything.
func (s *glueStore) makeRoom() {
	if len(s.hosts) < maxGlueStored {
		return
	}
	now := s.now()
	for host, g := range s.hosts {
		if !g.expires.IsZero() && !now.Before(g.expires) {
			delete(s.hosts, host)
		}
	}
	for host := range s.hosts {
		if len(s.hosts) < maxGlueStored {
			return
		}
		delete(s.hosts, host) // who waits for it has it
	}
}

// addresses looks the addresses of a host up that are stored for that very name: no alias (RFC 2181 section
// 10.3), no wildcard and no web gateway leads to a name server. That one family failed does not matter where the other is there, but
// is not remembered.
func (z *zone) addresses(ctx context.Context, host string) *glue {
	types := []uint16{dns.TypeA, dns.TypeAAAA}
	found := make([]glue, len(types))
	var wg sync.WaitGroup
	for i, t := range types {
		wg.Go(func() {
			g, err := resolver.Safely(func() (glue, error) { return z.addressesOf(ctx, host, t), nil })
			if err != nil {
				g.err = err
			}
			found[i] = g
		})
	}
	wg.Wait()
	out := &glue{ttl: maxGlueAge, trust: chain.Proven}
	for _, f := range found {
		if f.err != nil {
			out.err = f.err
			continue
		}
		out.addrs = append(out.addrs, f.addrs...)
		out.ttl, out.trust = min(out.ttl, f.ttl), min(out.trust, f.trust)
		out.tags, out.gateways = merge(out.tags, f.tags), merge(out.gateways, f.gateways)
		out.signature = out.signature || f.signature
	}
	return out
}

func (z *zone) addressesOf(ctx context.Context, host string, rrtype uint16) glue {
	rec, err := z.system.Lookup(ctx, host, rrtype)
	if unheld(err) {
		return glue{ttl: z.cfg.NegativeTTL, trust: chain.Proven}
	}
	if err != nil {
		return glue{err: err}
	}
	c := canonical(rec)
	rrs, err := z.rrset(host, rrtype, c.RRsets, c.Texts, host)
	if err != nil {
		return glue{err: err}
	}
	src := rec.Source
	g := glue{ttl: z.cfg.NegativeTTL, tags: rec.Tags, gateways: src.Gateways, signature: src.Signature, trust: src.Trust}
	for _, rr := range rrs[:min(len(rrs), maxAddrs/2)] {
		if addr, ok := resolver.AddressOf(rr); ok {
			g.addrs, g.ttl = append(g.addrs, addr), ttlOf(rrs)
		}
	}
	return g
}
