package configs

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Upstream is a DNS server to forward to. It prints, logs and marshals as the file has it, without a
// URL's path and query; its fields may hold what a variable held.
type Upstream struct {
	Scheme     string // "udp" (with TCP on truncation), "tcp", "tls" or "https"
	Host       string // an IP address without brackets or, for tls and https, a host name
	Port       uint16
	ServerName string // what the certificate is checked against; tls and https
	URL        string // the DoH resource without fragment; https

	shown string
}

const upstreamForms = "192.0.2.53, 192.0.2.54:5300, [2001:db8::1]:53, udp://, tcp://, tls://192.0.2.53#dns.example, tls://dns.example or https://dns.example/dns-query"

// Addr returns the address of the server, and false when Host is a name.
func (u Upstream) Addr() (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(u.Host)
	return netip.AddrPortFrom(a, u.Port), err == nil
}

// String returns the upstream as the file has it, without secrets.
func (u Upstream) String() string { return u.shown }

// Format keeps every verb of fmt from seeing the fields.
func (u Upstream) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.shown) }

// MarshalText returns what String returns.
func (u Upstream) MarshalText() ([]byte, error) { return []byte(u.shown), nil }

// LogValue returns what String returns.
func (u Upstream) LogValue() slog.Value { return slog.StringValue(u.shown) }

// ParseUpstream reads an upstream in any form that the file knows. Its error quotes s without secrets.
func ParseUpstream(s string) (Upstream, error) {
	u, want := parseUpstream(text{raw: s, val: s})
	if want != "" {
		return Upstream{}, fmt.Errorf("upstream %s: expected %s", quote(redactURL(s)), want)
	}
	return u, nil
}

// parseUpstream returns the upstream, or what was expected.
func parseUpstream(t text) (Upstream, string) {
	u := Upstream{Scheme: "udp", shown: t.raw}
	rest := t.val
	if scheme, after, ok := strings.Cut(t.val, "://"); ok {
		u.Scheme, rest = strings.ToLower(scheme), after
	}
	switch u.Scheme {
	case "udp", "tcp":
		a, ok := addrPort(rest, 53)
		if !ok {
			return u, "an IP address, with a port where it is not 53"
		}
		u.Host, u.Port = a.Addr().String(), a.Port()
		return u, ""
	case "tls":
		return u.tls(rest)
	case "https":
		u.shown = redactURL(t.raw)
		return u.https(t.val)
	default:
		return u, "an upstream: " + upstreamForms
	}
}

func (u Upstream) tls(rest string) (Upstream, string) {
	rest, name, named := strings.Cut(rest, "#")
	if named && !isHost(name) {
		return u, "a host name after #"
	}
	if a, ok := addrPort(rest, 853); ok {
		u.Host, u.Port = a.Addr().String(), a.Port()
	} else if host, port, ok := hostPort(rest, 853); ok {
		u.Host, u.Port = host, port
	} else {
		return u, "tls://192.0.2.53#dns.example or tls://dns.example, with :port where it is not 853"
	}
	if u.ServerName = u.Host; named {
		u.ServerName = name
	}
	return u, ""
}

func (u Upstream) https(s string) (Upstream, string) {
	const form = "https://dns.example/dns-query or https://192.0.2.53/dns-query"
	parsed, err := url.Parse(s)
	if err != nil || parsed.User != nil || parsed.Opaque != "" || len(s) > 2048 {
		return u, form
	}
	if parsed.Fragment != "" && !isHost(parsed.Fragment) {
		return u, "a host name after #"
	}
	u.Host, u.Port = parsed.Hostname(), 443
	if _, err := netip.ParseAddr(u.Host); err != nil && !isHost(u.Host) {
		return u, form
	}
	if p := parsed.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return u, form
		}
		u.Port = uint16(n)
	}
	if u.ServerName = u.Host; parsed.Fragment != "" {
		u.ServerName = parsed.Fragment
	}
	parsed.Fragment, parsed.RawFragment = "", ""
	if parsed.Path == "" {
		parsed.Path = "/dns-query"
	}
	u.URL = parsed.String()
	return u, ""
}

// addrPort reads an IP address, with or without a port.
func addrPort(s string, port uint16) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a, a.Port() != 0
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return netip.AddrPortFrom(a, port), true
	}
	return netip.AddrPort{}, false
}

// hostPort reads a host name, with or without a port.
func hostPort(s string, port uint16) (string, uint16, bool) {
	host, p, ok := strings.Cut(s, ":")
	if ok {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0, false
		}
		port = uint16(n)
	}
	return host, port, isHost(host)
}

// isHost reports whether s is a host name: letters, digits, hyphens and underscores, no IP address.
func isHost(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	digits := true
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		digits = true
		for _, c := range []byte(label) {
			isDigit := c >= '0' && c <= '9'
			if !isDigit && c != '-' && c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') {
				return false
			}
			digits = digits && isDigit
		}
	}
	return !digits // a last label of digits alone would be an IP address gone wrong
}
