package recursive

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"dens/resolver"
)

// Hints are the names and addresses of root servers to begin with (RFC 9609 section 2).
type Hints struct {
	servers map[string][]netip.Addr // by host name
}

// Bounds of a hints file.
const (
	maxHintsBytes   = 1 << 20
	maxHintsRecords = 1000
)

// rootHints are the thirteen root servers, as IANA publishes them.
const rootHints = `
a.root-servers.net. 198.41.0.4     2001:503:ba3e::2:30
b.root-servers.net. 170.247.170.2  2801:1b8:10::b
c.root-servers.net. 192.33.4.12    2001:500:2::c
d.root-servers.net. 199.7.91.13    2001:500:2d::d
e.root-servers.net. 192.203.230.10 2001:500:a8::e
f.root-servers.net. 192.5.5.241    2001:500:2f::f
g.root-servers.net. 192.112.36.4   2001:500:12::d0d
h.root-servers.net. 198.97.190.53  2001:500:1::53
i.root-servers.net. 192.36.148.17  2001:7fe::53
j.root-servers.net. 192.58.128.30  2001:503:c27::2:30
k.root-servers.net. 193.0.14.129   2001:7fd::1
l.root-servers.net. 199.7.83.42    2001:500:9f::42
m.root-servers.net. 202.12.27.33   2001:dc3::35
`

// BuiltinHints returns the hints that are built in.
func BuiltinHints() *Hints {
	h := &Hints{servers: make(map[string][]netip.Addr)}
	for line := range strings.Lines(rootHints) {
		fields := strings.Fields(line)
		for i, f := range fields {
			if i > 0 {
				h.servers[fields[0]] = append(h.servers[fields[0]], netip.MustParseAddr(f))
			}
		}
	}
	return h
}

// ParseHints reads a hints file: the root's NS records, and A and AAAA records of the hosts that they
// name, in zone-file form. Errors name the line or the record.
func ParseHints(r io.Reader) (*Hints, error) {
	limited := &io.LimitedReader{R: r, N: maxHintsBytes + 1}
	zp := dns.NewZoneParser(limited, ".", "")
	zp.SetDefaultTTL(0)
	hosts, addrs := make(map[string]bool), make(map[string][]netip.Addr)
	count := 0
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if count++; count > maxHintsRecords {
			return nil, fmt.Errorf("root hints: more than %d records", maxHintsRecords)
		}
		owner := dns.CanonicalName(rr.Header().Name)
		switch x := rr.(type) {
		case *dns.NS:
			if owner != "." {
				return nil, fmt.Errorf("root hints: found an NS record of %s, expected only those of the root", owner)
			}
			hosts[dns.CanonicalName(x.Ns)] = true
		default:
			addr, ok := resolver.AddressOf(rr)
			if !ok {
				return nil, fmt.Errorf("root hints: found a record of type %s, expected NS, A and AAAA", dns.Type(rr.Header().Rrtype))
			}
			addrs[owner] = append(addrs[owner], addr)
		}
	}
	switch {
	case zp.Err() != nil:
		return nil, fmt.Errorf("root hints: %w", zp.Err())
	case limited.N == 0:
		return nil, fmt.Errorf("root hints: more than %d bytes", maxHintsBytes)
	}
	h := &Hints{servers: make(map[string][]netip.Addr)}
	for host := range hosts {
		if len(addrs[host]) > 0 {
			h.servers[host] = addrs[host]
		}
	}
	if len(h.servers) == 0 {
		return nil, errNoHints
	}
	return h, nil
}

var errNoHints = errors.New("root hints: found no root server with an address, expected NS records of the root, and A or AAAA records of these hosts")

// cut returns the hints as the root's zone cut.
func (h *Hints) cut(port uint16) *cut {
	c := &cut{zone: ".", glue: make(map[string][]netip.AddrPort, len(h.servers))}
	for host, addrs := range h.servers {
		c.hosts = append(c.hosts, host)
		for _, a := range addrs {
			c.glue[host] = append(c.glue[host], netip.AddrPortFrom(a, port))
		}
	}
	slices.Sort(c.hosts)
	return c
}
