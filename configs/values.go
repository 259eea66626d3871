package configs

import (
	"net/netip"
	"slices"
	"strings"
)

// listener returns the reader of an address to listen on. ":53" stands for all addresses.
func listener(port uint16) func(value) (netip.AddrPort, bool) {
	return func(v value) (netip.AddrPort, bool) {
		const expected = "an IP address and port, such as 127.0.0.1:53 or [::1]:53"
		t, ok := v.text(expected)
		if !ok {
			return netip.AddrPort{}, false
		}
		s := t.val
		if strings.HasPrefix(s, ":") && !strings.HasPrefix(s, "::") {
			s = "[::]" + s
		}
		a, err := netip.ParseAddrPort(s)
		if err != nil {
			var ip netip.Addr
			ip, err = netip.ParseAddr(s)
			a = netip.AddrPortFrom(ip, port)
		}
		if err != nil || t.expanded && a.Addr().Zone() != "" {
			v.bad(quote(t.raw), expected)
			return a, false
		}
		return a, true
	}
}

// networks reads a list of networks and of words that stand for some.
func (v value) networks(dst *[]netip.Prefix) {
	var all [][]netip.Prefix
	listOf(v, &all, value.prefixes)
	*dst = slices.Concat(all...)
}

// prefixes reads one entry of networks.
func (v value) prefixes() ([]netip.Prefix, bool) {
	const expected = "a network such as 10.0.0.0/8, an IP address, or loopback, private or any"
	t, ok := v.text(expected)
	if !ok {
		return nil, false
	}
	if known := wordPrefixes(t.val); known != nil {
		return known, true
	}
	if a, err := netip.ParseAddr(t.val); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}, true
	}
	p, err := netip.ParsePrefix(t.val)
	switch {
	case err != nil || p.Addr().Is4In6():
		v.bad(quote(t.raw), expected)
	case p != p.Masked():
		v.bad(quote(t.raw), p.Masked().String()+", the network that the address is in")
	default:
		return []netip.Prefix{p}, true
	}
	return nil, false
}

// family returns the reader of an IP address that fits.
func family(fits func(netip.Addr) bool, expected string) func(value) (netip.Addr, bool) {
	return func(v value) (netip.Addr, bool) {
		t, ok := v.text(expected)
		if !ok {
			return netip.Addr{}, false
		}
		a, err := netip.ParseAddr(t.val)
		if err != nil || !fits(a) {
			v.bad(quote(t.raw), expected)
			return netip.Addr{}, false
		}
		return a, true
	}
}

func (v value) upstream() (Upstream, bool) {
	t, ok := v.text("an upstream: " + upstreamForms)
	if !ok {
		return Upstream{}, false
	}
	u, want := parseUpstream(t)
	if want != "" {
		v.bad(quote(redactURL(t.raw)), want)
	}
	return u, want == ""
}

// rpc reads a backend: a URL alone, or a mapping with a url.
func (v value) rpc() (RPC, bool) {
	r := RPC{Batch: true}
	ok := v.endpoint(&r.Endpoint, parseRPC, rpcForms, map[string]func(value){
		"rate":  func(v value) { v.number(&r.Rate, 1e6) },
		"batch": func(v value) { v.boolean(&r.Batch) },
	})
	return r, ok
}

// beacon reads a beacon API: a URL alone, or a mapping with a url.
func (v value) beacon() (Beacon, bool) {
	var b Beacon
	ok := v.endpoint(&b.Endpoint, parseBeacon, beaconForms, map[string]func(value){})
	return b, ok
}

// endpoint reads a URL alone, or a mapping with a url, an operator and more.
func (v value) endpoint(dst *Endpoint, parse func(text) (Endpoint, string), forms string, more map[string]func(value)) bool {
	before, operator := len(v.d.problems), ""
	more["url"] = func(v value) {
		t, ok := v.text(forms)
		if !ok {
			return
		}
		var want string
		if *dst, want = parse(t); want != "" {
			v.bad(quote(redactURL(t.raw)), want)
		}
	}
	more["operator"] = func(v value) { operator = v.operator() }
	if v.node.Value != "" || len(v.node.Content) == 0 {
		more["url"](v)
	} else {
		v.fields(more)
	}
	if operator != "" {
		dst.Operator = operator
	}
	switch {
	case len(v.d.problems) > before:
		return false
	case dst.URL == "":
		v.bad("no url", "a url: "+forms)
		return false
	case dst.Operator == "":
		v.bad("a host or path that comes from a variable", "an operator key with the name of who runs it, since what variables hold is never shown")
		return false
	}
	return true
}

// operator reads a name for people and for metrics' labels.
func (v value) operator() string {
	const expected = "a name of letters, digits, dots, hyphens and underscores, at most 63"
	s, ok := v.plain(expected)
	if !ok {
		return ""
	}
	s = strings.ToLower(s)
	if s == "" || len(s) > 63 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		v.bad(quote(v.node.Value), expected)
		return ""
	}
	return s
}

func (v value) address(dst *Address) {
	s, ok := v.plain("an address: 0x and 40 hex digits")
	if !ok || s == "" {
		return
	}
	a, want := parseAddress(s)
	if want != "" {
		v.bad(quote(s), want)
		return
	}
	*dst = a
}

// zone reads a domain name and returns it absolute, in lower case, with the final dot.
func (v value) zone() (string, bool) {
	const expected = "a domain name such as corp.example, other alphabets as A-labels (xn--...)"
	s, ok := v.plain(expected)
	if !ok {
		return "", false
	}
	z := strings.ToLower(strings.TrimSuffix(s, ".")) + "."
	if !isZone(z) {
		v.bad(quote(s), expected)
		return "", false
	}
	return z, true
}

// isZone reports whether z, in lower case and with the final dot, is made of labels of letters, digits,
// hyphens and underscores.
func isZone(z string) bool {
	labels := strings.Split(strings.TrimSuffix(z, "."), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(z) <= 254
}

func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
