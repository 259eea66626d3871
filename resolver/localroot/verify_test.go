package localroot

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestVerify(t *testing.T) {
	r := newRoot(t)
	good := r.zone(2026112100)
	bare := *r
	bare.noZONEMD = true
	other := newRoot(t)
	wide := *r
	wide.hash = dns.ZoneMDHashAlgSHA512
	changed := slices.Clone(good)
	for i, rr := range changed {
		if a, ok := rr.(*dns.A); ok { // glue: no signature covers it
			moved := *a
			moved.A = []byte{192, 0, 2, 66}
			changed[i] = &moved
		}
	}
	fresh := func(rr dns.RR) dns.RR { // with its digest renewed by one who cannot sign
		z := dns.Copy(rr).(*dns.ZONEMD)
		hash, _ := hashOf(z.Hash)
		z.Digest = hex.EncodeToString(contentOf(t, apex, changed).sum(hash))
		return z
	}
	forged := slices.Clone(changed)
	for i, rr := range forged {
		if rr.Header().Rrtype == dns.TypeZONEMD {
			forged[i] = fresh(rr)
		}
	}
	later := start.Add(14 * 24 * time.Hour)
	for _, tt := range []struct {
		name string
		rrs  []dns.RR
		now  time.Time
		want string // "" is fine
	}{
		{"as it is", good, start, ""},
		{"SHA-512", wide.zone(2026112100), start, ""},
		{"with duplicates", append(slices.Clone(good), good[3], good[7]), start, ""},
		{"without a ZONEMD", bare.zone(2026112100), start, "its NSEC record says that there is none"},
		{"ZONEMD taken out", without(good, ofType(dns.TypeZONEMD)), start, "it may have been taken out"},
		{"ZONEMD's signature taken out", without(good, func(rr dns.RR) bool {
			return rr.Header().Rrtype == dns.TypeRRSIG && ofType(dns.TypeZONEMD)(rr)
		}), start, "ZONEMD record does not validate"},
		{"an address changed", changed, start, "the zone is incomplete or was changed"},
		{"an address changed, and the digest", forged, start, "ZONEMD record does not validate"},
		{"a delegation taken out", without(good, func(rr dns.RR) bool { return rr.Header().Name == "eu." }), start, "incomplete"},
		{"a record added", append(slices.Clone(good), zoneOf(t, "evil. 5 IN NS ns.evil.")...), start, "incomplete or was changed"},
		{"another's root", other.zone(2026112100), start, "keys do not validate"},
		{"no keys", without(good, ofType(dns.TypeDNSKEY)), start, "keys do not validate"},
		{"SOA unsigned", without(good, func(rr dns.RR) bool {
			return rr.Header().Rrtype == dns.TypeRRSIG && ofType(dns.TypeSOA)(rr)
		}), start, "SOA record does not validate"},
		{"signatures expired", good, later, "expired"},
		{"signatures of the future", good, start.Add(-24 * time.Hour), "not valid before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := &Zone{cfg: Config{Anchors: r.anchors, Now: func() time.Time { return tt.now }}.withDefaults()}
			err := z.install(tt.rrs, tt.now)
			if tt.want == "" {
				if err != nil || !z.Ready() {
					t.Fatalf("%v, ready: %v", err, z.Ready())
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if z.Ready() {
				t.Error("a copy that was refused is in use")
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	r := newRoot(t)
	now := start
	z := &Zone{cfg: Config{Anchors: r.anchors, Now: func() time.Time { return now }}.withDefaults()}
	if err := z.install(r.zone(5), now); err != nil {
		t.Fatal(err)
	}
	now = start.Add(604800*time.Second - time.Second)
	if _, ok := z.Answer("com.", dns.TypeNS); !ok {
		t.Error("expired too early")
	}
	z.confirm(z.current.Load(), now) // still the newest
	now = start.Add(604800 * time.Second)
	if !z.Ready() {
		t.Error("a confirmed copy expired")
	}
	now = r.to
	if _, ok := z.Answer("com.", dns.TypeNS); ok || z.Ready() {
		t.Error("a copy outlived its signatures")
	}
	if err := z.install(r.zone(5), start.Add(-8*24*time.Hour)); err == nil {
		t.Error("expired when it came, and accepted")
	}
}

func TestNoWayBack(t *testing.T) {
	r := newRoot(t)
	z := r.ready(start, r.zone(7))
	if err := z.install(r.zone(6), start); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("error %v", err)
	}
	if err := z.install(r.zone(8), start); err != nil || z.Status().Serial != 8 {
		t.Errorf("%v, %+v", err, z.Status())
	}
	for _, tt := range []struct {
		a, b uint32
		want bool
	}{{2, 1, true}, {1, 2, false}, {1, 1, false}, {0, 1<<32 - 1, true}, {1<<32 - 1, 0, false}} {
		if newer(tt.a, tt.b) != tt.want {
			t.Errorf("newer(%d, %d) is not %v", tt.a, tt.b, tt.want)
		}
	}
}
