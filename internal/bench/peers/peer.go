// Package peers starts the servers that the benchmark compares, each with two threads, a cache that holds
// all that is asked, no validation, no log and no rate limit, forwarding to one upstream.
package peers

import (
	"fmt"
	"net/netip"
	"strings"

	"dens/internal/bench/load"
)

// Threads is how many of them each server may use.
const Threads = 2

// Site is where a server runs and what it is told.
type Site struct {
	Addr      netip.Addr     // it listens here, at the usual ports
	Upstream  netip.AddrPort // it forwards all names there, over UDP
	Dir       string         // for its files
	Cert, Key string         // PEM files, for TLS and HTTPS
	Binary    string         // its program
	Entries   int            // how many answers its cache must hold
}

// Peer is a server to be compared.
type Peer struct {
	Name       string
	Title      string // for people
	Program    string // looked up in the PATH, unless the Site says
	Package    string // the Debian package that has it; "": none
	Transports []load.Transport
	version    []string // arguments that make the program tell its version
	plan       func(Site) plan
}

// plan is what starts a server.
type plan struct {
	files     map[string]string // by name in the site's directory
	arguments []string          // after the program
	env       []string
	processes int // 0: one
}

// Speaks says whether the server has a transport.
func (p Peer) Speaks(t load.Transport) bool {
	for _, has := range p.Transports {
		if has == t {
			return true
		}
	}
	return false
}

var (
	plainTransports = []load.Transport{load.UDP, load.UDPBurst, load.TCP}
	allTransports   = load.Transports[:]
)

// Reference is the peer that others are compared with.
const Reference = "unbound"

// All returns every peer, the reference first.
func All() []Peer {
	return []Peer{
		{Name: Reference, Title: "Unbound", Program: "unbound", Package: "unbound", Transports: allTransports, version: []string{"-V"}, plan: unbound},
		{Name: "dens", Title: "dens", Transports: allTransports, version: []string{"version"}, plan: dens},
		{Name: "pdns", Title: "PowerDNS Recursor", Program: "pdns_recursor", Package: "pdns-recursor", Transports: plainTransports, version: []string{"--version"}, plan: powerDNS},
		{Name: "knot", Title: "Knot Resolver", Program: "kresd", Package: "knot-resolver", Transports: allTransports, version: []string{"--version"}, plan: knotResolver},
		{Name: "bind", Title: "BIND", Program: "named", Package: "bind9", Transports: allTransports, version: []string{"-v"}, plan: bind},
		{Name: "dnsdist", Title: "dnsdist", Program: "dnsdist", Package: "dnsdist", Transports: allTransports, version: []string{"--version"}, plan: dnsdist},
		{Name: "coredns", Title: "CoreDNS", Transports: allTransports, version: []string{"-version"}, plan: coreDNS},
	}
}

// Select returns the peers with the given names, in their order, and the reference first whether it is among
// them or not: without it there are no ratios.
func Select(names []string) ([]Peer, error) {
	all := All()
	chosen := all[:1:1]
	for _, name := range names {
		found := false
		for _, p := range all {
			if p.Name != name {
				continue
			}
			found = true
			if name != Reference {
				chosen = append(chosen, p)
			}
		}
		if !found {
			return nil, fmt.Errorf("no server %q; there are: %s", name, strings.Join(Names(), ", "))
		}
	}
	return chosen, nil
}

// Names are those of all peers.
func Names() []string {
	var names []string
	for _, p := range All() {
		names = append(names, p.Name)
	}
	return names
}
