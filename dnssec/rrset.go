package dnssec

import (
	"encoding/base64"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// RRset is an RRset with the signatures that came with it.
type RRset struct {
	RRs  []dns.RR
	Sigs []*dns.RRSIG
}

// Find returns the RRset of a type at a name, in canonical presentation form; an empty one when a section
// has none.
func Find(section []dns.RR, name string, rrtype uint16) RRset {
	for _, set := range Group(section) {
		if set.Type() == rrtype && set.Name() == name {
			return set
		}
	}
	return RRset{}
}

// Name returns the owner in canonical presentation form; "" for an empty set.
func (s RRset) Name() string {
	if len(s.RRs) == 0 {
		return ""
	}
	return dns.CanonicalName(s.RRs[0].Header().Name)
}

// Type returns the records' type; 0 for an empty set.
func (s RRset) Type() uint16 {
	if len(s.RRs) == 0 {
		return dns.TypeNone
	}
	return s.RRs[0].Header().Rrtype
}

// fewSets is how many RRsets are looked through one by one; beyond, a map is made of them.
const fewSets = 8

// Group sorts a section's records into RRsets, in the order of their first records, and gives each its
// signatures. Signatures of RRsets that are not there are left out; so is OPT.
func Group(section []dns.RR) []RRset {
	var g grouping
	for _, rr := range section {
		h := rr.Header()
		if h.Rrtype == dns.TypeRRSIG || h.Rrtype == dns.TypeOPT {
			continue
		}
		id := setID{dns.CanonicalName(h.Name), h.Rrtype, h.Class}
		i := g.find(id)
		if i < 0 {
			i = g.add(id)
		}
		g.sets[i].RRs = append(g.sets[i].RRs, rr)
	}
	for _, rr := range section {
		sig, ok := rr.(*dns.RRSIG)
		if !ok {
			continue
		}
		if i := g.find(setID{dns.CanonicalName(sig.Hdr.Name), sig.TypeCovered, sig.Hdr.Class}); i >= 0 {
			g.sets[i].Sigs = append(g.sets[i].Sigs, sig)
		}
	}
	return g.sets
}

type setID struct {
	name          string
	rrtype, class uint16
}

// grouping are RRsets as they are found.
type grouping struct {
	sets []RRset
	few  [fewSets]setID
	many map[setID]int // of all, as soon as they are more than few
}

// find returns the place of an RRset, or -1.
func (g *grouping) find(id setID) int {
	if g.many == nil {
		return slices.Index(g.few[:len(g.sets)], id)
	}
	if i, ok := g.many[id]; ok {
		return i
	}
	return -1
}

func (g *grouping) add(id setID) int {
	i := len(g.sets)
	g.sets = append(g.sets, RRset{})
	switch {
	case i < fewSets:
		g.few[i] = id
		return i
	case i == fewSets:
		g.many = make(map[setID]int, 2*fewSets)
		for k, one := range g.few {
			g.many[one] = k
		}
	}
	g.many[id] = i
	return i
}

// Result is what ValidateRRset found. Fields below Verdict mean something only when it is Secure.
type Result struct {
	Verdict
	// TTL, in seconds, is the longest the RRset may be kept: the least of its TTL, the signature's, the
	// original one and what is left until the signature expires (RFC 4035 section 5.3.3).
	TTL uint32
	// Expanded says that the owner was made from the wildcard below its last Labels labels. The RRset is
	// proven only together with Evidence.Expansion(name, Labels) (RFC 4035 section 5.3.4).
	Expanded bool
	Labels   uint8
	// Sig is the signature that verified: its key tag, algorithm and expiry.
	Sig *dns.RRSIG
}

// ValidateRRset validates one RRset with the keys of the zone that it is in (RFC 4035 section 5.3). With
// keys that are not Secure it returns their verdict. One good signature is enough (RFC 6840 section
// 5.11). An RRset without signatures is bogus.
func (v *Validator) ValidateRRset(set RRset, keys *Keys, now time.Time, b *Budget) Result {
	if keys.Status != Secure {
		return Result{Verdict: keys.Verdict}
	}
	c, err := canonicalize(set.RRs)
	if err != nil {
		return Result{Verdict: bogus(dns.ExtendedErrorCodeDNSBogus, "not an RRset: %v", err)}
	}
	if fault, ok := placed(c, keys.zone); !ok {
		return Result{Verdict: fault}
	}
	failure := Verdict{Status: Bogus, Code: dns.ExtendedErrorCodeRRSIGsMissing}
	for _, sig := range set.Sigs {
		fault, ok := v.checkSig(c, sig, keys, now, b)
		if ok {
			return success(c, sig, now)
		}
		failure = worse(failure, fault)
		if fault.Status == Exhausted {
			break
		}
	}
	if failure.Text == "" { // worded only where it is needed
		failure = bogus(failure.Code, "no signature for %s %s", c.owner, typeName(c.rrtype))
	}
	return Result{Verdict: failure}
}

// placed says whether the zone may hold the RRset at all.
func placed(c *canonicalSet, zone name) (Verdict, bool) {
	switch {
	case !c.owner.within(zone):
		return bogus(dns.ExtendedErrorCodeDNSBogus, "%s is not in the zone %s", c.owner, zone), false
	case c.rrtype == dns.TypeRRSIG: // RFC 4035 section 2.2: never signed
		return bogus(dns.ExtendedErrorCodeDNSBogus, "signatures are not signed"), false
	case c.rrtype == dns.TypeDS && c.owner.equal(zone): // RFC 4035 section 2.4: DS is the parent's
		return bogus(dns.ExtendedErrorCodeDNSBogus, "DS of %s signed by the zone itself", c.owner), false
	}
	return Verdict{}, true
}

// checkSig does the checks of RFC 4035 section 5.3.1, the cheap ones first, then the arithmetic with each
// key that the signature names (section 5.3.3).
func (v *Validator) checkSig(c *canonicalSet, sig *dns.RRSIG, keys *Keys, now time.Time, b *Budget) (Verdict, bool) {
	if fault, ok := matches(c, sig, keys.zone); !ok {
		return fault, false
	}
	if !v.Algorithm(sig.Algorithm) {
		return bogus(dns.ExtendedErrorCodeRRSIGsMissing, "no signature of a supported algorithm for %s %s", c.owner, typeName(c.rrtype)), false
	}
	candidates := keys.byID[keyID{sig.KeyTag, sig.Algorithm}]
	if len(candidates) == 0 {
		return keys.missing(sig), false
	}
	if fault, ok := inTime(sig, now); !ok {
		return fault, false
	}
	return arithmetic(c, sig, candidates, keys.zone, b)
}

// matches checks that the signature is about this RRset and by this zone.
func matches(c *canonicalSet, sig *dns.RRSIG, zone name) (Verdict, bool) {
	fault := func(what string) (Verdict, bool) {
		return bogus(dns.ExtendedErrorCodeDNSBogus, "signature for %s %s: wrong %s", c.owner, typeName(c.rrtype), what), false
	}
	owner, okOwner := parseName(sig.Hdr.Name)
	signer, okSigner := parseName(sig.SignerName)
	switch {
	case !okOwner || !owner.equal(c.owner):
		return fault("owner")
	case sig.Hdr.Class != c.class:
		return fault("class")
	case sig.TypeCovered != c.rrtype:
		return fault("type")
	case !okSigner || !signer.equal(zone):
		return fault("signer")
	case int(sig.Labels) > c.owner.sigLabels() || int(sig.Labels) < zone.labels():
		// Fewer labels than the zone has would be a wildcard above it.
		return fault("label count")
	}
	return Verdict{}, true
}

// inTime compares times in serial arithmetic (RFC 4034 section 3.1.5, RFC 1982), so that it holds beyond 2106.
func inTime(sig *dns.RRSIG, now time.Time) (Verdict, bool) {
	t := uint32(now.Unix())
	switch {
	case int32(sig.Expiration-sig.Inception) < 0:
		return bogus(dns.ExtendedErrorCodeSignatureExpiredBeforeValid, "signature expires before it begins"), false
	case int32(sig.Expiration-t) < 0:
		return bogus(dns.ExtendedErrorCodeSignatureExpired, "signature expired at %s", dns.TimeToString(sig.Expiration)), false
	case int32(t-sig.Inception) < 0:
		return bogus(dns.ExtendedErrorCodeSignatureNotYetValid, "signature not valid before %s", dns.TimeToString(sig.Inception)), false
	}
	return Verdict{}, true
}

// arithmetic verifies a signature with the keys that bear its tag and algorithm, within the budget.
func arithmetic(c *canonicalSet, sig *dns.RRSIG, candidates []*key, zone name, b *Budget) (Verdict, bool) {
	raw, err := base64.StdEncoding.DecodeString(sig.Signature)
	if err != nil {
		return bogus(dns.ExtendedErrorCodeDNSBogus, "malformed signature"), false
	}
	msg, err := c.signedData(sig, zone)
	if err != nil {
		return bogus(dns.ExtendedErrorCodeDNSBogus, "malformed signed data"), false
	}
	for i, k := range candidates {
		if i == b.limits.KeysPerTag {
			return b.tooManyKeys(sig.KeyTag), false
		}
		if fault, ok := b.takeCheck(); !ok {
			return fault, false
		}
		if k.verify(msg, raw) {
			return Verdict{}, true
		}
		b.failed()
	}
	return bogus(dns.ExtendedErrorCodeDNSBogus, "signature of %s %s by key %d does not verify", c.owner, typeName(c.rrtype), sig.KeyTag), false
}

func success(c *canonicalSet, sig *dns.RRSIG, now time.Time) Result {
	left := sig.Expiration - uint32(now.Unix()) // inTime holds: not negative
	return Result{
		Verdict:  Verdict{Status: Secure},
		TTL:      min(c.ttl, ttlOf(sig.Hdr.Ttl), ttlOf(sig.OrigTtl), left),
		Expanded: c.owner.sigLabels() > int(sig.Labels),
		Labels:   sig.Labels,
		Sig:      sig,
	}
}

func typeName(t uint16) string { return dns.Type(t).String() }
