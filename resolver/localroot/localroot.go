// Package localroot keeps a copy of the root zone and answers from it what a root server would say (RFC
// 8806). A copy comes from a file or by zone transfer, which nobody has to be trusted for: it is used only
// when its ZONEMD record (RFC 8976), itself validated by DNSSEC, says that it is whole and unchanged.
//
// The life of a copy:
//
//	none --load from cache or file, or transfer; verify--> in use --SOA expire, or its signatures' end--> expired
//	                                                       ^     |                                          |
//	                                                       +-----+--refresh: same serial, or a newer copy---+
package localroot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// apex is the zone that is kept.
const apex = "."

// Bounds of a copy. In 2026 the root zone has 25,000 records in 2.5 MB.
const (
	maxRecords = 500_000
	maxBytes   = 64 << 20 // of a file's text, and of records in wire format
)

// Config says where the copy comes from. File, Servers or both are needed: the file is what is begun with,
// and what is read again when there are no servers.
type Config struct {
	File      string                                                            // the zone as a master file
	Servers   []netip.AddrPort                                                  // zone transfer from these, in turn
	Cache     string                                                            // where the last good copy is kept on disk; "" is nowhere
	Anchors   func() *dnssec.Anchors                                            // dnssec.RootAnchors
	Validator *dnssec.Validator                                                 // dnssec.New(dnssec.Config{})
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error) // net.Dialer
	Timeout   time.Duration                                                     // 2 min: for one transfer
	MinRetry  time.Duration                                                     // 1 min: between two tries, whatever the SOA says
	Now       func() time.Time                                                  // time.Now
	Log       *slog.Logger                                                      // discards
}

func (c Config) withDefaults() Config {
	if c.Anchors == nil {
		root := dnssec.RootAnchors()
		c.Anchors = func() *dnssec.Anchors { return root }
	}
	if c.Validator == nil {
		c.Validator = dnssec.New(dnssec.Config{})
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Timeout <= 0 {
		c.Timeout = 2 * time.Minute
	}
	if c.MinRetry <= 0 {
		c.MinRetry = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Zone is the copy of the root zone. It is safe for concurrent use.
type Zone struct {
	cfg     Config
	current atomic.Pointer[copied] // nil before the first
	first   int                    // the server that is asked first; only Run's goroutine uses it

	mu   sync.Mutex
	next time.Time // the next refresh
	err  error     // of the newest refresh
}

// copied is a verified copy, and until when it may be used. It is never changed.
type copied struct {
	*content
	checked time.Time // when it was known to be the newest
	expires time.Time
}

// New returns a Zone without a copy yet: Run gets it.
func New(cfg Config) (*Zone, error) {
	if cfg.File == "" && len(cfg.Servers) == 0 {
		return nil, errors.New("local root: expected a file or servers to transfer the root zone from")
	}
	if cfg.File != "" {
		info, err := os.Stat(cfg.File)
		if err != nil {
			return nil, fmt.Errorf("local root: %w; expected the root zone as a master file", err)
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("local root: %s is not a file; expected the root zone as a master file", cfg.File)
		}
	}
	return &Zone{cfg: cfg.withDefaults()}, nil
}

// Ready reports whether there is a verified copy that has not expired.
func (z *Zone) Ready() bool { return z.usable() != nil }

// usable returns the copy if it may be used now.
func (z *Zone) usable() *copied {
	c := z.current.Load()
	if c == nil || !z.cfg.Now().Before(c.expires) {
		return nil
	}
	return c
}

// install verifies records and puts them into use, as of when they were known to be the newest.
func (z *Zone) install(rrs []dns.RR, checked time.Time) error {
	now := z.cfg.Now()
	c, err := newContent(apex, rrs)
	if err != nil {
		return err
	}
	_, trust, _ := z.cfg.Anchors().For(apex)
	if err := c.verify(z.cfg.Validator, trust, now); err != nil {
		return err
	}
	expires := c.expires(checked)
	if !now.Before(expires) {
		return fmt.Errorf("the copy with serial %d is from %s and expired at %s", c.soa.Serial,
			checked.UTC().Format(time.RFC3339), expires.UTC().Format(time.RFC3339))
	}
	if old := z.usable(); old != nil && newer(old.soa.Serial, c.soa.Serial) {
		return fmt.Errorf("the copy with serial %d is older than the one in use, with %d", c.soa.Serial, old.soa.Serial)
	}
	c.index()
	z.current.Store(&copied{c, checked, expires})
	z.cfg.Log.Info("local root zone in use", "serial", c.soa.Serial, "records", c.count,
		"digest", c.digest, "expires", expires.UTC().Format(time.RFC3339))
	return nil
}

// confirm says that the copy in use is still the newest.
func (z *Zone) confirm(c *copied, now time.Time) {
	z.current.Store(&copied{c.content, now, c.content.expires(now)})
}

// newer says whether serial a comes after b (RFC 1982 section 3.2).
func newer(a, b uint32) bool { return int32(a-b) > 0 }
