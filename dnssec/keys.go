package dnssec

import (
	"bytes"
	"encoding/hex"
	"time"

	"github.com/miekg/dns"
)

// maxDS bounds the DS records of a zone that are looked at: each costs a digest for every key with its tag.
const maxDS = 32

type keyID struct {
	tag uint16
	alg uint8
}

// Keys are a zone's keys as ValidateKeys judged them. They are immutable and safe for concurrent use.
// The zero value is Indeterminate.
type Keys struct {
	Verdict
	// TTL, in seconds, is how long they may be kept.
	TTL uint32
	// Entry is the key that a DS or an anchor vouches for and that signed the others; Sig its signature.
	Entry *dns.DNSKEY
	Sig   *dns.RRSIG

	zone    name
	byID    map[keyID][]*key
	nonZone map[keyID]bool // keys that may not sign zone data, for the cause of failures
}

// Zone returns the zone's name in canonical presentation form.
func (k *Keys) Zone() string {
	if k.zone == nil {
		return ""
	}
	return k.zone.String()
}

// InsecureKeys are the keys of a zone that is known to have none: below an insecure delegation or a
// negative trust anchor (RFC 7646). All that is validated with them is insecure for the same reason.
func InsecureKeys(zone string, why Verdict) *Keys {
	n, _ := parseName(zone)
	why.Status = Insecure
	return &Keys{Verdict: why, zone: n}
}

// missing says why no key fits a signature.
func (k *Keys) missing(sig *dns.RRSIG) Verdict {
	id := keyID{sig.KeyTag, sig.Algorithm}
	if k.nonZone[id] {
		return bogus(dns.ExtendedErrorCodeNoZoneKeyBitSet, "key %d of %s is revoked or no zone key", sig.KeyTag, k.zone)
	}
	return bogus(dns.ExtendedErrorCodeDNSKEYMissing, "no key %d of algorithm %d in %s", sig.KeyTag, sig.Algorithm, k.zone)
}

// Trust is what vouches for a zone's keys: the DS set that its parent (or the chain) signed, or the
// keys of a trust anchor.
type Trust struct {
	DS   []*dns.DS
	Keys []*dns.DNSKEY
}

// Empty says that nothing vouches.
func (t Trust) Empty() bool { return len(t.DS) == 0 && len(t.Keys) == 0 }

// ValidateKeys validates a zone's DNSKEY RRset (RFC 4035 section 5.2): a key that trust vouches for must
// have signed the set; then every zone key in it is trusted. If trust names only algorithms or digests
// that are not supported, the zone is Insecure. An empty trust is Indeterminate.
func (v *Validator) ValidateKeys(zone string, set RRset, trust Trust, now time.Time, b *Budget) *Keys {
	n, ok := parseName(zone)
	if !ok {
		return &Keys{Verdict: bogus(dns.ExtendedErrorCodeDNSBogus, "not a zone name")}
	}
	out := &Keys{zone: n}
	if trust.Empty() {
		out.Verdict = Verdict{Status: Indeterminate, Code: dns.ExtendedErrorCodeDNSSECIndeterminate, Text: "no trust anchor for " + n.String()}
		return out
	}
	usable, why := v.usableTrust(n, trust)
	if usable.Empty() {
		out.Verdict = why
		return out
	}
	c, keys, fault := readKeys(n, set)
	if fault.Status != Indeterminate {
		out.Verdict = fault
		return out
	}
	out.sort(v, keys)
	out.Verdict = v.enter(out, c, set.Sigs, keys, usable, now, b)
	return out
}

// usableTrust drops what cannot be used: other zones', unsupported algorithms and digests, and SHA-1 beside
// a stronger digest (RFC 4509 section 3), lest a weak hash be chosen by an attacker.
func (v *Validator) usableTrust(zone name, trust Trust) (Trust, Verdict) {
	var out Trust
	why := insecure(dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, "no supported algorithm for the keys of %s", zone)
	strong, own := false, false
	for _, ds := range trust.DS {
		if n, ok := parseName(ds.Hdr.Name); !ok || !n.equal(zone) {
			continue
		}
		own = true
		if !v.Algorithm(ds.Algorithm) {
			continue
		}
		if !v.Digest(ds.DigestType) {
			why = insecure(dns.ExtendedErrorCodeUnsupportedDSDigestType, "no supported DS digest for the keys of %s", zone)
			continue
		}
		strong = strong || ds.DigestType != dns.SHA1
		out.DS = append(out.DS, ds)
	}
	if strong {
		out.DS = withoutSHA1(out.DS)
	}
	for _, k := range trust.Keys {
		if n, ok := parseName(k.Hdr.Name); ok && n.equal(zone) {
			own = true
			if v.Algorithm(k.Algorithm) {
				out.Keys = append(out.Keys, k)
			}
		}
	}
	if !own { // the caller mixed up zones: never a reason to call one insecure
		why = bogus(dns.ExtendedErrorCodeDNSKEYMissing, "no DS and no anchor is for %s", zone)
	}
	return out, why
}

func withoutSHA1(all []*dns.DS) []*dns.DS {
	var out []*dns.DS
	for _, ds := range all {
		if ds.DigestType != dns.SHA1 {
			out = append(out, ds)
		}
	}
	return out
}

// readKeys puts the DNSKEY RRset of zone into canonical form and reads its keys.
func readKeys(zone name, set RRset) (*canonicalSet, []*key, Verdict) {
	if len(set.RRs) == 0 {
		return nil, nil, bogus(dns.ExtendedErrorCodeDNSKEYMissing, "no DNSKEY for %s", zone)
	}
	c, err := canonicalize(set.RRs)
	if err != nil || c.rrtype != dns.TypeDNSKEY || !c.owner.equal(zone) {
		return nil, nil, bogus(dns.ExtendedErrorCodeDNSKEYMissing, "not the DNSKEY RRset of %s", zone)
	}
	keys := make([]*key, 0, len(set.RRs))
	for _, rr := range set.RRs {
		if k, ok := rr.(*dns.DNSKEY); ok {
			if parsed, ok := newKey(k); ok && !contains(keys, parsed) {
				keys = append(keys, parsed)
			}
		}
	}
	return c, keys, Verdict{}
}

// contains keeps a record that came twice from being tried twice. Equal keys have equal tags, so only
// few are compared in whole.
func contains(keys []*key, k *key) bool {
	for _, o := range keys {
		if o.tag == k.tag && bytes.Equal(o.rdata, k.rdata) {
			return true
		}
	}
	return false
}

// sort fills byID with the keys that may sign, in the set's order.
func (k *Keys) sort(v *Validator, keys []*key) {
	k.byID = make(map[keyID][]*key, len(keys))
	k.nonZone = make(map[keyID]bool)
	for _, one := range keys {
		id := keyID{one.tag, one.rr.Algorithm}
		switch {
		case !one.usable():
			k.nonZone[id] = true
		case v.Algorithm(id.alg):
			k.byID[id] = append(k.byID[id], one)
		}
	}
}

// enter looks for a key that trust vouches for and that signed the set.
func (v *Validator) enter(out *Keys, c *canonicalSet, sigs []*dns.RRSIG, all []*key, trust Trust, now time.Time, b *Budget) Verdict {
	entries, failure := vouched(out.zone, all, trust, b)
	if len(entries) == 0 {
		return failure
	}
	failure = bogus(dns.ExtendedErrorCodeRRSIGsMissing, "the DNSKEY RRset of %s is not signed by the key that its DS or trust anchor names", out.zone)
	for _, entry := range entries {
		one := &Keys{zone: out.zone, byID: map[keyID][]*key{{entry.tag, entry.rr.Algorithm}: {entry}}}
		for _, sig := range sigs {
			if sig.KeyTag != entry.tag || sig.Algorithm != entry.rr.Algorithm {
				continue
			}
			fault, ok := v.checkSig(c, sig, one, now, b)
			if ok { // and no wildcard: the label count is the zone's
				out.Entry, out.Sig, out.TTL = entry.rr, sig, success(c, sig, now).TTL
				return Verdict{Status: Secure}
			}
			failure = worse(failure, fault)
			if fault.Status == Exhausted {
				return failure
			}
		}
	}
	return failure
}

// vouched returns the keys of the set that trust names. Revoked keys and those that are no zone keys never
// count (RFC 5011 section 2.1, RFC 4034 section 5.2).
func vouched(zone name, all []*key, trust Trust, b *Budget) ([]*key, Verdict) {
	failure := bogus(dns.ExtendedErrorCodeDNSKEYMissing, "no DNSKEY of %s matches its DS or trust anchor", zone)
	var entries []*key
	add := func(k *key) {
		if !k.usable() {
			failure = bogus(dns.ExtendedErrorCodeNoZoneKeyBitSet, "key %d of %s is revoked or no zone key", k.tag, zone)
			return
		}
		if !contains(entries, k) {
			entries = append(entries, k)
		}
	}
	for _, anchor := range trust.Keys {
		want, ok := newKey(anchor)
		for _, k := range all {
			if ok && bytes.Equal(k.rdata, want.rdata) {
				add(k)
			}
		}
	}
	for i, ds := range trust.DS {
		if i == maxDS {
			break
		}
		tried := 0
		for _, k := range all {
			if k.tag != ds.KeyTag || k.rr.Algorithm != ds.Algorithm {
				continue
			}
			if tried++; tried > b.limits.KeysPerTag {
				return nil, b.tooManyKeys(ds.KeyTag)
			}
			if matchesDS(zone, k, ds) {
				add(k)
				break
			}
		}
	}
	return entries, failure
}

// matchesDS computes digest(owner | rdata) (RFC 4034 section 5.1.4).
func matchesDS(zone name, k *key, ds *dns.DS) bool {
	want, err := hex.DecodeString(ds.Digest)
	if err != nil {
		return false
	}
	got := digest(ds.DigestType, append(append([]byte(nil), zone...), k.rdata...))
	return got != nil && bytes.Equal(got, want)
}
