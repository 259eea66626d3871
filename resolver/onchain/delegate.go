package onchain

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/names"
	"dens/resolver"
)

// maxGlueHosts is how many servers' addresses are looked for on chain for one question.
const maxGlueHosts = 6

// delegate answers a question at or below a zone cut. The zone's own servers do, but for two things. The DS
// of the cut are the business of the zone above, which is the chain. And below an alias of the zone the
// answer is a CNAME to the real name: the servers know nothing of the alias, and records renamed would have
// no signature that is good.
func (z *zone) delegate(ctx context.Context, asked resolver.Query, q question, rec *names.Records, c *cut) (*resolver.Answer, error) {
	evidence := origin(q, rec)
	evidence.Delegation, evidence.NS = c.zone, slices.Clone(c.hosts)
	for _, rr := range c.ds {
		evidence.DS = append(evidence.DS, data(rr))
	}
	tags := slices.Clone(rec.Tags)
	vouched := authentic(&rec.Source) && !asked.CD
	var answer *resolver.Answer
	switch {
	case q.suffix != q.zone:
		answer = z.realName(q, c)
	case q.rrtype == dns.TypeDS && q.inner == c.zone:
		answer = z.parentSide(q, rec, c)
		answer.AuthenticatedData = vouched
	default:
		d, used, err := z.delegation(ctx, rec, c)
		if err != nil {
			return nil, failure(err)
		}
		trust := rec.Source.Trust
		for _, g := range used {
			tags = merge(tags, g.tags)
			evidence.Gateways = merge(evidence.Gateways, g.gateways)
			evidence.Signature = evidence.Signature || g.signature
			trust = min(trust, g.trust)
		}
		evidence.Trust = trust.String()
		if trust != chain.Proven {
			evidence.Proof, evidence.Signature = nil, false
		}
		trace(ctx, rec, d, evidence)
		if answer, err = z.cfg.Iterator.ResolveAt(ctx, d, asked); err != nil {
			return nil, err
		}
		z.confine(asked, d.Zone, answer)
		answer.Zone = Kind
		// Signatures that follow from the DS are as good as the DS. Where the servers are does not matter to
		// them, and so neither does who told their addresses.
		answer.AuthenticatedData = answer.AuthenticatedData && vouched
	}
	answer.Tags = merge(tags, answer.Tags)
	answer.Origin = evidence
	return answer, nil
}

// realName leads from a name below an alias to the one that it stands for. Where the question is for the
// CNAME, that is all.
func (z *zone) realName(q question, c *cut) *resolver.Answer {
	cname := &dns.CNAME{Hdr: z.header(q, dns.TypeCNAME), Target: q.inner}
	cname.Hdr.Ttl = min(cname.Hdr.Ttl, seconds(c.ttl))
	answer := &resolver.Answer{Authoritative: true, Zone: Kind, Answer: []dns.RR{cname}}
	if q.rrtype != dns.TypeCNAME {
		answer.Target = q.inner
	}
	return answer
}

// parentSide answers for the DS of a cut (RFC 4035 section 3.1.4.1).
func (z *zone) parentSide(q question, rec *names.Records, c *cut) *resolver.Answer {
	if len(c.ds) > 0 {
		return &resolver.Answer{Authoritative: true, Zone: Kind, Answer: c.ds}
	}
	above := rec.Apex
	if above == c.zone {
		above = z.cfg.Zone
	}
	return z.negative(q, dns.RcodeSuccess, above, rec.Source.Head.Number)
}

// delegation makes of a cut what an Iterator needs, with the addresses of servers in the zone of the chain
// that it is in. Other hosts are for the Iterator to find. used is what the addresses depend on.
func (z *zone) delegation(ctx context.Context, rec *names.Records, c *cut) (d *resolver.Delegation, used []*glue, err error) {
	d = &resolver.Delegation{Zone: c.zone, NS: c.hosts, Glue: make(map[string][]netip.Addr), TTL: c.ttl}
	for _, rr := range c.ds {
		d.DS = append(d.DS, rr.(*dns.DS))
	}
	var near []string
	for _, host := range c.hosts {
		if dns.IsSubDomain(rec.Apex, host) && len(near) < maxGlueHosts {
			near = append(near, host)
		}
	}
	found := make([]*glue, len(near))
	var wg sync.WaitGroup
	for i, host := range near {
		wg.Go(func() { found[i] = z.glue.get(ctx, host) })
	}
	wg.Wait()
	for i, g := range found {
		if len(g.addrs) > 0 {
			d.Glue[near[i]] = g.addrs
			used = append(used, g)
		}
		if err == nil {
			err = g.err
		}
	}
	if slices.ContainsFunc(c.hosts, func(host string) bool {
		return len(d.Glue[host]) > 0 || !dns.IsSubDomain(c.zone, host)
	}) {
		return d, used, nil
	}
	// All servers are in the zone itself, so that only their addresses could lead to them.
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil:
		return nil, nil, fmt.Errorf("addresses of the name servers of %s: %w", c.zone, err)
	case len(c.hosts) == 0:
		return nil, nil, fmt.Errorf("%w of %s: no NS is a host name", errNoServer, c.zone)
	}
	return nil, nil, fmt.Errorf("%w of %s: no address is stored for any of them", errNoServer, c.zone)
}

// confine ends an answer at the first link that leads out of the delegated zone and back into the zone
// here: what its servers say about other names of the chain is not theirs to say. The Router goes on
// there; links to elsewhere are checked by it.
func (z *zone) confine(q resolver.Query, cut string, a *resolver.Answer) {
	chain, err := resolver.Follow(q, cut, a.Answer)
	if err != nil {
		return // the Router will say so
	}
	for i, link := range chain.Links {
		if _, here := z.locate(link.Target, q.Type); !here || dns.IsSubDomain(cut, link.Target) {
			continue
		}
		if a.Target == link.Target && i == len(chain.Links)-1 && len(chain.Records) == 0 && chain.Overlong == nil {
			return // it ends there already
		}
		short := resolver.Chain{Links: chain.Links[:i+1], End: link.Target}
		a.Answer, a.Target = short.All(), link.Target
		a.Rcode, a.Ns, a.Extra, a.EDE = dns.RcodeSuccess, nil, nil, nil
		return
	}
}

// trace says by what a zone is vouched for, and where the iteration begins.
func trace(ctx context.Context, rec *names.Records, d *resolver.Delegation, evidence *resolver.Origin) {
	t := resolver.TraceOf(ctx)
	if t == nil {
		return
	}
	status := "secure"
	if len(d.DS) == 0 {
		status = "insecure"
	}
	src := rec.Source
	text := fmt.Sprintf("%s block %d, resolver %s", src.Chain, src.Head.Number, src.Resolver)
	switch list := strings.Join(evidence.Backends, ", "); evidence.Trust {
	case "quorum":
		text += ", quorum of " + list
	default:
		text += ", " + evidence.Trust + ": " + list
	}
	if len(evidence.Gateways) > 0 {
		text += ", off-chain data by " + strings.Join(evidence.Gateways, ", ")
	}
	if status == "insecure" {
		text = "no DS on chain; " + text
	}
	t.AddTrust(resolver.TrustStep{Zone: d.Zone, By: "chain", DS: evidence.DS, Status: status, Text: text})
	t.Add(resolver.Step{
		Kind: resolver.StepNote, Zone: d.Zone, Transport: "local",
		Outcome: fmt.Sprintf("%s block %d delegates to %s", src.Chain, src.Head.Number, strings.Join(d.NS, " ")),
	})
}

// data is the data of a record in presentation form.
func data(rr dns.RR) string { return strings.TrimPrefix(rr.String(), rr.Header().String()) }

// merge appends to list what it lacks of more.
func merge(list, more []string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}
