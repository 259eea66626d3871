package validate

import (
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// Judgement is what validation says about a Response, and what of it may be passed on.
type Judgement struct {
	// Verdict is the worst of all parts that the answer needs: Bogus and Exhausted, then Indeterminate,
	// then Insecure. AD is for Secure alone.
	dnssec.Verdict
	// Rcode is the response's, put right where secure records show another: NOERROR where a server says
	// NXDOMAIN of a name that has other types or names below it.
	Rcode int
	// Answer is the alias chain and what is at its end. TTLs are lowered to what the signatures allow;
	// records are copied for that.
	Answer []dns.RR
	// Ns is, when the verdict is Secure, what proves the answer, with TTLs lowered, and nothing else; else
	// the authority section as it came.
	Ns []dns.RR
	// Open is the name at which the alias chain goes on: the response has neither its end nor the denial of
	// it, and the Judgement is about the links alone. "" when the response is whole.
	Open string
	// TTL bounds how long all of it may be kept.
	TTL time.Duration
	// Denial are the Secure NSEC or NSEC3 RRsets and the SOA RRset of a negative answer, with TTLs
	// lowered, and DenialZone the zone that signed them, for aggressive use (RFC 8198).
	Denial     []dnssec.RRset
	DenialZone string
}

// unbounded is the TTL of what no signature bounds.
const unbounded = (1<<31 - 1) * time.Second

// bound lowers the TTL to ttl seconds.
func (j *Judgement) bound(ttl uint32) {
	j.TTL = min(j.TTL, time.Duration(ttl)*time.Second)
}

// lower returns records with TTLs of at most ttl. Those that have more are copied, since they are shared.
func lower(rrs []dns.RR, ttl uint32) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		if rr.Header().Ttl > ttl {
			rr = dns.Copy(rr)
			rr.Header().Ttl = ttl
		}
		out[i] = rr
	}
	return out
}

// lowerSet is lower for an RRset. Signatures by others than its zone are left out: nobody has looked at them.
func lowerSet(set dnssec.RRset, zone string, ttl uint32) dnssec.RRset {
	out := dnssec.RRset{RRs: lower(set.RRs, ttl)}
	for _, sig := range set.Sigs {
		if dns.CanonicalName(sig.SignerName) != zone {
			continue
		}
		if sig.Hdr.Ttl > ttl {
			sig = dns.Copy(sig).(*dns.RRSIG)
			sig.Hdr.Ttl = ttl
		}
		out.Sigs = append(out.Sigs, sig)
	}
	return out
}

// flat returns the records of RRsets, each followed by its signatures.
func flat(to []dns.RR, sets ...dnssec.RRset) []dns.RR {
	for _, set := range sets {
		to = append(to, set.RRs...)
		for _, sig := range set.Sigs {
			to = append(to, sig)
		}
	}
	return to
}
