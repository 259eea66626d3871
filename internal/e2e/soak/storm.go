package soak

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Abuse is one way to mean harm. It is over when ctx ends, at the latest, and leaves nothing open.
type Abuse func(ctx context.Context, t *Target)

// Abuses are all of them, by what they do.
func Abuses() map[string]Abuse {
	all := map[string]Abuse{}
	for _, group := range []map[string]Abuse{
		streamAbuses(), crowdAbuses(), tlsAbuses(), dotAbuses(), http2Abuses(), http2Stalls(), http1Abuses(), udpAbuses(), quicAbuses(), quicStreamAbuses(),
	} {
		maps.Copy(all, group)
	}
	return all
}

// Storm has all abuses at once.
type Storm struct {
	Target *Target
	Pace   time.Duration // from the start of one abuse to that of the next
	Hold   time.Duration // after this, each abuse is over, if the server has not ended it before
	// Most is how many are under way at once: it bounds what the storm takes of the machine.
	Most int

	mu   sync.Mutex
	runs map[string]int // guarded by mu
}

// Run has abuses in ever new orders until ctx ends, and waits for their ends.
func (s *Storm) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	abuses := Abuses()
	names := slices.Sorted(maps.Keys(abuses))
	room := make(chan struct{}, s.Most)
	for {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			select {
			case <-ctx.Done():
				return
			case room <- struct{}{}:
			}
			wg.Go(func() {
				s.one(ctx, name, abuses[name])
				<-room
			})
			select {
			case <-ctx.Done():
				return
			case <-time.After(s.Pace):
			}
		}
	}
}

func (s *Storm) one(ctx context.Context, name string, abuse Abuse) {
	ctx, cancel := context.WithTimeout(ctx, s.Hold)
	defer cancel()
	abuse(ctx, s.Target)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs == nil {
		s.runs = map[string]int{}
	}
	s.runs[name]++
}

// Once has each abuse once, some at a time.
func (s *Storm) Once(ctx context.Context) {
	var wg sync.WaitGroup
	room := make(chan struct{}, s.Most)
	for name, abuse := range Abuses() {
		room <- struct{}{}
		wg.Go(func() {
			s.one(ctx, name, abuse)
			<-room
		})
	}
	wg.Wait()
}

// Missing are the abuses that were not had.
func (s *Storm) Missing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(Abuses())), func(name string) bool { return s.runs[name] > 0 })
}

// String says how often each abuse was had.
func (s *Storm) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s.runs)) {
		parts = append(parts, fmt.Sprintf("%s: %d", name, s.runs[name]))
	}
	return strings.Join(parts, ", ")
}

// The abuses' errors are of no account: a server may refuse or reset whom it will, and what counts is what it
// does for others meanwhile.

// ports are all TCP ports of a target.
func (t *Target) ports() []string { return []string{t.DNS, t.DoT, t.DoH, t.HTTP} }

// each does something to n connections at once, one after another to each of the addresses.
func each(ctx context.Context, n int, addrs []string, do func(net.Conn)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range n {
		conn, err := dial(ctx, "tcp", stranger(), addrs[i%len(addrs)])
		if err != nil {
			continue
		}
		wg.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			do(conn)
		})
	}
}

// reset ends a connection at once, whatever is under way.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // a plain close will do
	}
	conn.Close()
}

// untilClosed reads until the other end closes.
func untilClosed(conn net.Conn) { io.Copy(io.Discard, conn) } //nolint:errcheck // however it ends

// noise is up to n random octets.
func noise(n int) []byte {
	b := make([]byte, 1+rand.IntN(n))
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}
