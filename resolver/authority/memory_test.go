package authority

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

var start0 = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func TestServerDies(t *testing.T) {
	now := start0
	var s server
	// Messages that were under way at the same time count once.
	for range 10 {
		s.late(now.Add(400*time.Millisecond), now, false)
	}
	if s.timeouts != 1 || s.dead || s.limit() != lateLimit {
		t.Fatalf("%+v", s)
	}
	s.alive(now.Add(500 * time.Millisecond))
	// What was sent before a reply came does not count.
	if s.late(now.Add(600*time.Millisecond), now.Add(450*time.Millisecond), true); s.timeouts != 0 {
		t.Fatalf("%+v", s)
	}
	for i := range deadAfter {
		now = now.Add(time.Second)
		if lost := s.late(now.Add(500*time.Millisecond), now, false); lost != (i == deadAfter-1) {
			t.Error(i, lost)
		}
	}
	if !s.dead || s.limit() != deadLimit || s.blocked(now.Add(600*time.Millisecond)) {
		t.Fatalf("%+v", s)
	}
	pause := s.until.Sub(s.lastLate)
	for range 10 { // each probe that fails doubles the pause
		now = s.until
		s.late(now.Add(time.Second), now, true)
		pause = min(2*pause, deadPause<<deadPauses)
		if got := s.until.Sub(s.lastLate); got != pause {
			t.Fatalf("%v, want %v", got, pause)
		}
	}
	if now = now.Add(2 * goneAfter); s.late(now.Add(time.Second), now, true) || !s.blocked(now.Add(time.Second)) ||
		s.blocked(now.Add(time.Second+blockFor)) {
		t.Errorf("%+v", s)
	}
	if s.alive(now); s.dead || s.timeouts != 0 || s.limit() != mostLimit {
		t.Errorf("%+v", s)
	}
}

// What is over the bounds of one server is shed: who waits holds a place that others could have.
func TestQueueOfOneServer(t *testing.T) {
	m := newMemory(&Config{Now: func() time.Time { return start0 }, Servers: 10, Rand: rand.NewPCG(1, 2)})
	addr, q := netip.MustParseAddrPort("192.0.2.1:53"), &Question{Zone: "org.", Name: "a.org."}
	tests := []struct {
		name  string
		alter func(*server)
		limit int
	}{
		{"never answered", func(*server) {}, coldLimit},
		{"late", func(s *server) { s.timeouts = 1 }, lateLimit},
		{"slow", func(s *server) { s.answered, s.rtt = start0, slowRTT }, slowLimit},
		{"fast", func(s *server) { s.answered, s.rtt = start0, time.Millisecond }, mostLimit},
	}
	for _, tt := range tests {
		s := m.server(addr)
		*s = server{}
		tt.alter(s)
		var sent, waiting, shed int
		admit := func() {
			switch adm := m.admit(addr, q, false); {
			case errors.Is(adm.err, resolver.ErrBusy) && errors.Is(adm.err, errHere):
				shed++
			case adm.err != nil:
				t.Fatal(adm.err)
			case adm.wait != nil:
				waiting++
			default:
				sent++
			}
		}
		for range tt.limit + waitLimit + 5 {
			admit()
		}
		if sent != tt.limit || waiting != waitLimit || shed != 5 {
			t.Errorf("%s: %d sent, %d wait, %d shed", tt.name, sent, waiting, shed)
		}
		m.done(s) // wakes them all, and they ask again
		sent, waiting, shed = 0, 0, 0
		for range waitLimit {
			admit()
		}
		if sent != 1 || waiting != waitLimit-1 || shed != 0 {
			t.Errorf("%s, when one has ended: %d sent, %d wait, %d shed", tt.name, sent, waiting, shed)
		}
	}
}

func TestRTO(t *testing.T) {
	var s server
	if got := s.rto(2 * time.Second); got != firstRTO {
		t.Error(got)
	}
	for i := range 50 {
		s.sample(start0.Add(time.Duration(i)*time.Second), 20*time.Millisecond)
	}
	if got := s.rto(2 * time.Second); got < 20*time.Millisecond+leastSlack || got > 220*time.Millisecond {
		t.Error(got)
	}
	s.timeouts = 1
	if got := s.rto(2 * time.Second); got < 400*time.Millisecond || got > 440*time.Millisecond {
		t.Error(got)
	}
	s.timeouts = 99
	if got := s.rto(2 * time.Second); got > 2*time.Second {
		t.Error(got)
	}
	for i := range 20 {
		s.sample(start0.Add(time.Duration(i)*time.Minute), 300*time.Millisecond)
	}
	if s.rtt < 290*time.Millisecond {
		t.Errorf("%v: a change goes unnoticed", s.rtt)
	}
}

func TestPenalty(t *testing.T) {
	q, other := question("www.example.org."), question("ftp.example.org.")
	for name, tt := range map[string]struct {
		cause error
		most  time.Duration
	}{
		"REFUSED":  {Rcode(dns.RcodeRefused), lamePause},
		"SERVFAIL": {Rcode(dns.RcodeServerFailure), failPause},
		"lame":     {fmt.Errorf("%w: upward", ErrLame), lamePause},
		"garbled":  {errGarbled, failPause},
	} {
		now := start0
		var p penalty
		pause := firstPause
		for range 15 {
			p.fail(now, &q, tt.cause)
			p.fail(now, &q, tt.cause) // at the same time
			if got := p.until.Sub(now); got != pause {
				t.Errorf("%s: %v, want %v", name, got, pause)
			}
			if !p.blocks(now, &q) || p.blocks(now.Add(blockFor), &q) {
				t.Errorf("%s: the same question", name)
			}
			if p.blocks(now, &other) {
				t.Errorf("%s: another question", name)
			}
			now, pause = p.until, min(2*pause, tt.most)
		}
	}
}

func TestFamilyOutage(t *testing.T) {
	var f family
	if !f.lost(start0) || f.lost(start0) || f.due(start0) {
		t.Fatalf("%+v", f)
	}
	now := start0
	for _, pause := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 256} {
		if got := f.until.Sub(now); got != pause*time.Second {
			t.Errorf("%v, want %v s", got, pause)
		}
		if now = f.until; !f.due(now) || f.due(now) {
			t.Error("one question only is to find out")
		}
	}
	if !f.found() || f.found() || f.down {
		t.Errorf("%+v", f)
	}
	for i := range familyLost {
		if f.lost(now) != (i == familyLost-1) {
			t.Error(i)
		}
	}
}

// prepare makes a Servers that knows some servers.
func prepare(t testing.TB, n int) (*Servers, []netip.AddrPort) {
	t.Helper()
	s := servers(t, Config{Rand: source(7)})
	var list []netip.AddrPort
	for i := range n {
		addr := at(fmt.Sprintf("10.0.0.%d:53", i))
		if i%2 == 1 {
			addr = at(fmt.Sprintf("[fd00::%x]:53", i))
		}
		list = append(list, addr)
		s.memory.replied(addr, s.memory.server(addr), time.Duration(i*i+1)*10*time.Millisecond)
	}
	return s, list
}

func TestOrder(t *testing.T) {
	s, list := prepare(t, 6)
	dead, refusing, late := list[0], list[1], list[2]
	s.memory.unreachable(dead, s.memory.server(dead), false)
	s.memory.penalise(refusing, &Question{Zone: "example.org."}, Rcode(dns.RcodeRefused))
	s.memory.late(late, s.memory.server(late), time.Now().Add(time.Hour), false)
	fresh := at("10.1.1.1:53")
	first := map[netip.AddrPort]int{}
	const n = 2000
	for range n {
		got := s.order("example.org.", append([]netip.AddrPort{list[3], fresh, fresh}, list...))
		if len(got) != 7 || got[6] != dead || got[5] != refusing || got[4] != late {
			t.Fatal(got)
		}
		first[got[0]]++
	}
	if first[list[3]] < n*3/4 || first[fresh] < n/tryUnknown/3 || first[list[4]] == 0 || first[list[5]] == 0 || len(first) != 4 {
		t.Error(first)
	}
	if got := s.order("example.net.", list); got[4] != late || got[0] == refusing && got[1] == list[4] {
		t.Errorf("what a server is for one zone counts for another: %v", got)
	}
}

// Servers that are as good share the questions; families of which nothing is known alternate.
func TestOrderIsRandomAmongEquals(t *testing.T) {
	s, list := prepare(t, 2)
	for range 50 {
		s.memory.replied(list[1], s.memory.server(list[1]), 10*time.Millisecond)
	}
	first := map[netip.AddrPort]int{}
	for range 1000 {
		first[s.order("org.", list)[0]]++
	}
	if first[list[0]] < 300 || first[list[1]] < 300 {
		t.Error(first)
	}
	strange := []netip.AddrPort{at("10.2.0.1:53"), at("10.2.0.2:53"), at("10.2.0.3:53"), at("[fd02::1]:53"), at("[fd02::2]:53")}
	clear(first)
	for range 500 {
		got := s.order("org.", strange)
		if got[0].Addr().Is4() == got[1].Addr().Is4() {
			t.Fatal(got)
		}
		first[got[0]]++
	}
	if len(first) != len(strange) {
		t.Error(first)
	}
}

func TestOrderIsBounded(t *testing.T) {
	s := servers(t, Config{})
	var list []netip.AddrPort
	for i := range 10000 {
		list = append(list, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 53))
	}
	if got := s.order(".", list); len(got) != maxServers {
		t.Error(len(got))
	}
	if s.Stats().Servers != 0 {
		t.Error("looking makes known")
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{Zone: "example.org."}
	for i := range 9 {
		e.Failures = append(e.Failures, Failure{Server: at(fmt.Sprintf("10.0.0.%d:53", i)), Err: errors.New("<b>what a stranger says</b>")})
	}
	if got := e.Text(); len(got) > maxText || got != "10.0.0.0 reply of no use, 10.0.0.1 reply of no use, "+
		"10.0.0.2 reply of no use, 10.0.0.3 reply of no use, and 5 more" {
		t.Error(got)
	}
	if got := Rcode(3841).Error(); got != "RCODE3841" {
		t.Error(got)
	}
}

// order is that of the memory, addresses alone.
func (s *Servers) order(zone string, servers []netip.AddrPort) []netip.AddrPort {
	list, _ := s.memory.order(zone, servers)
	out := make([]netip.AddrPort, len(list))
	for i := range list {
		out[i] = list[i].addr
	}
	return out
}
