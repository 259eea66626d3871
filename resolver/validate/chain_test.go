package validate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// A zone whose DS or keys are bogus at one server is asked of others, then left alone for a while that grows.
func TestBogusElsewhere(t *testing.T) {
	server := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)}), 53)
	}
	for _, what := range []uint16{dns.TypeDS, dns.TypeDNSKEY} {
		w := internet(t)
		w.server = server
		spoilt := 0 // servers that are
		w.tamper = func(r *Response) {
			if r.Type == what && r.Name == "good.org." && int(r.Server.Addr().As4()[3]) <= spoilt {
				r.Answer = r.Answer[:1]
			}
		}
		clock := now
		c := chainOver(w, Config{Now: func() time.Time { return clock }})
		judge := func() Judgement { return w.judge(t, c, w.ask("www.good.org.", dns.TypeA)) }
		prefix := dns.Type(what).String() + " good.org."
		spoilt = 2
		if j := judge(); j.Status != dnssec.Secure || w.count(prefix) != 3 {
			t.Errorf("%s: two bad servers: %v", prefix, j.Verdict)
		}
		c = chainOver(w, Config{Now: func() time.Time { return clock }})
		spoilt = 9
		if j := judge(); j.Status != dnssec.Bogus || j.Code != dns.ExtendedErrorCodeRRSIGsMissing || w.count(prefix) != 3 {
			t.Errorf("%s: bad servers only: %v", prefix, j.Verdict)
		}
		// 5, 10, 20, 40, 60, 60 seconds: not earlier, and not later.
		for _, pause := range []time.Duration{5, 10, 20, 40, 60, 60} {
			clock = clock.Add(pause*time.Second - 1)
			if j := judge(); j.Status != dnssec.Bogus || w.count(prefix) != 0 {
				t.Errorf("%s: asked before %d s", prefix, pause)
			}
			clock = clock.Add(1)
			if j := judge(); j.Status != dnssec.Bogus || w.count(prefix) != 3 {
				t.Errorf("%s: not asked after %d s", prefix, pause)
			}
		}
		spoilt = 0
		clock = clock.Add(time.Minute)
		if j := judge(); j.Status != dnssec.Secure {
			t.Errorf("%s: mended: %v", prefix, j.Verdict)
		}
		w.count("")
		clock = clock.Add(50 * time.Minute)
		if j := judge(); j.Status != dnssec.Secure || w.count("") != 0 {
			t.Errorf("%s: forgotten early: %v", prefix, j.Verdict)
		}
		clock = clock.Add(11 * time.Minute)
		if j := judge(); j.Status != dnssec.Secure || w.count("") == 0 {
			t.Errorf("%s: kept beyond its TTL: %v", prefix, j.Verdict)
		}
	}
}

// What is remembered serves other questions, and other sets of anchors no further than it goes.
func TestMemory(t *testing.T) {
	w := internet(t)
	c := chainOver(w, Config{})
	w.judge(t, c, w.ask("www.good.org.", dns.TypeA))
	if w.count("") != 5 { // keys of ., org. and good.org., and two DS
		t.Error("cold")
	}
	w.judge(t, c, w.ask("nothing.good.org.", dns.TypeA))
	w.judge(t, c, w.ask("good.org.", dns.TypeMX))
	if n := w.count(""); n != 0 {
		t.Errorf("warm: %d fetches", n)
	}
	w.judge(t, c, w.ask("www.plain.org.", dns.TypeA))
	if n := w.count(""); n != 1 {
		t.Errorf("insecure sibling: %d fetches", n)
	}
	w.judge(t, c, w.ask("any.www.plain.org.", dns.TypeA))
	if n := w.count(""); n != 0 {
		t.Errorf("insecure, again: %d fetches", n)
	}
	// The same DS as an anchor by itself, say from a chain: the keys are known, and no way leads there.
	ds := dnssec.NewDS(w.zones["good.org."].signer.Key, dns.SHA256)
	own := new(dnssec.Anchors).With("good.org.", dnssec.Trust{DS: []*dns.DS{ds}})
	j, err := c.Validate(context.Background(), w.ask("www.good.org.", dns.TypeA), own, dnssec.NewBudget(dnssec.Limits{}))
	if err != nil || j.Status != dnssec.Secure || w.count("") != 0 {
		t.Errorf("anchor of its own: %v, %v", j, err)
	}
	wrong := *ds
	wrong.Digest = strings.Repeat("00", 32)
	own = own.With("good.org.", dnssec.Trust{DS: []*dns.DS{&wrong}})
	j, err = c.Validate(context.Background(), w.ask("www.good.org.", dns.TypeA), own, dnssec.NewBudget(dnssec.Limits{}))
	if err != nil || j.Status != dnssec.Bogus || w.count("DNSKEY good.org.") == 0 {
		t.Errorf("wrong DS: %v, %v", j, err)
	}
	if j := w.judge(t, c, w.ask("www.good.org.", dns.TypeA)); j.Status != dnssec.Secure {
		t.Errorf("after a wrong DS elsewhere: %v", j.Verdict)
	}
	if s := c.Stats(); s.Judged["secure"] != 5 || s.Judged["insecure"] != 2 || s.Judged["bogus"] != 1 || s.Zones == 0 || s.Cuts == 0 {
		t.Errorf("%+v", s)
	}
}

// The closest anchor, positive or negative, decides.
func TestAnchors(t *testing.T) {
	w := internet(t)
	trust := func(zone string) dnssec.Trust {
		return dnssec.Trust{DS: []*dns.DS{dnssec.NewDS(w.zones[zone].signer.Key, dns.SHA256)}}
	}
	keyed := dnssec.Trust{Keys: []*dns.DNSKEY{w.zones["island.org."].signer.Key}}
	tests := []struct {
		what     string
		anchors  *dnssec.Anchors
		negative []string
		name     string
		rrtype   uint16
		status   dnssec.Status
		text     string
	}{
		{"none", new(dnssec.Anchors), nil, "www.good.org.", dns.TypeA, dnssec.Indeterminate, "no trust anchor"},
		{"nil", nil, nil, "www.good.org.", dns.TypeA, dnssec.Indeterminate, "no trust anchor"},
		{"nil, denied", nil, nil, "x.good.org.", dns.TypeA, dnssec.Indeterminate, "no trust anchor"},
		{"elsewhere", new(dnssec.Anchors).With("com.", trust("com.")), nil, "www.good.org.", dns.TypeA, dnssec.Indeterminate, "no trust anchor"},
		{"island by DS", w.anchors().With("island.org.", trust("island.org.")), nil, "www.island.org.", dns.TypeA, dnssec.Secure, ""},
		{"island by key", w.anchors().With("island.org.", keyed), nil, "x.island.org.", dns.TypeA, dnssec.Secure, ""},
		{"beside the island", w.anchors().With("island.org.", keyed), nil, "www.plain.org.", dns.TypeA, dnssec.Insecure, "no DS"},
		{"DS of the island", w.anchors().With("island.org.", keyed), nil, "island.org.", dns.TypeDS, dnssec.Secure, ""},
		{"negative", w.anchors(), []string{"Badds.org"}, "www.badds.org.", dns.TypeA, dnssec.Insecure, "negative trust anchor for badds.org."},
		{"negative, denied", w.anchors(), []string{"badds.org."}, "x.badds.org.", dns.TypeA, dnssec.Insecure, "negative"},
		{"negative, its DS", w.anchors(), []string{"badds.org."}, "badds.org.", dns.TypeDS, dnssec.Secure, ""},
		{"negative at a name", w.anchors(), []string{"www.good.org."}, "www.good.org.", dns.TypeA, dnssec.Insecure, "negative"},
		{"negative beside", w.anchors(), []string{"x.good.org."}, "www.good.org.", dns.TypeA, dnssec.Secure, ""},
		{"negative root", w.anchors(), []string{"."}, "www.good.org.", dns.TypeA, dnssec.Insecure, "negative"},
		{"negative above an anchor", w.anchors().With("good.org.", trust("good.org.")), []string{"org."}, "www.good.org.", dns.TypeA, dnssec.Secure, ""},
		{"negative at an anchor", w.anchors().With("good.org.", trust("good.org.")), []string{"good.org."}, "www.good.org.", dns.TypeA, dnssec.Insecure, "negative"},
		{"wrong anchor below a right one", w.anchors().With("good.org.", trust("com.")), nil, "www.good.org.", dns.TypeA, dnssec.Bogus, "matches the DS that vouches for it (tag "},
	}
	for _, tt := range tests {
		c := chainOver(w, Config{Negative: tt.negative})
		j, err := c.Validate(context.Background(), w.ask(tt.name, tt.rrtype), tt.anchors, dnssec.NewBudget(dnssec.Limits{}))
		if err != nil || j.Status != tt.status || !strings.Contains(j.Text, tt.text) || tt.text == "" && j.Text != "" {
			t.Errorf("%s: %v, %v", tt.what, j.Verdict, err)
		}
	}
}

// What is likely wrong when not even the root's keys hold.
func TestProbe(t *testing.T) {
	old := newSigner(t, "other.", dns.ZONE|dns.SEP).Key
	old.Hdr.Name = "."
	tests := []struct {
		what   string
		clock  time.Duration
		change func(*world)
		anchor func(*world) *dnssec.Anchors
		status dnssec.Status
		text   string
	}{
		{"good", 0, nil, nil, dnssec.Secure, ""},
		{"clock ahead", 1000 * time.Hour, nil, nil, dnssec.Bogus, "the clock (2027-01-02T04:00:00Z) may be wrong"},
		{"clock behind", -1000 * time.Hour, nil, nil, dnssec.Bogus, "may be wrong"},
		{"other key", 0, nil, func(*world) *dnssec.Anchors {
			return new(dnssec.Anchors).With(".", dnssec.Trust{DS: []*dns.DS{dnssec.NewDS(old, dns.SHA256)}})
		}, dnssec.Bogus, fmt.Sprintf("(tag %d) does not match its keys (tag ", old.KeyTag())},
		{"other key, as a key", 0, nil, func(*world) *dnssec.Anchors {
			return new(dnssec.Anchors).With(".", dnssec.Trust{Keys: []*dns.DNSKEY{old}})
		}, dnssec.Bogus, "may be outdated"},
		{"no anchor", 0, nil, func(*world) *dnssec.Anchors { return new(dnssec.Anchors) }, dnssec.Indeterminate, "no trust anchor"},
		{"no network", 0, func(w *world) {
			w.fail = func(string, uint16) error { return errors.New("unplugged") }
		}, nil, dnssec.Indeterminate, "unplugged"},
		{"stripped", 0, func(w *world) {
			w.tamper = func(r *Response) { r.Answer = r.Answer[:1] }
		}, nil, dnssec.Bogus, "not signed"},
		{"empty", 0, func(w *world) { w.tamper = func(r *Response) { r.Answer = nil } }, nil, dnssec.Bogus, "no DNSKEY"},
	}
	for _, tt := range tests {
		w := newWorld(t, spec{name: "."}, spec{name: "org."}, spec{name: "good.org.", text: "www A 192.0.2.1"})
		if tt.change != nil {
			tt.change(w)
		}
		anchors := w.anchors()
		if tt.anchor != nil {
			anchors = tt.anchor(w)
		}
		c := chainOver(w, Config{Now: func() time.Time { return now.Add(tt.clock) }})
		v := c.Probe(context.Background(), anchors)
		if v.Status != tt.status || !strings.Contains(v.Text, tt.text) {
			t.Errorf("%s: %v", tt.what, v)
		}
		if tt.status == dnssec.Bogus {
			j, err := c.Validate(context.Background(), w.ask("www.good.org.", dns.TypeA), anchors, dnssec.NewBudget(dnssec.Limits{}))
			if err != nil || j.Verdict != v {
				t.Errorf("%s: an answer: %v, %v", tt.what, j.Verdict, err)
			}
		}
	}
}

// A chain that cannot be followed is an error, with a cause for the client.
func TestValidateErrors(t *testing.T) {
	told := resolver.Errorf(dns.ExtendedErrorCodeNetworkError, nil, "all servers of good.org. are dead")
	tests := []struct {
		rrtype uint16
		err    error
		code   uint16
	}{
		{dns.TypeDNSKEY, errors.New("dead"), dns.ExtendedErrorCodeDNSKEYMissing},
		{dns.TypeDNSKEY, told, dns.ExtendedErrorCodeNetworkError},
		{dns.TypeDS, errors.New("dead"), dns.ExtendedErrorCodeDNSSECIndeterminate},
		{dns.TypeDS, told, dns.ExtendedErrorCodeNetworkError},
	}
	for _, tt := range tests {
		w := newWorld(t, spec{name: "."}, spec{name: "org."}, spec{name: "good.org.", text: "www A 192.0.2.1"})
		w.fail = func(name string, rrtype uint16) error {
			if rrtype == tt.rrtype && name == "good.org." {
				return tt.err
			}
			return nil
		}
		c := chainOver(w, Config{})
		for _, r := range []*Response{w.ask("www.good.org.", dns.TypeA), w.ask("x.good.org.", dns.TypeA)} {
			_, err := c.Validate(context.Background(), r, w.anchors(), dnssec.NewBudget(dnssec.Limits{}))
			var cause *resolver.Error
			if !errors.As(err, &cause) || cause.Code != tt.code || !errors.Is(err, tt.err) {
				t.Errorf("%s %v: %v", dns.Type(tt.rrtype), tt.err, err)
			}
		}
		if c.Stats().Failures != 2 {
			t.Errorf("%+v", c.Stats())
		}
	}
	// An alias loop is one too.
	w := internet(t)
	r := &Response{Name: "a.org.", Type: dns.TypeA, Zone: "org.", Answer: parse(t, ".", "a.org. CNAME b.org.\nb.org. CNAME a.org.")}
	if _, err := chainOver(w, Config{}).Validate(context.Background(), r, w.anchors(), dnssec.NewBudget(dnssec.Limits{})); err == nil {
		t.Error("no error for a loop")
	}
}

// A budget that an attacker's zone has used up is not held against the zone at which it ends.
func TestExhaustedElsewhere(t *testing.T) {
	w := internet(t)
	c := chainOver(w, Config{})
	b := dnssec.NewBudget(dnssec.Limits{Failures: 1})
	bad := w.ask("www.signed.com.", dns.TypeA)
	bad.Answer = copied(bad.Answer)
	bad.Answer[0].(*dns.A).A[3]++
	if j, err := c.Validate(context.Background(), bad, w.anchors(), b); err != nil || j.Status != dnssec.Bogus {
		t.Fatal(j.Verdict, err)
	}
	if j, err := c.Validate(context.Background(), w.ask("www.good.org.", dns.TypeA), w.anchors(), b); err != nil || j.Status != dnssec.Exhausted {
		t.Fatal(j.Verdict, err)
	}
	if j := w.judge(t, c, w.ask("www.good.org.", dns.TypeA)); j.Status != dnssec.Secure {
		t.Errorf("afterwards: %v", j.Verdict)
	}
}

// TTLs are lowered to what signatures allow, in copies.
func TestTTL(t *testing.T) {
	w := newWorld(t, spec{name: "."}, spec{name: "org.", to: 100 * time.Second, text: "www 3600 A 192.0.2.1\ndn DNAME www"})
	for _, name := range []string{"www.org.", "x.dn.org.", "nothing.org."} {
		r := w.ask(name, dns.TypeA)
		j := w.judge(t, chainOver(w, Config{}), r)
		if j.Status != dnssec.Secure || j.TTL != 100*time.Second {
			t.Errorf("%s: %v for %v", name, j.Verdict, j.TTL)
		}
		for _, rr := range append(append([]dns.RR{}, j.Answer...), j.Ns...) {
			if rr.Header().Ttl != 100 {
				t.Errorf("not lowered: %v", rr)
			}
		}
		for _, rr := range append(append([]dns.RR{}, r.Answer...), r.Ns...) {
			if rr.Header().Ttl == 100 {
				t.Errorf("changed: %v", rr)
			}
		}
	}
	plain := newWorld(t, spec{name: "."}, spec{name: "org.", plain: true, text: "www A 192.0.2.1"})
	if j := plain.judge(t, chainOver(plain, Config{}), plain.ask("www.org.", dns.TypeA)); j.TTL < 1000*time.Hour {
		t.Errorf("unsigned: %v", j.TTL)
	}
}

// The trace names each link of the chain of trust, whether it was fetched or remembered.
func TestTrace(t *testing.T) {
	w := internet(t)
	c := chainOver(w, Config{Negative: []string{"badds.org."}})
	tests := []struct {
		name, trust, status string
	}{
		{"www.good.org.", ". anchor secure, org. DS secure, good.org. DS secure", "secure"},
		{"www.plain.org.", ". anchor secure, org. DS secure, plain.org. no DS insecure", "insecure"},
		{"www.expired.org.", ". anchor secure, org. DS secure, expired.org. DS bogus", "bogus"},
		{"www.badds.org.", "badds.org. negative anchor insecure", "insecure"},
	}
	for _, round := range []string{"cold", "warm"} {
		for _, tt := range tests {
			ctx, trace := resolver.WithTrace(context.Background())
			if _, err := c.Validate(ctx, w.ask(tt.name, dns.TypeA), w.anchors(), dnssec.NewBudget(dnssec.Limits{})); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range trace.Trust() {
				got = append(got, s.Zone+" "+s.By+" "+s.Status)
				if s.Status == "secure" && (s.Key == "" || s.Sig == "" || len(s.DS) != 1) || s.Status != "secure" && s.Text == "" {
					t.Errorf("%+v", s)
				}
			}
			if g := strings.Join(got, ", "); g != tt.trust {
				t.Errorf("%s, %s: %s", tt.name, round, g)
			}
			steps := trace.Steps()
			if len(steps) != 1 || steps[0].Kind != resolver.StepValidate || steps[0].Name != tt.name || steps[0].Status != tt.status || steps[0].Outcome == "" {
				t.Errorf("%s: %+v", tt.name, steps)
			}
		}
	}
}

// What is large, odd or too much.
func TestOddResponses(t *testing.T) {
	long := strings.Repeat("a23456789.", 12)
	w := newWorld(t, spec{name: "."}, spec{name: "org.", text: "dn DNAME " + long + long + "org.\nwww A 192.0.2.1"})
	c := chainOver(w, Config{})
	dname := w.zones["org."].sets["dn.org."][dns.TypeDNAME]
	name := long + "dn.org."
	j := w.judge(t, c, &Response{Name: name, Type: dns.TypeA, Zone: "org.", Rcode: dns.RcodeYXDomain, Answer: dname})
	if j.Status != dnssec.Secure || j.Rcode != dns.RcodeYXDomain || len(j.Answer) != 2 {
		t.Errorf("overlong: %v, rcode %d", j.Verdict, j.Rcode)
	}
	j = w.judge(t, c, &Response{Name: name, Type: dns.TypeA, Zone: "org.", Rcode: dns.RcodeYXDomain, Answer: dname[:1]})
	if j.Status != dnssec.Bogus {
		t.Errorf("overlong, unsigned: %v", j.Verdict)
	}
	var many []dns.RR
	for i := range maxSets + 1 {
		many = append(many, &dns.RFC3597{Hdr: dns.RR_Header{Name: "www.org.", Rrtype: uint16(1000 + i), Class: dns.ClassINET}})
	}
	if j := w.judge(t, c, &Response{Name: "www.org.", Type: dns.TypeANY, Zone: "org.", Answer: many}); j.Status != dnssec.Exhausted {
		t.Errorf("many types: %v", j.Verdict)
	}
	// Signatures that nobody looked at are not passed on beside those that hold.
	r := w.ask("www.org.", dns.TypeA)
	foreign := dns.Copy(r.Answer[1]).(*dns.RRSIG)
	foreign.SignerName = "com."
	r.Answer = append(r.Answer[:2:2], foreign)
	if j := w.judge(t, c, r); j.Status != dnssec.Secure || len(j.Answer) != 2 {
		t.Errorf("foreign signature: %v %v", j.Verdict, j.Answer)
	}
	// Many signatures that fail: bounded work (CVE-2023-50387).
	good := r.Answer[1].(*dns.RRSIG)
	r.Answer = r.Answer[:1:1]
	for i := range 200 {
		bad := dns.Copy(good).(*dns.RRSIG)
		bad.Inception -= uint32(i + 1)
		r.Answer = append(r.Answer, bad)
	}
	b := dnssec.NewBudget(dnssec.Limits{})
	j, err := c.Validate(context.Background(), r, w.anchors(), b)
	if err != nil || j.Status != dnssec.Exhausted || b.Spent().Failures != 16 {
		t.Errorf("many signatures: %v, %+v", j.Verdict, b.Spent())
	}
}
