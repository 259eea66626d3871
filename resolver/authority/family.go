package authority

import (
	"net/netip"
	"time"
)

const (
	firstOutage = 2 * time.Second
	outages     = 7 // how often that doubles: 256 s
	familyLost  = 4 // servers in a row that do not answer, of a family that did work
)

// family is IPv4 or IPv6 as a whole: without a way to it, each of its servers would cost a time-out of
// its own. Its fields are guarded by memory.mu.
type family struct {
	answered bool // it works, or did once
	silent   int  // servers since then that never answered
	down     bool // its servers are asked last
	pauses   int
	until    time.Time // when one of them is probed
}

const (
	ipv4 = iota
	ipv6
	families
)

func familyOf(addr netip.Addr) int {
	if addr.Unmap().Is4() {
		return ipv4
	}
	return ipv6
}

// lost notes a server that never answered, or that there is no route to it. It reports whether the
// family went down by it.
func (f *family) lost(now time.Time) bool {
	f.silent++
	if f.down || f.answered && f.silent < familyLost {
		return false
	}
	f.down, f.pauses = true, 0
	f.postpone(now)
	return true
}

// found notes a reply, and reports whether the family came up by it.
func (f *family) found() bool {
	up := f.down
	f.answered, f.silent, f.down = true, 0, false
	return up
}

// due reports whether a server of the family is to be probed; the next time is later.
func (f *family) due(now time.Time) bool {
	if !f.down || now.Before(f.until) {
		return false
	}
	f.postpone(now)
	return true
}

func (f *family) postpone(now time.Time) {
	f.until = now.Add(firstOutage << f.pauses)
	f.pauses = min(f.pauses+1, outages)
}
