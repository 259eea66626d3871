package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

func stream(t testing.TB, cfg StreamConfig) *Stream {
	t.Helper()
	s := NewStream(cfg)
	t.Cleanup(func() { s.Close() })
	return s
}

// trade exchanges a question for name and wants the reply to it.
func trade(ctx context.Context, s *Stream, addr, name string) error {
	req, err := request(query(name), true)
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint16(req, 4711)
	got, err := s.Exchange(ctx, netip.MustParseAddrPort(addr), req, nil)
	if err != nil {
		return err
	}
	var m dns.Msg
	if err := m.Unpack(got); err != nil {
		return err
	}
	if m.Id != 4711 || m.Question[0].Name != name || len(m.Answer) != 1 || m.Answer[0].Header().Name != name {
		return fmt.Errorf("%s: %v", name, &m)
	}
	return nil
}

// echo answers all questions of a connection.
func echo(c net.Conn) {
	for m := readMsg(c); m != nil; m = readMsg(c) {
		writeMsg(c, respond(m, "@ 60 IN A 192.0.2.1"))
	}
}

// Many questions are under way on one connection, and the replies come in reverse.
func TestPipelining(t *testing.T) {
	const n = 40
	var conns atomic.Int32
	addr := rawTCP(t, func(c net.Conn, _ int) {
		conns.Add(1)
		for {
			var batch []*dns.Msg
			for range n {
				m := readMsg(c)
				if m == nil {
					return
				}
				batch = append(batch, m)
			}
			ids := map[uint16]bool{}
			for i := n - 1; i >= 0; i-- {
				ids[batch[i].Id] = true
				writeMsg(c, respond(batch[i], "@ 60 IN A 192.0.2.1"))
			}
			if len(ids) != n {
				t.Errorf("%d ids for %d questions", len(ids), n)
			}
		}
	})
	s := stream(t, StreamConfig{})
	for range 3 {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if err := trade(t.Context(), s, addr, fmt.Sprintf("n%d.example.org.", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if got := conns.Load(); got != 1 {
		t.Errorf("%d connections", got)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	addr := rawTCP(t, func(c net.Conn, _ int) {
		conns.Add(1)
		defer conns.Add(-1)
		for readMsg(c) != nil {
		}
	})
	s := stream(t, StreamConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var silent atomic.Bool // for so long that others were opened instead
	for range 3000 {
		wg.Go(func() {
			switch err := trade(ctx, s, addr, "www.example.org."); {
			case errors.Is(err, errSilent):
				silent.Store(true)
			case !errors.Is(err, context.Canceled):
				t.Error(err)
			}
		})
	}
	for end := time.Now().Add(30 * time.Second); conns.Load() < 3 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond) // for those that are too many
	got := conns.Load()
	cancel()
	wg.Wait()
	if got < 3 || got > 2*maxConns || got > maxConns && !silent.Load() {
		t.Errorf("%d connections", got)
	}
}

// A server that closes a used connection costs a new connection, not an error.
func TestReusedConnectionDies(t *testing.T) {
	tests := map[string]func(c net.Conn, m *dns.Msg){
		"closed":        func(c net.Conn, _ *dns.Msg) {},
		"reset":         func(c net.Conn, _ *dns.Msg) { c.(*net.TCPConn).SetLinger(0) },
		"half a length": func(c net.Conn, _ *dns.Msg) { c.Write([]byte{0}) },
		"half a reply": func(c net.Conn, m *dns.Msg) {
			b, _ := respond(m, "@ 60 IN A 192.0.2.1").Pack()
			c.Write(append([]byte{0, byte(len(b))}, b[:len(b)/2]...))
		},
		"garbage": func(c net.Conn, _ *dns.Msg) { c.Write([]byte{0, 3, 1, 2, 3}) },
		"strays": func(c net.Conn, m *dns.Msg) {
			m.Id++
			for range maxStrays + 2 {
				writeMsg(c, respond(m, "@ 60 IN A 6.6.6.6"))
			}
		},
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			addr := rawTCP(t, func(c net.Conn, i int) {
				if i > 1 {
					echo(c)
					return
				}
				writeMsg(c, respond(readMsg(c), "@ 60 IN A 192.0.2.1"))
				end(c, readMsg(c))
			})
			s := stream(t, StreamConfig{})
			for i := range 3 {
				if err := trade(t.Context(), s, addr, fmt.Sprintf("n%d.example.org.", i)); err != nil {
					t.Error(i, err)
				}
			}
		})
	}
}

// On a new connection the same is an error, at once.
func TestNewConnectionDies(t *testing.T) {
	var conns atomic.Int32
	addr := rawTCP(t, func(c net.Conn, _ int) { conns.Add(1); readMsg(c) })
	s := stream(t, StreamConfig{})
	if err := trade(t.Context(), s, addr, "www.example.org."); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections", conns.Load())
	}
}

func TestStraysArePassedOver(t *testing.T) {
	addr := rawTCP(t, func(c net.Conn, _ int) {
		for m := readMsg(c); m != nil; m = readMsg(c) {
			other := m.Copy()
			other.Id++
			writeMsg(c, respond(other, "@ 60 IN A 6.6.6.6"))
			other.Id--
			other.Question[0].Name = "other.example."
			writeMsg(c, respond(other, "@ 60 IN A 6.6.6.6"))
			writeMsg(c, respond(m, "@ 60 IN A 192.0.2.1"))
			writeMsg(c, respond(m, "@ 60 IN A 6.6.6.6"))
		}
	})
	s := stream(t, StreamConfig{})
	for range 3 {
		if err := trade(t.Context(), s, addr, "www.example.org."); err != nil {
			t.Error(err)
		}
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	closed := make(chan struct{}, 4)
	addr := rawTCP(t, func(c net.Conn, _ int) { echo(c); closed <- struct{}{} })
	s := stream(t, StreamConfig{IdleTimeout: 50 * time.Millisecond})
	for range 2 {
		if err := trade(t.Context(), s, addr, "www.example.org."); err != nil {
			t.Fatal(err)
		}
		<-closed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; len(s.servers) > 0 && i < 1000; i++ {
		s.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		s.mu.Lock()
	}
	if len(s.servers) != 0 {
		t.Error("the server was not forgotten")
	}
}

// A question on a connection without a sign of life is asked again on another, and so are those after it.
func TestSilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	addr := rawTCP(t, func(c net.Conn, i int) {
		if i > 1 {
			echo(c)
			return
		}
		writeMsg(c, respond(readMsg(c), "@ 60 IN A 192.0.2.1"))
		for n := 1; readMsg(c) != nil; n++ {
			if n > 1 {
				t.Error("the silent connection was used again")
			}
		}
	})
	s := stream(t, StreamConfig{})
	if err := trade(t.Context(), s, addr, "www.example.org."); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := trade(t.Context(), s, addr, "www.example.org."); err != nil {
			t.Error(err)
		}
	}
}

// Who gives up while a connection is being opened leaves it to the others.
func TestDialIsShared(t *testing.T) {
	addr := rawTCP(t, func(c net.Conn, _ int) { echo(c) })
	var dials atomic.Int32
	dial := make(chan struct{})
	s := stream(t, StreamConfig{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		<-dial
		return dialAddress(ctx, network, addr)
	}})
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := trade(short, s, addr, "www.example.org."); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(dial)
	if err := trade(t.Context(), s, addr, "www.example.org."); err != nil {
		t.Error(err)
	}
	if dials.Load() != 1 {
		t.Errorf("%d dials", dials.Load())
	}
}

func TestCloseEndsQuestions(t *testing.T) {
	asked := make(chan struct{})
	addr := rawTCP(t, func(c net.Conn, _ int) {
		readMsg(c)
		close(asked)
		readMsg(c)
	})
	s := NewStream(StreamConfig{})
	result := make(chan error, 1)
	go func() { result <- trade(context.Background(), s, addr, "www.example.org.") }()
	<-asked
	s.Close()
	if err := <-result; !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if err := trade(t.Context(), s, addr, "www.example.org."); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

// Connections to many servers make room for new ones when nothing is under way on them.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	real := rawTCP(t, func(c net.Conn, _ int) { echo(c) })
	silent := rawTCP(t, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
	s := stream(t, StreamConfig{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "10.9.") {
			return dialAddress(ctx, network, silent)
		}
		return dialAddress(ctx, network, real)
	}})
	for i := range maxServers + 40 {
		if err := trade(t.Context(), s, fmt.Sprintf("10.0.%d.%d:53", i>>8, i&255), "www.example.org."); err != nil {
			t.Fatal(i, err)
		}
	}
	held := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.servers)
	}
	if n := held(); n > maxServers {
		t.Errorf("%d servers", n)
	}
	// Those that are in use do not.
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range maxServers {
		wg.Go(func() {
			for { // the last one may find a place taken by who looks whether there is one
				err := trade(ctx, s, fmt.Sprintf("10.9.%d.%d:53", i>>8, i&255), "www.example.org.")
				if !errors.Is(err, resolver.ErrBusy) || ctx.Err() != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	busy := func() bool {
		err := trade(t.Context(), s, "10.1.1.1:53", "www.example.org.")
		return errors.Is(err, resolver.ErrBusy)
	}
	full := busy()
	for i := 0; !full && i < 2000; i++ { // each look may take a place that somebody waits for
		time.Sleep(10 * time.Millisecond)
		full = busy()
	}
	if !full {
		t.Error("no bound")
	}
	cancel()
	wg.Wait()
	if err := trade(t.Context(), s, "10.1.1.1:53", "www.example.org."); err != nil {
		t.Error(err)
	}
}
