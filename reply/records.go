package reply

import (
	"slices"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// maxTTL is the greatest TTL that there is; what is above it means zero (RFC 2181 section 8).
const maxTTL = 1<<31 - 1

// fill puts an answer into m and returns how long it may be kept.
func (s *Source) fill(m *dns.Msg, q resolver.Query, a *resolver.Answer) time.Duration {
	m.Rcode = a.Rcode
	if m.Rcode < 0 || m.Rcode > 0xf {
		m.Rcode = dns.RcodeServerFailure // extended rcodes are between two servers and no answer
	}
	if isFailure(m.Rcode) {
		return s.cfg.FailureTTL // records of a failure, if any, say nothing
	}
	m.Authoritative, m.AuthenticatedData = a.Authoritative, a.AuthenticatedData
	m.Answer = visible(a.Answer, q)
	m.Ns = visible(a.Ns, q)
	m.Extra = visible(a.Extra, q)

	limit := seconds(s.cfg.MaxTTL)
	if isNegative(m, q) {
		limit = min(limit, seconds(s.cfg.NegativeTTL))
		m.Ns = lowerSOA(m.Ns)
	}
	lowest := uint32(maxTTL)
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		capTTL(section, limit)
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			lowest = min(lowest, rr.Header().Ttl)
		}
	}
	ttl := time.Duration(min(lowest, limit)) * time.Second
	if isNegative(m, q) && !hasSOA(m.Ns) {
		// RFC 2308 section 5: without an SOA a denial has no TTL. It is kept no longer than a failure.
		ttl = min(ttl, s.cfg.FailureTTL)
	}
	return ttl
}

// visible returns the records that the client is to see: those of DNSSEC only when it asked for them,
// by DO or by type (RFC 4035 section 3.2.1), and none that belong to a hop (OPT, TSIG). The slice is new.
func visible(rrs []dns.RR, q resolver.Query) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool {
		if rr == nil {
			return true
		}
		switch t := rr.Header().Rrtype; t {
		case dns.TypeOPT, dns.TypeTSIG:
			return true
		case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
			return !q.DO && t != q.Type
		}
		return false
	})
}

// isNegative reports whether m says that the name, or the type at the end of its alias chain, does not exist.
func isNegative(m *dns.Msg, q resolver.Query) bool {
	switch m.Rcode {
	case dns.RcodeNameError:
		return true
	case dns.RcodeSuccess:
		return !slices.ContainsFunc(m.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == q.Type })
	}
	return false
}

// isFailure reports whether a reply says nothing about the name.
func isFailure(rcode int) bool {
	return rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError && rcode != dns.RcodeYXDomain
}

func hasSOA(rrs []dns.RR) bool {
	return slices.ContainsFunc(rrs, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
}

// lowerSOA gives an SOA in the authority section the TTL of the denial (RFC 2308 section 5): the lower
// one of its own and its minimum. Records may be shared, so they are copied before they change.
func lowerSOA(rrs []dns.RR) []dns.RR {
	for i, rr := range rrs {
		if soa, ok := rr.(*dns.SOA); ok && soa.Minttl < soa.Hdr.Ttl {
			rr = dns.Copy(rr)
			rr.Header().Ttl = soa.Minttl
			rrs[i] = rr
		}
	}
	return rrs
}

// capTTL replaces the records with a TTL above the limit.
func capTTL(rrs []dns.RR, limit uint32) {
	for i, rr := range rrs {
		ttl := rr.Header().Ttl
		if ttl <= limit {
			continue
		}
		rr = dns.Copy(rr)
		rr.Header().Ttl = limit
		if ttl > maxTTL {
			rr.Header().Ttl = 0
		}
		rrs[i] = rr
	}
}

// seconds turns a duration into a TTL.
func seconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Second, 0), maxTTL))
}
