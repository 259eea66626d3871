package authority

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/looptest"
	"dens/resolver"
)

func TestMessage(t *testing.T) {
	f := serve(t, "udp", good)
	s := servers(t, Config{})
	reply := expect(t, s, f.addr)
	if reply.Server != f.addr || reply.Transport != "udp" || reply.RTT <= 0 || reply.Amend == nil {
		t.Errorf("%+v", reply)
	}
	m := f.requests()[0].msg
	opt := m.IsEdns0()
	if m.RecursionDesired || m.CheckingDisabled || m.AuthenticatedData || m.Opcode != 0 || opt == nil {
		t.Fatal(m)
	}
	if !opt.Do() || opt.UDPSize() != 1232 || opt.Version() != 0 || len(opt.Option) != 0 {
		t.Error(m)
	}
	if got := s.Stats(); got.UDP != 1 || got.TCP != 0 || got.Servers != 1 || got.Penalties != 0 {
		t.Errorf("%+v", got)
	}
}

// closed is an address where nobody listens.
func closed(t *testing.T) netip.AddrPort { return looptest.Free(t) }

// The good server of a zone is found, whatever the other one does, and the other one is remembered.
func TestGoodServerIsFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, nets string
		h          handler
	}{
		{"dead", "udp,tcp", dead},
		{"closed", "", dead},
		{"REFUSED", "udp,tcp", rcode(dns.RcodeRefused)},
		{"SERVFAIL", "udp,tcp", rcode(dns.RcodeServerFailure)},
		{"NOTIMP", "udp,tcp", rcode(dns.RcodeNotImplemented)},
		{"FORMERR", "udp,tcp", rcode(dns.RcodeFormatError)},
		{"NOTAUTH", "udp,tcp", rcode(dns.RcodeNotAuth)},
		{"BADVERS", "udp,tcp", rcode(dns.RcodeBadVers)},
		{"lame", "udp,tcp", lame},
		{"truncates without TCP", "udp", truncating},
		{"truncates by TCP too", "udp,tcp", func(w dns.ResponseWriter, r *dns.Msg) {
			m := respond(r, record)
			m.Truncated = true
			w.WriteMsg(m)
		}},
		{"garbled", "udp,tcp", func(w dns.ResponseWriter, r *dns.Msg) {
			raw, _ := respond(r, record).Pack()
			w.Write(raw[:len(raw)-14])
		}},
		{"changes case, without TCP, and differs", "udp", differing()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad, fine := &fake{addr: closed(t)}, serve(t, "udp,tcp", good)
			if tt.nets != "" {
				bad = serve(t, tt.nets, tt.h)
			}
			for range 4 { // who is first is chance
				s := servers(t, Config{})
				if r := expectName(t, s, long, bad.addr, fine.addr); r.Server != fine.addr {
					t.Fatal(r.Server)
				}
			}
			// Once it is known, it costs nothing.
			s := servers(t, Config{})
			e := expectError(t, s, long, bad.addr)
			if len(e.Failures) != 1 || e.Failures[0].Server != bad.addr || e.Failures[0].Recent || e.Text() == "" {
				t.Errorf("%+v", e)
			}
			if st := s.Stats(); st.UDP+st.TCP > maxMessages {
				t.Errorf("%+v", st)
			}
			bad.forget()
			for range 3 {
				expectName(t, s, long, bad.addr, fine.addr)
			}
			if bad.count() != 0 {
				t.Errorf("it was asked again: %s", bad.story())
			}
		})
	}
}

func truncating(w dns.ResponseWriter, r *dns.Msg) {
	m := respond(r, record)
	if network(w) == "udp" {
		m = respond(r, "@ 60 IN A 6.6.6.6")
		m.Truncated = true
	}
	w.WriteMsg(m)
}

func TestTruncation(t *testing.T) {
	f := serve(t, "udp,tcp", truncating)
	s := servers(t, Config{})
	for range 3 {
		if r := expect(t, s, f.addr); r.Transport != "tcp" {
			t.Error(r.Transport)
		}
	}
	if got := s.Stats(); got.Truncated != 3 || got.TCP != 3 {
		t.Errorf("%+v", got)
	}
	f = serve(t, "udp", truncating)
	e := expectError(t, s, "www.example.org.", f.addr)
	if !errors.Is(e, errNoTCP) || e.Unreachable() || e.Lame() || e.Refused() {
		t.Error(e)
	}
}

func TestErrorTells(t *testing.T) {
	t.Parallel()
	silent, refusing := serve(t, "udp", dead), serve(t, "udp", rcode(dns.RcodeRefused))
	failing, lamed := serve(t, "udp", rcode(dns.RcodeServerFailure)), serve(t, "udp", lame)
	tests := []struct {
		name                       string
		at                         []netip.AddrPort
		unreachable, refused, lame bool
		code                       uint16
	}{
		{"silent", []netip.AddrPort{silent.addr}, true, false, false, 22},
		{"closed", []netip.AddrPort{closed(t)}, true, false, false, 22},
		{"refusing", []netip.AddrPort{refusing.addr}, false, true, true, 22},
		{"refusing and silent", []netip.AddrPort{refusing.addr, silent.addr}, false, false, false, 23},
		{"lame and refusing", []netip.AddrPort{refusing.addr, lamed.addr}, false, false, true, 22},
		{"failing", []netip.AddrPort{failing.addr}, false, false, false, 0},
		{"none", nil, false, false, false, 22},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := expectError(t, servers(t, Config{}), "www.example.org.", tt.at...)
			if e.Unreachable() != tt.unreachable || e.Refused() != tt.refused || e.Lame() != tt.lame || e.Code() != tt.code {
				t.Errorf("%v: %v %v %v %d", e, e.Unreachable(), e.Refused(), e.Lame(), e.Code())
			}
			if len(e.Failures) != len(tt.at) || e.Text() == "" || e.Zone != "example.org." {
				t.Errorf("%+v", e)
			}
		})
	}
}

// However many servers there are, and whatever they do, the messages are counted.
func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]handler{
		"refuse": rcode(dns.RcodeRefused), "dead": dead, "formerr": rcode(dns.RcodeFormatError), "lower": differing(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []*fake
			var addrs []netip.AddrPort
			for range 40 {
				f := serve(t, "udp", h)
				all, addrs = append(all, f), append(addrs, f.addr)
			}
			s := servers(t, Config{})
			spent := 0
			q := question(long)
			q.Spend = func() error { spent++; return nil }
			if r, err := s.Ask(t.Context(), addrs, q); err == nil {
				t.Fatal(r)
			}
			got := 0
			for _, f := range all {
				got += f.count()
			}
			// What goes by TCP does not arrive.
			if st := s.Stats(); spent > maxMessages || got > spent || spent != int(st.UDP+st.TCP) || spent < 3 {
				t.Errorf("%d spent, %d arrived, %+v", spent, got, st)
			}
		})
	}
}

func TestBudgetEndsAsk(t *testing.T) {
	f := serve(t, "udp", rcode(dns.RcodeRefused))
	g := serve(t, "udp", rcode(dns.RcodeRefused))
	s := servers(t, Config{})
	left, empty := 1, errors.New("no more")
	q := question("www.example.org.")
	q.Spend = func() error {
		if left--; left < 0 {
			return empty
		}
		return nil
	}
	if r, err := s.Ask(t.Context(), []netip.AddrPort{f.addr, g.addr}, q); r != nil || err != empty {
		t.Errorf("%v, %v", r, err)
	}
	if f.count()+g.count() != 1 {
		t.Errorf("%d messages", f.count()+g.count())
	}
	// Nothing is under way any more.
	for _, srv := range []netip.AddrPort{f.addr, g.addr} {
		if e, ok := s.memory.servers.Get(srv); ok && e.inflight != 0 {
			t.Errorf("%d under way", e.inflight)
		}
	}
}

func TestTentative(t *testing.T) {
	f := serve(t, "udp", rcode(dns.RcodeRefused))
	g := serve(t, "udp", rcode(dns.RcodeRefused))
	s := servers(t, Config{})
	q := question("ent.example.org.")
	q.Tentative = true
	_, err := s.Ask(t.Context(), []netip.AddrPort{f.addr, g.addr}, q)
	e, ok := err.(*Error)
	if !ok || !e.Refused() || len(e.Failures) != 1 {
		t.Fatal(err)
	}
	if f.count()+g.count() != 1 || s.Stats().Penalties != 0 {
		t.Errorf("%d messages, %+v", f.count()+g.count(), s.Stats())
	}
}

// A reply that is late is still taken.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	f := serve(t, "udp", slow(550*time.Millisecond, good))
	s := servers(t, Config{Timeout: 2 * time.Second})
	if r := expect(t, s, f.addr); r.RTT < 500*time.Millisecond || f.count() > 2 {
		t.Errorf("%v, %s", r.RTT, f.story())
	}
	// Now it is known how slow it is.
	f.forget()
	expectName(t, s, "ftp.example.org.", f.addr)
	if f.count() != 1 {
		t.Error(f.story())
	}
}

func TestContextEnds(t *testing.T) {
	f := serve(t, "udp", dead)
	s := servers(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // before it is asked once more
	defer cancel()
	_, err := s.Ask(ctx, []netip.AddrPort{f.addr}, question("www.example.org."))
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
	if !eventually(func() bool { return f.count() == 1 }) {
		t.Errorf("%d messages", f.count())
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = s.Ask(ctx, []netip.AddrPort{f.addr}, question("www.example.org."))
	if !errors.Is(err, context.Canceled) || f.count() != 1 {
		t.Error(err, f.count())
	}
}

// Many questions at once to a dead server are few messages, and once it is known to be dead they are none.
func TestDeadServerIsNotHammered(t *testing.T) {
	t.Parallel()
	f := serve(t, "udp", dead)
	s := servers(t, Config{})
	many := func() {
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				_, err := s.Ask(t.Context(), []netip.AddrPort{f.addr}, question(fmt.Sprintf("n%d.example.org.", i)))
				if e, ok := err.(*Error); !ok || !e.Unreachable() {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	many()
	if n := f.count(); n < 1 || n > coldLimit {
		t.Errorf("%d messages", n)
	}
	f.forget()
	many()
	if n := f.count(); n > deadLimit {
		t.Errorf("%d messages to a server that is known to be dead", n)
	}
	if s.Stats().Spared == 0 {
		t.Error("nothing was spared")
	}
}

// A burst of questions to a server that was never asked does not fail for that.
func TestColdBurst(t *testing.T) {
	f := serve(t, "udp", slow(30*time.Millisecond, good))
	s := servers(t, Config{Timeout: 3 * time.Second})
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			_, err := s.Ask(t.Context(), []netip.AddrPort{f.addr}, question(fmt.Sprintf("n%d.example.org.", i)))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestTrace(t *testing.T) {
	bad, fine := serve(t, "udp", rcode(dns.RcodeRefused)), serve(t, "udp,tcp", truncating)
	s := servers(t, Config{})
	for {
		ctx, trace := resolver.WithTrace(t.Context())
		q := question("www.example.org.")
		q.Depth = 2
		reply, err := s.Ask(ctx, []netip.AddrPort{bad.addr, fine.addr}, q)
		if err != nil {
			t.Fatal(err)
		}
		steps := trace.Steps()
		if len(steps) < 3 { // the good one came first
			s = servers(t, Config{})
			continue
		}
		reply.Amend(func(st *resolver.Step) { st.Outcome = "answer" })
		for i, want := range []resolver.Step{
			{Server: bad.addr.String(), Transport: "udp", Rcode: "REFUSED", Outcome: "REFUSED"},
			{Server: fine.addr.String(), Transport: "udp", Outcome: "truncated: asked again by TCP"},
			{Server: fine.addr.String(), Transport: "tcp", Rcode: "NOERROR", Outcome: "answer"},
		} {
			got := trace.Steps()[i]
			if got.RTT <= 0 {
				t.Error("no RTT")
			}
			got.RTT, got.At = 0, 0
			want.Depth, want.Kind, want.Zone, want.Name, want.Type = 2, resolver.StepQuery, q.Zone, q.Name, "A"
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		}
		return
	}
}

func TestWhoIsNotAsked(t *testing.T) {
	f := serve(t, "udp", good)
	q := question("www.example.org.")
	for name, tt := range map[string]struct {
		cfg   Config
		avoid []netip.AddrPort
		at    netip.AddrPort
	}{
		"no IPv4":     {cfg: Config{NoIPv4: true}, at: f.addr},
		"mapped":      {cfg: Config{NoIPv4: true}, at: netip.AddrPortFrom(netip.AddrFrom16(f.addr.Addr().As16()), f.addr.Port())},
		"no IPv6":     {cfg: Config{NoIPv6: true}, at: at("[::1]:53")},
		"avoided":     {avoid: []netip.AddrPort{f.addr}, at: f.addr},
		"unspecified": {at: at("0.0.0.0:53")},
		"multicast":   {at: at("[ff02::1]:53")},
		"no port":     {at: at("127.0.0.1:0")},
		"invalid":     {},
	} {
		s := servers(t, tt.cfg)
		q.Avoid = tt.avoid
		_, err := s.Ask(t.Context(), []netip.AddrPort{tt.at}, q)
		e, ok := err.(*Error)
		if !ok || len(e.Failures) != 0 || e.Code() != 22 || s.Stats().UDP != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQuestionThatCannotBeSent(t *testing.T) {
	s := servers(t, Config{})
	q := question("a..example.org.")
	_, err := s.Ask(t.Context(), []netip.AddrPort{at("127.0.0.1:9")}, q)
	if e := (*resolver.Error)(nil); !errors.As(err, &e) || e.Rcode != dns.RcodeFormatError {
		t.Error(err)
	}
}
