package configs

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// check looks at what single values do not show: what must fit together.
func (d *decoder) check(c *Config) {
	d.checkTLS(c)
	d.checkListen(c)
	if !d.has("access.rate") && c.Access.Open() {
		c.Access.Rate = openRate
	}
	for _, name := range slices.Sorted(maps.Keys(c.Chains)) {
		d.checkChain("chains."+name, c.Chains[name])
	}
	if len(c.Chains) == 0 && len(c.Names) > 0 && !d.wrongBelow("chains") {
		d.addAt("chains", "no chain", "at least one, since there are names")
	}
	zones := map[string]string{}
	for i, n := range c.Names {
		d.checkName(fmt.Sprintf("names[%d]", i), i, n, c, zones)
	}
	for i, z := range c.Resolve.Zones {
		d.checkUnique(fmt.Sprintf("resolve.zones[%d].zone", i), z.Zone, zones)
	}
	d.checkMode(&c.Resolve)
	d.checkUpstreams(c)
	d.checkBootstrap(c)
}

func (d *decoder) checkListen(c *Config) {
	l := &c.Listen
	seen := map[string]string{}
	once := func(path string, a netip.AddrPort, networks ...string) {
		if a.Port() == 0 {
			return // the system picks a free one each time
		}
		for _, network := range networks {
			key := network + " " + a.String()
			first, twice := seen[key]
			if twice && strings.HasPrefix(path, "listen.doq") && strings.HasPrefix(first, "listen.doh") {
				continue // one socket serves both kinds of QUIC
			}
			if twice {
				d.addAt(path, a.String(), "an address and port that "+first+" does not have")
				return
			}
			seen[key] = path
		}
	}
	each := func(key string, list []netip.AddrPort, networks ...string) {
		for i, a := range list {
			once(fmt.Sprintf("listen.%s[%d]", key, i), a, networks...)
		}
	}
	each("dns", l.DNS, "udp", "tcp")
	each("dot", l.DoT, "tcp")
	each("doh", l.DoH, "udp", "tcp")
	each("doq", l.DoQ, "udp")
	if l.HTTP.IsValid() {
		once("listen.http", l.HTTP, "tcp")
	}
	if c.TLS.ACME.HTTP.IsValid() {
		once("tls.acme.http", c.TLS.ACME.HTTP, "tcp")
	}
	if len(l.DNS) == 0 && !l.Encrypted() && !l.HTTP.IsValid() {
		d.addAt("listen", "no address", "at least one of dns, dot, doh, doq and http")
	}
}

// has reports whether the file has the key, with a good value or not.
func (d *decoder) has(path string) bool { return d.lines[path] != 0 }

// wrongBelow reports whether a problem of the key or of one below it is known.
func (d *decoder) wrongBelow(path string) bool {
	return slices.ContainsFunc(d.problems, func(p *Problem) bool { return strings.HasPrefix(p.Key, path) })
}

func (d *decoder) checkName(path string, i int, n Name, c *Config, zones map[string]string) {
	broken := i < len(d.broken) && d.broken[i]
	if n.Zone == "" && !broken {
		d.addAt(path+".zone", "no zone", "one, such as eth")
	}
	chain, known := c.Chains[n.Chain]
	if !known && len(c.Chains) > 0 && !(broken && n.Chain == "") {
		d.addAt(path+".chain", quote(n.Chain), "a key of chains: "+strings.Join(slices.Sorted(maps.Keys(c.Chains)), ", "))
	}
	if n.Registry.IsZero() && !broken {
		if known && chain.ID == 1 {
			c.Names[i].Registry = mainnetRegistry
		} else if known {
			d.addAt(path+".registry", "no registry", "its address, since the chain is not Ethereum mainnet")
		}
	}
	d.checkUnique(path+".zone", n.Zone, zones)
	if tld, taken := icann(n.Zone); taken && !n.OverrideICANN {
		d.addAt(path+".zone", quote(strings.TrimSuffix(n.Zone, ".")), "a zone that is not below the delegated top-level domain "+tld+", or override_icann: true")
	}
	for j, a := range n.Aliases {
		key := fmt.Sprintf("%s.aliases[%d]", path, j)
		d.checkUnique(key, a, zones)
		if tld, taken := icann(a); taken && a == tld+"." && !n.OverrideICANN {
			d.addAt(key, quote(tld), "an alias that is no delegated top-level domain, or override_icann: true")
		}
	}
}

// checkUnique reports a zone that has two keepers.
func (d *decoder) checkUnique(path, zone string, zones map[string]string) {
	if zone == "" {
		return
	}
	if first, twice := zones[zone]; twice {
		d.addAt(path, quote(strings.TrimSuffix(zone, ".")), "a zone that "+first+" does not have")
		return
	}
	zones[zone] = path
}

// icann returns the top-level domain of zone and whether ICANN has delegated it.
func icann(zone string) (string, bool) {
	zone = strings.TrimSuffix(zone, ".")
	if zone == "" {
		return "", false
	}
	tld := zone[strings.LastIndexByte(zone, '.')+1:]
	_, delegated := publicsuffix.PublicSuffix(tld)
	// Of some domains the list knows only rules for what is below them (*.ck).
	_, below := publicsuffix.PublicSuffix("a.b." + tld)
	return tld, delegated || below
}

// checkUpstreams reports an upstream that is dens itself.
func (d *decoder) checkUpstreams(c *Config) {
	each := func(path string, list []Upstream) {
		for i, u := range list {
			a, ok := u.Addr()
			if ok && (u.Scheme == "udp" || u.Scheme == "tcp") && listensAt(c.Listen.DNS, a) || ok && u.Scheme == "tls" && listensAt(c.Listen.DoT, a) {
				d.addAt(path, fmt.Sprintf("%s (element %d), where dens itself listens", u, i), "another server")
			}
		}
	}
	each("resolve.forward", c.Resolve.Forward)
	each("resolve.fallback", c.Resolve.Fallback)
	plain := func(path string, list []netip.AddrPort) {
		if d.wrongBelow(path) {
			return // the elements that are left may not be at their places
		}
		for i, a := range list {
			if listensAt(c.Listen.DNS, a) {
				d.addAt(fmt.Sprintf("%s[%d]", path, i), a.String()+", where dens itself listens", "another server")
			}
		}
	}
	plain("resolve.bootstrap", c.Resolve.Bootstrap)
	plain("resolve.local_root.axfr", c.Resolve.LocalRoot.AXFR)
	for i, z := range c.Resolve.Zones {
		each(fmt.Sprintf("resolve.zones[%d].forward", i), z.Forward)
		plain(fmt.Sprintf("resolve.zones[%d].stub", i), z.Stub)
	}
}

func listensAt(list []netip.AddrPort, to netip.AddrPort) bool {
	for _, l := range list {
		if l.Port() == to.Port() && (l.Addr() == to.Addr() || l.Addr().IsUnspecified() && to.Addr().IsLoopback()) {
			return true
		}
	}
	return false
}

// checkBootstrap reports host names that nobody could resolve: dens never asks the system, which may
// be asking dens. Iteration finds all hosts but those that are needed when it cannot work.
func (d *decoder) checkBootstrap(c *Config) {
	r := &c.Resolve
	if len(r.Bootstrap) > 0 || len(d.problems) > 0 {
		return
	}
	if r.Mode == ModeRecursive {
		if hasNames(r.Fallback) {
			d.addAt("resolve.bootstrap", "no address", "at least one, since a fallback server has a host name, which iteration cannot find where it does not work")
		}
		return
	}
	for _, u := range r.Forward {
		if _, ok := u.Addr(); ok {
			return
		}
	}
	if needsNames(c) {
		d.addAt("resolve.bootstrap", "no address", "at least one, since backends, upstreams or the ACME server have host names and no forwarder is an IP address")
	}
}

// hasNames reports whether one of the servers has a host name.
func hasNames(list []Upstream) bool {
	return slices.ContainsFunc(list, func(u Upstream) bool {
		_, ok := u.Addr()
		return !ok
	})
}

func needsNames(c *Config) bool {
	if hasNames(c.Resolve.Forward) || slices.ContainsFunc(c.Resolve.Zones, func(z Zone) bool { return hasNames(z.Forward) }) {
		return true
	}
	if c.TLS.ACME.On() && c.TLS.ACME.named() {
		return true
	}
	for _, chain := range c.Chains {
		if slices.ContainsFunc(chain.RPC, func(r RPC) bool { return r.named() }) || chain.LightClient() && chain.beaconNames() {
			return true
		}
	}
	return false
}
