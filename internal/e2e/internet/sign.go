package internet

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Signing says how a zone is signed.
type Signing struct {
	Alg       uint8         // 0: 13
	Split     bool          // a key for the keys and one for the zone, instead of one for all
	Flags     uint16        // of the key that signs the keys; 0: zone key and secure entry point
	Protocol  uint8         // of the same; 0: 3
	NSEC3     *NSEC3        // nil: NSEC
	From, For time.Duration // from the start of the test; 0: an hour ago, and for 30 days
	DS        []uint8       // digests in the parent; nil: SHA-256; empty: none
	Second    uint8         // a second algorithm that signs as well; 0: none
}

// NSEC3 are the parameters of RFC 5155.
type NSEC3 struct {
	Iterations uint16
	Salt       string // hexadecimal
	OptOut     bool
}

// signed is a signed zone, on its way to its servers.
type signed struct {
	*content
	keys []zoneKey
	now  time.Time
	how  Signing
}

func (s Signing) withDefaults() Signing {
	s.Alg = cmp.Or(s.Alg, dns.ECDSAP256SHA256)
	s.Flags = cmp.Or(s.Flags, kskFlags)
	s.Protocol = cmp.Or(s.Protocol, goodProto)
	s.From = cmp.Or(s.From, -time.Hour)
	s.For = cmp.Or(s.For, 30*24*time.Hour)
	if s.DS == nil {
		s.DS = []uint8{dns.SHA256}
	}
	return s
}

// makeKeys gives the zone its keys.
func (s *signed) makeKeys(ring *keyring) error {
	algorithms := []uint8{s.how.Alg}
	if s.how.Second != 0 {
		algorithms = append(algorithms, s.how.Second)
	}
	for _, alg := range algorithms {
		key, err := ring.key(s.zone, alg, s.how.Flags, s.how.Protocol)
		if err != nil {
			return err
		}
		s.keys = append(s.keys, key)
		s.add(key.DNSKEY)
		if s.how.Split {
			if key, err = ring.key(s.zone, alg, zskFlags, goodProto); err != nil {
				return err
			}
			s.keys = append(s.keys, key)
			s.add(key.DNSKEY)
		}
	}
	return nil
}

// signers are the keys that sign a type: with split keys those for keys sign the keys, the others the rest.
func (s *signed) signers(rrtype uint16) []zoneKey {
	if !s.how.Split {
		return s.keys
	}
	return slices.DeleteFunc(slices.Clone(s.keys), func(k zoneKey) bool {
		return (k.Flags&dns.SEP != 0) != (rrtype == dns.TypeDNSKEY)
	})
}

// signAll makes the chain of denial and signs what the zone is authoritative for.
func (s *signed) signAll() error {
	if s.how.NSEC3 != nil {
		s.chainNSEC3()
	} else {
		s.chainNSEC()
	}
	for _, name := range s.authoritative() {
		atCut := s.cut(name) == name
		for t := range s.sets[name] {
			if t == dns.TypeRRSIG || atCut && t != dns.TypeDS && t != dns.TypeNSEC {
				continue
			}
			if err := s.signSet(name, t, s.how.From, s.how.For); err != nil {
				return err
			}
		}
	}
	return nil
}

// signSet signs one RRset, in place of the signatures it has.
func (s *signed) signSet(name string, rrtype uint16, from, during time.Duration) error {
	name = absolute(name, s.zone)
	s.dropSigs(name, rrtype)
	for _, key := range s.signers(rrtype) {
		sig, err := key.sign(s.sets[name][rrtype], s.now.Add(from), s.now.Add(from+during))
		if err != nil {
			return err
		}
		s.add(sig)
	}
	return nil
}

// dropSigs removes the signatures of an RRset.
func (s *signed) dropSigs(name string, rrtype uint16) {
	s.set(name, dns.TypeRRSIG, slices.DeleteFunc(slices.Clone(s.get(name, dns.TypeRRSIG)), func(rr dns.RR) bool {
		return rr.(*dns.RRSIG).TypeCovered == rrtype
	})...)
}

// sigs are the signatures of an RRset.
func (s *signed) sigs(name string, rrtype uint16) []*dns.RRSIG {
	var out []*dns.RRSIG
	for _, rr := range s.get(name, dns.TypeRRSIG) {
		if sig := rr.(*dns.RRSIG); sig.TypeCovered == rrtype {
			out = append(out, sig)
		}
	}
	return out
}

// delegationDS are the DS records for the parent, of the keys that sign the keys.
func (s *signed) delegationDS() []dns.RR {
	var out []dns.RR
	for _, digest := range s.how.DS {
		for _, key := range s.signers(dns.TypeDNSKEY) {
			ds := key.ToDS(dns.SHA256)
			if known := key.ToDS(digest); known != nil {
				ds = known
			} else {
				ds.DigestType = digest
			}
			ds.Hdr.Ttl = keyTTL
			out = append(out, ds)
		}
	}
	return out
}

// types are the types of a name for the bit map of its NSEC or NSEC3 record.
func (s *signed) types(name string, more ...uint16) []uint16 {
	atCut, sign := s.cut(name) == name, false
	for t := range s.sets[name] {
		if atCut && t != dns.TypeNS && t != dns.TypeDS {
			continue
		}
		sign = sign || !atCut || t == dns.TypeDS
		if t != dns.TypeRRSIG && !slices.Contains(more, t) {
			more = append(more, t)
		}
	}
	if sign && !slices.Contains(more, dns.TypeRRSIG) {
		more = append(more, dns.TypeRRSIG)
	}
	slices.Sort(more)
	return more
}

// minimum is the TTL of negative answers.
func (s *signed) minimum() uint32 {
	soa := s.get("@", dns.TypeSOA)[0].(*dns.SOA)
	return min(soa.Minttl, soa.Hdr.Ttl)
}

// chainNSEC links the names by NSEC records (RFC 4034 section 4).
func (s *signed) chainNSEC() {
	names, ttl := s.authoritative(), s.minimum()
	for i, name := range names {
		s.add(&dns.NSEC{
			Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: ttl},
			NextDomain: names[(i+1)%len(names)],
			TypeBitMap: s.types(name, dns.TypeNSEC, dns.TypeRRSIG),
		})
	}
}

// chainNSEC3 links the hashes of the names, empty non-terminals among them, by NSEC3 records (RFC 5155
// section 7.1).
func (s *signed) chainNSEC3() {
	p, ttl := s.how.NSEC3, s.minimum()
	salt := p.Salt
	if salt == "" {
		salt = "-"
	}
	flags := uint8(0)
	if p.OptOut {
		flags = 1
	}
	s.add(&dns.NSEC3PARAM{
		Hdr:  dns.RR_Header{Name: s.zone, Rrtype: dns.TypeNSEC3PARAM, Class: dns.ClassINET},
		Hash: dns.SHA1, Iterations: p.Iterations, SaltLength: uint8(len(p.Salt) / 2), Salt: salt,
	})
	owners := map[string]bool{}
	for _, name := range s.authoritative() {
		if p.OptOut && s.cut(name) == name && len(s.sets[name][dns.TypeDS]) == 0 {
			continue
		}
		for n := name; ; n = parentOf(n) {
			owners[n] = true
			if n == s.zone {
				break
			}
		}
	}
	hashes := map[string]string{}
	var order []string
	for name := range owners {
		hash := strings.ToLower(dns.HashName(name, dns.SHA1, p.Iterations, p.Salt))
		hashes[hash] = name
		order = append(order, hash)
	}
	slices.Sort(order)
	var records []dns.RR
	for i, hash := range order {
		records = append(records, &dns.NSEC3{
			Hdr:  dns.RR_Header{Name: absolute(hash, s.zone), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: ttl},
			Hash: dns.SHA1, Flags: flags, Iterations: p.Iterations, SaltLength: uint8(len(p.Salt) / 2), Salt: salt,
			HashLength: 20, NextDomain: order[(i+1)%len(order)],
			TypeBitMap: s.types(hashes[hash]),
		})
	}
	s.add(records...)
}
