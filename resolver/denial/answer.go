package denial

import (
	"time"

	"github.com/miekg/dns"
)

// answer finds records and lets dnssec decide what they prove. wire is name in wire form.
func (z *zone) answer(name string, wire []byte, rrtype uint16, now time.Time, hashes int) (Answer, bool) {
	z.mu.RLock()
	defer z.mu.RUnlock()
	s := z.soa.Load()
	if s == nil {
		return Answer{}, false
	}
	f, ok := z.speakers(wire, now, hashes)
	if !ok || f.at != nil && f.at.has(rrtype) || !f.proves(name, rrtype, hashes) {
		return Answer{}, false
	}
	return z.build(f, s, now)
}

// build makes the Answer, in which no record outlives another.
func (z *zone) build(f finding, s *start, now time.Time) (Answer, bool) {
	end, size := s.expires, len(s.set)
	for _, r := range f.records[:f.count] {
		if r.expires.Before(end) {
			end = r.expires
		}
		size += len(r.set)
		if !r.used.Load() {
			r.used.Store(true)
		}
	}
	left := end.Sub(now).Truncate(time.Second)
	if left < time.Second {
		return Answer{}, false
	}
	a := Answer{Zone: z.text, Rcode: dns.RcodeSuccess, Ns: make([]dns.RR, 0, size), TTL: left}
	if f.nameError {
		a.Rcode = dns.RcodeNameError
	}
	ttl := uint32(left / time.Second)
	a.Ns = appendWithTTL(a.Ns, s.set, ttl)
	for _, r := range f.records[:f.count] {
		a.Ns = appendWithTTL(a.Ns, r.set, ttl)
	}
	return a, true
}

// appendWithTTL appends copies. What the records point to is shared: nobody changes it.
func appendWithTTL(to, set []dns.RR, ttl uint32) []dns.RR {
	for _, rr := range set {
		switch x := rr.(type) {
		case *dns.SOA:
			y := *x
			rr = &y
		case *dns.NSEC:
			y := *x
			rr = &y
		case *dns.NSEC3:
			y := *x
			rr = &y
		case *dns.RRSIG:
			y := *x
			rr = &y
		}
		rr.Header().Ttl = ttl
		to = append(to, rr)
	}
	return to
}
