package server

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/wire"
	"dens/server/intake"
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

// A client takes a reply only from the address that it asked.
func TestUDPRepliesFromTheAddressAsked(t *testing.T) {
	tests := []struct{ listen, ask string }{
		{"0.0.0.0:0", "127.0.0.1"},
		{"0.0.0.0:0", "127.0.0.77"},
		{"[::]:0", "::1"},
		{":0", "127.0.0.78"},
		{":0", "::1"},
	}
	for _, tt := range tests {
		t.Run(tt.listen+" "+tt.ask, func(t *testing.T) {
			s := begin(t, Config{DNS: []string{tt.listen}}, newActor())
			_, port, err := net.SplitHostPort(at(t, s, wire.UDP))
			if err != nil {
				t.Fatal(err)
			}
			ask(t, "udp", net.JoinHostPort(tt.ask, port), "example.org")
			ask(t, "tcp", net.JoinHostPort(tt.ask, port), "example.org")
		})
	}
}

func TestUDPStaysSilentOnGarbage(t *testing.T) {
	stats := new(intake.Stats)
	s := begin(t, Config{Config: intake.Config{Stats: stats}}, newActor())
	conn, err := net.Dial("udp", at(t, s, wire.UDP))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reply := packed(t, new(dns.Msg).SetReply(question("example.org")))
	garbage := [][]byte{{}, {1}, make([]byte, 11), reply, make([]byte, maxSmall+1), make([]byte, 60000)}
	for _, b := range garbage {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	unread := packed(t, question("silent.example"))
	last := packed(t, question("last.example"))
	for _, b := range [][]byte{unread, last} {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	var m dns.Msg
	if err := m.Unpack(buf[:n]); err != nil || m.Question[0].Name != "last.example." {
		t.Fatalf("got %v, %v, want only the reply to last.example", m.Question, err)
	}
	if got := stats.Malformed.Load(); got != uint64(len(garbage)) {
		t.Errorf("%d malformed counted, want %d", got, len(garbage))
	}
	wait(t, "the silence to be counted", func() bool { return stats.Silent.Load() == 1 })
}

func TestUDPShedsWhenFull(t *testing.T) {
	stats := new(intake.Stats)
	a := newActor()
	s := begin(t, Config{Config: intake.Config{Stats: stats, Limits: intake.Limits{MaxUDP: 4}}}, a)
	conn, err := net.Dial("udp", at(t, s, wire.UDP))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 4 {
		if _, err := conn.Write(packed(t, question("slow.example"))); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		<-a.slow
	}
	for range 3 {
		if _, err := conn.Write(packed(t, question("fast.example"))); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "three to be shed", func() bool { return stats.Shed.Load() == 3 })
	// TCP has room of its own.
	ask(t, "tcp", at(t, s, wire.TCP), "example.org")
	close(a.release)
	wait(t, "the room to be given back", func() bool { return s.in.Load().UDP == 0 })
	ask(t, "udp", at(t, s, wire.UDP), "example.org")
}

func TestUDPManyAtOnce(t *testing.T) {
	s := begin(t, Config{}, newActor())
	addr := at(t, s, wire.UDP)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			c := &dns.Client{Timeout: 3 * time.Second}
			conn, err := c.Dial(addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for range 50 {
				r, _, err := c.ExchangeWithConn(question("example.org"), conn)
				if err != nil || len(r.Answer) != 2 {
					t.Errorf("%v, %v", r, err)
					return
				}
			}
		})
	}
	group.Wait()
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

func TestReplySource(t *testing.T) {
	for _, garbage := range [][]byte{nil, {1}, make([]byte, 16), make([]byte, controlSize)} {
		if got := replySource(garbage); got != nil {
			t.Errorf("replySource(%x) = %x, want nothing", garbage, got)
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
