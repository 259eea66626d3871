package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/looptest"
	"dens/internal/wire"
	"dens/server/intake"
)

func shutdown(t *testing.T, s *Server, limit time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return s.Shutdown(ctx)
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Everything that was read is answered before Shutdown returns, on every transport.
func TestShutdownAnswersWhatWasRead(t *testing.T) {
	a := newActor()
	s := begin(t, Config{}, a)
	udp, err := net.Dial("udp", at(t, s, wire.UDP))
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp := dialTCP(t, at(t, s, wire.TCP))
	idle := dialTCP(t, at(t, s, wire.TCP))
	write(t, idle, framed(t, "a"))
	readReplies(t, idle, 1)
	write(t, udp, packed(t, question("slow.udp")))
	write(t, tcp, framed(t, "slow.one", "slow.two"))
	for range 3 {
		<-a.slow
	}
	// These reach the kernel, and may not have been read when the shutdown begins.
	write(t, udp, packed(t, question("late.udp")))
	write(t, tcp, framed(t, "late.tcp"))
	time.AfterFunc(100*time.Millisecond, func() { close(a.release) })
	if err := shutdown(t, s, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	if got := readReplies(t, tcp, -1); len(got) != 3 {
		t.Errorf("%d replies by TCP, want 3", len(got))
	}
	if got := readReplies(t, idle, -1); len(got) != 0 {
		t.Errorf("%d replies on the idle connection", len(got))
	}
	_ = udp.SetReadDeadline(time.Now().Add(20 * time.Second))
	for range 2 {
		if _, err := udp.Read(make([]byte, 4096)); err != nil {
			t.Error(err)
		}
	}
	if err := s.Start(); !errors.Is(err, ErrClosed) {
		t.Errorf("Start after Shutdown: %v", err)
	}
	if err := s.Reconfigure(Config{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Reconfigure after Shutdown: %v", err)
	}
}

// A handler that hangs does not keep a Shutdown from ending.
func TestShutdownGivesUp(t *testing.T) {
	a := newActor()
	s := begin(t, Config{}, a)
	conn := dialTCP(t, at(t, s, wire.TCP))
	write(t, conn, framed(t, "slow.example"))
	<-a.slow
	if err := shutdown(t, s, 100*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	// Its context has ended, which lets the actor go.
	wait(t, "the handler to end", func() bool { return s.in.Load().Stream == 0 })
}

func TestReconfigure(t *testing.T) {
	a := newActor()
	s := begin(t, Config{DNS: []string{"127.0.0.1:0"}}, a)
	kept := dialTCP(t, at(t, s, wire.TCP))
	old := s.Addrs()

	// A broken one changes nothing, and leaves nothing open.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	fresh := looptest.Free(t).String()
	if err := s.Reconfigure(Config{DNS: []string{fresh, taken.Addr().String()}}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("got %v", err)
	}
	if got := s.Addrs(); len(got) != 2 || got[0] != old[0] || got[1] != old[1] {
		t.Errorf("listens on %v, want %v", got, old)
	}
	if conn, err := net.Dial("tcp", fresh); err == nil {
		conn.Close()
		t.Error("the address before the broken one was left open")
	}

	// Nor does one that overlaps, and its error does not blame others.
	overlap := Config{DNS: []string{fmt.Sprintf("0.0.0.0:%d", old[0].Addr.Port())}}
	if err := s.Reconfigure(overlap); err == nil || !strings.Contains(err.Error(), "restart") {
		t.Fatalf("got %v", err)
	}

	// One more: the first is not touched.
	if err := s.Reconfigure(Config{DNS: []string{"127.0.0.1:0", fresh}}); err != nil {
		t.Fatal(err)
	}
	ask(t, "udp", fresh, "a")
	write(t, kept, framed(t, "a"))
	readReplies(t, kept, 1)

	// The first goes: what it has read is answered, the other is not touched.
	write(t, kept, framed(t, "slow.example"))
	<-a.slow
	if err := s.Reconfigure(Config{DNS: []string{fresh}}); err != nil {
		t.Fatal(err)
	}
	ask(t, "tcp", fresh, "a")
	wait(t, "the removed address to be closed", func() bool {
		conn, err := net.Dial("tcp", old[1].Addr.String())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(a.release)
	if got := readReplies(t, kept, -1); len(got) != 1 {
		t.Errorf("%d replies, want 1", len(got))
	}
}

func TestReconfigureMovesAnAddressBetweenProtocols(t *testing.T) {
	cert, _ := newCertificate(t)
	s := begin(t, Config{DNS: []string{"127.0.0.1:0"}}, newActor())
	if err := s.Reconfigure(Config{DoT: []string{"127.0.0.1:0"}, Certificate: cert}); err != nil {
		t.Fatal(err)
	}
	ask(t, "tcp-tls", at(t, s, wire.DoT), "a")
	if got := s.Addrs(); len(got) != 1 {
		t.Errorf("listens on %v", got)
	}
}

// No question is lost while handlers are swapped and listeners come and go under load.
func TestSwapsUnderLoad(t *testing.T) {
	s := begin(t, Config{DNS: []string{"127.0.0.1:0"}}, newActor())
	udp, tcp := at(t, s, wire.UDP), at(t, s, wire.TCP)
	var asked atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	for _, network := range []string{"udp", "tcp"} {
		addr := map[string]string{"udp": udp, "tcp": tcp}[network]
		group.Go(func() {
			c := &dns.Client{Net: network, Timeout: 20 * time.Second}
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := c.Exchange(question("example.org"), addr); err != nil {
					t.Errorf("%s: %v", network, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	for i := range 20 {
		s.SetHandler(newActor())
		conf := Config{DNS: []string{"127.0.0.1:0"}}
		if i%2 == 0 {
			conf.DNS = append(conf.DNS, "[::1]:0")
		}
		if err := s.Reconfigure(conf); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	wait(t, "questions to be answered", func() bool { return asked.Load() >= 20 })
	close(stop)
	group.Wait()
}

func TestPanicsAreSurvivedAndLoggedOnce(t *testing.T) {
	var log syncBuffer
	stats := new(intake.Stats)
	s := begin(t, Config{Config: intake.Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Stats: stats}}, newActor())
	start := time.Now()
	for range 5 {
		if r := ask(t, "udp", at(t, s, wire.UDP), "panic.example"); r.Rcode != dns.RcodeServerFailure {
			t.Errorf("rcode %d", r.Rcode)
		}
		if r := ask(t, "tcp", at(t, s, wire.TCP), "panic.example"); r.Rcode != dns.RcodeServerFailure {
			t.Errorf("rcode %d", r.Rcode)
		}
	}
	ask(t, "udp", at(t, s, wire.UDP), "example.org")
	if got := stats.Panics.Load(); got != 10 {
		t.Errorf("%d panics counted, want 10", got)
	}
	took := time.Since(start)
	if n := strings.Count(log.String(), "the actor was asked to"); n < 1 || n > 1+int(took/time.Second) {
		t.Errorf("logged %d times in %v:\n%s", n, took, log.String())
	}
	if !strings.Contains(log.String(), "(*actor).Miss") {
		t.Error("the log has no stack")
	}
}

// A handler that waits is told when its time is up.
func TestQueryTimeout(t *testing.T) {
	a := newActor()
	s := begin(t, Config{Config: intake.Config{Limits: intake.Limits{QueryTimeout: 50 * time.Millisecond}}}, a)
	conn := dialTCP(t, at(t, s, wire.TCP))
	write(t, conn, framed(t, "slow.example"))
	if got := readReplies(t, conn, -1); len(got) != 0 {
		t.Errorf("%d replies", len(got))
	}
}
