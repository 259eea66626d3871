package authority

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func addrs(fakes ...*fake) []netip.AddrPort {
	var out []netip.AddrPort
	for _, f := range fakes {
		out = append(out, f.addr)
	}
	return out
}

// switched is a handler that can be exchanged.
type switched struct{ h atomic.Pointer[handler] }

func (s *switched) set(h handler) { s.h.Store(&h) }

func (s *switched) serve(w dns.ResponseWriter, r *dns.Msg) { (*s.h.Load())(w, r) }

// The near server gets most questions, the far one some.
func TestNearServerIsPreferred(t *testing.T) {
	t.Parallel()
	near, far := serve(t, "udp", good), serve(t, "udp", slow(60*time.Millisecond, good))
	s := servers(t, Config{Rand: source(1)})
	const n = 200
	for i := range n {
		expectName(t, s, fmt.Sprintf("n%d.example.org.", i), near.addr, far.addr)
	}
	if near.count() < n*3/4 || far.count() < 1 {
		t.Errorf("near %d, far %d", near.count(), far.count())
	}
}

// A server that was dead is asked again when it is back, at first without anybody waiting for it.
func TestDeadServerComesBack(t *testing.T) {
	t.Parallel()
	var c clock
	var h switched
	h.set(dead)
	back, other := serve(t, "udp", h.serve), serve(t, "udp", slow(20*time.Millisecond, good))
	s := servers(t, Config{Now: c.now})
	expectError(t, s, "www.example.org.", back.addr)
	back.forget()
	expect(t, s, back.addr, other.addr)
	if back.count() != 0 {
		t.Error("asked at once")
	}
	// Probed while it is dead, by one question only.
	c.advance(deadPause)
	for i := range 5 {
		begin := time.Now()
		expectName(t, s, fmt.Sprintf("dead%d.example.org.", i), back.addr, other.addr)
		if took := time.Since(begin); took > testTimeout {
			t.Errorf("a probe was waited for: %v", took)
		}
	}
	if n := back.count(); n != 1 {
		t.Errorf("%d probes", n)
	}
	h.set(good)
	if !eventually(func() bool {
		c.advance(time.Second)
		expectName(t, s, "back.example.org.", back.addr, other.addr)
		return s.order("example.org.", addrs(back, other))[0] == back.addr
	}) {
		t.Error("it was not found again")
	}
	if s.Stats().Probes == 0 {
		t.Errorf("%+v", s.Stats())
	}
}

// When all servers of a zone are dead, they are tried again after a second, and not before.
func TestOnlyServerComesBack(t *testing.T) {
	t.Parallel()
	var c clock
	var h switched
	h.set(dead)
	f := serve(t, "udp", h.serve)
	s := servers(t, Config{Now: c.now})
	for range 4 { // the pauses between probes grow
		expectError(t, s, "www.example.org.", f.addr)
		c.advance(blockFor)
	}
	h.set(good)
	expect(t, s, f.addr)

	h.set(rcode(dns.RcodeRefused))
	expectError(t, s, "ftp.example.org.", f.addr)
	h.set(good)
	if e := expectError(t, s, "ftp.example.org.", f.addr); !e.Failures[0].Recent || !e.Refused() {
		t.Errorf("%+v", e)
	}
	expectName(t, s, "other.example.org.", f.addr) // others are asked all the same
	if s.Stats().Penalties != 0 {
		t.Errorf("%+v", s.Stats())
	}
}

// A server that answered lately is not blocked for all because it does not like one question.
func TestDroppedQuestionHarmsNobody(t *testing.T) {
	t.Parallel()
	f := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		if r.Question[0].Qtype == dns.TypeA {
			good(w, r)
		}
	})
	s := servers(t, Config{})
	expect(t, s, f.addr)
	q := question("www.example.org.")
	q.Type = dns.TypeSRV
	if _, err := s.Ask(t.Context(), addrs(f), q); err == nil {
		t.Fatal("an answer")
	}
	expectName(t, s, "ftp.example.org.", f.addr)
}

// When all servers were of no use lately, a few are asked all the same.
func TestAllInBackOff(t *testing.T) {
	var all []*fake
	for range 6 {
		all = append(all, serve(t, "udp", lame))
	}
	s := servers(t, Config{})
	expectError(t, s, "www.example.org.", addrs(all...)...)
	count := func() (n int) {
		for _, f := range all {
			n += f.count()
			f.forget()
		}
		return n
	}
	if n := count(); n != len(all) {
		t.Errorf("%d messages", n)
	}
	expectError(t, s, "ftp.example.org.", addrs(all...)...)
	if n := count(); n < 1 || n > maxWeak {
		t.Errorf("%d messages", n)
	}
	expectError(t, s, "ftp.example.org.", all[0].addr)
	expectError(t, s, "ftp.example.org.", all[0].addr)
	if n := count(); n > 1 {
		t.Errorf("%d messages", n)
	}
}

// A family of addresses to which there is no way costs once.
func TestDeadFamily(t *testing.T) { synctest.Test(t, testDeadFamily) }

func testDeadFamily(t *testing.T) {
	var tries, works atomic.Int32
	cfg := Config{UDP: exchanger(func(ctx context.Context, to netip.AddrPort, req []byte) ([]byte, error) {
		if to.Addr().Is6() && works.Load() == 0 {
			tries.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return answerTo(req, record), nil
	})}
	var c clock
	cfg.Now = c.now
	s := servers(t, cfg)
	list := func(zone int) []netip.AddrPort {
		var out []netip.AddrPort
		for i := range 4 {
			out = append(out, at(fmt.Sprintf("[fd00::%x:%x]:53", zone, i)), at(fmt.Sprintf("10.0.%d.%d:53", zone, i)))
		}
		return out
	}
	begin := time.Now()
	for zone := range 20 {
		expect(t, s, list(zone)...)
	}
	if took := time.Since(begin); took > 3*firstRTO || tries.Load() < 1 || tries.Load() > 3 || !s.Stats().IPv6Down {
		t.Errorf("%v, %d tries, %+v", took, tries.Load(), s.Stats())
	}
	works.Store(1)
	if !eventually(func() bool {
		c.advance(time.Second)
		expect(t, s, list(30)...)
		return !s.Stats().IPv6Down
	}) {
		t.Error("it was not found again")
	}
	time.Sleep(time.Minute) // for what goes on
}

func TestNoRoute(t *testing.T) {
	s := servers(t, Config{UDP: exchanger(func(_ context.Context, to netip.AddrPort, req []byte) ([]byte, error) {
		if to.Addr().Is6() {
			return nil, &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}
		}
		return answerTo(req, record), nil
	})})
	for i := range 20 {
		expect(t, s, at(fmt.Sprintf("[fd00::%x]:53", i)), at(fmt.Sprintf("10.0.0.%d:53", i)))
	}
	if st := s.Stats(); !st.IPv6Down || st.IPv4Down || st.Unreachable > 3 {
		t.Errorf("%+v", st)
	}
	e := expectError(t, s, "www.example.org.", at("[fd00::1:1]:53"))
	if !e.Unreachable() || e.Text() != "fd00::1:1 unreachable" {
		t.Error(e.Text())
	}
}

// Trouble of our own is not held against servers.
func TestNoSockets(t *testing.T) {
	var full atomic.Bool
	full.Store(true)
	s := servers(t, Config{UDP: exchanger(func(_ context.Context, _ netip.AddrPort, req []byte) ([]byte, error) {
		if full.Load() {
			return nil, &net.OpError{Op: "dial", Err: syscall.EMFILE}
		}
		return answerTo(req, record), nil
	})})
	if e := expectError(t, s, "www.example.org.", at("10.0.0.1:53")); e.Unreachable() {
		t.Error(e)
	}
	full.Store(false)
	expect(t, s, at("10.0.0.1:53"))
}

func TestMemoryIsBounded(t *testing.T) {
	s := servers(t, Config{Servers: 10, UDP: exchanger(func(_ context.Context, _ netip.AddrPort, req []byte) ([]byte, error) {
		raw := answerTo(req)
		raw[2] &^= 0x04 // no authority
		return raw, nil
	})})
	for i := range 100 {
		expectError(t, s, "www.example.org.", at(fmt.Sprintf("10.0.0.%d:53", i)))
	}
	if st := s.Stats(); st.Servers != 10 || st.Penalties != 10 {
		t.Errorf("%+v", st)
	}
}

// eventually waits for something that takes a moment.
func eventually(is func() bool) bool {
	for range 2000 {
		if is() {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// A zone whose servers think for long is not asked all over again.
func TestSlowZone(t *testing.T) {
	t.Parallel()
	var h switched
	h.set(good)
	var all []*fake
	for range 8 {
		all = append(all, serve(t, "udp", h.serve))
	}
	s := servers(t, Config{Timeout: 2 * time.Second})
	for _, f := range all {
		expect(t, s, f.addr)
		f.forget()
	}
	h.set(slow(time.Second, good))
	expectName(t, s, "slow.example.org.", addrs(all...)...)
	n := 0
	for _, f := range all {
		n += f.count()
	}
	if n < 2 || n > 4 {
		t.Errorf("%d messages", n)
	}
}

// What a probed server says ends nothing.
func TestProbeEndsNothing(t *testing.T) {
	t.Parallel()
	var c clock
	var h switched
	h.set(dead)
	back, other := serve(t, "udp", h.serve), serve(t, "udp", slow(50*time.Millisecond, good))
	s := servers(t, Config{Now: c.now})
	expect(t, s, other.addr)
	expectError(t, s, "www.example.org.", back.addr)
	h.set(rcode(dns.RcodeRefused))
	c.advance(deadPause)
	back.forget()
	q := question("ent.example.org.")
	q.Tentative = true
	left := 1
	q.Spend = func() error {
		if left--; left < 0 {
			return errTooMuch
		}
		return nil
	}
	if r, err := s.Ask(t.Context(), addrs(back, other), q); err != nil || r.Server != other.addr || back.count() != 0 {
		t.Errorf("without a budget: %v, %v, %d", r, err, back.count())
	}
	q.Spend = nil
	if r, err := s.Ask(t.Context(), addrs(back, other), q); err != nil || r.Server != other.addr || back.count() != 1 {
		t.Errorf("%v, %v, %d", r, err, back.count())
	}
}
