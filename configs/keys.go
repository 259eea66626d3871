package configs

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

func (d *decoder) config(v value, c *Config) {
	v.fields(map[string]func(value){
		"listen":    func(v value) { v.listen(&c.Listen) },
		"tls":       func(v value) { v.tls(&c.TLS) },
		"doh":       func(v value) { v.doh(&c.DoH) },
		"discovery": func(v value) { v.discovery(&c.Discovery) },
		"access":    func(v value) { v.access(&c.Access) },
		"cache":     func(v value) { v.cache(&c.Cache) },
		"chains":    func(v value) { v.chains(&c.Chains) },
		"names":     func(v value) { listOf(v, &c.Names, value.name) },
		"resolve":   func(v value) { v.resolve(&c.Resolve) },
		"chaos":     func(v value) { v.chaos(&c.Chaos) },
		"log":       func(v value) { v.log(&c.Log) },
	})
}

func (v value) listen(c *Listen) {
	v.fields(map[string]func(value){
		"dns":                    func(v value) { listOf(v, &c.DNS, listener(53)) },
		"dot":                    func(v value) { listOf(v, &c.DoT, listener(853)) },
		"doh":                    func(v value) { listOf(v, &c.DoH, listener(443)) },
		"doq":                    func(v value) { listOf(v, &c.DoQ, listener(853)) },
		"http":                   func(v value) { v.listenerOrOff(&c.HTTP, 8053) },
		"tcp_idle":               func(v value) { v.duration(&c.TCPIdle, false, time.Second, time.Hour) },
		"max_tcp_clients":        func(v value) { v.integer(&c.MaxTCPClients, 1, 1e6) },
		"max_tcp_per_client":     func(v value) { v.integer(&c.MaxTCPPerClient, 1, 1e6) },
		"max_queries_per_client": func(v value) { v.integer(&c.MaxQueriesPerClient, 1, 65536) },
		"max_in_flight":          func(v value) { v.integer(&c.MaxInFlight, 1, 1e6) },
		"udp_size":               func(v value) { v.integer(&c.UDPSize, 512, 4096) },
	})
}

func (v value) listenerOrOff(dst *netip.AddrPort, port uint16) {
	if t, ok := v.text("an IP address and port, or \"\" for off"); ok && t.val == "" {
		*dst = netip.AddrPort{}
	} else if ok {
		if a, ok := listener(port)(v); ok {
			*dst = a
		}
	}
}

func (v value) access(c *Access) {
	v.fields(map[string]func(value){
		"allow":         func(v value) { v.networks(&c.Allow) },
		"rate":          func(v value) { v.number(&c.Rate, 1e6) },
		"burst":         func(v value) { v.integer(&c.Burst, 1, 1e6) },
		"slip":          func(v value) { v.integer(&c.Slip, 0, 100) },
		"octets":        func(v value) { v.integer(&c.Octets, 64, 65535) },
		"unproven_size": func(v value) { v.integer(&c.UnprovenSize, 512, 4096) },
		"cookie_secrets": func(v value) {
			listOf(v, &c.CookieSecrets, value.cookieSecret)
			if len(c.CookieSecrets) > maxCookieSecrets {
				v.bad(fmt.Sprintf("%d elements", len(c.CookieSecrets)), fmt.Sprintf("at most %d", maxCookieSecrets))
			}
		},
	})
}

// maxCookieSecrets bounds what the check of a cookie costs.
const maxCookieSecrets = 4

// cookieSecret reads 16 octets, which are not shown even where the file itself has them.
func (v value) cookieSecret() (Secret, bool) {
	const expected = "32 hexadecimal digits"
	t, ok := v.text(expected)
	if !ok {
		return Secret{}, false
	}
	if octets, err := hex.DecodeString(t.val); err != nil || len(octets) != 16 {
		v.bad(fmt.Sprintf("%d other characters", len(t.val)), expected)
		return Secret{}, false
	}
	if !t.expanded {
		t.raw = "..."
	}
	return NewSecret(t.val, t.raw), true
}

func (v value) cache(c *Cache) {
	v.fields(map[string]func(value){
		"entries":      func(v value) { v.integer(&c.Entries, 100, 1e8) },
		"size":         func(v value) { v.size(&c.Size, 1<<20, 1<<40) },
		"stale":        func(v value) { v.duration(&c.Stale, true, time.Second, week) },
		"max_ttl":      func(v value) { v.duration(&c.MaxTTL, false, time.Second, week) },
		"negative_ttl": func(v value) { v.duration(&c.NegativeTTL, false, time.Second, day) },
		"failure_ttl":  func(v value) { v.duration(&c.FailureTTL, false, time.Second, 5*time.Minute) }, // RFC 9520 section 3.2
		"prefetch":     func(v value) { v.boolean(&c.Prefetch) },
	})
}

func (v value) ccip(c *CCIP) {
	v.fields(map[string]func(value){
		"allow_http":    func(v value) { v.boolean(&c.AllowHTTP) },
		"allow_private": func(v value) { v.boolean(&c.AllowPrivate) },
		"timeout":       func(v value) { v.duration(&c.Timeout, false, 100*time.Millisecond, time.Minute) },
	})
}

func (v value) name() (Name, bool) {
	n := Name{System: "ens", TTL: 300 * time.Second, NegativeTTL: 60 * time.Second}
	before := len(v.d.problems)
	v.fields(map[string]func(value){
		"zone":               func(v value) { n.Zone, _ = v.zone() },
		"system":             func(v value) { v.word(&n.System, "ens") },
		"chain":              func(v value) { n.Chain, _ = v.plain("a key of chains") },
		"registry":           func(v value) { v.address(&n.Registry) },
		"universal_resolver": func(v value) { v.address(&n.UniversalResolver) },
		"aliases":            func(v value) { listOf(v, &n.Aliases, value.zone) },
		"gateways":           func(v value) { v.gateways(&n.Gateways) },
		"ttl":                func(v value) { v.duration(&n.TTL, false, time.Second, week) },
		"negative_ttl":       func(v value) { v.duration(&n.NegativeTTL, false, time.Second, day) },
		"ns":                 func(v value) { listOf(v, &n.NS, value.zone) },
		"override_icann":     func(v value) { v.boolean(&n.OverrideICANN) },
	})
	// A name whose parts are broken stays in the list, so that the checks count and place the others
	// rightly; what it lacks is not reported a second time.
	v.d.broken = append(v.d.broken, len(v.d.problems) > before)
	return n, true
}

func (v value) gateways(c *Gateways) {
	v.fields(map[string]func(value){
		"a":    func(v value) { listOf(v, &c.A, family(netip.Addr.Is4, "an IPv4 address")) },
		"aaaa": func(v value) { listOf(v, &c.AAAA, family(isIPv6, "an IPv6 address")) },
	})
}

func isIPv6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() && a.Zone() == "" }

func (v value) chaos(c *Chaos) {
	v.fields(map[string]func(value){
		"version":  func(v value) { v.chaosText(&c.Version) },
		"hostname": func(v value) { v.chaosText(&c.Hostname) },
	})
}

// chaosText reads a text that must fit one character-string of a TXT record.
func (v value) chaosText(dst *Secret) {
	v.secret(dst)
	if n := len(dst.Reveal()); n > 255 {
		v.bad(fmt.Sprintf("%d bytes", n), "at most 255")
	}
}

func (v value) log(c *Log) {
	v.fields(map[string]func(value){
		"level": func(v value) {
			word := strings.ToLower(c.Level.String())
			v.word(&word, "debug", "info", "warn", "error")
			// word is one of four that slog knows.
			_ = c.Level.UnmarshalText([]byte(word))
		},
		"format": func(v value) { v.word(&c.Format, "text", "json") },
	})
}
