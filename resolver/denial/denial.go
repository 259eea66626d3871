// Package denial answers questions from what validated negative responses proved about other names:
// aggressive use of the DNSSEC-validated cache (RFC 8198), and with it, in signed zones, the rule that
// nothing is beneath a name that does not exist (RFC 8020).
//
// It keeps NSEC and NSEC3 records by zone and in the order of their chains, finds the two or three that
// speak about a name, and lets dnssec.Evidence decide. It answers NXDOMAIN and NODATA only. It makes no
// positive answers from wildcards, which RFC 8198 section 5.3 leaves open, and takes no opt-out span as a
// denial, since it may hold insecure delegations (RFC 5155 sections 6 and 9.2).
//
// It knows the public tree only: names that the resolver takes from elsewhere, such as a chain or a stub
// zone, are not to be looked up here.
package denial

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// Config bounds a Cache.
type Config struct {
	Zones         int              // 2000
	Records       int              // 20000 NSEC or NSEC3 records in all, each of at most 2 KiB with its signatures
	ZoneRecords   int              // 5000 of them in one zone; at most Records
	MaxTTL        time.Duration    // 3h; records are kept no longer (RFC 2308 section 5), nor than RFC 9077 allows
	MaxIterations uint16           // 150; NSEC3 with more are not used: what dnssec.Config has
	Hashes        int              // 12 NSEC3 hashes for a Lookup to find records, and as many to prove with them
	Now           func() time.Time // time.Now
}

func (c Config) withDefaults() Config {
	if c.Zones <= 0 {
		c.Zones = 2000
	}
	if c.Records <= 0 {
		c.Records = 20000
	}
	if c.ZoneRecords <= 0 {
		c.ZoneRecords = 5000
	}
	c.ZoneRecords = min(c.ZoneRecords, c.Records)
	if c.MaxTTL <= 0 {
		c.MaxTTL = 3 * time.Hour
	}
	if c.MaxIterations == 0 {
		c.MaxIterations = 150
	}
	if c.Hashes <= 0 {
		c.Hashes = 12
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Answer is a negative answer that follows from what is known.
type Answer struct {
	Zone  string // whose denial it is
	Rcode int    // dns.RcodeNameError, or dns.RcodeSuccess for NODATA
	// Ns is the SOA, and the NSEC or NSEC3 records of the proof, each RRset with its signatures. Their TTLs
	// are TTL. The records are the receiver's.
	Ns  []dns.RR
	TTL time.Duration // whole seconds, at least one, that the answer may be kept (RFC 9077)
}

// Stats are what a Cache holds and what it has done.
type Stats struct {
	Zones, Records     int
	NameErrors, NoData uint64 // answers given
	Evicted            uint64 // records that made room for others
}

// Cache keeps proofs of what does not exist. It is safe for concurrent use.
type Cache struct {
	cfg       Config
	validator *dnssec.Validator

	nameErrors, noData, evicted atomic.Uint64
	records                     atomic.Int64

	mu    sync.RWMutex // before any zone's
	zones map[string]*zone
	swept time.Time
}

// New returns an empty Cache.
func New(cfg Config) *Cache {
	cfg = cfg.withDefaults()
	return &Cache{
		cfg:       cfg,
		validator: dnssec.New(dnssec.Config{MaxIterations: cfg.MaxIterations}),
		zones:     make(map[string]*zone),
		swept:     cfg.Now(),
	}
}

// Add stores what zone proved in a response: its NSEC or NSEC3 RRsets, all found Secure with the keys of
// zone, and its SOA RRset, likewise. Without the SOA, as in a referral, that of an earlier response bounds
// the TTLs, and without any nothing is stored. Other RRsets are passed over. The records must not be
// changed afterwards.
func (c *Cache) Add(zone string, sets []dnssec.RRset) {
	var buf [255]byte
	apex, ok := packName(zone, &buf)
	if !ok {
		return
	}
	now := c.cfg.Now()
	rd := reader{cache: c, zone: dns.CanonicalName(zone), apex: apex, now: now}
	ch := rd.chain(sets)
	start := rd.soa(sets)
	if len(ch.records) == 0 || start == nil && c.known(apex, now) == nil {
		return
	}
	z := c.zone(apex, rd.zone)
	z.used.Store(now.UnixNano())
	c.records.Add(int64(z.add(ch, start, now, c)))
	c.shrink(z)
	c.sweep(now)
}

// Lookup answers the question for an absolute name from what is proven. It reports false when neither
// NXDOMAIN nor NODATA follows for sure.
func (c *Cache) Lookup(name string, rrtype uint16) (Answer, bool) {
	var buf [255]byte
	n, ok := packName(name, &buf)
	if !ok || isMeta(rrtype) {
		return Answer{}, false
	}
	now := c.cfg.Now()
	from := n
	if rrtype == dns.TypeDS && len(n) > 1 { // the parent's to say (RFC 4035 section 3.1.4.1)
		from = parent(n)
	}
	z := c.enclosing(from, now)
	if z == nil {
		return Answer{}, false
	}
	z.used.Store(now.UnixNano())
	a, ok := z.answer(name, n, rrtype, now, c.cfg.Hashes)
	switch {
	case !ok:
	case a.Rcode == dns.RcodeNameError:
		c.nameErrors.Add(1)
	default:
		c.noData.Add(1)
	}
	return a, ok
}

// isMeta says that no data has this type (RFC 6895 section 3.1), which is not to be answered from here. ANY
// is: it asks for what there is.
func isMeta(rrtype uint16) bool {
	return rrtype == dns.TypeNone || rrtype == dns.TypeOPT || 128 <= rrtype && rrtype < dns.TypeANY
}

// Flush forgets what is known about the absolute name: the zone that it is in, and zones beneath it.
func (c *Cache) Flush(name string) {
	var buf [255]byte
	n, ok := packName(name, &buf)
	if !ok {
		return
	}
	holder := c.enclosing(n, c.cfg.Now())
	wire := string(n)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, z := range c.zones {
		if z == holder || within(z.apex, wire) {
			c.drop(z)
		}
	}
}

// Stats returns the numbers of now.
func (c *Cache) Stats() Stats {
	c.mu.RLock()
	zones := len(c.zones)
	c.mu.RUnlock()
	return Stats{
		Zones: zones, Records: int(c.records.Load()),
		NameErrors: c.nameErrors.Load(), NoData: c.noData.Load(), Evicted: c.evicted.Load(),
	}
}
