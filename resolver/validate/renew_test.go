package validate

import (
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// resigned are records with each signature by from replaced by one of to.
func resigned(t *testing.T, rrs []dns.RR, from, to *dnssec.Signer) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, set := range dnssec.Group(rrs) {
		out = append(out, set.RRs...)
		for _, sig := range set.Sigs {
			if sig.SignerName == from.Key.Hdr.Name && sig.TypeCovered != dns.TypeDNSKEY {
				var err error
				if sig, err = to.Sign(set.RRs, now.Add(-time.Hour), now.Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			out = append(out, sig)
		}
	}
	return out
}

// A zone begins to sign with a key that the remembered DNSKEY RRset does not have.
func TestNewKey(t *testing.T) {
	for _, tt := range []struct{ zone, name string }{
		{"good.org.", "www.good.org."}, {"good.org.", "nothing.good.org."}, {"good.org.", "any.w.good.org."},
		{"org.", "www.good.org."}, {"org.", "nothing.org."}, {".", "org."}, {"org.", "www.plain.org."},
	} {
		specs := func(more ...dns.RR) []spec {
			keys := map[string]func([]dns.RR) []dns.RR{
				tt.zone: func(k []dns.RR) []dns.RR { return append(k, more...) },
			}
			return []spec{
				{name: ".", keys: keys["."]}, {name: "org.", keys: keys["org."]}, {name: "plain.org.", plain: true, text: "www A 192.0.2.1"},
				{name: "good.org.", keys: keys["good.org."], text: "www A 192.0.2.1\n*.w A 192.0.2.2"},
			}
		}
		w := newWorld(t, specs()...)
		clock := now
		c := chainOver(w, Config{Now: func() time.Time { return clock }})
		want := w.judge(t, c, w.ask(tt.name, dns.TypeA)).Status
		second := seededSigner(t, tt.zone, "second", dns.ZONE)
		w.zones = newWorld(t, specs(second.Key)...).zones
		first := w.zones[tt.zone].signer
		w.tamper = func(r *Response) {
			r.Answer, r.Ns = resigned(t, r.Answer, first, second), resigned(t, r.Ns, first, second)
		}
		ask := func() Judgement {
			r := w.ask(tt.name, dns.TypeA)
			w.tamper(r)
			return w.judge(t, c, r)
		}
		clock = clock.Add(doubted - time.Second)
		w.count("")
		if j := ask(); tt.zone == "good.org." && j.Status != dnssec.Bogus {
			t.Errorf("%s: too soon: %v", tt.name, j.Verdict)
		}
		if n := w.count("DNSKEY"); n != 0 {
			t.Errorf("%s: %d fetches of keys that are new", tt.name, n)
		}
		clock = clock.Add(time.Second)
		// What hangs on the keys of zones above is remembered until it ends.
		c.memory.cuts.Purge()
		if j := ask(); j.Status != want {
			t.Errorf("%s by the new key of %s: %v", tt.name, tt.zone, j.Verdict)
		}
	}
}

// The DS of a zone changes with its keys, or goes, or the zone itself does.
func TestNewDS(t *testing.T) {
	tests := []struct {
		what   string
		zones  []spec
		status dnssec.Status
	}{
		{"other keys", []spec{{name: "good.org.", seed: "2", text: "www A 192.0.2.1"}}, dnssec.Secure},
		{"none", []spec{{name: "good.org.", plain: true, text: "www A 192.0.2.1"}}, dnssec.Insecure},
		{"no zone", nil, dnssec.Secure},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			w := newWorld(t, spec{name: "."}, spec{name: "org."}, spec{name: "good.org.", text: "www A 192.0.2.1"})
			clock := now
			c := chainOver(w, Config{Now: func() time.Time { return clock }})
			ask := func() Judgement { return w.judge(t, c, w.ask("www.good.org.", dns.TypeA)) }
			if j := ask(); j.Status != dnssec.Secure {
				t.Fatal(j.Verdict)
			}
			text := ""
			if len(tt.zones) == 0 {
				text = "www.good A 192.0.2.1"
			}
			w.zones = newWorld(t, append(tt.zones, spec{name: "."}, spec{name: "org.", text: text})...).zones
			clock = clock.Add(2 * time.Hour) // the keys are to be fetched again, the DS is remembered
			c.memory.entries.Purge()
			for id, f := range all(c) {
				f.until = clock.Add(time.Hour)
				c.memory.cuts.Add(id, f)
			}
			if j := ask(); j.Status != tt.status {
				t.Errorf("%v", j.Verdict)
			}
		})
	}
}

func all(c *Chain) map[cutID]*finding {
	out := make(map[cutID]*finding)
	for _, id := range c.memory.cuts.Keys() {
		f, _ := c.memory.cuts.Peek(id)
		out[id] = f
	}
	return out
}

// Who sends nonsense has neither what is right forgotten nor much asked for.
func TestRenewalIsBounded(t *testing.T) {
	w := internet(t)
	clock := now
	c := chainOver(w, Config{Now: func() time.Time { return clock }})
	right := func() Judgement { return w.judge(t, c, w.ask("www.good.org.", dns.TypeA)) }
	if j := right(); j.Status != dnssec.Secure {
		t.Fatal(j.Verdict)
	}
	forged := w.ask("www.good.org.", dns.TypeA)
	forged.Answer = resigned(t, forged.Answer, w.zones["good.org."].signer, seededSigner(t, "good.org.", "forged", dns.ZONE))
	evil := newWorld(t, spec{name: "."}, spec{name: "org.", seed: "evil"}, spec{name: "good.org.", seed: "evil", text: "www A 192.0.2.66"})
	genuine := w.zones
	for range 3 {
		clock = clock.Add(doubted)
		w.count("")
		w.zones = evil.zones // on the path, while the keys are asked for again
		for range 20 {
			if j := w.judge(t, c, forged); j.Status != dnssec.Bogus {
				t.Fatal(j.Verdict)
			}
		}
		fetched := slices.Clone(w.asked)
		w.zones = genuine
		if len(fetched) > maxTries {
			t.Errorf("fetched %v", fetched)
		}
		if j := right(); j.Status != dnssec.Secure {
			t.Fatal(j.Verdict)
		}
	}
}
