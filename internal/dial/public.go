package dial

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// errNotPublic does not say which address it was: the text may reach whoever made dens dial.
var errNotPublic = errors.New("not a public address")

// special are the blocks of IANA's special-purpose registries (RFC 6890) that are not for everyone to
// reach, and multicast.
var special = prefixes(
	"0.0.0.0/8",       // this network (RFC 791)
	"10.0.0.0/8",      // private (RFC 1918)
	"100.64.0.0/10",   // carrier-grade NAT (RFC 6598)
	"127.0.0.0/8",     // loopback (RFC 1122)
	"169.254.0.0/16",  // link-local (RFC 3927), where clouds serve credentials
	"172.16.0.0/12",   // private (RFC 1918)
	"192.0.0.0/24",    // protocol assignments (RFC 6890)
	"192.0.2.0/24",    // documentation (RFC 5737)
	"192.88.99.0/24",  // 6to4 relays, no longer in use (RFC 7526)
	"192.168.0.0/16",  // private (RFC 1918)
	"198.18.0.0/15",   // benchmarks (RFC 2544)
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
	"2001::/23",       // protocol assignments: Teredo, benchmarks, ORCHID (RFC 2928)
	"2001:db8::/32",   // documentation (RFC 3849)
	"3fff::/20",       // documentation (RFC 9637)
)

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the IPv4 address is the last 4 bytes
	sixToFour     = netip.MustParsePrefix("2002::/16")    // RFC 3056: bytes 2 to 5
)

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, s := range list {
		all[i] = netip.MustParsePrefix(s)
	}
	return all
}

// Public returns an error unless a is an address that anyone on the internet can reach. An IPv6 address
// that stands for an IPv4 address (mapped, NAT64, 6to4, ISATAP) is as public as that one.
func Public(a netip.Addr) error {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" {
		return errNotPublic
	}
	for _, p := range special {
		if p.Contains(a) {
			return errNotPublic
		}
	}
	if a.Is4() {
		return nil
	}
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return Public(netip.AddrFrom4([4]byte(b[12:])))
	case !globalUnicast.Contains(a):
		return errNotPublic
	case sixToFour.Contains(a):
		return Public(netip.AddrFrom4([4]byte(b[2:6])))
	}
	if id := binary.BigEndian.Uint32(b[8:12]); id&^0x02000000 == 0x00005efe { // ISATAP (RFC 5214 section 6.1)
		return Public(netip.AddrFrom4([4]byte(b[12:])))
	}
	return nil
}
