package validate

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/miekg/dns"

	"dens/dnssec"
)

// How long what was found out is kept.
const (
	minKept    = 5 * time.Second  // the chain of one question is not fetched twice, whatever the TTLs say
	maxKept    = 24 * time.Hour   // keys and DS
	maxDenied  = time.Hour        // that there is no DS: who begins to sign wants it seen
	doubted    = 30 * time.Second // what makes data bogus is asked for again when it is older than that
	minFailure = 5 * time.Second  // doubles with each failure in a row
	maxFailure = 60 * time.Second // RFC 9520 section 3.2 allows 5 minutes
)

// Larger sets are not remembered, so that what is bounded in number is bounded in octets too. Honest ones
// have a tenth of that.
const (
	maxKeyOctets = 8 << 10 // a zone's DNSKEY RRset
	maxDSOctets  = 2 << 10
)

// digest identifies the content of a Trust or of a zone's keys. What follows from equal contents is equal,
// so what is remembered serves every set of anchors.
type digest [sha256.Size]byte

// entryID is a zone and what vouches for its keys.
type entryID struct {
	zone  string
	trust digest
}

// entry is a zone's keys, or why it has none.
type entry struct {
	place
	until   time.Time
	strikes int // failures in a row
}

// cutID is a name, asked about with the keys of the zone above it.
type cutID struct {
	keys digest
	name string
}

// finding is what the parent was found to say about a name.
type finding struct {
	dnssec.Cut
	name    string
	trust   digest // of Cut.DS
	since   time.Time
	until   time.Time
	strikes int
}

// memory is what a Chain remembers. It is safe for concurrent use.
type memory struct {
	entries *lru.Cache[entryID, *entry]
	cuts    *lru.Cache[cutID, *finding]
	anchor  *atomic.Pointer[anchorID]
}

// anchorID is the digest of one of an immutable set of anchors: that of the root, most of the time.
type anchorID struct {
	anchors *dnssec.Anchors
	zone    string
	digest  digest
}

func newMemory(zones int) memory {
	// New fails for sizes below 1 only.
	entries, _ := lru.New[entryID, *entry](zones)
	cuts, _ := lru.New[cutID, *finding](4 * zones)
	return memory{entries, cuts, new(atomic.Pointer[anchorID])}
}

// anchorID returns digestTrust of an anchor, which is made anew only when the anchors are not the last ones.
func (m *memory) anchorID(anchors *dnssec.Anchors, zone string, trust dnssec.Trust) digest {
	if last := m.anchor.Load(); last != nil && last.anchors == anchors && last.zone == zone {
		return last.digest
	}
	id := &anchorID{anchors, zone, digestTrust(zone, trust)}
	m.anchor.Store(id)
	return id.digest
}

// lifetime is how long a verdict is kept; 0 for one that must not be. ttl is in seconds.
func lifetime(v dnssec.Verdict, ttl uint32, longest time.Duration, strikes int) time.Duration {
	switch v.Status {
	case dnssec.Secure, dnssec.Insecure:
		return min(max(time.Duration(ttl)*time.Second, minKept), longest)
	case dnssec.Bogus, dnssec.Exhausted:
		return min(minFailure<<min(strikes, 8), maxFailure)
	}
	return 0
}

// entry returns the keys of a zone, as long as they hold. A failure that is over is returned for its
// strikes, with false.
func (m *memory) entry(id entryID, now time.Time) (*entry, bool) {
	e, ok := m.entries.Get(id)
	return e, ok && now.Before(e.until)
}

func (m *memory) putEntry(p place, ttl uint32, now time.Time) {
	if p.octets > maxKeyOctets || dsOctets(p.origin.trust.DS) > maxDSOctets {
		return
	}
	e := &entry{place: p}
	if old, ok := m.entries.Peek(p.origin.id); ok && p.verdict.Failed() {
		e.strikes = old.strikes
	}
	kept := lifetime(p.verdict, ttl, maxKept, e.strikes)
	if p.verdict.Failed() {
		e.strikes++
	}
	e.until = now.Add(kept)
	m.entries.Add(p.origin.id, e)
}

// confirm notes that an entry was looked at again now, and stays.
func (m *memory) confirm(p place, now time.Time) {
	if e, ok := m.entries.Peek(p.origin.id); ok && e.digest == p.digest {
		same := *e
		same.origin.since = now
		m.entries.Add(p.origin.id, &same)
	}
}

// cut returns what is known about a name, failures too.
func (m *memory) cut(id cutID, now time.Time) (*finding, bool) {
	f, ok := m.cuts.Get(id)
	return f, ok && now.Before(f.until)
}

func (m *memory) putCut(id cutID, f *finding, now time.Time) {
	if dsOctets(f.DS) > maxDSOctets {
		return
	}
	if old, ok := m.cuts.Peek(id); ok && f.Failed() {
		f.strikes = old.strikes
	}
	longest := maxKept
	if len(f.DS) == 0 {
		longest = maxDenied
	}
	f.since, f.until = now, now.Add(lifetime(f.Verdict, f.TTL, longest, f.strikes))
	if f.Failed() {
		f.strikes++
	}
	m.cuts.Add(id, f)
}

func dsOctets(set []*dns.DS) int {
	n := 0
	for _, ds := range set {
		n += dns.Len(ds)
	}
	return n
}

// confirmCut notes that a finding was looked at again now, and stays.
func (m *memory) confirmCut(id cutID, f *finding, now time.Time) {
	same := *f
	same.since = now
	m.cuts.Add(id, &same)
}

// forgetNoCuts forgets what is known of names between the zone p and name, name included, to be no cuts,
// unless it is new. It reports whether there was any.
func (m *memory) forgetNoCuts(p place, name string, now time.Time) bool {
	any := false
	for at := p.zone; at != name; {
		at = child(at, name)
		id := cutID{p.digest, at}
		if f, ok := m.cut(id, now); ok && f.NoCut() && now.Sub(f.since) >= doubted {
			m.cuts.Remove(id)
			any = true
		}
	}
	return any
}

// digestTrust identifies a Trust for a zone.
func digestTrust(zone string, t dnssec.Trust) digest {
	parts := make([]string, 0, 8)
	for _, ds := range t.DS {
		parts = append(parts, dsBytes(ds))
	}
	for _, k := range t.Keys {
		parts = append(parts, keyBytes(k))
	}
	return digestOf(zone, parts)
}

// digestKeys identifies a zone's DNSKEY RRset.
func digestKeys(zone string, set dnssec.RRset) digest {
	parts := make([]string, 0, len(set.RRs))
	for _, rr := range set.RRs {
		if k, ok := rr.(*dns.DNSKEY); ok {
			parts = append(parts, keyBytes(k))
		}
	}
	return digestOf(zone, parts)
}

func dsBytes(ds *dns.DS) string {
	b := binary.BigEndian.AppendUint16([]byte("S"), ds.KeyTag)
	b = append(b, ds.Algorithm, ds.DigestType)
	return string(append(b, strings.ToLower(ds.Digest)...))
}

func keyBytes(k *dns.DNSKEY) string {
	b := binary.BigEndian.AppendUint16([]byte("K"), k.Flags)
	b = append(b, k.Protocol, k.Algorithm)
	return string(append(b, k.PublicKey...))
}

func digestOf(zone string, parts []string) digest {
	slices.Sort(parts)
	buf := append(make([]byte, 0, 512), zone...)
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(p)))
		buf = append(buf, p...)
	}
	return sha256.Sum256(buf)
}
