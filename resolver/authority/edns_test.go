package authority

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// refusing answers questions with EDNS by an error, with an OPT record of its own or without one.
func refusing(code int, opt bool) handler {
	return func(w dns.ResponseWriter, r *dns.Msg) {
		if r.IsEdns0() == nil {
			good(w, r)
			return
		}
		m := new(dns.Msg)
		m.SetRcode(r, code)
		if opt || code > 15 {
			m.SetEdns0(1232, false)
		}
		w.WriteMsg(m)
	}
}

// bareHeader answers questions with EDNS by a header that says FORMERR.
func bareHeader(w dns.ResponseWriter, r *dns.Msg) {
	if r.IsEdns0() == nil {
		good(w, r)
		return
	}
	w.WriteMsg(&dns.Msg{MsgHdr: dns.MsgHdr{Id: r.Id, Response: true, Rcode: dns.RcodeFormatError}})
}

func dropping(w dns.ResponseWriter, r *dns.Msg) {
	if r.IsEdns0() == nil {
		good(w, r)
	}
}

func TestEDNSTrouble(t *testing.T) {
	t.Parallel()
	stripped := func(w dns.ResponseWriter, r *dns.Msg) {
		m := respond(r, record)
		m.Extra = nil
		w.WriteMsg(m)
	}
	tests := []struct {
		name, nets    string
		h             handler
		first, second string // what it is asked by the first and by the second question
	}{
		{"FORMERR", "udp", refusing(dns.RcodeFormatError, false), "udp+edns udp", "udp"},
		{"FORMERR with OPT", "udp", refusing(dns.RcodeFormatError, true), "udp+edns udp", "udp"},
		{"NOTIMP", "udp", refusing(dns.RcodeNotImplemented, false), "udp+edns udp", "udp"},
		{"BADVERS", "udp", refusing(dns.RcodeBadVers, true), "udp+edns udp", "udp"},
		{"SERVFAIL", "udp", refusing(dns.RcodeServerFailure, false), "udp+edns udp", "udp"},
		{"bare FORMERR, TCP", "udp,tcp", bareHeader, "udp+edns tcp+edns tcp", "tcp"},
		{"bare FORMERR", "udp", bareHeader, "udp+edns udp+edns udp+edns udp", "udp"},
		{"dropped", "udp", dropping, "udp+edns udp udp+edns", "udp"},
		{"stripped", "udp", stripped, "udp+edns", "udp+edns"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c clock
			f := serve(t, tt.nets, tt.h)
			s := servers(t, Config{Now: c.now, Timeout: 2 * time.Second})
			expect(t, s, f.addr)
			if got := f.story(); got != tt.first {
				t.Errorf("first: %s, want %s", got, tt.first)
			}
			f.forget()
			expectName(t, s, "ftp.example.org.", f.addr)
			if got := f.story(); got != tt.second {
				t.Errorf("second: %s, want %s", got, tt.second)
			}
			// It gets another chance, and with signatures at stake at once.
			f.forget()
			q := question("ntp.example.org.")
			q.Signed = true
			if _, err := s.Ask(t.Context(), addrs(f), q); err != nil || !strings.Contains(f.story(), "+edns") {
				t.Errorf("signed: %v, %s", err, f.story())
			}
			f.forget()
			c.advance(refusedFor + time.Minute)
			expectName(t, s, "later.example.org.", f.addr)
			if !strings.Contains(f.story(), "+edns") {
				t.Errorf("later: %s", f.story())
			}
		})
	}
}

// A packet that got lost is not taken for trouble with EDNS.
func TestLostPacketKeepsEDNS(t *testing.T) {
	t.Parallel()
	var lose atomic.Int32
	f := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		if lose.Add(-1) < 0 {
			good(w, r)
		}
	})
	s := servers(t, Config{Timeout: 2 * time.Second})

	// Nothing is known of the server: it is asked without EDNS too, but that reply is not taken.
	lose.Store(1)
	if r := expect(t, s, f.addr); r.Msg.IsEdns0() == nil {
		t.Error("signatures were lost")
	}
	if got := f.story(); got != "udp+edns udp udp+edns" {
		t.Error(got)
	}
	// It is known to speak EDNS now.
	f.forget()
	lose.Store(1)
	if r := expectName(t, s, "ftp.example.org.", f.addr); r.Msg.IsEdns0() == nil {
		t.Error("signatures were lost")
	}
	if got := f.story(); got != "udp+edns udp+edns" {
		t.Error(got)
	}
	if s.Stats().Plain != 0 {
		t.Errorf("%+v", s.Stats())
	}
}

// A server that knows EDNS and once says FORMERR is asked without only for a short time.
func TestKnownEDNSIsNotGivenUp(t *testing.T) {
	var c clock
	var bad atomic.Bool
	f := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		if bad.Load() {
			refusing(dns.RcodeFormatError, true)(w, r)
			return
		}
		good(w, r)
	})
	s := servers(t, Config{Now: c.now})
	expect(t, s, f.addr)
	bad.Store(true)
	expectName(t, s, "ftp.example.org.", f.addr)
	bad.Store(false)
	c.advance(silentFor + time.Second)
	if r := expectName(t, s, "ntp.example.org.", f.addr); r.Msg.IsEdns0() == nil {
		t.Error("it was asked without")
	}
}

// A server that knew EDNS, was dead and comes back without is found again.
func TestBackWithoutEDNS(t *testing.T) {
	t.Parallel()
	var c clock
	var h switched
	h.set(good)
	f := serve(t, "udp", h.serve)
	s := servers(t, Config{Now: c.now, Timeout: 300 * time.Millisecond})
	expect(t, s, f.addr)
	h.set(dead)
	for i := 0; i < 10 && !isDead(s, f); i++ {
		c.advance(goneAfter)
		expectError(t, s, "www.example.org.", f.addr)
	}
	h.set(dropping)
	var err error
	for range 4 {
		c.advance(goneAfter)
		if _, err = s.Ask(t.Context(), addrs(f), question("www.example.org.")); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	f.forget()
	expectName(t, s, "ftp.example.org.", f.addr)
	if got := f.story(); got != "udp" {
		t.Error(got)
	}
}

func isDead(s *Servers, f *fake) bool {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return s.memory.server(f.addr).dead
}
