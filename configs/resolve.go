package configs

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

func (v value) resolve(c *Resolve) {
	v.fields(map[string]func(value){
		"mode":             func(v value) { v.word(&c.Mode, ModeRecursive, ModeForward) },
		"forward":          func(v value) { listOf(v, &c.Forward, value.upstream) },
		"root_hints":       func(v value) { v.file(&c.RootHints) },
		"trust_anchor":     func(v value) { v.file(&c.TrustAnchor) },
		"anchor_state":     func(v value) { v.file(&c.AnchorState) },
		"validate":         func(v value) { v.boolean(&c.Validate) },
		"negative_anchors": func(v value) { listOf(v, &c.NegativeAnchors, value.zone) },
		"fallback":         func(v value) { listOf(v, &c.Fallback, value.encrypted) },
		"local_root":       func(v value) { v.localRoot(&c.LocalRoot) },
		"ipv4":             func(v value) { v.boolean(&c.IPv4) },
		"ipv6":             func(v value) { v.boolean(&c.IPv6) },
		"private":          func(v value) { v.private(&c.Private) },
		"zones":            func(v value) { listOf(v, &c.Zones, value.ownZone) },
		"bootstrap":        func(v value) { listOf(v, &c.Bootstrap, value.plainServer) },
		"timeout":          func(v value) { v.duration(&c.Timeout, false, 100*time.Millisecond, time.Minute) },
	})
	// A file from the time before there were modes.
	if !v.d.has(v.path+".mode") && v.d.has(v.path+".forward") {
		c.Mode = ModeForward
	}
	if c.Mode == ModeForward && !v.d.has(v.path+".validate") {
		c.Validate = false
	}
}

func (v value) localRoot(c *LocalRoot) {
	v.fields(map[string]func(value){
		"file":  func(v value) { v.file(&c.File) },
		"axfr":  func(v value) { listOf(v, &c.AXFR, value.plainServer) },
		"cache": func(v value) { v.file(&c.Cache) },
	})
}

func (v value) private(c *Private) {
	v.fields(map[string]func(value){
		"refuse": func(v value) { v.boolean(&c.Refuse) },
		"zones":  func(v value) { listOf(v, &c.Zones, value.zone) },
	})
}

func (v value) ownZone() (Zone, bool) {
	const example = "such as { zone: corp.example, forward: [10.0.0.53] } or { zone: corp.example, stub: [10.0.0.54] }"
	var z Zone
	before := len(v.d.problems)
	v.fields(map[string]func(value){
		"zone":     func(v value) { z.Zone, _ = v.zone() },
		"forward":  func(v value) { listOf(v, &z.Forward, value.upstream) },
		"stub":     func(v value) { listOf(v, &z.Stub, value.plainServer) },
		"validate": func(v value) { v.boolean(&z.Validate) },
	})
	switch {
	case len(v.d.problems) > before:
	case z.Zone == "" || len(z.Forward)+len(z.Stub) == 0:
		v.bad("a zone without its zone key or without servers", "a zone and either forward or stub, "+example)
	case len(z.Forward) > 0 && len(z.Stub) > 0:
		v.bad("a zone with both forward and stub", "one of them, "+example)
	}
	return z, true
}

// file reads the path of a file that logs, errors and /readyz name when something is wrong with it.
func (v value) file(dst *Secret) {
	if s, ok := v.plain("the path of a file"); ok {
		*dst = NewSecret(s, s)
	}
}

// encrypted reads an upstream that nobody on the way can read or rewrite.
func (v value) encrypted() (Upstream, bool) {
	u, ok := v.upstream()
	if ok && u.Scheme != "tls" && u.Scheme != "https" {
		v.bad(quote(u.String()), "a server over TLS or HTTPS, tls://192.0.2.53#dns.example or https://192.0.2.53/dns-query: a network that blocks or rewrites plain DNS does so to this server too")
		return u, false
	}
	return u, ok
}

// plainServer reads the address of a server that is asked by plain DNS.
func (v value) plainServer() (netip.AddrPort, bool) {
	const expected = "the IP address of a plain DNS server, with a port where it is not 53"
	t, ok := v.text(expected)
	if !ok {
		return netip.AddrPort{}, false
	}
	a, ok := addrPort(t.val, 53)
	if !ok || t.expanded && a.Addr().Zone() != "" {
		v.bad(quote(t.raw), expected)
		return a, false
	}
	return a, true
}

// checkMode reports keys that the mode has no use for, which would mislead about what dens does.
func (d *decoder) checkMode(r *Resolve) {
	if d.wrongBelow("resolve.mode") {
		return
	}
	if r.Mode == ModeRecursive {
		if n := len(r.Forward); n > 0 {
			d.addAt("resolve.forward", fmt.Sprintf("%d upstream servers with mode: recursive", n),
				"none: give them as fallback, for networks that block plain DNS, or say mode: forward")
		}
		if l := r.LocalRoot; l.Cache.Reveal() != "" && len(l.AXFR) == 0 {
			d.addAt("resolve.local_root.cache", "a cache without axfr", "servers to transfer the root zone from (axfr), since a zone of file is kept there already")
		}
		if !r.IPv4 && !r.IPv6 {
			d.addAt("resolve.ipv4", "both ipv4 and ipv6 off", "at least one of them on, since servers are to be asked")
		}
		return
	}
	if !d.has("resolve.forward") {
		d.addAt("resolve.forward", "no upstream server", "at least one with mode: forward, or [] to refuse the names that nobody else answers")
	}
	unused := func(key string, set bool) {
		if !set {
			return
		}
		found := key + " with mode: forward"
		if !d.has("resolve.mode") {
			found = key + " with forward and without a mode, which means mode: forward"
		}
		d.addAt("resolve."+key, found, "mode: recursive (then without forward), or no "+key)
	}
	unused("fallback", len(r.Fallback) > 0)
	unused("root_hints", r.RootHints.Reveal() != "")
	unused("local_root", r.LocalRoot.On() || r.LocalRoot.Cache.Reveal() != "")
}

// UsesAnchors reports whether anything is validated from trust anchors.
func (r *Resolve) UsesAnchors() bool {
	return r.Validate || r.TrustAnchor.Reveal() != "" || slices.ContainsFunc(r.Zones, func(z Zone) bool { return z.Validate })
}
