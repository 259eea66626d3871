package anchors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

var (
	errUnknownZone = errors.New("no trust anchor is configured for this zone")
	errAllRevoked  = errors.New("all trust anchors are revoked: put a new one into the trust anchor file and start again")
	errNoFetch     = errors.New("no way to fetch keys is configured")
)

// Store holds the anchors in service. It is safe for concurrent use.
type Store struct {
	cfg     Config
	current atomic.Pointer[dnssec.Anchors]

	mu     sync.Mutex
	points map[string]*point // by zone
	failed map[string]error  // by zone, where the newest refresh failed
	saved  error             // of the newest write of the state
}

// Anchors returns the anchors in service now.
func (s *Store) Anchors() *dnssec.Anchors { return s.current.Load() }

// Refresh fetches the keys of a zone and lets them move its anchors on. The error says why the anchors
// could not be confirmed; they stay as they are then.
func (s *Store) Refresh(ctx context.Context, zone string) error {
	zone = dns.CanonicalName(zone)
	if s.cfg.Fetch == nil {
		return errNoFetch
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.FetchTimeout)
	defer cancel()
	set, err := s.cfg.Fetch(ctx, zone)
	if err != nil {
		err = fmt.Errorf("trust anchors of %s: fetch DNSKEY: %w", zone, err)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fail(zone, err)
		return err
	}
	return s.Observe(zone, set)
}

// Observe lets a zone's DNSKEY RRset, fresh from its servers and not validated, move the anchors on: a step
// of RFC 5011 as of now. The error says why the set is not trusted; revocations in it count all the same.
func (s *Store) Observe(zone string, set dnssec.RRset) error {
	zone = dns.CanonicalName(zone)
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.points[zone]
	if !ok || !p.configured {
		return fmt.Errorf("trust anchors of %s: %w", zone, errUnknownZone)
	}
	now := s.cfg.Now()
	next, changes, times, err := s.observe(*p, set, now)
	if s.cfg.State != "" {
		*p = next
	}
	if err != nil {
		s.fail(zone, err)
	} else {
		delete(s.failed, zone)
		p.checked, p.next = now, now.Add(refreshAfter(s.cfg, times))
	}
	s.logChanges(zone, changes)
	if s.cfg.State == "" {
		return err
	}
	if len(changes) > 0 {
		s.publish()
	}
	if err == nil || len(changes) > 0 {
		if s.saved = s.save(); s.saved != nil {
			s.cfg.Log.Error("trust anchor state cannot be kept", "err", s.saved)
		}
	}
	return err
}

// save writes the state file, if there is to be one.
func (s *Store) save() error {
	if s.cfg.State == "" || s.cfg.ReadOnly {
		return nil
	}
	return writeState(s.cfg.State, s.snapshot())
}

// observe is the step itself: revocations first, then what a key that is still trusted vouches for.
func (s *Store) observe(p point, set dnssec.RRset, now time.Time) (point, []change, sigTimes, error) {
	revoked := s.cfg.Validator.Revoked(p.zone, set, now, dnssec.NewBudget(dnssec.Limits{}))
	p, changes := p.revoke(revoked, now)
	trust := p.trust()
	if trust.Empty() {
		return p, changes, sigTimes{}, fmt.Errorf("trust anchors of %s: %w", p.zone, errAllRevoked)
	}
	keys := s.cfg.Validator.ValidateKeys(p.zone, set, trust, now, dnssec.NewBudget(dnssec.Limits{}))
	if keys.Status != dnssec.Secure {
		return p, changes, sigTimes{}, explain(p.zone, keys.Verdict, trust, set, now)
	}
	times := sigTimes{
		ttl:  time.Duration(keys.Sig.OrigTtl) * time.Second,
		left: time.Duration(keys.Sig.Expiration-uint32(now.Unix())) * time.Second, // serial; validated: not negative
	}
	p, more := p.advance(s.supported(set), now, max(s.cfg.AddHoldDown, times.ttl), s.cfg.RemoveHoldDown)
	return p, append(changes, more...), times, nil
}

// fail records why a zone's refresh failed. It is tried again after the shortest interval, which RFC 5011
// section 2.3 allows whatever the TTL and the signature were.
func (s *Store) fail(zone string, err error) {
	p, ok := s.points[zone]
	if !ok {
		return
	}
	if s.failed == nil {
		s.failed = make(map[string]error)
	}
	s.failed[zone] = err
	p.next = s.cfg.Now().Add(s.cfg.MinInterval)
}

// publish puts the trusted keys into service.
func (s *Store) publish() {
	all := dnssec.RootAnchors().With(".", dnssec.Trust{})
	var empty []string
	for zone, p := range s.points {
		switch trust := p.trust(); {
		case !p.configured:
		case trust.Empty():
			empty = append(empty, zone)
		default:
			all = all.With(zone, trust)
		}
	}
	slices.SortFunc(empty, func(a, b string) int { return dns.CountLabel(a) - dns.CountLabel(b) })
	for _, zone := range empty {
		if above, _, ok := all.For(zone); ok {
			s.cfg.Log.Error("all trust anchors of a zone are revoked: those above it judge it now", "zone", zone, "above", above)
			continue
		}
		s.cfg.Log.Error("all trust anchors of a zone are revoked: nothing in it is answered until a new one is configured", "zone", zone)
		all = all.With(zone, closed(zone))
	}
	s.current.Store(all)
}

// closed is a trust that no key meets, of an algorithm and digest that every policy knows, so that the zone
// is bogus and not insecure.
func closed(zone string) dnssec.Trust {
	return dnssec.Trust{DS: []*dns.DS{{
		Hdr:        dns.RR_Header{Name: zone, Rrtype: dns.TypeDS, Class: dns.ClassINET},
		Algorithm:  dns.ECDSAP256SHA256,
		DigestType: dns.SHA256,
		Digest:     strings.Repeat("0", 64),
	}}}
}

// snapshot returns the points in the order of their zones.
func (s *Store) snapshot() []point {
	var out []point
	for _, zone := range slices.Sorted(maps.Keys(s.points)) {
		out = append(out, *s.points[zone])
	}
	return out
}

func (s *Store) logChanges(zone string, changes []change) {
	for _, c := range changes {
		level, msg := slog.LevelInfo, "trust anchor"
		switch {
		case c.to == Revoked && s.cfg.State == "":
			level, msg = slog.LevelWarn, "trust anchor was revoked, but stays in service: no file for the state is configured"
		case c.to == Revoked:
			level = slog.LevelWarn
		case s.cfg.State == "":
			continue // nothing comes of it
		}
		s.cfg.Log.Log(context.Background(), level, msg, "zone", zone, "tag", c.key.rr(zone).KeyTag(),
			"from", c.from.String(), "to", c.to.String(), "why", c.why)
	}
}

// supported leaves out keys of algorithms that cannot be verified: as anchors they would make the zone
// insecure.
func (s *Store) supported(set dnssec.RRset) []*dns.DNSKEY {
	return slices.DeleteFunc(dnskeys(set), func(k *dns.DNSKEY) bool { return !s.cfg.Validator.Algorithm(k.Algorithm) })
}

func dnskeys(set dnssec.RRset) []*dns.DNSKEY {
	var out []*dns.DNSKEY
	for _, rr := range set.RRs {
		if k, ok := rr.(*dns.DNSKEY); ok {
			out = append(out, k)
		}
	}
	return out
}
