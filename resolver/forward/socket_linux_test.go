package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dens/internal/looptest"
)

// The ports that one recycled socket gets are as random as those of sockets of their own: all over the
// kernel's range, none like the one before.
func TestRecycledSocketsDrawPorts(t *testing.T) {
	var mu sync.Mutex
	var ports []int
	addr := portsOf(t, "127.0.0.1:0", func(port uint16) {
		mu.Lock()
		defer mu.Unlock()
		ports = append(ports, int(port))
	})
	d := NewDatagram(nil, nil)
	defer d.Close()
	req := packed(t, "www.example.org.")
	const n, slices = 2000, 8
	for range n {
		if _, err := d.Exchange(t.Context(), addr, req, nil); err != nil {
			t.Fatal(err)
		}
	}
	if spare := len(d.sockets.spare[0]); spare != 1 {
		t.Errorf("%d sockets for one exchange at a time", spare)
	}
	mu.Lock()
	defer mu.Unlock()
	low, high := portRange(t)
	seen, per := map[int]bool{}, [slices]int{}
	near := 0
	for i, p := range ports {
		if p < low || p > high {
			t.Fatalf("port %d is not in %d to %d", p, low, high)
		}
		seen[p] = true
		per[(p-low)*slices/(high-low+1)]++
		if i > 0 && max(p-ports[i-1], ports[i-1]-p) <= 8 {
			near++
		}
	}
	// Of n draws from the usual range, some 3% were drawn before, and one in a thousand is as near to the one
	// before.
	if width := high - low + 1; len(seen) < n*9/10*min(width, 20000)/20000 || near > 30 {
		t.Errorf("%d ports in %d exchanges, %d near to the one before", len(seen), n, near)
	}
	for i, got := range per {
		if got < n/slices*6/10 || got > n/slices*14/10 {
			t.Errorf("%d of %d ports in part %d of %d of the range", got, n, i+1, slices)
		}
	}
}

func portRange(t *testing.T) (low, high int) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Fscan(strings.NewReader(string(b)), &low, &high)
	}
	if err != nil {
		t.Fatal(err)
	}
	return low, high
}

// portsOf answers each question and tells the port that it came from.
func portsOf(t testing.TB, at string, note func(port uint16)) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	conn := pc.(*net.UDPConn)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			note(from.Port())
			conn.WriteToUDPAddrPort(answerTo(buf[:n], "@ 60 IN A 192.0.2.1"), from)
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// listenUDP is a server that the test moves by hand.
func listenUDP(t *testing.T, at string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	pc, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	conn := pc.(*net.UDPConn)
	return conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// receiveAt sends b from s and returns where that came from.
func receiveAt(t *testing.T, conn *net.UDPConn, s *socket, b string) netip.AddrPort {
	t.Helper()
	if _, err := s.Write([]byte(b)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:n]) != b {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	return from
}

// What was sent to the association before is never read by the next one, however it got there.
func TestRecycledSocketForgets(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1:0", "[::1]:0"} {
		before, beforeAddr := listenUDP(t, loopback)
		after, afterAddr := listenUDP(t, loopback)
		var p sockets
		first, err := p.take(beforeAddr)
		if err != nil {
			t.Fatal(err)
		}
		from := receiveAt(t, before, first, "one")
		for range 20 {
			before.WriteToUDPAddrPort([]byte("late"), from)
		}
		p.put(first, true)
		before.WriteToUDPAddrPort([]byte("later"), from)

		// The port is free again: somebody else can have it.
		taken, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(from))
		if err != nil {
			t.Errorf("the port was not given back: %v", err)
		} else {
			taken.Close()
		}
		second, err := p.take(afterAddr)
		if err != nil {
			t.Fatal(err)
		}
		if second != first {
			t.Fatal("the socket was not taken again")
		}
		now := receiveAt(t, after, second, "two")
		before.WriteToUDPAddrPort([]byte("from another"), now)
		after.WriteToUDPAddrPort([]byte("right"), now)
		buf := make([]byte, 64)
		if n, err := second.Read(buf); err != nil || string(buf[:n]) != "right" {
			t.Errorf("read %q, error %v", buf[:n], err)
		}
		p.put(second, true)
		p.close()
	}
}

// Even what comes in between draining and connecting, which no test can time, would be told by its source.
func TestSourceIsCompared(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1:0", "[::1]:0"} {
		before, beforeAddr := listenUDP(t, loopback)
		after, afterAddr := listenUDP(t, loopback)
		var p sockets
		s, err := p.take(beforeAddr)
		if err != nil {
			t.Fatal(err)
		}
		from := receiveAt(t, before, s, "one")
		before.WriteToUDPAddrPort([]byte("late"), from)
		if !s.release() {
			t.Fatal("the port was not given back")
		}
		s.setPeer(afterAddr)
		if errno := s.connect(&s.peer, s.peerLen); errno != 0 {
			t.Fatal(errno)
		}
		now := receiveAt(t, after, s, "two")
		after.WriteToUDPAddrPort([]byte("right"), now)
		buf := make([]byte, 64)
		if n, err := s.Read(buf); err != nil || string(buf[:n]) != "right" {
			t.Errorf("read %q, error %v", buf[:n], err)
		}
		p.put(s, false)
	}
}

// An error by ICMP that came for the server before is not the next one's.
func TestRecycledSocketForgetsErrors(t *testing.T) {
	goneAddr := looptest.Free(t)
	after, afterAddr := listenUDP(t, "127.0.0.1:0")
	var p sockets
	s, err := p.take(goneAddr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	p.put(s, true) // without a look at the error
	if s, err = p.take(afterAddr); err != nil {
		t.Fatal(err)
	}
	receiveAt(t, after, s, "two")
	p.put(s, true)
	p.close()

	// It is told to those whom it concerns.
	_, err = NewDatagram(nil, nil).Exchange(t.Context(), goneAddr, packed(t, "www.example.org."), nil)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v", err)
	}
}

// A socket whose exchange was called off, took too long or was flooded is closed.
func TestUncleanSocketsAreClosed(t *testing.T) {
	tests := map[string]func(req []byte, send func([]byte)){
		"silence": func([]byte, func([]byte)) {},
		"another case": func(req []byte, send func([]byte)) {
			send(forge(answerTo(req, "@ 60 IN A 6.6.6.6"), func(b []byte) { b[13] ^= 0x20 }))
			send(answerTo(req, "@ 60 IN A 192.0.2.1"))
		},
		"a flood": func(req []byte, send func([]byte)) {
			for range 2 * maxForged {
				send(forge(answerTo(req, "@ 60 IN A 6.6.6.6"), func(b []byte) { binary.BigEndian.PutUint16(b, ^binary.BigEndian.Uint16(b)) }))
			}
		},
	}
	for name, h := range tests {
		d := NewDatagram(nil, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := d.Exchange(ctx, netip.MustParseAddrPort(rawUDP(t, h)), packed(t, "www.example.org."), nil)
		cancel()
		if n := len(d.sockets.spare[0]); n != 0 {
			t.Errorf("%s: %d sockets are kept, error %v", name, n, err)
		}
	}
}

// Few sockets are kept, whatever was under way at a time, and none after Close.
func TestSparesAreBounded(t *testing.T) {
	var p sockets
	_, addr := listenUDP(t, "127.0.0.1:0")
	var all []*socket
	for range 3 * maxSpare {
		s, err := p.take(addr)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	last, err := p.take(addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		p.put(s, true)
	}
	if n := len(p.spare[0]); n != maxSpare {
		t.Errorf("%d are kept, want %d", n, maxSpare)
	}
	p.close()
	p.put(last, true)
	if n := len(p.spare[0]); n != 0 {
		t.Errorf("%d are kept after Close", n)
	}
	for i, s := range append(all, last) {
		if _, err := s.file.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Fatalf("socket %d is open: %v", i, err)
		}
	}
}
