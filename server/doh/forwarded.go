package doh

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
)

// client is who asks: the other end of the connection or, when that is a proxy which is trusted, whom it names. The
// zero address, which is in no prefix, stands for a client whom the proxies do not want to name.
func (c *Config) client(req *request) (netip.AddrPort, *refusal) {
	peer := req.from.Addr
	if len(req.forwardedFor) == 0 && len(req.forwarded) == 0 || !c.trusts(peer.Addr()) {
		return peer, nil
	}
	var a, b hops
	if len(req.forwardedFor) > 0 {
		a = c.forwardedFor(req.forwardedFor)
	}
	if len(req.forwarded) > 0 {
		b = c.forwarded(req.forwarded)
	}
	switch {
	case !b.any:
		b = a
	case !a.any:
		a = b
	}
	if a.client != b.client {
		// A proxy mostly knows one of the fields, and passes on the other as the client made it up.
		return netip.AddrPort{}, errProxies
	}
	return netip.AddrPortFrom(a.client, 0), nil
}

func (c *Config) trusts(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// hops finds the client among the addresses that proxies have added from left to right: the last one that is no
// trusted proxy's, since whatever stands before it is but a claim; or the first, when all are trusted.
type hops struct {
	client netip.Addr
	any    bool
}

func (h *hops) add(c *Config, addr netip.Addr) {
	if !h.any || !c.trusts(addr) {
		h.client = addr
	}
	h.any = true
}

func (c *Config) forwardedFor(value []byte) (h hops) {
	for item := range bytes.SplitSeq(value, []byte(",")) {
		if item = bytes.Trim(item, " \t"); len(item) > 0 { // RFC 9110 section 5.6.1: empty elements are none
			h.add(c, node(string(item)))
		}
	}
	return h
}

// forwarded reads the list of RFC 7239 section 4. An element without "for" hides its client.
func (c *Config) forwarded(value []byte) (h hops) {
	rest := string(value)
	for rest != "" {
		var addr netip.Addr
		pairs := 0
		for more := true; more; {
			var name, text string
			name, text, rest, more = forwardedPair(rest)
			if name != "" {
				pairs++
			}
			if strings.EqualFold(name, "for") {
				addr = node(text)
			}
		}
		if pairs > 0 {
			h.add(c, addr)
		}
	}
	return h
}

// forwardedPair reads name=value up to the end of the pair; more is false when that is the end of the element too.
func forwardedPair(in string) (name, value, rest string, more bool) {
	end := strings.IndexAny(in, "=,;")
	if end < 0 {
		return strings.Trim(in, " \t"), "", "", false
	}
	name = strings.Trim(in[:end], " \t")
	if in[end] != '=' {
		return name, "", in[end+1:], in[end] == ';'
	}
	in = in[end+1:]
	if strings.HasPrefix(in, `"`) {
		value, in = quoted(in[1:])
		if end = strings.IndexAny(in, ",;"); end >= 0 && strings.Trim(in[:end], " \t") != "" || end < 0 && strings.Trim(in, " \t") != "" {
			value = "" // something stands behind the quotes
		}
	} else if end = strings.IndexAny(in, ",;"); end >= 0 {
		value = strings.Trim(in[:end], " \t")
	} else {
		value = strings.Trim(in, " \t")
	}
	if end < 0 {
		return name, value, "", false
	}
	return name, value, in[end+1:], in[end] == ';'
}

// quoted reads a quoted-string (RFC 9110 section 5.6.4) whose first quote is gone.
func quoted(in string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case '"':
			return b.String(), in[i+1:]
		case '\\':
			if i++; i == len(in) {
				return "", ""
			}
		}
		b.WriteByte(in[i])
	}
	return "", ""
}

// node is the address of a node, with or without brackets and a port; the zero address when it hides it
// (RFC 7239 section 6).
func node(text string) netip.Addr {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		if i := strings.Index(text, ":_"); i >= 0 {
			text = text[:i] + ":0" // a port may be obscured, too (section 6.3)
		}
		if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
			addr, err = netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		} else if ap, aperr := netip.ParseAddrPort(text); aperr == nil {
			addr, err = ap.Addr(), nil
		}
	}
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
