package denial

import (
	"encoding/base32"
	"encoding/hex"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// maxSize is the greatest size in octets, uncompressed, of an RRset with its signatures that is kept. It
// is several times that of what is seen in use.
const maxSize = 2048

// record is an NSEC or NSEC3 record.
type record struct {
	key, next string // owner and next name: keys of names for NSEC, raw hashes for NSEC3
	optOut    bool
	types     []uint16
	set       []dns.RR // the record and its signatures
	evidence  *dnssec.Evidence
	expires   time.Time
	used      atomic.Bool // since the last look for what to evict
}

// spans says that k lies between owner and next name, neither included. The last record of a chain points
// back to the first; one that is alone spans all but its owner.
func (r *record) spans(k []byte) bool {
	if r.key < r.next {
		return r.key < string(k) && string(k) < r.next
	}
	return r.key < string(k) || string(k) < r.next
}

// has says that there is data for a question of this type, so that dnssec need not be asked: it would say
// the same.
func (r *record) has(rrtype uint16) bool {
	return slices.Contains(r.types, rrtype) || slices.Contains(r.types, dns.TypeCNAME)
}

// chain are records of one chain: NSEC, or NSEC3 of the same parameters.
type chain struct {
	hashed     bool
	iterations uint16
	salt       string // raw
	records    []*record
}

func (c *chain) same(d *chain) bool {
	return c.hashed == d.hashed && c.iterations == d.iterations && c.salt == d.salt
}

// start is a zone's SOA.
type start struct {
	set     []dns.RR // the record and its signatures
	limit   time.Duration
	expires time.Time
}

// reader reads the RRsets of one response.
type reader struct {
	cache *Cache
	zone  string
	apex  []byte
	now   time.Time
}

// soa returns the zone's SOA, nil when it is not there. Its TTL and minimum bound denials (RFC 2308 section
// 5, RFC 9077 section 3).
func (rd *reader) soa(sets []dnssec.RRset) *start {
	for _, set := range sets {
		if set.Type() != dns.TypeSOA || len(set.RRs) != 1 {
			continue
		}
		soa, ok := set.RRs[0].(*dns.SOA)
		if !ok || dns.CanonicalName(soa.Hdr.Name) != rd.zone {
			continue
		}
		rrs, ttl, ok := rd.read(set)
		if limit := min(ttl, seconds(soa.Minttl)); ok && limit > 0 {
			return &start{set: rrs, limit: limit, expires: rd.now.Add(limit)}
		}
	}
	return nil
}

// chain returns the NSEC or NSEC3 records that are of the same chain as the first.
func (rd *reader) chain(sets []dnssec.RRset) chain {
	var ch chain
	for _, set := range sets {
		one, ok := rd.record(set)
		switch {
		case !ok:
		case len(ch.records) == 0:
			ch = one
		case ch.same(&one):
			ch.records = append(ch.records, one.records...)
		}
	}
	return ch
}

// record reads one RRset.
func (rd *reader) record(set dnssec.RRset) (chain, bool) {
	if t := set.Type(); t != dns.TypeNSEC && t != dns.TypeNSEC3 || len(set.RRs) != 1 {
		return chain{}, false
	}
	rrs, ttl, ok := rd.read(set)
	if !ok {
		return chain{}, false
	}
	r := &record{set: rrs, expires: rd.now.Add(ttl)}
	r.evidence = rd.cache.validator.Proven(rd.zone, []dnssec.RRset{set})
	if r.evidence.Empty() {
		return chain{}, false
	}
	ch := chain{records: []*record{r}}
	switch x := set.RRs[0].(type) {
	case *dns.NSEC:
		var ok1, ok2 bool
		r.key, ok1 = keyOf(x.Hdr.Name)
		r.next, ok2 = keyOf(x.NextDomain)
		r.types = x.TypeBitMap
		return ch, ok1 && ok2
	case *dns.NSEC3:
		owner, err1 := rawHash(x.Hdr.Name[:min(32, len(x.Hdr.Name))])
		next, err2 := rawHash(x.NextDomain)
		salt, err3 := hex.DecodeString(x.Salt)
		r.key, r.next, r.optOut, r.types = owner, next, x.Flags&1 != 0, x.TypeBitMap
		ch.hashed, ch.iterations, ch.salt = true, x.Iterations, string(salt)
		return ch, err1 == nil && err2 == nil && err3 == nil
	}
	return chain{}, false
}

// rawHash reads base32hex; dnssec has seen that it is a hash.
func rawHash(text string) (string, error) {
	raw, err := base32.HexEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(text))
	return string(raw), err
}

// read returns a set of one record together with its signatures by the zone that are in time, and how long
// that may be kept: until the first of them expires (RFC 4035 section 5.3.3). Which of them was verified is
// not known here; what a stranger added can thus shorten the time but not prolong it.
func (rd *reader) read(set dnssec.RRset) (rrs []dns.RR, ttl time.Duration, ok bool) {
	rr := set.RRs[0]
	h := rr.Header()
	if h.Class != dns.ClassINET {
		return nil, 0, false
	}
	ttl = min(seconds(h.Ttl), rd.cache.cfg.MaxTTL)
	size := dns.Len(rr)
	rrs = append(make([]dns.RR, 0, 1+len(set.Sigs)), rr)
	for _, sig := range set.Sigs {
		left := time.Duration(int32(sig.Expiration-uint32(rd.now.Unix()))) * time.Second
		begun := int32(uint32(rd.now.Unix())-sig.Inception) >= 0
		if sig.TypeCovered != h.Rrtype || dns.CanonicalName(sig.SignerName) != rd.zone || left <= 0 || !begun {
			continue
		}
		ttl = min(ttl, left, seconds(sig.Hdr.Ttl), seconds(sig.OrigTtl))
		size += dns.Len(sig)
		rrs = append(rrs, sig)
	}
	return rrs, ttl, len(rrs) > 1 && ttl > 0 && size <= maxSize
}

// seconds reads a TTL: with the top bit set it means 0 (RFC 2181 section 8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}
