// Package discovery tells clients of the encrypted listeners of this server: those that know only its address,
// at _dns.resolver.arpa (RFC 9462), and those that know its name, at _dns below that (RFC 9461).
package discovery

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"dens/resolver"
)

// Kind is the Answer.Zone of the answers made here: the names are special-use ones, or dens's own.
const Kind = "special"

const (
	apex      = "resolver.arpa." // RFC 9462 section 4
	attribute = "_dns."          // RFC 9461 section 3
)

// Config says what is told, and who answers all else.
type Config struct {
	Offer func() Offer // what there is at the moment; it is called for each such question that no cache answers
	// Rest answers other questions, and all of them while there is no offer. It must keep what is below
	// resolver.arpa from other servers (RFC 9462 section 6.4).
	Rest resolver.Resolver
	TTL  uint32 // 300 s: addresses and listeners may change
}

// Offer is where the server can be reached in confidence.
type Offer struct {
	Name      string     // absolute, in lower case, as in the certificate; "" is no offer
	Names     []string   // by which clients know the server, as Name: each is asked for by _dns below it
	Endpoints []Endpoint // the best first
	Pending   bool       // there is none yet, but soon: that is not to be remembered
}

// Endpoint is one port of the server.
type Endpoint struct {
	ALPN  []string // "h2", "h3", "dot", "doq"
	Port  uint16
	Path  string // of the resource of DNS over HTTPS; "" with the others
	Addrs []netip.Addr
}

// New returns a Resolver that tells the offer, and leaves all other questions to Config.Rest.
func New(conf Config) resolver.Resolver {
	if conf.TTL == 0 {
		conf.TTL = 300
	}
	return &discovery{conf}
}

type discovery struct{ conf Config }

// Resolve implements resolver.Resolver.
func (d *discovery) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	name, ours := strings.CutPrefix(q.Name, attribute)
	if !ours || q.Class != dns.ClassINET || q.Type != dns.TypeSVCB && q.Type != dns.TypeANY {
		return d.conf.Rest.Resolve(ctx, q)
	}
	offer := d.conf.Offer()
	if (name == apex || slices.Contains(offer.Names, name)) && offer.Name != "" && len(offer.Endpoints) > 0 {
		return d.answer(q.Name, offer), nil
	}
	a, err := d.conf.Rest.Resolve(ctx, q)
	if err == nil && name == apex && offer.Pending {
		a.Uncacheable = true
	}
	return a, err
}

// answer tells an offer. The addresses of the name come with it, so that nobody has to be asked for them
// (RFC 9462 section 4).
func (d *discovery) answer(name string, offer Offer) *resolver.Answer {
	a := &resolver.Answer{Authoritative: true, Zone: Kind}
	var all []netip.Addr
	for i, e := range offer.Endpoints {
		a.Answer = append(a.Answer, &dns.SVCB{
			Hdr:      header(name, dns.TypeSVCB, d.conf.TTL),
			Priority: uint16(i + 1), Target: offer.Name, Value: e.parameters(),
		})
		for _, addr := range e.Addrs {
			if !slices.Contains(all, addr) {
				all = append(all, addr)
			}
		}
	}
	for _, addr := range all {
		if addr.Is4() {
			a.Extra = append(a.Extra, &dns.A{Hdr: header(offer.Name, dns.TypeA, d.conf.TTL), A: addr.AsSlice()})
		} else {
			a.Extra = append(a.Extra, &dns.AAAA{Hdr: header(offer.Name, dns.TypeAAAA, d.conf.TTL), AAAA: addr.AsSlice()})
		}
	}
	return a
}

// parameters are the SvcParams of an endpoint (RFC 9460 section 7, RFC 9461 sections 4 and 5).
func (e *Endpoint) parameters() []dns.SVCBKeyValue {
	params := []dns.SVCBKeyValue{&dns.SVCBAlpn{Alpn: e.ALPN}, &dns.SVCBPort{Port: e.Port}}
	var v4, v6 []net.IP
	for _, addr := range e.Addrs {
		if addr.Is4() {
			v4 = append(v4, addr.AsSlice())
		} else {
			v6 = append(v6, addr.AsSlice())
		}
	}
	if len(v4) > 0 {
		params = append(params, &dns.SVCBIPv4Hint{Hint: v4})
	}
	if len(v6) > 0 {
		params = append(params, &dns.SVCBIPv6Hint{Hint: v6})
	}
	if e.Path != "" {
		params = append(params, &dns.SVCBDoHPath{Template: e.Path + "{?dns}"})
	}
	return params
}

func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}
