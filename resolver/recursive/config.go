package recursive

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// Config is what a Resolver needs.
type Config struct {
	UDP, TCP resolver.Exchanger // transports to name servers; required
	Hints    *Hints             // the root servers; default BuiltinHints
	Port     uint16             // of all name servers; default 53
	NoIPv4   bool               // leave out servers' IPv4 addresses
	NoIPv6   bool               // leave out servers' IPv6 addresses
	// Allow says which addresses may be asked that a referral gives; default: all that are not loopback,
	// unspecified or multicast.
	Allow func(netip.Addr) bool

	// Anchors returns the trust anchors of the moment. nil: nothing is validated but what is below the DS
	// of a Delegation.
	Anchors   func() *dnssec.Anchors
	Unchecked bool              // what is found from the root is not validated, whatever the anchors
	Negative  []string          // negative trust anchors (RFC 7646)
	Validator *dnssec.Validator // default dnssec.New(dnssec.Config{})

	// Local answers as a root server does, from a copy of the root zone (RFC 8806); false: ask one. nil: none.
	Local func(name string, rrtype uint16) (*dns.Msg, bool)
	// Hosts finds the addresses of the servers of a Delegation whose names are outside of its zone: they
	// may be on chain. nil: those names are looked up from the root.
	Hosts resolver.Resolver

	Limits  Limits
	Flights int              // exchanges with a zone's servers under way at a time; default 20000
	Timeout time.Duration    // for one question in all; default 8s
	MaxTTL  time.Duration    // cap for what is remembered; default 24h
	Answers int              // responses that are remembered; default 10000
	Cuts    int              // zone cuts that are remembered; default 10000
	Memory  int              // bytes that both may take, about; default 128 MiB
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default: discards
}

// Limits bound the work for one client question, whatever zones make of it: NXNSAttack, TsuNAME,
// iterative amplification, KeyTrap and their kin.
type Limits struct {
	Queries    int // messages sent to name servers; default 100
	Depth      int // look-ups of server addresses inside look-ups of server addresses; default 6
	Addresses  int // servers of one zone cut whose addresses are looked up; default 4
	Lookups    int // look-ups of server addresses in all; default 24
	Signatures dnssec.Limits
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		value *int
		or    int
	}{{&l.Queries, 100}, {&l.Depth, 6}, {&l.Addresses, 4}, {&l.Lookups, 24}} {
		if *f.value <= 0 {
			*f.value = f.or
		}
	}
	return l
}

func (c Config) withDefaults() Config {
	if c.Hints == nil {
		c.Hints = BuiltinHints()
	}
	if c.Port == 0 {
		c.Port = 53
	}
	if c.Allow == nil {
		c.Allow = func(a netip.Addr) bool { return !a.IsLoopback() && !a.IsUnspecified() && !a.IsMulticast() }
	}
	if c.Validator == nil {
		c.Validator = dnssec.New(dnssec.Config{})
	}
	c.Limits = c.Limits.withDefaults()
	if c.Timeout <= 0 {
		c.Timeout = 8 * time.Second
	}
	if c.MaxTTL <= 0 {
		c.MaxTTL = 24 * time.Hour
	}
	if c.Flights <= 0 {
		c.Flights = 20000
	}
	if c.Answers <= 0 {
		c.Answers = 10000
	}
	if c.Cuts <= 0 {
		c.Cuts = 10000
	}
	if c.Memory <= 0 {
		c.Memory = 128 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
