package recursive

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
	"dens/resolver/validate"
)

// response is what a zone says about one question, and what was found out about it.
type response struct {
	validate.Response
	target  string // where the alias chain leads on; "" when it ends here
	stored  time.Time
	expires time.Time
	judged  atomic.Pointer[judged] // nil: not judged yet
}

// judged is the judgement about a response.
type judged struct {
	validate.Judgement
	until time.Time
}

// Times that responses are remembered.
const (
	negativeTTL = 3 * time.Hour    // cap for NXDOMAIN and NODATA (RFC 2308 section 5)
	bogusTTL    = 10 * time.Second // a response that did not validate is asked for again after that
	maxRecords  = 4096             // of one section; no honest reply has more
)

// newResponse makes a response of a reply that is neither a referral nor lame.
func (r *Resolver) newResponse(msg *dns.Msg, in reading, zone, name string, rrtype uint16, server netip.AddrPort) *response {
	now := r.cfg.Now()
	out := &response{
		Response: validate.Response{
			Name: name, Type: rrtype, Rcode: in.rcode, Zone: zone, Server: server, Answer: in.chain.All(),
		},
		stored: now,
	}
	if len(in.chain.Records) == 0 && in.chain.Overlong == nil && !in.negative {
		out.target = in.chain.End
	}
	out.Ns = authorityOf(msg, zone, in)
	spell(out.Ns, name)
	spell(out.Answer, name)
	capTTLs(out.Answer)
	capTTLs(out.Ns)
	out.expires = now.Add(r.lifetime(out, in.negative))
	return out
}

// authorityOf returns the records of the authority section that say something about the question: the
// denial of the chain's end, and the proofs that a wildcard was due.
func authorityOf(msg *dns.Msg, zone string, in reading) []dns.RR {
	var out []dns.RR
	for _, rr := range msg.Ns[:min(len(msg.Ns), maxRecords)] {
		rrtype := rr.Header().Rrtype
		if sig, ok := rr.(*dns.RRSIG); ok {
			rrtype = sig.TypeCovered
		}
		owner := dns.CanonicalName(rr.Header().Name)
		switch {
		case !dns.IsSubDomain(zone, owner):
		case rrtype == dns.TypeNSEC, rrtype == dns.TypeNSEC3, rrtype == dns.TypeSOA && in.negative && dns.IsSubDomain(owner, in.chain.End):
			out = append(out, rr)
		}
	}
	return out
}

// spell gives the owners of records that are the name that was asked for, or above it, their usual
// spelling: some servers repeat the random case of the question in them.
func spell(rrs []dns.RR, name string) {
	for _, rr := range rrs {
		h := rr.Header()
		if owner := dns.CanonicalName(h.Name); owner != h.Name && dns.IsSubDomain(owner, name) {
			h.Name = owner
		}
	}
}

// capTTLs turns TTLs that are none into zero (RFC 2181 section 8).
func capTTLs(rrs []dns.RR) {
	for _, rr := range rrs {
		if h := rr.Header(); h.Ttl > 1<<31-1 {
			h.Ttl = 0
		}
	}
}

// lifetime is how long a response may be used: the least TTL of its answer, and of a denial that of the
// SOA or its MINIMUM. Without an SOA there is none (RFC 2308 section 5).
func (r *Resolver) lifetime(resp *response, negative bool) time.Duration {
	ttl := uint32(r.cfg.MaxTTL / time.Second)
	for _, rr := range resp.Answer {
		ttl = min(ttl, rr.Header().Ttl)
	}
	if !negative {
		return time.Duration(ttl) * time.Second
	}
	there := false
	for _, rr := range resp.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			there = true
			ttl = min(ttl, soa.Hdr.Ttl, soa.Minttl, uint32(negativeTTL/time.Second))
		}
	}
	if !there {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// remember keeps a response for as long as it lives.
func (r *Resolver) remember(realm *realm, resp *response) {
	if resp.expires.After(resp.stored) {
		r.answers.add(answerKey(realm, resp.Name, resp.Type), resp)
	}
}

// recall returns a response that is still good, or nil.
func (r *Resolver) recall(realm *realm, name string, rrtype uint16) *response {
	resp, ok := r.answers.get(answerKey(realm, name, rrtype))
	if !ok || !r.cfg.Now().Before(resp.expires) {
		return nil
	}
	return resp
}

type questionKey struct {
	name   string // with the realm's id
	rrtype uint16
}

func answerKey(realm *realm, name string, rrtype uint16) questionKey {
	return questionKey{realm.key(name), rrtype}
}

// tellsWhy says that an answer without AD should come with its cause: one that the zone's operator can
// mend. That a zone is not signed is none.
func tellsWhy(code uint16) bool {
	return code == dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm || code == dns.ExtendedErrorCodeUnsupportedDSDigestType ||
		code == dns.ExtendedErrorCodeUnsupportedNSEC3IterValue
}

// aged returns records as they are after some time: a slice of the caller's own, and copies with lower
// TTLs, since the records in memory are shared.
func aged(rrs []dns.RR, age time.Duration) []dns.RR {
	seconds := uint32(max(age, 0) / time.Second)
	if seconds == 0 {
		return slices.Clone(rrs)
	}
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		h := out[i].Header()
		h.Ttl -= min(h.Ttl, seconds)
	}
	return out
}

// atMost returns records with TTLs of at most ttl seconds: copies, where they have more.
func atMost(rrs []dns.RR, ttl uint32) []dns.RR {
	out := slices.Clone(rrs)
	for i, rr := range out {
		if rr.Header().Ttl > ttl {
			out[i] = dns.Copy(rr)
			out[i].Header().Ttl = ttl
		}
	}
	return out
}

// answer makes the Answer of a response that was judged, or is not to be.
func (r *Resolver) answer(resp *response, j *judged) *resolver.Answer {
	age := r.cfg.Now().Sub(resp.stored)
	a := &resolver.Answer{Rcode: resp.Rcode, Zone: Kind, Target: resp.target, Answer: resp.Answer, Ns: resp.Ns}
	if j != nil {
		a.Rcode, a.Answer, a.Ns = j.Rcode, j.Answer, j.Ns
		if j.Open != "" {
			a.Target = j.Open
		}
		a.AuthenticatedData = j.Status == dnssec.Secure
		if tellsWhy(j.Code) && j.Text != "" {
			a.EDE = []resolver.EDE{{Code: j.Code, Text: j.Text}}
		}
	}
	a.Answer, a.Ns = aged(a.Answer, age), aged(a.Ns, age)
	return a
}
