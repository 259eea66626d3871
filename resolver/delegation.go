package resolver

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// Delegation is a zone cut that is known from elsewhere than the zone above it: from a chain, or from
// the configuration (a stub zone).
type Delegation struct {
	Zone    string                  // in Query.Name's form
	NS      []string                // host names of its servers, in Query.Name's form
	Glue    map[string][]netip.Addr // addresses of those of NS that are in Zone (RFC 9471), or near it on chain
	Servers []netip.AddrPort        // servers that are known by address alone
	// DS are what vouches for the zone's keys, as trusted as they are. Without any the zone is insecure.
	DS []*dns.DS
	// Trust says what else vouches for the zone.
	Trust DelegationTrust
	TTL   time.Duration // how long this is so, and what rests on it may be kept; 0 is as long as the configuration
}

// DelegationTrust says what the keys of a Delegation's zone are validated by.
type DelegationTrust uint8

const (
	ByDS         DelegationTrust = iota // Delegation.DS; without any the zone is insecure
	ByAnchors                           // the trust anchors of the configuration
	ByOwnAnchors                        // those of them that are for the zone or one below it; the rest is insecure
)

// Iterator answers Queries below a Delegation by asking its servers, and those that they refer to.
type Iterator interface {
	ResolveAt(ctx context.Context, d *Delegation, q Query) (*Answer, error)
}
