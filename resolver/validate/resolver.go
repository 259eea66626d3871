package validate

import (
	"context"
	"log/slog"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// maxAsked is how often an upstream is asked one question whose answer is bogus: another server, or the
// same one after its cache has changed, may do better.
const maxAsked = 3

// ResolverConfig is what a Resolver needs.
type ResolverConfig struct {
	Upstream  resolver.Resolver      // answers for all zones, and sends what DO and CD ask for
	Anchors   func() *dnssec.Anchors // dnssec.RootAnchors; asked for each question, since RFC 5011 changes them
	Negative  []string               // zones that are not validated (RFC 7646)
	Validator *dnssec.Validator      // dnssec.New(dnssec.Config{})
	Limits    dnssec.Limits          // of one question
	Now       func() time.Time       // time.Now
	Observe   func(dnssec.Spent)     // is told what each question cost; must not block; nil is none
	Log       *slog.Logger           // discards
}

// Resolver is a resolver.Resolver that validates what an upstream server says. It does not need the
// upstream to be trusted, nor to validate: only to pass on signatures.
type Resolver struct {
	cfg    ResolverConfig
	source *upstream
	chain  *Chain
}

// NewResolver returns a Resolver.
func NewResolver(cfg ResolverConfig) *Resolver {
	if cfg.Anchors == nil {
		root := dnssec.RootAnchors()
		cfg.Anchors = func() *dnssec.Anchors { return root }
	}
	source := &upstream{resolver: cfg.Upstream, anchors: cfg.Anchors}
	chain := New(Config{
		Source: source, Validator: cfg.Validator, Negative: cfg.Negative, Now: cfg.Now, Log: cfg.Log,
	})
	return &Resolver{cfg: cfg, source: source, chain: chain}
}

// Chain returns the Chain that judges, for its Stats.
func (r *Resolver) Chain() *Chain { return r.chain }

// Probe validates the keys of the anchors' zones as the upstream gives them; see Chain.Probe.
func (r *Resolver) Probe(ctx context.Context) dnssec.Verdict {
	return r.chain.Probe(ctx, r.cfg.Anchors())
}

// Resolve implements resolver.Resolver. With CD the answer is what the upstream says, without AD.
func (r *Resolver) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	if q.CD || q.Class != dns.ClassINET {
		a, err := r.cfg.Upstream.Resolve(ctx, q)
		if a != nil {
			a.AuthenticatedData = false
		}
		return a, err
	}
	full := q
	full.DO, full.CD = true, true
	// One budget for all links of an alias chain.
	budget := resolver.ScopeOf(ctx).Value(r, func() any { return dnssec.NewBudget(r.cfg.Limits) }).(*dnssec.Budget)
	if r.cfg.Observe != nil {
		before := budget.Spent()
		defer func() { r.cfg.Observe(since(before, budget.Spent())) }()
	}
	anchors := r.cfg.Anchors()
	var verdict dnssec.Verdict
	for range maxAsked {
		a, err := r.cfg.Upstream.Resolve(ctx, full)
		if err != nil {
			if verdict.Text != "" {
				break
			}
			return nil, err
		}
		j, err := r.chain.Validate(ctx, &Response{
			Name: q.Name, Type: q.Type, Rcode: a.Rcode, Answer: a.Answer, Ns: a.Ns, Zone: ".",
		}, anchors, budget)
		if err != nil {
			return nil, err
		}
		if !j.Failed() {
			return answer(q, a, j), nil
		}
		verdict = j.Verdict
		if verdict.Status == dnssec.Exhausted || ctx.Err() != nil {
			break
		}
	}
	return nil, resolver.Errorf(verdict.Code, nil, "%s", verdict.Text)
}

// answer returns a as q wants it.
func answer(q resolver.Query, a *resolver.Answer, j Judgement) *resolver.Answer {
	a.Rcode = j.Rcode
	a.AuthenticatedData = j.Status == dnssec.Secure
	a.Authoritative = false
	a.Answer, a.Ns = visible(q, j.Answer), visible(q, j.Ns)
	if j.Open != "" {
		a.Target = j.Open
	} else {
		a.Target = ""
	}
	if e, ok := reason(j.Verdict); ok {
		a.EDE = append(a.EDE, e)
	}
	return a
}

// since is what was spent between two looks.
func since(before, now dnssec.Spent) dnssec.Spent {
	return dnssec.Spent{Checks: now.Checks - before.Checks, Failures: now.Failures - before.Failures, Hashes: now.Hashes - before.Hashes}
}

// reason returns the extended error of an insecure answer whose cause the client may want to know.
func reason(v dnssec.Verdict) (resolver.EDE, bool) {
	switch v.Code {
	case dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, dns.ExtendedErrorCodeUnsupportedDSDigestType,
		dns.ExtendedErrorCodeUnsupportedNSEC3IterValue:
		return resolver.EDE{Code: v.Code, Text: v.Text}, v.Status == dnssec.Insecure
	}
	return resolver.EDE{}, false
}

// visible leaves out the DNSSEC records that nobody asked for (RFC 4035 section 3.2.1).
func visible(q resolver.Query, rrs []dns.RR) []dns.RR {
	if q.DO || q.Type == dns.TypeANY {
		return rrs
	}
	var out []dns.RR
	for _, rr := range rrs {
		switch t := rr.Header().Rrtype; t {
		case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
			if t != q.Type {
				continue
			}
		}
		out = append(out, rr)
	}
	return out
}
