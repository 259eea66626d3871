// Package anchors keeps the trust anchors that are in service: those of the configuration, and how they
// roll over by themselves (RFC 5011).
//
// The life of a key, seen only in DNSKEY RRsets that a trusted key signed (RFC 5011 section 4); revocation
// alone needs no more than the key's own signature:
//
//	(unknown) --new SEP key--> AddPend --hold-down over, seen again--> Valid <--> Missing
//	    ^                         |                                      |           |
//	    +-----not in the set------+                                      +--REVOKE---+
//	                              +--REVOKE--> Revoked <--------------------+
//	                                              |
//	                                              +--gone from the set for the remove hold-down--> Removed
//
// Valid and Missing keys are trusted. Revoked and Removed ones never are again, whatever the configuration
// says. A key of the configuration starts Valid; a DS of the configuration is an anchor as it is, and
// becomes the key that it is of when a trusted set shows it.
//
// When all keys of a zone are revoked, RFC 5011 section 5 treats the zone as if it never had an anchor. This
// package does so where an anchor of a zone above remains to judge the zone. Where there is none, as for the
// root, that would quietly switch validation off for everything below; here the zone is closed instead:
// nothing below it validates until the configuration names another anchor.
package anchors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// maxFile bounds the anchor file and the state file, in bytes.
const maxFile = 1 << 20

// Config says which anchors there are and how they are kept.
type Config struct {
	// File holds DS and DNSKEY records in presentation form. Of the zones that it names it replaces the
	// built-in anchors; "" is the built-in root keys alone.
	File string
	// State is the file with what RFC 5011 has learned. With "" there is no roll-over: the anchors stay as
	// configured, and a refresh only checks that they still fit.
	State string
	// ReadOnly leaves the file State as it is, for whoever looks on while another process keeps it. One that
	// may not be read then counts as not there.
	ReadOnly bool
	// Fetch returns a zone's DNSKEY RRset with its signatures, fresh from the zone's servers, not validated.
	// Without it Run does nothing.
	Fetch          func(ctx context.Context, zone string) (dnssec.RRset, error)
	Validator      *dnssec.Validator // dnssec.New(dnssec.Config{})
	AddHoldDown    time.Duration     // 30 days (RFC 5011 section 2.4.1)
	RemoveHoldDown time.Duration     // 30 days (section 2.4.2)
	MinInterval    time.Duration     // 1 hour: between two refreshes of a zone (section 2.3)
	MaxInterval    time.Duration     // 15 days (section 2.3)
	FetchTimeout   time.Duration     // 30 s
	Now            func() time.Time  // time.Now
	Log            *slog.Logger      // discards
}

func (c Config) withDefaults() Config {
	if c.Validator == nil {
		c.Validator = dnssec.New(dnssec.Config{})
	}
	for _, d := range []struct {
		v        *time.Duration
		fallback time.Duration
	}{
		{&c.AddHoldDown, 30 * 24 * time.Hour},
		{&c.RemoveHoldDown, 30 * 24 * time.Hour},
		{&c.MinInterval, time.Hour},
		{&c.MaxInterval, 15 * 24 * time.Hour},
		{&c.FetchTimeout, 30 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.fallback
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Load reads the anchors and their state. Errors name the file, the line, and what was expected there. A
// state file that is not there yet is made.
func Load(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	configured, err := readAnchors(cfg.File)
	if err != nil {
		return nil, err
	}
	if err := checkUsable(cfg, configured); err != nil {
		return nil, err
	}
	var old []point
	if cfg.State != "" {
		old, err = readState(cfg.State)
		if cfg.ReadOnly && errors.Is(err, os.ErrPermission) {
			cfg.Log.Warn("trust anchor state is not read, the configured anchors are used", "err", err)
			err = nil
		}
		if err != nil {
			return nil, err
		}
	}
	s := &Store{cfg: cfg, points: make(map[string]*point)}
	now := cfg.Now()
	for _, p := range old {
		s.points[p.zone] = &p
	}
	for _, zone := range configured.Zones() {
		_, trust, _ := configured.For(zone)
		p := point{zone: zone}
		if known, ok := s.points[zone]; ok {
			p = *known
		}
		p, changes := p.configure(trust, now)
		p.next = dueAtStart(p.next, now, cfg.MaxInterval)
		s.points[zone] = &p
		s.logChanges(zone, changes)
	}
	for zone, p := range s.points {
		if !p.configured {
			*p = p.retire()
			if len(p.keys) == 0 {
				delete(s.points, zone)
			}
		}
	}
	s.publish()
	if err := s.save(); err != nil {
		return nil, err
	}
	return s, nil
}

// dueAtStart is when a zone is refreshed first. A time further off than any interval comes from a clock
// that was wrong.
func dueAtStart(next, now time.Time, longest time.Duration) time.Time {
	if next.IsZero() || next.After(now.Add(longest)) {
		return now
	}
	return next
}

// readAnchors returns the built-in anchors, overlaid by those of a file.
func readAnchors(path string) (*dnssec.Anchors, error) {
	all := dnssec.RootAnchors()
	if path == "" {
		return all, nil
	}
	const expected = "expected DS or DNSKEY records, one on each line, such as: . IN DS 20326 8 2 E06D44B80B8F1D39..."
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("trust anchor file: %w; %s; without a file the built-in root keys are used", err, expected)
	}
	if err != nil {
		return nil, fmt.Errorf("trust anchor file: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("trust anchor file %s is a directory; %s", path, expected)
	}
	parsed, err := dnssec.ParseAnchors(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("trust anchor file %s: %w; %s", path, err, expected)
	}
	for _, zone := range parsed.Zones() {
		_, trust, _ := parsed.For(zone)
		all = all.With(zone, trust)
	}
	return all, nil
}

// checkUsable refuses anchors of a zone that are all of unknown kinds: they would not protect the zone but
// make all of it insecure (RFC 4035 section 5.2).
func checkUsable(cfg Config, all *dnssec.Anchors) error {
	v := cfg.Validator
	for _, zone := range all.Zones() {
		_, trust, _ := all.For(zone)
		if slices.ContainsFunc(trust.Keys, func(k *dns.DNSKEY) bool { return v.Algorithm(k.Algorithm) }) ||
			slices.ContainsFunc(trust.DS, func(ds *dns.DS) bool { return v.Algorithm(ds.Algorithm) && v.Digest(ds.DigestType) }) {
			continue
		}
		return fmt.Errorf("trust anchor file %s: no anchor of %s is of an algorithm and digest type that is supported; "+
			"expected algorithm 8, 10, 13, 14, 15 or 16, and for DS digest type 2 or 4", cfg.File, zone)
	}
	return nil
}
