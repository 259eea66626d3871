package dnssec

import (
	"bytes"
	"encoding/base32"
	"encoding/hex"
	"time"

	"github.com/miekg/dns"
)

// Kind is what a Proof proves.
type Kind uint8

const (
	KindNone           Kind = iota // nothing
	KindNameError                  // the name does not exist, and no wildcard stands for it
	KindNoData                     // the name exists, by itself or as an empty non-terminal; the type does not
	KindWildcardNoData             // a wildcard stands for the name and has no such type
	KindExpansion                  // no closer name than the wildcard's exists
	KindOptOut                     // an opt-out span holds the name: it may be an insecure delegation
)

func (k Kind) String() string {
	switch k {
	case KindNameError:
		return "name error"
	case KindNoData:
		return "no data"
	case KindWildcardNoData:
		return "wildcard no data"
	case KindExpansion:
		return "wildcard expansion"
	case KindOptOut:
		return "opt-out"
	}
	return "nothing"
}

// Proof is the outcome of a denial. Its Status is Secure when it is proven; Insecure when it is proven
// as far as an opt-out span (no AD: RFC 5155 section 9.2) or too many iterations let it be; else Bogus or
// Exhausted.
type Proof struct {
	Verdict
	Kind   Kind
	OptOut bool
	// Delegation says that the name's own NSEC or NSEC3 shows a zone cut: NS without SOA.
	Delegation bool
	// TTL, in seconds, is how long the records of the evidence may be kept; the SOA bounds it further
	// (RFC 2308, RFC 9077).
	TTL uint32
}

// Evidence is the NSEC and NSEC3 records of a response that are Secure. It is immutable and safe for
// concurrent use.
type Evidence struct {
	zone   name
	nsec   []span
	nsec3  []hashSpan
	params nsec3Params
	ttl    uint32
	broken Verdict // zone not secure, or the most telling failure of a record that was left out
	costly bool    // there are NSEC3 records, but all with too many iterations
	sets   []Validated
}

// Validated is an RRset that ValidateRRset found Secure, and how long it may be kept, in seconds.
type Validated struct {
	RRset
	TTL uint32
}

// Sets returns the RRsets that Evidence found Secure, in their order; none after Proven.
func (e *Evidence) Sets() []Validated { return e.sets }

// span is an NSEC record (RFC 4034 section 4).
type span struct {
	owner, next name
	types       types
}

// hashSpan is an NSEC3 record (RFC 5155 section 3).
type hashSpan struct {
	owner, next [20]byte
	optOut      bool
	types       types
}

// nsec3Params is what all NSEC3 records of one response must share (RFC 5155 section 8.2).
type nsec3Params struct {
	iterations uint16
	salt       string // raw
}

// types is a type bitmap, read.
type types []uint16

func (t types) has(rrtype uint16) bool {
	for _, one := range t {
		if one == rrtype {
			return true
		}
	}
	return false
}

// delegates says that the record is from the parent's side of a zone cut.
func (t types) delegates() bool { return t.has(dns.TypeNS) && !t.has(dns.TypeSOA) }

// cutsOff says that names below the owner are not this record's to deny: they are another zone's, or
// DNAME redirects them (RFC 6840 section 4.1, RFC 5155 section 8.3).
func (t types) cutsOff() bool { return t.delegates() || t.has(dns.TypeDNAME) }

// denies says that the record, which matches the name in question, shows that rrtype is not there.
func (t types) denies(rrtype uint16, apexIsRoot bool) bool {
	switch {
	case t.has(rrtype) || t.has(dns.TypeCNAME): // RFC 6840 section 4.3
		return false
	case rrtype == dns.TypeDS: // the child's apex knows nothing of DS; the root has no parent
		return !t.has(dns.TypeSOA) || apexIsRoot
	case t.delegates(): // RFC 6840 section 4.4: the parent denies nothing but DS
		return false
	case rrtype == dns.TypeANY:
		return t.bare()
	}
	return true
}

// bare says that the owner has no data but what denial itself needs (RFC 9824: NXNAME is 128).
func (t types) bare() bool {
	for _, one := range t {
		if one != dns.TypeRRSIG && one != dns.TypeNSEC && one != typeNXNAME {
			return false
		}
	}
	return true
}

const typeNXNAME = 128

// Evidence validates the NSEC and NSEC3 RRsets among sets with the zone's keys and reads them. Records that
// do not validate, came from wildcards, or are of unknown kinds are left out; a proof that then fails tells
// why.
func (v *Validator) Evidence(sets []RRset, keys *Keys, now time.Time, b *Budget) *Evidence {
	e := &Evidence{zone: keys.zone, ttl: 1<<31 - 1}
	if keys.Status != Secure {
		e.broken = keys.Verdict
		return e
	}
	for _, set := range sets {
		if t := set.Type(); t != dns.TypeNSEC && t != dns.TypeNSEC3 {
			continue
		}
		res := v.ValidateRRset(set, keys, now, b)
		switch {
		case res.Status != Secure:
			e.broken = worse(e.broken, res.Verdict)
			continue
		case res.Expanded: // RFC 4035 section 5.4 wants the owner's own record
			e.broken = worse(e.broken, bogus(dns.ExtendedErrorCodeNSECMissing, "denial made from a wildcard"))
			continue
		}
		e.ttl = min(e.ttl, res.TTL)
		e.sets = append(e.sets, Validated{set, res.TTL})
		for _, rr := range set.RRs {
			e.read(rr, v.cfg.MaxIterations)
		}
	}
	return e
}

func (e *Evidence) read(rr dns.RR, maxIterations uint16) {
	switch x := rr.(type) {
	case *dns.NSEC:
		owner, ok1 := parseName(x.Hdr.Name)
		next, ok2 := parseName(x.NextDomain)
		if ok1 && ok2 && next.within(e.zone) {
			e.nsec = append(e.nsec, span{owner, next, x.TypeBitMap})
		}
	case *dns.NSEC3:
		s, p, ok := readNSEC3(x, e.zone)
		switch {
		case !ok:
		case p.iterations > maxIterations:
			e.costly = true
		case len(e.nsec3) == 0:
			e.params = p
			e.nsec3 = append(e.nsec3, s)
		case p == e.params: // others are of another chain: RFC 5155 section 8.2
			e.nsec3 = append(e.nsec3, s)
		}
	}
}

// readNSEC3 reads a record; false for one that must be ignored: an unknown hash algorithm (RFC 5155
// section 8.1) or unknown flags (section 8.2), or an owner that is not a hash just below the zone.
func readNSEC3(x *dns.NSEC3, zone name) (hashSpan, nsec3Params, bool) {
	var s hashSpan
	owner, ok := parseName(x.Hdr.Name)
	if !ok || x.Hash != dns.SHA1 || x.Flags&^1 != 0 || owner.isRoot() || !owner.parent().equal(zone) {
		return s, nsec3Params{}, false
	}
	salt, err := hex.DecodeString(x.Salt)
	if err != nil || len(salt) > 255 {
		return s, nsec3Params{}, false
	}
	if !decodeHash(&s.owner, owner[1:1+int(owner[0])]) || !decodeHash(&s.next, []byte(x.NextDomain)) {
		return s, nsec3Params{}, false
	}
	s.optOut = x.Flags&1 != 0
	s.types = x.TypeBitMap
	return s, nsec3Params{x.Iterations, string(salt)}, true
}

// decodeHash reads base32hex without padding (RFC 5155 section 3.3).
func decodeHash(to *[20]byte, text []byte) bool {
	if len(text) != 32 {
		return false
	}
	n, err := base32.HexEncoding.WithPadding(base32.NoPadding).Decode(to[:], bytes.ToUpper(text))
	return err == nil && n == 20
}
