package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
	"dens/internal/e2e/soak"
)

// The counters that bad input goes into.
const (
	malformedTotal  = "dens_malformed_total"
	handshakesTotal = "dens_handshakes_failed_total"
	slowTotal       = "dens_slow_total"
	abuseTotal      = "dens_abuse_total"
)

const (
	atOnce = 3 * time.Second // what is seen to be bad is answered or closed within it, on a busy machine
	// inTime is what is not whole is given up after: intake's ReadTimeout, 5 s, and twice that for a whole request of
	// HTTP/1.1.
	inTime = 12 * time.Second
)

// badInput is what somebody sends that is no good.
type badInput struct {
	// send returns nil when what came back is as it must be. ctx ends when the time is up.
	send    func(ctx context.Context, w *soak.Target) error
	counter string // what it is counted as
}

// TestBadWire sends what is no good to every listener: each is answered or closed as its RFC says, in time, and
// counted; and other clients of the same listeners are not disturbed.
func TestBadWire(t *testing.T) {
	t.Parallel()
	authority, err := soak.NewAuthority(t.TempDir(), soakHost)
	if err != nil {
		t.Fatal(err)
	}
	up := startStub(t, addressOf("198.51.100.80"))
	t.Run("seen at once", func(t *testing.T) {
		t.Parallel()
		w, finish := startBadWire(t, authority, up.addr)
		rows := map[string]badInput{}
		for _, group := range []map[string]badInput{badUDP(), badTCP(), badTLS(), badHTTP(), badHTTP2(), badDoQ()} {
			maps.Copy(rows, group)
		}
		for _, name := range slices.Sorted(maps.Keys(rows)) {
			rows[name].check(t, name, w)
		}
		finish()
	})
	t.Run("never whole", func(t *testing.T) {
		t.Parallel()
		w, finish := startBadWire(t, authority, up.addr)
		var wg sync.WaitGroup
		counted := map[string]float64{}
		before := scrapeTarget(t, w)
		for name, row := range slowInput() {
			counted[row.counter]++
			wg.Go(func() { row.run(t, name, w, inTime) })
		}
		wg.Wait()
		after := scrapeTarget(t, w)
		finish()
		for counter, n := range counted {
			if grown := after.Sum(counter) - before.Sum(counter); grown < n {
				t.Errorf("%s grew by %v, want at least %v", counter, grown, n)
			}
		}
	})
}

// startBadWire starts a server with all listeners, and good clients of all of them. finish wants each of their
// questions to have been answered, by the connections that they began with.
func startBadWire(t *testing.T, authority *soak.Authority, upstream string) (w *soak.Target, finish func()) {
	t.Helper()
	free := func() string { return bed.Free(t).String() }
	w = &soak.Target{DNS: free(), DoT: free(), DoH: free(), DoQ: free(), HTTP: free(), Roots: authority.Roots, ServerName: soakHost, Path: "/dns-query"}
	good := soak.Question{Name: "www.example.org", Type: dns.TypeA, Data: []string{"198.51.100.80"}}
	w.Known = []soak.Question{good}
	s := serveWith(t, nil, w.DNS, w.HTTP, fmt.Sprintf("listen: { dns: [%q], dot: [%q], doh: [%q], doq: [%q], http: %q, tcp_idle: 30s }\ntls: { cert: %q, key: %q }\n",
		w.DNS, w.DoT, w.DoH, w.DoQ, w.HTTP, authority.Cert, authority.Key)+upstreamOnly(upstream, ""))
	s.WaitReady(t)
	bed.Ask(t, w.DNS, good.Name, good.Type)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	loads := map[string]*soak.Load{}
	for _, transport := range soak.Transports() {
		l := &soak.Load{Client: soak.NewClient(w, transport), Next: func() soak.Question { return good }, Pace: 50 * time.Millisecond, Depth: 4, Patience: soakPatience, Tally: new(soak.Tally)}
		loads[transport] = l
		wg.Go(func() { l.Run(ctx) })
	}
	return w, func() {
		t.Helper()
		cancel()
		wg.Wait()
		for transport, l := range loads {
			r := l.Tally.Result()
			if r.Wrong+r.Failed > 0 || r.Asked < 10 || transport != "udp" && l.Client.Lost() > 0 {
				t.Errorf("another client, by %s: %d connections lost; %v", transport, l.Client.Lost(), r)
			}
			l.Client.Close()
		}
		if n := scrapeTarget(t, w).Sum("dens_panics_total"); n > 0 {
			t.Errorf("%v panics", n)
		}
		sigterm(t, s.Process)
	}
}

func scrapeTarget(t *testing.T, w *soak.Target) soak.Metrics {
	t.Helper()
	m, err := soak.Scrape(w.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (b badInput) run(t *testing.T, name string, w *soak.Target, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	start := time.Now()
	if err := b.send(ctx, w); err != nil {
		t.Errorf("%s: %v, after %v", name, err, time.Since(start).Round(time.Millisecond))
	}
}

// check wants the input's counter to grow, and no other.
func (b badInput) check(t *testing.T, name string, w *soak.Target) {
	t.Helper()
	before := scrapeTarget(t, w)
	b.run(t, name, w, atOnce)
	var grown string
	for deadline := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
		after := scrapeTarget(t, w)
		var all []string
		for _, c := range []string{malformedTotal, handshakesTotal, slowTotal, abuseTotal} {
			if after.Sum(c) > before.Sum(c) {
				all = append(all, c)
			}
		}
		// What breaks a protocol of frames may be counted as a bad message too.
		if grown = strings.Join(all, " and "); slices.Contains(all, b.counter) || b.counter == "" && grown == "" || time.Now().After(deadline) {
			break
		}
	}
	if grown != b.counter && !(b.counter == abuseTotal && grown == malformedTotal+" and "+abuseTotal) {
		t.Errorf("%s: counted as %q, want %q", name, grown, b.counter)
	}
}

// sends is what a TCP connection sends, after which it has to be closed without a word.
func sends(to func(*soak.Target) string, bytes []byte) func(context.Context, *soak.Target) error {
	return func(ctx context.Context, w *soak.Target) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", to(w))
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.Write(bytes); err != nil {
			return err
		}
		return closes(ctx, conn, 0)
	}
}

// closes wants the other end to close, after at most some octets.
func closes(ctx context.Context, conn net.Conn, most int64) error {
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })() //nolint:errcheck // the read says so
	n, err := io.Copy(io.Discard, io.LimitReader(conn, most+1))
	switch {
	case isTimeout(err):
		return errors.New("it is still open")
	case n > most:
		return fmt.Errorf("more than %d octets came back", most)
	}
	return nil // closed, or reset since not all was read
}

func toDNS(w *soak.Target) string { return w.DNS }
func toDoT(w *soak.Target) string { return w.DoT }
func toDoH(w *soak.Target) string { return w.DoH }
func toDoQ(w *soak.Target) string { return w.DoQ }

// silence wants no datagram to come back.
func silence(to func(*soak.Target) string, bytes []byte) func(context.Context, *soak.Target) error {
	return func(ctx context.Context, w *soak.Target) error {
		reply, err := datagram(ctx, to(w), bytes, 200*time.Millisecond)
		if err == nil {
			return fmt.Errorf("%x came back", reply)
		}
		return nil
	}
}

func datagram(ctx context.Context, to string, bytes []byte, limit time.Duration) ([]byte, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(bytes); err != nil {
		return nil, err
	}
	conn.SetReadDeadline(time.Now().Add(limit)) //nolint:errcheck // the read says so
	buf := make([]byte, 65536)
	n, err := conn.Read(buf)
	return buf[:n], err
}

// initial is a QUIC packet with the header of a client's first one (RFC 9000 section 17.2.2), and zeros.
func initial() []byte {
	return append([]byte{0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0x44, 0x90}, make([]byte, 1174)...)
}

func badUDP() map[string]badInput {
	return map[string]badInput{
		"UDP: less than a header":           {silence(toDNS, []byte("less")), malformedTotal},
		"UDP: a reply":                      {silence(toDNS, message(4, 0x8180, 1, 0, 0, 0, exampleA)), malformedTotal},
		"QUIC: noise at the port of DoQ":    {silence(toDoQ, []byte("\x40noise, and not little of it, as a short header")), ""},
		"QUIC: noise at the port of DoH":    {silence(toDoH, []byte("\x40noise, and not little of it, as a short header")), ""},
		"QUIC: an Initial too short to act": {silence(toDoQ, initial()[:600]), ""},
		"QUIC: an unknown version": {func(ctx context.Context, w *soak.Target) error {
			unknown := initial()
			copy(unknown[1:], "\x1a\x2a\x3a\x4a")
			for _, to := range []string{w.DoQ, w.DoH} {
				reply, err := datagram(ctx, to, unknown, atOnce)
				// Version negotiation (RFC 9000 section 17.2.1), which amplifies nothing.
				if err != nil || len(reply) < 7 || reply[0]&0x80 == 0 || string(reply[1:5]) != "\x00\x00\x00\x00" || len(reply) > len(unknown) {
					return fmt.Errorf("got %x, %w", reply, err)
				}
			}
			return nil
		}, ""},
	}
}

func badTCP() map[string]badInput {
	return map[string]badInput{
		"TCP: a length of 0":            {sends(toDNS, []byte{0, 0}), malformedTotal},
		"TCP: less than a header":       {sends(toDNS, []byte("\x00\x04less")), malformedTotal},
		"TCP: a reply":                  {sends(toDNS, soak.Frame(message(4, 0x8180, 1, 0, 0, 0, exampleA))), malformedTotal},
		"TCP: ends in a message":        {endsEarly, malformedTotal},
		"TCP: no name, but a header":    {answersFormErr, ""},
		"TCP: good, then a length of 0": {goodThenBad, malformedTotal},
	}
}

// endsEarly closes its side within a message.
func endsEarly(ctx context.Context, w *soak.Target) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.DNS)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{0, 50, 1}); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	return closes(ctx, conn, 0)
}

// answersFormErr wants FORMERR, and the connection to stay open.
func answersFormErr(ctx context.Context, w *soak.Target) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.DNS)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(atOnce)) //nolint:errcheck // the reads say so
	for range 2 {
		if _, err := conn.Write(soak.Frame(message(7, flagsQuery, 1, 0, 0, 0, "\xff"))); err != nil {
			return err
		}
		reply, err := readFramed(conn)
		if err != nil || len(reply) < 12 || reply[3]&0xf != dns.RcodeFormatError {
			return fmt.Errorf("got %x, %w; want FORMERR", reply, err)
		}
	}
	return nil
}

// goodThenBad wants the good question to be answered before the connection is closed.
func goodThenBad(ctx context.Context, w *soak.Target) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.DNS)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(atOnce)) //nolint:errcheck // the reads say so
	if _, err := conn.Write(append(soak.Frame(message(7, flagsQuery, 1, 0, 0, 0, exampleA)), 0, 0)); err != nil {
		return err
	}
	reply, err := readFramed(conn)
	if err != nil || len(reply) < 12 || reply[7] != 1 {
		return fmt.Errorf("got %x, %w; want the answer", reply, err)
	}
	return closes(ctx, conn, 0)
}
