package intake

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"dens/internal/wire"
)

// TestProxiesAreNoClients: a proxy has as many connections as it wants, its neighbours in the same /64 do not.
func TestProxiesAreNoClients(t *testing.T) {
	in := New(Config{Limits: Limits{MaxConnsPerClient: 2}, Proxies: prefixes("2001:db8::1/128", "192.0.2.0/30")}, nil)
	defer in.Close()
	for peer, want := range map[string]int{
		"2001:db8::1": 5, "2001:db8:0:1::1": 2, "::ffff:192.0.2.3": 5, "192.0.2.4": 2,
	} {
		got := 0
		for range 5 {
			if p := in.Admit(netip.MustParseAddr(peer), wire.DoH, func() {}); p != nil {
				got++
			}
		}
		if got != want {
			t.Errorf("%s: %d connections, want %d", peer, got, want)
		}
	}
	if p := in.Admit(netip.MustParseAddr("2001:db8::2"), wire.DoH, func() {}); p != nil {
		t.Error("a neighbour of a proxy is one as well")
	}
}

// TestIdle: a connection is idle from its beginning, or from when its last request ended, and the one that has been
// so for longest makes room.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(Config{Limits: Limits{MaxConns: 3}}, nil)
		defer in.Close()
		var closed []string
		admit := func(peer string) *Place {
			return in.Admit(netip.MustParseAddr(peer), wire.TCP, func() { closed = append(closed, peer) })
		}
		first, busy, second := admit("192.0.2.1"), admit("192.0.2.2"), admit("192.0.2.3")
		busy.Begin(2)
		time.Sleep(time.Second)
		first.End(0)
		time.Sleep(time.Second)
		busy.End(1)
		if first.Idle() != time.Second || second.Idle() != 2*time.Second || busy.Idle() != 0 {
			t.Errorf("idle for %v, %v and %v", first.Idle(), second.Idle(), busy.Idle())
		}
		for range 2 {
			admit("192.0.2.4").Begin(1)
		}
		if admit("192.0.2.5") != nil {
			t.Error("a busy connection made room")
		}
		if len(closed) != 2 || closed[0] != "192.0.2.3" || closed[1] != "192.0.2.1" {
			t.Errorf("%v made room", closed)
		}
	})
}
