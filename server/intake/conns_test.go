package intake

import (
	"net/netip"
	"testing"

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
