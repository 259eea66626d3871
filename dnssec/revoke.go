package dnssec

import (
	"time"

	"github.com/miekg/dns"
)

// Revoked returns the keys of a DNSKEY RRset that revoke themselves: the REVOKE flag is set and the key
// itself signed the set (RFC 5011 section 2.1). They are to be dropped from the trust anchors, whose
// records lack the flag; everybody else's word about a key does not revoke it.
func (v *Validator) Revoked(zone string, set RRset, now time.Time, b *Budget) []*dns.DNSKEY {
	n, ok := parseName(zone)
	if !ok {
		return nil
	}
	c, keys, fault := readKeys(n, set)
	if fault.Failed() {
		return nil
	}
	var out []*dns.DNSKEY
	for _, k := range keys {
		if k.rr.Flags&dns.REVOKE == 0 || k.rr.Flags&dns.ZONE == 0 || k.rr.Protocol != 3 {
			continue
		}
		if v.selfSigned(n, c, k, set.Sigs, now, b) {
			out = append(out, k.rr)
		}
	}
	return out
}

func (v *Validator) selfSigned(zone name, c *canonicalSet, k *key, sigs []*dns.RRSIG, now time.Time, b *Budget) bool {
	self := &Keys{zone: zone, byID: map[keyID][]*key{{k.tag, k.rr.Algorithm}: {k}}}
	for _, sig := range sigs {
		if sig.KeyTag != k.tag || sig.Algorithm != k.rr.Algorithm {
			continue
		}
		fault, ok := v.checkSig(c, sig, self, now, b)
		if ok {
			return true
		}
		if fault.Status == Exhausted {
			break
		}
	}
	return false
}
