package validate

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// The way down ends after a bounded number of questions.
func TestWalkBounded(t *testing.T) {
	deep := strings.Repeat("x.", 60)
	w := newWorld(t, spec{name: "."}, spec{name: "org.", text: "www A 192.0.2.1\n*.any A 192.0.2.1\n" + deep + "deep A 192.0.2.1"})
	r := w.ask(deep+"deep.org.", dns.TypeA)
	r.Answer = r.Answer[:1]
	j := w.judge(t, chainOver(w, Config{}), r)
	if j.Status != dnssec.Exhausted || w.count("DS") != maxDS {
		t.Errorf("%v", j.Verdict)
	}
	r = w.ask(strings.Repeat("n.", 60)+"org.", dns.TypeA) // no such name, so no cut down there
	r.Ns = nil
	if j := w.judge(t, chainOver(w, Config{}), r); j.Status != dnssec.Bogus || w.count("DS") != 2 {
		t.Errorf("%v", j.Verdict)
	}
	// A signed zone far down a path without zones between, as in ip6.arpa.
	far := strings.Repeat("0.", 12) + "org."
	w = newWorld(t, spec{name: "."}, spec{name: "org."}, spec{name: far, text: "www A 192.0.2.1"})
	if j := w.judge(t, chainOver(w, Config{}), w.ask("www."+far, dns.TypeA)); j.Status != dnssec.Secure || w.count("DS") != 13 {
		t.Errorf("%v", j.Verdict)
	}
	w.knows = true
	if j := w.judge(t, chainOver(w, Config{}), w.ask("www."+far, dns.TypeA)); j.Status != dnssec.Secure || w.count("DS") != 0 {
		t.Errorf("with a referral: %v", j.Verdict)
	}
}

// Zones change: one that is new is found although its name was known to be no cut, or not to be at all.
func TestNewZone(t *testing.T) {
	tests := []struct {
		what, name string
		zone       spec
		status     dnssec.Status
	}{
		{"signed", "x.ent.good.org.", spec{name: "ent.good.org.", text: "x A 192.0.2.1"}, dnssec.Secure},
		{"not signed", "x.ent.good.org.", spec{name: "ent.good.org.", plain: true, text: "x A 192.0.2.1"}, dnssec.Insecure},
		{"signed, where nothing was", "x.far.new.good.org.", spec{name: "far.new.good.org.", text: "x A 192.0.2.1"}, dnssec.Secure},
		{"not signed, where nothing was", "x.far.new.good.org.", spec{name: "far.new.good.org.", plain: true, text: "x A 192.0.2.1"}, dnssec.Insecure},
	}
	for _, tt := range tests {
		w := newWorld(t, spec{name: "."}, spec{name: "org."}, spec{name: "good.org.", text: "x.ent A 192.0.2.4"})
		clock := now
		c := chainOver(w, Config{Now: func() time.Time { return clock }})
		r := w.ask(tt.name, dns.TypeA)
		r.Answer, r.Ns = nil, nil
		if j := w.judge(t, c, r); j.Status != dnssec.Bogus {
			t.Fatal(j.Verdict)
		}
		w.zones = newWorld(t, spec{name: "."}, spec{name: "org."}, spec{name: "good.org."}, tt.zone).zones
		clock = clock.Add(time.Minute)
		if j := w.judge(t, c, w.ask(tt.name, dns.TypeA)); j.Status != tt.status {
			t.Errorf("%s: %v", tt.what, j.Verdict)
		}
	}
}

// Below an alias there is no cut: its owner is asked about on the way down, and answers with the alias.
func TestWalkPastAliases(t *testing.T) {
	w := newWorld(t, spec{name: "."}, spec{name: "org.", text: "alias CNAME www\nx.y.alias A 192.0.2.1\n*.wild CNAME www\nwww A 192.0.2.1\ndn DNAME www"})
	for _, name := range []string{"x.y.alias.org.", "x.dn.org."} {
		r := &Response{Name: name, Type: dns.TypeA, Zone: "org.", Answer: parse(t, ".", name+" A 192.0.2.66")}
		if j := w.judge(t, chainOver(w, Config{}), r); j.Status != dnssec.Bogus || j.Code != dns.ExtendedErrorCodeRRSIGsMissing {
			t.Errorf("%s: %v", name, j.Verdict)
		}
	}
}

// A Source that tells nonsense about cuts, or whose referrals prove nothing, changes no verdict.
func TestHostileCuts(t *testing.T) {
	w := internet(t)
	z := w.zones["good.org."]
	lies := map[string]func(zone, name string) (string, []dns.RR){
		"the zone itself": func(zone, _ string) (string, []dns.RR) { return zone, z.match("plain.good.org.") },
		"elsewhere":       func(string, string) (string, []dns.RR) { return "example.", z.match("plain.good.org.") },
		"another's proof": func(_, name string) (string, []dns.RR) { return name, z.match("plain.good.org.") },
		"a name that is no cut": func(_, name string) (string, []dns.RR) {
			return "www.good.org.", append(parse(t, ".", "www.good.org. NS ns.evil."), z.match("www.good.org.")...)
		},
		"unsigned DS": func(_, name string) (string, []dns.RR) {
			return name, []dns.RR{dnssec.NewDS(newSigner(t, name, dns.ZONE).Key, dns.SHA256)}
		},
	}
	for what, lie := range lies {
		for _, q := range questions {
			c := chainOver(w, Config{})
			c.cfg.Source = liar{w, lie}
			if j := w.judge(t, c, w.ask(q.name, q.rrtype)); j.Status != q.status || q.code != 0 && j.Code != q.code {
				t.Errorf("%s: %s %s: %v", what, q.name, dns.Type(q.rrtype), j.Verdict)
			}
		}
	}
}

type liar struct {
	*world
	lie func(zone, name string) (string, []dns.RR)
}

func (l liar) NextCut(_ context.Context, zone, name string) (string, []dns.RR) {
	return l.lie(zone, name)
}
