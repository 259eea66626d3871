package localroot

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// primary is a real server on loopback that has a zone.
type primary struct {
	addr netip.AddrPort

	mu     sync.Mutex
	zone   []dns.RR
	axfrs  int
	soas   int
	rcode  int
	stream func(w dns.ResponseWriter, m *dns.Msg) // instead of a proper transfer
}

func newPrimary(t *testing.T, zone []dns.RR) *primary {
	t.Helper()
	p := &primary{zone: zone}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = netip.MustParseAddrPort(l.Addr().String())
	s := &dns.Server{Listener: l, Handler: p}
	done := make(chan struct{})
	go func() { defer close(done); s.ActivateAndServe() }()
	t.Cleanup(func() { l.Close(); s.Shutdown(); <-done })
	return p
}

func (p *primary) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *primary) counts() (soas, axfrs int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.soas, p.axfrs
}

func (p *primary) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	reply := new(dns.Msg).SetReply(m)
	soa := without(p.zone, func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeSOA })
	switch {
	case p.rcode != 0 && m.Question[0].Qtype == dns.TypeAXFR:
		reply.Rcode = p.rcode
		w.WriteMsg(reply)
	case m.Question[0].Qtype == dns.TypeSOA:
		p.soas++
		reply.Answer = soa
		w.WriteMsg(reply)
	case p.stream != nil:
		p.axfrs++
		p.stream(w, m)
	case m.Question[0].Qtype == dns.TypeAXFR:
		p.axfrs++
		p.send(w, m, soa[0])
	}
}

// send transfers the zone in several messages.
func (p *primary) send(w dns.ResponseWriter, m *dns.Msg, soa dns.RR) {
	all := append([]dns.RR{soa}, without(p.zone, func(rr dns.RR) bool { return rr == soa })...)
	all = append(all, soa)
	for len(all) > 0 {
		n := min(7, len(all))
		reply := new(dns.Msg).SetReply(m)
		reply.Answer = all[:n]
		all = all[n:]
		w.WriteMsg(reply)
	}
}

// zoneFrom returns a Zone that asks servers.
func (r *root) zoneFrom(t *testing.T, cfg Config) *Zone {
	t.Helper()
	cfg.Anchors = r.anchors
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return start }
	}
	z, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestTransfer(t *testing.T) {
	r := newRoot(t)
	p := newPrimary(t, r.zone(10))
	now := start
	cache := filepath.Join(t.TempDir(), "root.zone")
	cfg := Config{Servers: []netip.AddrPort{p.addr}, Cache: cache, Now: func() time.Time { return now }}
	z := r.zoneFrom(t, cfg)
	if z.Ready() {
		t.Fatal("ready before the first copy")
	}
	z.begin() // there is no cache yet
	step := func(want uint32, soas, axfrs int) {
		t.Helper()
		if err := z.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		s, a := p.counts()
		if st := z.Status(); st.Serial != want || !st.Ready || !st.Checked.Equal(now) || s != soas || a != axfrs {
			t.Fatalf("%+v after %d SOA queries and %d transfers", st, s, a)
		}
	}
	step(10, 1, 1)
	now = now.Add(30 * time.Minute)
	step(10, 2, 1)
	now = now.Add(30 * time.Minute)
	p.set(func() { p.zone = r.zone(11, "new. 172800 IN NS ns.eu.") })
	step(11, 3, 2)
	if m, ok := z.Answer("x.new.", dns.TypeA); !ok || brief(m.Ns) != "new./NS new./NSEC new./NSEC*" {
		t.Errorf("x.new.: %v", m)
	}
	info, err := os.Stat(cache)
	if err != nil || info.Mode().Perm() != 0o644 || !info.ModTime().Equal(now) {
		t.Fatalf("cache: %v, %v", info, err)
	}

	p.set(func() { p.zone = r.zone(9) })
	if err := z.refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("error %v", err)
	}

	again := r.zoneFrom(t, cfg) // starts from disk
	again.begin()
	if st := again.Status(); !st.Ready || st.Serial != 11 || !st.Checked.Equal(now) {
		t.Errorf("after a restart: %+v", st)
	}
	now = now.Add(8 * 24 * time.Hour)
	again = r.zoneFrom(t, cfg)
	again.begin()
	if again.Ready() {
		t.Error("a cache of last week is in use")
	}
}

func TestTransferFailures(t *testing.T) {
	r := newRoot(t)
	good := r.zone(10)
	message := func(m *dns.Msg, rrs ...dns.RR) *dns.Msg {
		reply := new(dns.Msg).SetReply(m)
		reply.Answer = rrs
		return reply
	}
	soa := good[0]
	later := dns.Copy(soa).(*dns.SOA)
	later.Serial++
	for _, tt := range []struct {
		name   string
		stream func(w dns.ResponseWriter, m *dns.Msg)
		want   string
	}{
		{"cut short", func(w dns.ResponseWriter, m *dns.Msg) { w.WriteMsg(message(m, soa, good[1])); w.Close() }, "after 2 records"},
		{"nothing", func(w dns.ResponseWriter, m *dns.Msg) { w.Close() }, "after 0 records"},
		{"no SOA first", func(w dns.ResponseWriter, m *dns.Msg) { w.WriteMsg(message(m, good[1], soa, soa)) }, "does not begin with the SOA"},
		{"another zone's SOA", func(w dns.ResponseWriter, m *dns.Msg) {
			o := dns.Copy(soa)
			o.Header().Name = "com."
			w.WriteMsg(message(m, o, o))
		}, "does not begin with the SOA"},
		{"changes on the way", func(w dns.ResponseWriter, m *dns.Msg) { w.WriteMsg(message(m, soa, good[1], later)) }, "changed while"},
		{"more after the end", func(w dns.ResponseWriter, m *dns.Msg) { w.WriteMsg(message(m, soa, soa, good[1])) }, "after the end"},
		{"half a zone", func(w dns.ResponseWriter, m *dns.Msg) { w.WriteMsg(message(m, soa, good[1], soa)) }, "keys do not validate"},
		{"another id", func(w dns.ResponseWriter, m *dns.Msg) {
			o := message(m, soa, soa)
			o.Id++
			w.WriteMsg(o)
		}, "no answer to the question"},
		{"another question", func(w dns.ResponseWriter, m *dns.Msg) {
			o := message(m, soa, soa)
			o.Question[0].Name = "com."
			w.WriteMsg(o)
		}, "another question"},
		{"garbage", func(w dns.ResponseWriter, m *dns.Msg) { w.Write([]byte("garbage")) }, "malformed message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad, ok := newPrimary(t, good), newPrimary(t, good)
			bad.stream = tt.stream
			z := r.zoneFrom(t, Config{Servers: []netip.AddrPort{bad.addr}})
			if err := z.refresh(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), bad.addr.String()) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if z.Ready() {
				t.Error("in use all the same")
			}
			z = r.zoneFrom(t, Config{Servers: []netip.AddrPort{bad.addr, ok.addr}})
			if err := z.refresh(t.Context()); err != nil || !z.Ready() {
				t.Errorf("the next server: %v", err)
			}
			if err := z.refresh(t.Context()); err != nil {
				t.Error(err)
			}
			if soas, _ := bad.counts(); soas != 2 { // one for each Zone
				t.Errorf("the bad server was asked %d times", soas)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		p := newPrimary(t, good)
		p.rcode = dns.RcodeRefused
		z := r.zoneFrom(t, Config{Servers: []netip.AddrPort{p.addr}})
		if err := z.refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "REFUSED") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("without end", func(t *testing.T) {
		p := newPrimary(t, good)
		p.stream = func(w dns.ResponseWriter, m *dns.Msg) {
			rrs := []dns.RR{soa}
			for w.WriteMsg(message(m, rrs...)) == nil {
				rrs = nil // messages that say nothing
				time.Sleep(time.Millisecond)
			}
		}
		z := r.zoneFrom(t, Config{Servers: []netip.AddrPort{p.addr}, Timeout: 200 * time.Millisecond})
		if err := z.refresh(t.Context()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		z = r.zoneFrom(t, Config{Servers: []netip.AddrPort{p.addr}})
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := z.refresh(ctx); err == nil {
			t.Error("no error")
		}
	})
}

// TestTransferIsBounded: no more is kept than a root zone could need.
func TestTransferIsBounded(t *testing.T) {
	r := newRoot(t)
	soa := r.zone(10)[0]
	var full dns.Msg
	full.Response = true
	full.Answer = append(full.Answer, soa)
	big := &dns.TXT{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}}
	for range 200 {
		big.Txt = append(big.Txt, strings.Repeat("x", 255))
	}
	full.Answer = append(full.Answer, big)
	first, err := full.Pack()
	if err != nil {
		t.Fatal(err)
	}
	full.Answer = full.Answer[1:]
	next, err := full.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var tr transfer
	if err := tr.add(first); err != nil {
		t.Fatal(err)
	}
	messages := 0
	for ; err == nil && messages < 2000; messages++ {
		err = tr.add(next)
	}
	if err == nil || !strings.Contains(err.Error(), "larger than") || tr.bytes > maxBytes+2*dns.MaxMsgSize {
		t.Errorf("%d messages, %d bytes: %v", messages, tr.bytes, err)
	}
}

func TestRun(t *testing.T) {
	r := newRoot(t)
	r.to = time.Now().Add(time.Hour)
	r.from = time.Now().Add(-time.Hour)
	p := newPrimary(t, r.zone(1))
	p.rcode = dns.RcodeServerFailure
	var log strings.Builder
	var mu sync.Mutex
	z := r.zoneFrom(t, Config{
		Servers: []netip.AddrPort{p.addr}, MinRetry: 10 * time.Millisecond, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(writer(func(b []byte) { mu.Lock(); defer mu.Unlock(); log.Write(b) }), nil)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { z.Run(ctx); close(done) }()
	eventually(t, func() bool { return strings.Contains(z.Status().Error, "SERVFAIL") })
	p.set(func() { p.rcode = 0 })
	eventually(t, func() bool { return z.Ready() && z.Status().Error == "" })
	cancel()
	<-done
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(log.String(), "local root zone in use") || !strings.Contains(log.String(), "not refreshed") {
		t.Errorf("log:\n%s", log.String())
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	for range 1000 {
		if cond() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it does not come true")
}

func TestSchedule(t *testing.T) {
	r := newRoot(t)
	fail := errors.New("no")
	none := r.zoneFrom(t, Config{Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}})
	some := r.ready(start, r.zone(1))
	for _, tt := range []struct {
		z        *Zone
		err      error
		failures int
		want     time.Duration
	}{
		{none, fail, 1, time.Minute},
		{none, fail, 2, 2 * time.Minute},
		{none, fail, 4, 8 * time.Minute},
		{none, fail, 1000, time.Hour},
		{some, nil, 0, 30 * time.Minute},
		{some, fail, 1, 15 * time.Minute},
		{some, fail, 100, 15 * time.Minute},
	} {
		if got := tt.z.schedule(tt.err, tt.failures); got != tt.want {
			t.Errorf("%v, %d failures: %v, want %v", tt.err, tt.failures, got, tt.want)
		}
		if st := tt.z.Status(); !st.Next.Equal(start.Add(tt.want)) || (st.Error == "") != (tt.err == nil) {
			t.Errorf("status %+v", st)
		}
	}
}
