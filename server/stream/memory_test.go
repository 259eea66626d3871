//go:build linux && !race

package stream

import (
	"crypto/tls"
	"io"
	"runtime"
	"syscall"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// A connection that waits costs little more than its goroutine, also after it was used.
func TestIdleMemory(t *testing.T) {
	const most, perConn = 5000, 10 << 10
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := min(most, (int(limit.Cur)-200)/2)
	s := start(t, polled, Config{}, intake.Limits{IdleTimeout: time.Minute, MaxConns: n, MaxConnsPerClient: n}, echo{})
	port := addrPort(s.Addr()).Port()
	before := inUse()
	var fds []int
	defer func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}()
	query, reply := burst(1), make([]byte, 100)
	for range n {
		// Sockets of the kernel alone, which cost this process nothing.
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		if _, err := syscall.Write(fd, query); err != nil {
			t.Fatal(err)
		}
		if got, err := syscall.Read(fd, reply); got != len(query) || err != nil {
			t.Fatalf("read %d octets: %v", got, err)
		}
	}
	if open := s.stats.Conns()[0].Open; open != int64(n) {
		t.Fatalf("%d connections are open, want %d", open, n)
	}
	each := (inUse() - before) / n
	t.Logf("%d idle connections cost %d octets each", n, each)
	if each > perConn {
		t.Errorf("an idle connection costs %d octets, want at most %d", each, perConn)
	}
}

// inUse is the memory of heap and stacks. A collection shrinks stacks that once were larger as well, but what a
// connection costs between two of them counts, too: none is forced.
func inUse() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// Hits allocate nothing here. Package crypto/tls allocates 24 octets for each of its reads, two of the server and
// one or two of the client, however many hits these are.
func TestHitsDoNotAllocate(t *testing.T) {
	server, client := newTLS(t, "dot")
	for name, conf := range map[string]Config{"TCP": {}, "DoT": {TLS: server, Protocol: wire.DoT}} {
		t.Run(name, func(t *testing.T) {
			var security *tls.Config
			allowed := 0.0
			if conf.TLS != nil {
				security, allowed = client, 4
			}
			s := start(t, polled, conf, intake.Limits{IdleTimeout: time.Minute}, echo{})
			conn := s.dial(t, security)
			queries := burst(20)
			replies := make([]byte, len(queries))
			round := func() {
				if _, err := conn.Write(queries); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(conn, replies); err != nil {
					t.Fatal(err)
				}
			}
			for range 200 {
				round()
			}
			// Each round is 20 hits. What the runtime allocates now and then is not one for each.
			if got := testing.AllocsPerRun(2000, round); got > allowed {
				t.Errorf("%v allocations for 20 hits, want %v", got, allowed)
			}
		})
	}
}
