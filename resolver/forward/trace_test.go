package forward

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
)

// TestTrace: each upstream that is asked is a step, with what came of it.
func TestTrace(t *testing.T) {
	bad := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetRcode(r, dns.RcodeServerFailure)
		_ = w.WriteMsg(m)
	})
	fine := serve(t, "udp", good)
	f := forwarder(t, Config{Zone: "example.org."}, udp(bad.addr, "bad"), udp(fine.addr, "fine"))
	ctx, trace := resolver.WithTrace(t.Context())
	if _, err := f.Resolve(resolver.Deeper(ctx), resolver.Query{Name: "www.example.org.", Type: dns.TypeA, Class: dns.ClassINET}); err != nil {
		t.Fatal(err)
	}
	for _, s := range trace.Steps() {
		want := map[string]string{"bad": "SERVFAIL no answer", "fine": "NOERROR answer"}[s.Server]
		if s.Outcome == "no reply before the end" || strings.HasPrefix(s.Outcome, "called off") {
			continue // both were asked, and the other one was faster
		}
		if s.Rcode+" "+s.Outcome != want || s.Depth != 1 || s.Kind != resolver.StepQuery || s.Zone != "example.org." ||
			s.Name != "www.example.org." || s.Type != "A" || s.Transport != "udp" || s.RTT <= 0 {
			t.Errorf("%+v, want %q", s, want)
		}
	}
	if n := len(trace.Steps()); n < 1 || n > 2 {
		t.Errorf("%d steps", n)
	}
}

// TestTraceFailure: what kept an upstream from answering is told.
func TestTraceFailure(t *testing.T) {
	f := forwarder(t, Config{}, udp("127.0.0.1:1", "nobody"))
	ctx, trace := resolver.WithTrace(t.Context())
	if _, err := f.Resolve(ctx, resolver.Query{Name: "www.example.org.", Type: dns.TypeA, Class: dns.ClassINET}); err == nil {
		t.Fatal("an answer")
	}
	steps := trace.Steps()
	if len(steps) == 0 || steps[0].Server != "nobody" || steps[0].Outcome != "connection refused" || steps[0].Depth != 0 || steps[0].Rcode != "" {
		t.Errorf("%+v", steps)
	}
}
