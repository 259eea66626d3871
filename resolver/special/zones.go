package special

import (
	"fmt"
	"strings"
)

// kind says how the names of a zone are answered.
type kind uint8

const (
	// empty has an apex and what records says; all else does not exist (RFC 6303 section 3).
	empty kind = iota
	// loopback has 127.0.0.1 and ::1 at every name (RFC 6761 section 6.3).
	loopback
	// mute has names without data: NODATA says "none here" where NXDOMAIN would say "no such
	// mechanism" (RFC 9462 section 4).
	mute
)

// named are the special-use domain names that are not reverse zones.
func named() map[string]kind {
	return map[string]kind{
		"localhost.":     loopback, // RFC 6761 section 6.3
		"invalid.":       empty,    // RFC 6761 section 6.4
		"test.":          empty,    // RFC 6761 section 6.2
		"local.":         empty,    // RFC 6762 section 22.1
		"onion.":         empty,    // RFC 7686 section 2
		"alt.":           empty,    // RFC 9476 section 2
		"home.arpa.":     empty,    // RFC 8375 section 4
		"internal.":      empty,    // reserved for private use by ICANN, 2024-07-29
		"resolver.arpa.": mute,     // RFC 9462 section 6.4
	}
}

// reverse returns the reverse zones of addresses that mean nothing outside one's own network.
func reverse() []string {
	zones := []string{
		"10.in-addr.arpa.",              // RFC 6303 section 4.1: RFC 1918
		"168.192.in-addr.arpa.",         // RFC 6303 section 4.1: RFC 1918
		"0.in-addr.arpa.",               // RFC 6303 section 4.2: this network
		"127.in-addr.arpa.",             // RFC 6303 section 4.2: loopback
		"254.169.in-addr.arpa.",         // RFC 6303 section 4.2, RFC 6762 section 4: link-local
		"2.0.192.in-addr.arpa.",         // RFC 6303 section 4.2: TEST-NET-1
		"100.51.198.in-addr.arpa.",      // RFC 6303 section 4.2: TEST-NET-2
		"113.0.203.in-addr.arpa.",       // RFC 6303 section 4.2: TEST-NET-3
		"255.255.255.255.in-addr.arpa.", // RFC 6303 section 4.2: broadcast
		nibbles("0", 32),                // RFC 6303 section 4.3: ::
		loopback6(),                     // RFC 6303 section 4.3: ::1
		"d.f.ip6.arpa.",                 // RFC 6303 section 4.4: locally assigned addresses
		"8.e.f.ip6.arpa.",               // RFC 6303 section 4.5, RFC 6762 section 4: link-local
		"9.e.f.ip6.arpa.",
		"a.e.f.ip6.arpa.",
		"b.e.f.ip6.arpa.",
		"8.b.d.0.1.0.0.2.ip6.arpa.", // RFC 6303 section 4.6: documentation
	}
	for i := 16; i <= 31; i++ { // RFC 6303 section 4.1: RFC 1918
		zones = append(zones, fmt.Sprintf("%d.172.in-addr.arpa.", i))
	}
	for i := 64; i <= 127; i++ { // RFC 7793: shared address space
		zones = append(zones, fmt.Sprintf("%d.100.in-addr.arpa.", i))
	}
	return zones
}

const loopback4 = "1.0.0.127.in-addr.arpa."

func loopback6() string { return "1." + nibbles("0", 31) }

func nibbles(digit string, n int) string { return strings.Repeat(digit+".", n) + "ip6.arpa." }
