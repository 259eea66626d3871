// Package onchain answers DNS questions from a name system on a chain: it turns names.Records into
// resource records, makes SOA, NS and negative answers, and lets nothing through that a contract may not
// say. The owner of a name decides what the chain holds, so every byte of it is checked here: an answer
// has records of the name asked for (or a DNAME above it within its zone) and of no other.
//
// With an Iterator, NS stored at a name are a zone cut, as are those at a zone's apex that name others than
// dens: all at the cut and below it, but for the cut's DS, is what the servers named there say. The DS on
// chain, as trusted as the chain's data is, vouch for the zone's keys; without any the zone is insecure.
package onchain

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/miekg/dns"

	"dens/names"
	"dens/resolver"
)

// Kind is the Answer.Zone of on-chain answers.
const Kind = "onchain"

type zone struct {
	system names.System
	cuts   names.Delegator // system, where zones that it delegates are followed; or nil
	cfg    Config
	glue   *glueStore
	block  atomic.Uint64 // the newest block seen: the serial where no block is at hand
}

// New returns a Resolver for the names of system below Config.Zone and its aliases. Its errors are
// *resolver.Error, or those of the context, of Config.Parent and of Config.Iterator.
//
// Class is not looked at, and CNAMEs are not followed (see resolver.Answer.Target).
func New(system names.System, cfg Config) resolver.Resolver {
	z := &zone{system: system, cfg: cfg.withDefaults()}
	if cfg.Iterator != nil {
		z.cuts, _ = system.(names.Delegator)
	}
	z.glue = &glueStore{look: z.addresses, now: z.cfg.Now, hosts: make(map[string]*glue)}
	return z
}

// Resolve implements resolver.Resolver.
func (z *zone) Resolve(ctx context.Context, asked resolver.Query) (*resolver.Answer, error) {
	q, ok := z.locate(asked.Name, asked.Type)
	switch {
	case !ok:
		return nil, refuse(dns.ExtendedErrorCodeNotAuthoritative, "not in this zone")
	case q.isAlias() && z.cfg.Parent != nil:
		return z.cfg.Parent.Resolve(ctx, asked)
	case q.isAlias():
		return nil, refuse(dns.ExtendedErrorCodeNotAuthoritative, "only names below this one are answered")
	case q.rrtype == dns.TypeANY:
		return z.hinfo(q), nil
	case isMeta(q.rrtype):
		return nil, refuse(dns.ExtendedErrorCodeInvalidQueryType, "no type of data")
	}
	if !fits(q.inner) {
		// Only below an alias shorter than the zone. It cannot be registered.
		return z.negative(q, dns.RcodeNameError, z.cfg.Zone, z.block.Load()), nil
	}
	found, err := z.look(ctx, q)
	if errors.Is(err, names.ErrNotNormal) {
		answer := z.negative(q, dns.RcodeNameError, z.cfg.Zone, z.block.Load())
		answer.EDE = []resolver.EDE{{Code: dns.ExtendedErrorCodeOther, Text: describe("no such name", err)}}
		return answer, nil
	}
	if err != nil {
		return nil, failure(err)
	}
	rec := canonical(found)
	z.seen(rec.Source.Head.Number)
	cut, err := z.cutAbove(q, &rec)
	if err != nil {
		return nil, failure(err)
	}
	if cut != nil {
		return z.delegate(ctx, asked, q, &rec, cut)
	}
	answer, err := z.answer(q, &rec)
	if err != nil {
		return nil, failure(err)
	}
	answer.AuthenticatedData = answer.AuthenticatedData && !asked.CD && authentic(&rec.Source)
	answer.Tags = slices.Clone(rec.Tags)
	answer.Origin = origin(q, &rec)
	return answer, nil
}

// answer makes the answer of what was found. It is as authentic as the data found if it has nothing else to
// say: AuthenticatedData tells. What is made up here (SOA, NS, the web gateways' addresses) is not from the
// chain, and neither is it that an alias such as eth.limo, a name of the ICANN tree, stands for the zone: the
// configuration says so. The SOA beside a denial only says for how long.
func (z *zone) answer(q question, rec *names.Records) (*resolver.Answer, error) {
	if !dns.IsSubDomain(z.cfg.Zone, rec.Apex) || !dns.IsSubDomain(rec.Apex, q.inner) {
		return nil, malformed("zone %s is not above the name", rec.Apex)
	}
	chained := q.suffix == q.zone
	s, err := z.lookUp(q, rec)
	if err != nil {
		return nil, err
	}
	if len(s.records) > 0 && s.rrtype != q.rrtype || s.rrtype == dns.TypeDNAME && s.records[0].Header().Name != q.asked {
		answer, err := z.alias(q, s.records[0])
		if err == nil {
			answer.AuthenticatedData = chained
		}
		return answer, err
	}
	more, own, err := z.synthesise(q, rec, s.records)
	if err != nil {
		return nil, err
	}
	if records := append(s.records, more...); len(records) > 0 {
		return &resolver.Answer{Authoritative: true, Zone: Kind, Answer: uniform(records), AuthenticatedData: chained && !own}, nil
	}
	rcode := dns.RcodeNameError
	if exists(q, rec) {
		rcode = dns.RcodeSuccess
	}
	answer := z.negative(q, rcode, rec.Apex, rec.Source.Head.Number)
	answer.AuthenticatedData = chained
	return answer, nil
}

// exists tells NODATA from NXDOMAIN. A zone's apex is there by definition, and the name of a DNSLink is
// when there is one, though nobody registered it.
func exists(q question, rec *names.Records) bool {
	return rec.Exists || q.inner == rec.Apex || q.dnsLink() && len(rec.ContentHash) > 0
}

// uniform gives stored and synthesised records of one RRset the same TTL (RFC 2181 section 5.2).
func uniform(records []dns.RR) []dns.RR {
	ttl := records[0].Header().Ttl
	for _, rr := range records {
		ttl = min(ttl, rr.Header().Ttl)
	}
	for _, rr := range records {
		rr.Header().Ttl = ttl
	}
	return records
}

// alias makes the answer of a CNAME at the name or a DNAME above it. Where it leads is for the Router.
func (z *zone) alias(q question, rr dns.RR) (*resolver.Answer, error) {
	answer := &resolver.Answer{Authoritative: true, Zone: Kind, Answer: []dns.RR{rr}}
	var cname *dns.CNAME
	switch rr := rr.(type) {
	case *dns.CNAME:
		cname = rr
	case *dns.DNAME:
		var ok bool
		if cname, ok = redirect(q, rr); !ok {
			answer.Rcode = dns.RcodeYXDomain // RFC 6672 section 2.2
			return answer, nil
		}
		answer.Answer = append(answer.Answer, cname)
	default:
		return nil, malformed("alias of type %s", dns.Type(rr.Header().Rrtype))
	}
	if q.rrtype != dns.TypeCNAME {
		answer.Target = dns.CanonicalName(cname.Target)
	}
	return answer, nil
}

// negative is NXDOMAIN or NODATA, with the SOA that says for how long (RFC 2308).
func (z *zone) negative(q question, rcode int, apex string, block uint64) *resolver.Answer {
	return &resolver.Answer{
		Rcode: rcode, Authoritative: true, Zone: Kind,
		Ns: []dns.RR{z.soa(q, apex, block)},
	}
}

// hinfo answers ANY without asking anybody (RFC 8482 section 4.2).
func (z *zone) hinfo(q question) *resolver.Answer {
	return &resolver.Answer{
		Authoritative: true, Zone: Kind,
		Answer: []dns.RR{&dns.HINFO{Hdr: z.header(q, dns.TypeHINFO), Cpu: "RFC8482"}},
	}
}

// seen keeps the newest block.
func (z *zone) seen(block uint64) {
	for {
		old := z.block.Load()
		if block <= old || z.block.CompareAndSwap(old, block) {
			return
		}
	}
}

// isMeta reports whether a type is no type of data: OPT, and the range of RFC 6895 section 3.1.
func isMeta(rrtype uint16) bool {
	return rrtype == dns.TypeNone || rrtype == dns.TypeOPT || rrtype >= 128 && rrtype <= 255 || rrtype == dns.TypeReserved
}

func refuse(code uint16, text string) error {
	return &resolver.Error{Rcode: dns.RcodeRefused, Code: code, Text: text}
}
