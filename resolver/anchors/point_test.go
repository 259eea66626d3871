package anchors

import (
	"reflect"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestTable is the table of RFC 5011 section 4.2: the event across, the state down, and what follows.
func TestTable(t *testing.T) {
	const hold, removeHold = 30 * day, 30 * day
	k := ksk(t, ".")
	now := start.Add(100 * day)
	shown, absent := []*dns.DNSKEY{k.Key}, []*dns.DNSKEY{ksk(t, ".").Key}
	marked := []*dns.DNSKEY{revoked(k).Key}
	type row struct {
		name    string
		from    State
		age     time.Duration // since it came into the state, and was seen last
		set     []*dns.DNSKEY
		revokes bool
		want    State
	}
	for _, tt := range []row{
		{"Start NewKey", 0, 0, shown, false, AddPend},
		{"Start, not there", 0, 0, absent, false, 0},
		{"Start RevBit", 0, 0, marked, true, 0},
		{"AddPend KeyRem", AddPend, day, absent, false, 0},
		{"AddPend KeyRem, after the hold-down", AddPend, 40 * day, absent, false, 0},
		{"AddPend, waiting", AddPend, 30*day - time.Second, shown, false, AddPend},
		{"AddPend AddTime", AddPend, 30 * day, shown, false, Valid},
		{"AddPend RevBit", AddPend, day, marked, true, Revoked},
		{"AddPend, REVOKE but not self-signed", AddPend, 40 * day, marked, false, 0},
		{"Valid", Valid, day, shown, false, Valid},
		{"Valid KeyRem", Valid, day, absent, false, Missing},
		{"Valid RevBit", Valid, day, marked, true, Revoked},
		{"Missing KeyPres", Missing, 400 * day, shown, false, Valid},
		{"Missing", Missing, 400 * day, absent, false, Missing},
		{"Missing RevBit", Missing, day, marked, true, Revoked},
		{"Revoked, still there", Revoked, 40 * day, marked, true, Revoked},
		{"Revoked, not long gone", Revoked, 29 * day, absent, false, Revoked},
		{"Revoked RemTime", Revoked, 30 * day, absent, false, Removed},
		{"Revoked, back", Revoked, 40 * day, shown, false, Revoked},
		{"Removed, back", Removed, 400 * day, shown, false, Removed},
		{"Removed, back with REVOKE", Removed, 400 * day, marked, true, Removed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := point{zone: ".", configured: true}
			one, _ := readKey(k.Key)
			if tt.from != 0 {
				one.state, one.since, one.seen = tt.from, now.Add(-tt.age), now.Add(-tt.age)
				if tt.from == AddPend {
					one.until = one.since.Add(hold)
				}
				p.keys = []key{one}
			}
			before := p.clone()
			next := p
			if tt.revokes {
				next, _ = next.revoke(tt.set, now)
			}
			next, _ = next.advance(tt.set, now, hold, removeHold)
			var got State
			if found := next.find(one.id); found != nil {
				got = found.state
			}
			if got != tt.want {
				t.Errorf("%v becomes %v, want %v", tt.from, got, tt.want)
			}
			if trusted := len(next.trust().Keys) == 1; trusted != tt.want.trusted() {
				t.Errorf("trusted: %v", trusted)
			}
			if !reflect.DeepEqual(p, before) {
				t.Error("the step changed where it came from")
			}
		})
	}
}

// TestKeysAreBounded: whoever holds a trusted key for years cannot fill the state, nor push out what counts.
func TestKeysAreBounded(t *testing.T) {
	a, _ := readKey(ksk(t, ".").Key)
	a.state, a.named = Removed, true
	p := point{zone: ".", keys: []key{a}}
	now := start
	for range 3 * maxKeys {
		now = now.Add(31 * day)
		fresh := ksk(t, ".")
		p, _ = p.advance([]*dns.DNSKEY{fresh.Key}, now, 30*day, 30*day)
		p, _ = p.revoke([]*dns.DNSKEY{revoked(fresh).Key}, now)
		p, _ = p.advance(nil, now.Add(30*day), 30*day, 30*day)
	}
	if len(p.keys) != maxKeys || p.find(a.id) == nil {
		t.Errorf("%d keys, the configured one is there: %v", len(p.keys), p.find(a.id) != nil)
	}
}

func TestWeakDigestsLeadToNoKey(t *testing.T) {
	a, b := ksk(t, "."), ksk(t, ".")
	w := newWorld(t, a)
	w.write("anchors", dsOf(a, dns.SHA256)+dsOf(b, dns.SHA1))
	w.restart()
	w.publish(signers(a, b), signers(a))
	w.mustRefresh()
	w.want(b, AddPend)
	w.write("anchors", dsOf(b, dns.SHA384)+dsOf(b, dns.SHA256))
	w.restart()
	w.want(b, Valid)
	if st := w.store.Status()[0]; len(st.Keys) != 1 {
		t.Errorf("status %+v", st)
	}
}
