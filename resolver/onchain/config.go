package onchain

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// Config is what an on-chain zone answers with besides the data of the chain.
type Config struct {
	Zone         string            // the names below it are the system's; default "eth."
	Aliases      []string          // suffixes that stand for Zone, such as "eth.limo."; no answer below them is authentic; default none
	Parent       resolver.Resolver // answers for an alias itself ("eth.limo."), an ICANN name; default nil: REFUSED
	GatewayA     []netip.Addr      // IPv4 addresses for names with a content hash; default none
	GatewayAAAA  []netip.Addr      // IPv6 addresses for names with a content hash; default none
	TTL          time.Duration     // of data that carries none of its own; default 300s
	NegativeTTL  time.Duration     // of NXDOMAIN and NODATA, by the SOA (RFC 2308); default 60s
	NS           []string          // name servers at a zone's apex; default "ns.dens.alt." (RFC 9476)
	Mailbox      string            // RNAME of the SOA; default "hostmaster.dens.alt."
	MaxRecordTTL time.Duration     // cap for TTLs that a contract chose; default 168h
	// Iterator asks the servers of zones that the chain delegates, by NS, DS and addresses stored below an
	// on-chain name or at it. The system must be a names.Delegator. Default nil: such records are data.
	Iterator resolver.Iterator
	Now      func() time.Time // for how long servers' addresses are kept; default time.Now
}

func (c Config) withDefaults() Config {
	if c.Zone == "" {
		c.Zone = "eth."
	}
	c.Zone = dns.CanonicalName(c.Zone)
	aliases := make([]string, 0, len(c.Aliases))
	for _, a := range c.Aliases {
		aliases = append(aliases, dns.CanonicalName(a))
	}
	// The longest suffix first, so that of two that nest the more exact one counts.
	slices.SortStableFunc(aliases, func(a, b string) int { return dns.CountLabel(b) - dns.CountLabel(a) })
	c.Aliases = aliases
	if c.TTL <= 0 {
		c.TTL = 300 * time.Second
	}
	if c.NegativeTTL <= 0 {
		c.NegativeTTL = 60 * time.Second
	}
	if len(c.NS) == 0 {
		c.NS = []string{"ns.dens.alt."}
	}
	ns := make([]string, 0, len(c.NS))
	for _, n := range c.NS {
		ns = append(ns, dns.CanonicalName(n))
	}
	c.NS = ns
	if c.Mailbox == "" {
		c.Mailbox = "hostmaster.dens.alt."
	}
	c.Mailbox = dns.CanonicalName(c.Mailbox)
	if c.MaxRecordTTL <= 0 {
		c.MaxRecordTTL = 7 * 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// seconds turns a duration into a TTL.
func seconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Second, 0), maxTTL))
}

// maxTTL is the greatest TTL that there is; what is above it means zero (RFC 2181 section 8).
const maxTTL = 1<<31 - 1
