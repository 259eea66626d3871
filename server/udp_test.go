package server

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"dens/internal/wire"
)

func TestUDP(t *testing.T) {
	s := begin(t, Config{DNS: []string{"127.0.0.1:0", "[::1]:0"}}, newActor())
	for _, b := range s.Addrs() {
		if b.Protocol != wire.UDP {
			continue
		}
		want := "udp " + b.Addr.Addr().String()
		if got := who(t, ask(t, "udp", b.Addr.String(), "example.org")); got != want {
			t.Errorf("at %s: asked by %q, want %q", b.Addr, got, want)
		}
	}
}

func TestListenErrors(t *testing.T) {
	s := begin(t, Config{}, newActor())
	taken := at(t, s, wire.TCP)
	udpOnly, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udpOnly.Close()
	tests := []struct {
		conf Config
		want string
	}{
		{Config{DNS: []string{taken}}, "listen on " + taken + " (tcp): bind: address already in use; another program"},
		{Config{DNS: []string{udpOnly.LocalAddr().String()}}, "(udp): bind: address already in use"},
		{Config{DNS: []string{"192.0.2.1:0"}}, "no interface of this machine"},
		{Config{DNS: []string{"localhost:0"}}, "the host is no IP address"},
		{Config{DNS: []string{"127.0.0.1"}}, "host:port"},
		{Config{DNS: []string{"127.0.0.1:dns"}}, "the port is no number"},
		{Config{DNS: []string{"127.0.0.1:0", "127.0.0.1:0"}}, "twice"},
		{Config{DoT: []string{"127.0.0.1:0"}}, "certificate"},
	}
	for _, tt := range tests {
		err := New(tt.conf, newActor()).Start()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	tests := []struct {
		in, family string
		want       netip.AddrPort
	}{
		{"127.0.0.1:53", "4", netip.MustParseAddrPort("127.0.0.1:53")},
		{"[::]:53", "6", netip.MustParseAddrPort("[::]:53")},
		{"[::ffff:127.0.0.1]:53", "4", netip.MustParseAddrPort("127.0.0.1:53")},
		{":53", "", netip.AddrPortFrom(netip.Addr{}, 53)},
	}
	for _, tt := range tests {
		family, got, err := parseAddress(tt.in)
		if err != nil || family != tt.family || got != tt.want {
			t.Errorf("parseAddress(%q) = %q, %v, %v; want %q, %v", tt.in, family, got, err, tt.family, tt.want)
		}
	}
}
