package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"dens/configs"
	"dens/resolver"
	"dens/resolver/discovery"
	"dens/server/certs"
)

// discover has clients told of the encrypted listeners, before all others are asked, unless the configuration
// gives these names to servers of their own.
func (s *stack) discover(cfg *configs.Config, rest resolver.Resolver) resolver.Resolver {
	const name = "_dns.resolver.arpa."
	taken := slices.ContainsFunc(cfg.Resolve.Zones, func(z configs.Zone) bool { return z.Zone != "." && dns.IsSubDomain(z.Zone, name) })
	if !cfg.Discovery.Enabled || !cfg.Listen.Encrypted() || taken {
		return rest
	}
	return discovery.New(discovery.Config{Rest: rest, Offer: func() discovery.Offer {
		if offer := s.offer.Load(); offer != nil {
			return (*offer)()
		}
		return discovery.Offer{}
	}})
}

// offer tells what clients can be told, once there is a certificate.
func (id *identity) offer(cfg *configs.Config) discovery.Offer {
	status := id.Status()
	if status.NotAfter.IsZero() {
		return discovery.Offer{Pending: true}
	}
	names := serverNames(cfg, status)
	if len(names) == 0 {
		return discovery.Offer{}
	}
	l := discovery.Listeners{DoH: cfg.Listen.DoH, DoT: cfg.Listen.DoT, DoQ: cfg.Listen.DoQ, Path: cfg.DoH.Path}
	if own := cfg.Discovery.Addresses; len(own) > 0 {
		l.DoH, l.DoT, l.DoQ = placed(l.DoH, own), placed(l.DoT, own), placed(l.DoQ, own)
		return discovery.Offer{Name: names[0], Names: names, Endpoints: l.Endpoints(nil)}
	}
	if othersAsk(&cfg.Listen) {
		l.DoH, l.DoT, l.DoQ = outer(l.DoH), outer(l.DoT), outer(l.DoQ)
	}
	endpoints := l.Endpoints(reachable(cfg, machineAddresses()))
	for i := range endpoints {
		endpoints[i].Addrs = reachable(cfg, endpoints[i].Addrs)
	}
	return discovery.Offer{Name: names[0], Names: names, Endpoints: endpoints}
}

// othersAsk reports whether others than this machine can ask.
func othersAsk(l *configs.Listen) bool {
	return len(outer(slices.Concat(l.DNS, l.DoT, l.DoH, l.DoQ))) > 0
}

// outer leaves out the listeners that only this machine reaches: they are of no use to others.
func outer(list []netip.AddrPort) []netip.AddrPort {
	return slices.DeleteFunc(slices.Clone(list), func(a netip.AddrPort) bool { return a.Addr().Unmap().IsLoopback() })
}

// placed are listeners as clients find them: at other addresses, by the same ports.
func placed(list []netip.AddrPort, at []netip.Addr) []netip.AddrPort {
	var out []netip.AddrPort
	for _, l := range list {
		for _, a := range at {
			out = append(out, netip.AddrPortFrom(a, l.Port()))
		}
	}
	return out
}

// serverNames are those of the server, the main one first, absolute: as configured, or as the certificate says.
func serverNames(cfg *configs.Config, status certs.Status) []string {
	var names []string
	add := func(name string) {
		if name = dns.CanonicalName(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if cfg.TLS.Name != "" {
		add(cfg.TLS.Name)
	}
	if cfg.TLS.SelfSigned {
		return names // the others are of this machine alone
	}
	for _, name := range slices.Concat(cfg.TLS.ACME.Domains, status.Names) {
		_, err := netip.ParseAddr(name)
		_, fits := dns.IsDomainName(name)
		if err != nil && fits && strings.Contains(name, ".") && !strings.Contains(name, "*") && len(names) < maxServerNames {
			add(name)
		}
	}
	return names
}

// maxServerNames is how many names an authority would sign at once.
const maxServerNames = 100

// told maps the zones in which clients are told of the encrypted listeners to all that this depends on.
func (g *generation) told() map[string]string {
	zones := map[string]string{}
	if g.identity == nil || !g.cfg.Discovery.Enabled {
		return zones
	}
	names, digest := serverNames(g.cfg, g.identity.Status()), discoveryDigest(g.cfg)
	zones["resolver.arpa."] = fmt.Sprint(digest, names)
	for _, name := range names {
		zones["_dns."+name] = digest + names[0]
	}
	return zones
}

// discoveryDigest is all of the configuration that clients are told, or that it depends on.
func discoveryDigest(cfg *configs.Config) string {
	l := &cfg.Listen
	return fmt.Sprint(othersAsk(l), l.DoH, l.DoT, l.DoQ, cfg.DoH.Path, cfg.Discovery.Addresses, cfg.Access.Allow,
		cfg.TLS.Name, cfg.TLS.ACME.Domains, cfg.TLS.SelfSigned, cfg.TLS.Cert)
}

// machineAddresses are those of the machine that others may reach: the loopback ones alone where there are no
// others.
func machineAddresses() []netip.Addr {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var outer, loopback []netip.Addr
	for _, i := range interfaces {
		prefix, err := netip.ParsePrefix(i.String())
		if err != nil {
			continue
		}
		switch a := prefix.Addr().Unmap(); {
		case a.IsLoopback():
			loopback = append(loopback, a)
		case a.IsGlobalUnicast():
			outer = append(outer, a)
		}
	}
	if len(outer) == 0 {
		return loopback
	}
	return outer
}

// reachable leaves out private addresses where the world may ask, which could not reach them.
func reachable(cfg *configs.Config, list []netip.Addr) []netip.Addr {
	public := slices.ContainsFunc(cfg.Access.Allow, func(p netip.Prefix) bool { return p.Bits() == 0 || !isPrivate(p.Addr()) })
	if !public {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), isPrivate)
}

// isPrivate reports whether an address means nothing to the world.
func isPrivate(a netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || shared.Contains(a)
}

// ownAddresses are those that the configuration listens on, and that it tells clients.
func ownAddresses(cfg *configs.Config) []netip.Addr {
	var out []netip.Addr
	add := func(list ...netip.Addr) {
		for _, a := range list {
			if a = a.Unmap().WithZone(""); len(out) < maxServerNames && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	add(cfg.Discovery.Addresses...)
	l := &cfg.Listen
	for _, a := range slices.Concat(l.DNS, l.DoT, l.DoH, l.DoQ) {
		if !a.Addr().IsUnspecified() {
			add(a.Addr())
			continue
		}
		add(netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback())
		add(reachable(cfg, machineAddresses())...) // the certificate is shown to all who come
	}
	return out
}
