package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// Replies of a burst leave in one write, which with TLS is one record.
func TestBurstIsOneWrite(t *testing.T) {
	server, client := newTLS(t, "dot")
	for name, conf := range map[string]Config{"TCP": {}, "DoT": {TLS: server, Protocol: wire.DoT}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, plain, conf, intake.Limits{}, echo{})
			security := client
			if conf.TLS == nil {
				security = nil
			}
			conn := s.dial(t, security)
			write(t, conn, burst(1)) // the session ticket is out of the way then
			readFrames(t, conn, 1)
			before := s.writes.Load()
			write(t, conn, burst(200))
			got := readFrames(t, conn, 200)
			for i, msg := range got {
				if want := appendEcho(nil, message(uint16(i)<<8)); !bytes.Equal(msg, want) {
					t.Fatalf("reply %d is %x, want %x", i, msg, want)
				}
			}
			if n := s.writes.Load() - before; n != 1 {
				t.Errorf("%d writes for 200 replies, want 1", n)
			}
		})
	}
}

// More than fits any buffer goes in and out, with replies that are longer than what they answer.
func TestLongBursts(t *testing.T) {
	each(t, intake.Limits{}, func(t *testing.T, s *served, client *tls.Config) {
		conn := s.dial(t, client)
		var sent []byte
		var want [][]byte
		for i := range 3000 {
			id := uint16(i) &^ (bitMiss | bitSilent | bitLong)
			if i%50 == 0 {
				id |= bitLong
			}
			sent = append(sent, framed(message(id))...)
			want = append(want, appendEcho(nil, message(id)))
		}
		go func() { _, _ = conn.Write(sent) }()
		for i, msg := range readFrames(t, conn, len(want)) {
			if !bytes.Equal(msg, want[i]) {
				t.Fatalf("reply %d is %d octets, want %d", i, len(msg), len(want[i]))
			}
		}
	})
}

// What comes together with the end of the stream wakes a connection once: the end must be seen all the same,
// although less was read than there was room for.
func TestEndBehindData(t *testing.T) {
	each(t, intake.Limits{IdleTimeout: time.Hour}, func(t *testing.T, s *served, client *tls.Config) {
		for range 10 {
			conn := s.dial(t, client)
			write(t, conn, burst(1))
			readFrames(t, conn, 1) // the connection waits now
			write(t, conn, burst(3))
			if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got := readFrames(t, conn, -1); len(got) != 3 {
				t.Fatalf("%d replies, want 3", len(got))
			}
			conn.Close()
		}
	})
}

// No wake-up is lost, however the octets are cut: each connection waits for all its replies before it goes on.
func TestNoWakeUpIsLost(t *testing.T) {
	each(t, intake.Limits{}, func(t *testing.T, s *served, client *tls.Config) {
		var group sync.WaitGroup
		for i := range 8 {
			conn := s.dial(t, client)
			group.Go(func() { pingPong(t, conn, rand.New(rand.NewPCG(uint64(i), 1)), 60) })
		}
		group.Wait()
	})
}

func pingPong(t *testing.T, conn net.Conn, chance *rand.Rand, rounds int) {
	for range rounds {
		var sent []byte
		n := 1 + chance.IntN(8)
		for range n {
			id := uint16(chance.IntN(1<<16)) &^ bitSilent
			sent = append(sent, framed(message(id))...)
		}
		for len(sent) > 0 {
			part := min(len(sent), 1+chance.IntN(64))
			if _, err := conn.Write(sent[:part]); err != nil {
				t.Error(err)
				return
			}
			sent = sent[part:]
		}
		for range n {
			var head [2]byte
			_, err := io.ReadFull(conn, head[:])
			if err == nil {
				_, err = io.ReadFull(conn, make([]byte, int(head[0])<<8|int(head[1])))
			}
			if err != nil {
				t.Errorf("a reply did not come: %v", err)
				return
			}
		}
	}
}

// What misses have to wait for does not hold up replies that are at hand, until the pipeline is full; then what
// was answered has been written.
func TestPauseWritesFirst(t *testing.T) {
	release := make(chan struct{})
	s := start(t, polled, Config{}, intake.Limits{MaxPipeline: 2}, held{release})
	conn := s.dial(t, nil)
	write(t, conn, framed(message(2<<8), message(bitMiss), message(3<<8), message(bitMiss), message(4<<8), message(bitMiss), message(5<<8)))
	for i, msg := range readFrames(t, conn, 2) {
		if msg[0] != byte(2+i) {
			t.Errorf("reply %d has the ID %x", i, msg[:2])
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the full pipeline went on: %v", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	close(release)
	readFrames(t, conn, 5)
}

// held answers as echo does, but misses once it is let go.
type held struct{ release chan struct{} }

func (h held) Hit(q *wire.Query, buf []byte) ([]byte, bool) { return echo{}.Hit(q, buf) }

func (h held) Miss(ctx context.Context, q *wire.Query, buf []byte) []byte {
	select {
	case <-h.release:
	case <-ctx.Done():
	}
	return echo{}.Miss(ctx, q, buf)
}

// Octets of a message that is not complete are kept for ReadTimeout, and no longer.
func TestPartialIsSlow(t *testing.T) {
	each(t, intake.Limits{ReadTimeout: time.Second}, func(t *testing.T, s *served, client *tls.Config) {
		conn := s.dial(t, client)
		write(t, conn, append(burst(2), burst(1)[:9]...))
		if got := readFrames(t, conn, -1); len(got) != 2 {
			t.Errorf("%d replies, want 2", len(got))
		}
		if s.stats.Slow.Load() != 1 || s.stats.Malformed.Load() != 0 {
			t.Errorf("%d slow and %d malformed, want 1 and 0", s.stats.Slow.Load(), s.stats.Malformed.Load())
		}
	})
}

// corked keeps what is written until it is let go.
type corked struct {
	net.Conn
	on   bool
	held []byte
}

func (c *corked) Write(p []byte) (int, error) {
	if c.on {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// A message that is cut off is counted, also when TLS says in the same packet that nothing more comes.
func TestCutOff(t *testing.T) {
	server, client := newTLS(t, "dot")
	for _, w := range []way{polled, plain} {
		s := start(t, w, Config{TLS: server, Protocol: wire.DoT}, intake.Limits{}, echo{})
		below := &corked{Conn: s.dial(t, nil)}
		conn := tls.Client(below, client)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		below.on = true
		write(t, conn, append(burst(2), burst(1)[:9]...))
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_ = below.SetWriteDeadline(time.Time{}) // crypto/tls has set it
		write(t, below.Conn, below.held)
		if got := readFrames(t, conn, -1); len(got) != 2 {
			t.Errorf("%s: %d replies, want 2", w, len(got))
		}
		if got := s.stats.Malformed.Load(); got != 1 {
			t.Errorf("%s: %d malformed, want 1", w, got)
		}
	}
}

// A session that consumes nothing is not given more than fits.
func TestSessionThatConsumesNothing(t *testing.T) {
	stuck := func(*Conn, string) Session { return stuckSession{} }
	for _, w := range []way{polled, plain} {
		s := start(t, w, Config{NewSession: stuck}, intake.Limits{}, echo{})
		conn := s.dial(t, nil)
		go func() { _, _ = conn.Write(make([]byte, 2*MaxUnconsumed)) }()
		_, err := io.Copy(io.Discard, conn)
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			t.Fatalf("%s: %v", w, err)
		}
		if s.stats.Abuse.Load() != 1 {
			t.Errorf("%s: %d counted as abuse, want 1", w, s.stats.Abuse.Load())
		}
	}
}

type stuckSession struct{}

func (stuckSession) Receive(_, out []byte) (int, []byte, error) { return 0, out, nil }
func (stuckSession) End()                                       {}

// A session is ended once, whatever ends the connection, and one that panics ends only its own.
func TestSessionEnds(t *testing.T) {
	ends := map[string]func(t *testing.T, s *served, conn net.Conn){
		"client": func(_ *testing.T, _ *served, conn net.Conn) { conn.Close() },
		"reset":  func(_ *testing.T, _ *served, conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0); conn.Close() },
		"panic":  func(t *testing.T, _ *served, conn net.Conn) { write(t, conn, []byte("panic")) },
		"error":  func(t *testing.T, _ *served, conn net.Conn) { write(t, conn, []byte("error")) },
		"close":  func(t *testing.T, _ *served, conn net.Conn) { write(t, conn, []byte("close")) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			session := &moody{}
			s := start(t, polled, Config{NewSession: func(c *Conn, _ string) Session { session.c = c; return session }}, intake.Limits{}, echo{})
			conn := s.dial(t, nil)
			write(t, conn, []byte("hello"))
			if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			end(t, s, conn)
			wait(t, "the place to be given back", func() bool { return s.stats.Conns()[0].Open == 0 })
			wait(t, "the end", func() bool { session.mu.Lock(); defer session.mu.Unlock(); return session.ended == 1 })
		})
	}
}

// moody does what it reads.
type moody struct {
	counter
	c *Conn
}

func (m *moody) Receive(in, out []byte) (int, []byte, error) {
	switch string(in) {
	case "panic":
		panic("the test asked for it")
	case "error":
		return len(in), out, errors.New("the test asked for it")
	case "close":
		m.c.Close()
	}
	return m.counter.Receive(in, out)
}
