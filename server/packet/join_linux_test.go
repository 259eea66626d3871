package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"dens/internal/looptest"
	"dens/server/intake"
)

// outbox is a socket to send joined replies with, and clients who get them.
type outbox struct {
	*socket
	fd      uintptr
	stats   *intake.Stats
	clients []*net.UDPConn
	names   []peerAddr
}

func newOutbox(t *testing.T, clients int) *outbox {
	o := &outbox{stats: new(intake.Stats)}
	o.socket = &socket{Listener: &Listener{in: intake.New(intake.Config{Stats: o.stats}, newActor())}}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	o.fd = uintptr(fd)
	if !canJoin(o.fd) {
		t.Fatal("this kernel does not cut messages into datagrams")
	}
	for i := range clients {
		// Clients of one port at several addresses, and of several ports at one, are told apart.
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i%3)}), 0)
		if i%3 > 0 {
			at = netip.AddrPortFrom(at.Addr(), addrOf(o.clients[i-1]).Port())
		}
		if i%3 == 0 {
			at = netip.AddrPortFrom(at.Addr(), looptest.Free(t).Port())
		}
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		name := peerAddr{len: unix.SizeofSockaddrInet4}
		raw := (*unix.RawSockaddrInet4)(unsafe.Pointer(&name.raw[0]))
		raw.Family, raw.Addr = unix.AF_INET, at.Addr().As4()
		port := addrOf(conn).Port()
		raw.Port = port<<8 | port>>8
		o.clients, o.names = append(o.clients, conn), append(o.names, name)
	}
	return o
}

// letter is a reply of a length to a client.
type letter struct{ client, size int }

// sends joins letters and sends them, and checks that each client gets just its own. It returns how many messages
// they were.
func (o *outbox) sends(t *testing.T, j *joiner, letters []letter) int {
	t.Helper()
	replies, iovs := make([]message, len(letters)), make([]unix.Iovec, len(letters))
	want := make([][]string, len(o.clients))
	for i, l := range letters {
		text := bytes.Repeat(fmt.Appendf(nil, "reply %d. ", i), l.size)[:l.size]
		replies[i].set(&iovs[i], &o.names[l.client], text, nil)
		want[l.client] = append(want[l.client], string(text))
	}
	messages := j.join(replies)
	o.send(o.fd, j, messages)
	room := make([]byte, 1<<16)
	for i, conn := range o.clients {
		var got []string
		for range want[i] {
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			n, err := conn.Read(room)
			if err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
			got = append(got, string(room[:n]))
		}
		slices.Sort(got)
		slices.Sort(want[i])
		if !slices.Equal(got, want[i]) {
			t.Errorf("client %d got %q, want %q", i, got, want[i])
		}
		if n := waiting(t, conn); n != 0 {
			t.Errorf("client %d got one more reply, of %d octets", i, n)
		}
	}
	return len(messages)
}

// waiting returns the length of the next packet that waits to be read, or 0. A read of net's after its deadline would
// not look.
func waiting(t *testing.T, conn *net.UDPConn) (n int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		if n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// to returns n replies of a size to a client.
func to(client, n, size int) []letter { return slices.Repeat([]letter{{client, size}}, n) }

func TestJoin(t *testing.T) {
	o := newOutbox(t, 6)
	var mixed []letter
	for i := range batchSize {
		mixed = append(mixed, letter{i % 6, 60 + i%2})
	}
	for name, tt := range map[string]struct {
		letters []letter
		want    int // messages
	}{
		"none":             {nil, 0},
		"one":              {to(0, 1, 60), 1},
		"alike":            {to(0, batchSize, 60), 1},
		"all unlike":       {[]letter{{0, 60}, {1, 60}, {2, 60}, {0, 61}, {1, 61}}, 5},
		"two clients":      {append(to(0, 5, 60), to(1, 5, 60)...), 2},
		"longest":          {to(0, 5, joinSize), 1},
		"too long each":    {to(0, 5, joinSize+1), 5},
		"too long for one": {to(0, batchSize, joinSize), 2},
		"mixed":            {mixed, 6}, // each client's are of one length
	} {
		t.Run(name, func(t *testing.T) {
			// In the worst case two groups have one hash, and each ends the other over and over.
			if got := o.sends(t, new(joiner), tt.letters); got != tt.want && (name != "mixed" || got < tt.want || got == len(mixed)) {
				t.Errorf("%d messages for %d replies, want %d", got, len(tt.letters), tt.want)
			}
		})
	}
	j := new(joiner)
	for range 3 {
		o.sends(t, j, mixed) // the same buffers again and again
	}
	if n := o.stats.WriteErrors.Load(); n != 0 {
		t.Errorf("%d replies were not sent", n)
	}
}

// TestJoinRefused: where the kernel does not take joined replies they go out one by one, and one that cannot be sent
// at all takes none with it.
func TestJoinRefused(t *testing.T) {
	o := newOutbox(t, 2)
	if err := unix.SetsockoptInt(int(o.fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
		t.Fatal(err)
	}
	j := new(joiner)
	if n := o.sends(t, j, append(to(0, 9, 60), to(1, 9, 70)...)); n != 2 {
		t.Errorf("%d messages", n)
	}
	if j.off {
		t.Error("one client's way ended the joining for all")
	}
	raw := (*unix.RawSockaddrInet4)(unsafe.Pointer(&o.names[1].raw[0]))
	raw.Addr = [4]byte{255, 255, 255, 255} // which a socket may not send to unless it asks for that
	replies, iovs := make([]message, 6), make([]unix.Iovec, 6)
	for i := range replies {
		replies[i].set(&iovs[i], &o.names[1-i%2], []byte("a reply"), nil)
	}
	o.send(o.fd, j, j.join(replies))
	room := make([]byte, 100)
	for range 3 {
		_ = o.clients[0].SetReadDeadline(time.Now().Add(30 * time.Second))
		if n, err := o.clients[0].Read(room); err != nil || string(room[:n]) != "a reply" {
			t.Fatalf("%q, %v", room[:n], err)
		}
	}
	if n := o.stats.WriteErrors.Load(); n != 3 {
		t.Errorf("%d were counted as not sent, want 3", n)
	}
}

// TestJoinedRepliesFromTheAddressAsked: replies to one client that leave from several addresses are not mixed up.
func TestJoinedRepliesFromTheAddressAsked(t *testing.T) {
	for _, tt := range []struct {
		listen, client string
		ask            []string
	}{
		{"udp4", "127.0.0.1", []string{"127.0.0.1", "127.0.0.77"}},
		{"udp6", "::1", []string{"::1"}},
		{"udp", "127.0.0.1", []string{"127.0.0.78", "127.0.0.79"}},
		{"udp", "::1", []string{"::1"}},
	} {
		t.Run(tt.listen+" "+tt.client, func(t *testing.T) {
			l, err := Listen(intake.New(intake.Config{Stats: new(intake.Stats)}, newActor()), Config{Network: tt.listen})
			if err != nil {
				t.Fatal(err)
			}
			client, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(tt.client), 0)))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_ = client.SetDeadline(time.Now().Add(30 * time.Second))
			want, got := map[uint16]netip.AddrPort{}, map[uint16]netip.AddrPort{}
			for id := range uint16(batchSize) {
				at := netip.AddrPortFrom(netip.MustParseAddr(tt.ask[int(id)*len(tt.ask)/batchSize]), l.Addr().Port())
				if _, err := client.WriteToUDPAddrPort(request(id, "now"), at); err != nil {
					t.Fatal(err)
				}
				want[id] = at
			}
			go l.Serve() // which finds them all in one batch
			defer l.Drain(t.Context())
			room := make([]byte, 4096)
			for range want {
				_, from, err := client.ReadFromUDPAddrPort(room)
				if err != nil {
					t.Fatal(err)
				}
				got[binary.BigEndian.Uint16(room)] = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			}
			if !maps.Equal(got, want) {
				t.Errorf("the replies came from %v, want %v", got, want)
			}
		})
	}
}
