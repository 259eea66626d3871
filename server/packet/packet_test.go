package packet

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// actor answers by the first label of the question: "now" at once, "slow" when released, "silent" never, and all
// others after a goroutine was needed. The reply is the request with QR set and the client's address behind.
type actor struct {
	release chan struct{}
	waiting chan struct{}
}

func newActor() *actor { return &actor{make(chan struct{}), make(chan struct{}, 1000)} }

func (a *actor) Hit(q *wire.Query, buf []byte) ([]byte, bool) {
	if !bytes.HasPrefix(q.Msg[12:], []byte("\x03now")) {
		return buf[:0], false
	}
	return echo(q, buf), true
}

func (a *actor) Miss(ctx context.Context, q *wire.Query, buf []byte) []byte {
	switch {
	case bytes.HasPrefix(q.Msg[12:], []byte("\x06silent")):
		return buf[:0]
	case bytes.HasPrefix(q.Msg[12:], []byte("\x04slow")):
		a.waiting <- struct{}{}
		select {
		case <-a.release:
		case <-ctx.Done():
			return buf[:0]
		}
	}
	return echo(q, buf)
}

func echo(q *wire.Query, buf []byte) []byte {
	out := append(buf[:0], q.Msg...)
	out[2] |= 0x80
	addr := q.From.Addr.Addr().As16()
	return append(out, addr[:]...)
}

// request is a question for a name of one label.
func request(id uint16, label string) []byte {
	msg := binary.BigEndian.AppendUint16(nil, id)
	msg = append(msg, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, byte(len(label)))
	msg = append(msg, label...)
	return append(msg, 0, 0, 1, 0, 1)
}

// ways are the two implementations. On a system without calls for many packets both are the same.
var ways = []struct {
	name  string
	plain bool
}{{"batches", false}, {"plain", true}}

func begin(t testing.TB, conf Config, limits intake.Limits, h intake.Handler) (*Listener, *intake.Stats) {
	t.Helper()
	before := runtime.NumGoroutine()
	stats := new(intake.Stats)
	in := intake.New(intake.Config{Limits: limits, Stats: stats}, h)
	l, err := Listen(in, conf)
	if err != nil {
		t.Fatal(err)
	}
	go l.Serve()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		l.Drain(ctx)
		in.Close()
		wait(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	})
	return l, stats
}

func wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func dial(t testing.TB, addr netip.AddrPort) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	_ = conn.SetReadBuffer(1 << 20)
	return conn
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
}

func write(t testing.TB, conn net.Conn, msg []byte) {
	t.Helper()
	if _, err := conn.Write(msg); err != nil {
		t.Fatal(err)
	}
}

// read returns the next reply.
func read(t testing.TB, conn net.Conn) []byte {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func TestRepliesFromTheAddressAsked(t *testing.T) {
	tests := []struct{ network, listen, ask, client string }{
		{"udp4", "0.0.0.0", "127.0.0.1", "127.0.0.1"},
		{"udp4", "0.0.0.0", "127.0.0.77", "127.0.0.1"},
		{"udp4", "127.0.0.3", "127.0.0.3", "127.0.0.1"},
		{"udp6", "::", "::1", "::1"},
		{"udp6", "::1", "::1", "::1"},
		{"udp", "", "127.0.0.78", "127.0.0.1"},
		{"udp", "", "::1", "::1"},
	}
	for _, way := range ways {
		for _, tt := range tests {
			t.Run(way.name+" "+tt.listen+" "+tt.ask, func(t *testing.T) {
				var at netip.Addr
				if tt.listen != "" {
					at = netip.MustParseAddr(tt.listen)
				}
				l, _ := begin(t, Config{Network: tt.network, Addr: netip.AddrPortFrom(at, 0), Sockets: 2, Plain: way.plain}, intake.Limits{}, newActor())
				conn := dial(t, netip.AddrPortFrom(netip.MustParseAddr(tt.ask), l.Addr().Port()))
				for id, label := range []string{"now", "later"} {
					write(t, conn, request(uint16(id), label))
					got := read(t, conn) // from a connected socket: from no other address
					want := netip.MustParseAddr(tt.client).As16()
					if binary.BigEndian.Uint16(got) != uint16(id) || !bytes.HasSuffix(got, want[:]) {
						t.Errorf("%s: got %x", label, got)
					}
				}
			})
		}
	}
}

// A burst far longer than a batch is answered whole, with hits and misses between each other.
func TestThousandAtOnce(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			l, _ := begin(t, Config{Network: "udp4", Addr: loopback(0), Sockets: 2, Plain: way.plain}, intake.Limits{}, newActor())
			conn := dial(t, l.Addr())
			const burst = 250 // what the sockets' buffers hold for sure
			for round := range 4 {
				for i := range burst {
					label := "now"
					if i%10 == 0 {
						label = "later"
					}
					write(t, conn, request(uint16(round*burst+i), label))
				}
				seen := make(map[uint16]bool)
				for len(seen) < burst {
					id := binary.BigEndian.Uint16(read(t, conn))
					if seen[id] || int(id)/burst != round {
						t.Fatalf("the reply %d came twice, or late", id)
					}
					seen[id] = true
				}
			}
		})
	}
}

func TestGarbageIsSilent(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			l, stats := begin(t, Config{Network: "udp4", Addr: loopback(0), Plain: way.plain}, intake.Limits{}, newActor())
			conn := dial(t, l.Addr())
			reply := request(1, "now")
			reply[2] |= 0x80
			garbage := [][]byte{{}, {1}, make([]byte, 11), reply, make([]byte, intake.MaxSmall+1), make([]byte, 60000)}
			for _, b := range append(garbage, request(2, "silent"), request(3, "now")) {
				write(t, conn, b)
			}
			if got := read(t, conn); binary.BigEndian.Uint16(got) != 3 {
				t.Errorf("got %x, want only the last reply", got)
			}
			if got := stats.Malformed.Load(); got != uint64(len(garbage)) {
				t.Errorf("%d malformed counted, want %d", got, len(garbage))
			}
			wait(t, "the silence to be counted", func() bool { return stats.Silent.Load() == 1 })
		})
	}
}

// When all places are taken, those that would have to wait are shed, and hits go on.
func TestShedsMissesAlone(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			a := newActor()
			l, stats := begin(t, Config{Network: "udp4", Addr: loopback(0), Plain: way.plain}, intake.Limits{MaxUDP: 4}, a)
			conn := dial(t, l.Addr())
			for i := range 4 {
				write(t, conn, request(uint16(i), "slow"))
			}
			for range 4 {
				<-a.waiting
			}
			for i := range 3 {
				write(t, conn, request(uint16(10+i), "later"))
			}
			wait(t, "three to be shed", func() bool { return stats.Shed.Load() == 3 })
			write(t, conn, request(20, "now"))
			if id := binary.BigEndian.Uint16(read(t, conn)); id != 20 {
				t.Errorf("the hit's reply has the id %d", id)
			}
			close(a.release)
			for range 4 {
				read(t, conn)
			}
			write(t, conn, request(30, "later"))
			if id := binary.BigEndian.Uint16(read(t, conn)); id != 30 {
				t.Errorf("the reply has the id %d", id)
			}
		})
	}
}

func TestDrainAnswersWhatWasRead(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			a := newActor()
			l, _ := begin(t, Config{Network: "udp4", Addr: loopback(0), Sockets: 2, Plain: way.plain}, intake.Limits{}, a)
			conn := dial(t, l.Addr())
			write(t, conn, request(1, "slow"))
			<-a.waiting
			drained := make(chan struct{})
			go func() {
				l.Drain(t.Context())
				close(drained)
			}()
			write(t, conn, request(2, "now"))
			if id := binary.BigEndian.Uint16(read(t, conn)); id != 2 {
				t.Errorf("the reply has the id %d, want that of the request that came while draining", id)
			}
			close(a.release)
			if id := binary.BigEndian.Uint16(read(t, conn)); id != 1 {
				t.Errorf("the reply has the id %d, want that of the request that waited", id)
			}
			<-drained
		})
	}
}

// An address that somebody else has is not shared with him, even if he would.
func TestListenKeepsToItself(t *testing.T) {
	first, _ := begin(t, Config{Network: "udp4", Addr: loopback(0), Sockets: 2}, intake.Limits{}, newActor())
	if second, err := Listen(intake.New(intake.Config{}, newActor()), Config{Network: "udp4", Addr: first.Addr(), Sockets: 2}); err == nil {
		second.Close()
		t.Error("two listeners have the same address")
	}
}

func TestHitsAllocateNothing(t *testing.T) {
	for _, listen := range []string{"127.0.0.1", "0.0.0.0"} {
		l, _ := begin(t, Config{Network: "udp4", Addr: netip.AddrPortFrom(netip.MustParseAddr(listen), 0)}, intake.Limits{}, newActor())
		conn := dial(t, loopback(l.Addr().Port()))
		msg, buf := request(1, "now"), make([]byte, 512)
		exchange := func() {
			if _, err := conn.Write(msg); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(1000, exchange); n >= 1 {
			t.Errorf("%s: %v allocations a hit, the client's included", listen, n)
		}
	}
}

// BenchmarkHit is a burst of questions and then their answers, with as many on their way at once.
func BenchmarkHit(b *testing.B) {
	for _, way := range ways {
		for _, outstanding := range []int{1, 20, 200} {
			b.Run(way.name+"/"+strconv.Itoa(outstanding), func(b *testing.B) {
				l, _ := begin(b, Config{Network: "udp4", Addr: loopback(0), Plain: way.plain}, intake.Limits{}, newActor())
				conn := dial(b, l.Addr())
				_ = conn.SetDeadline(time.Time{})
				msg, buf := request(1, "now"), make([]byte, 512)
				b.ReportAllocs()
				for i := 0; i < b.N; i += outstanding {
					for range outstanding {
						write(b, conn, msg)
					}
					for range outstanding {
						if _, err := conn.Read(buf); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
