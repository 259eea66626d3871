package denial

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// The least of all times counts, and counts down (RFC 8198 section 5.4, RFC 9077, RFC 4035 section 5.3.3).
func TestTTL(t *testing.T) {
	tests := []struct {
		name   string
		change func(s []dnssec.RRset)
		want   int
	}{
		{"NSEC", func(s []dnssec.RRset) { s[2].RRs[0].Header().Ttl = 100 }, 100},
		{"SOA", func(s []dnssec.RRset) { s[0].RRs[0].Header().Ttl = 101 }, 101},
		{"minimum", func(s []dnssec.RRset) { s[0].RRs[0].(*dns.SOA).Minttl = 102 }, 102},
		{"original TTL", func(s []dnssec.RRset) { s[1].Sigs[0].OrigTtl = 103 }, 103},
		{"signature's TTL", func(s []dnssec.RRset) { s[0].Sigs[0].Hdr.Ttl = 104 }, 104},
		{"expiration", func(s []dnssec.RRset) { s[1].Sigs[0].Expiration = uint32(epoch.Unix()) + 105 }, 105},
		{"limit", func([]dnssec.RRset) {}, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := sets(t, "example.", "example. 86400 SOA ns. host. 1 2 3 4 86400\n"+
				"m.example. 86400 NSEC z.example. A\nexample. 86400 NSEC m.example. NS SOA")
			tt.change(all)
			now := epoch
			c := newCache(t, Config{MaxTTL: 1000 * time.Second, Now: func() time.Time { return now }})
			c.Add("example.", all)
			for _, passed := range []int{0, 99} {
				now = epoch.Add(time.Duration(passed) * time.Second)
				a, ok := c.Lookup("n.example.", dns.TypeA)
				want := time.Duration(tt.want-passed) * time.Second
				if !ok || a.TTL != want {
					t.Fatalf("after %d s: %v, %v, want %v", passed, ok, a.TTL, want)
				}
				for _, rr := range a.Ns {
					if rr.Header().Ttl != uint32(want/time.Second) {
						t.Errorf("after %d s: %v", passed, rr)
					}
				}
			}
			now = epoch.Add(time.Duration(tt.want)*time.Second - time.Second/2)
			ask(t, c, []asked{{"n.example.", dns.TypeA, ""}})
		})
	}
}

// What comes without an SOA, as in a referral, is bound by the SOA that is known, while that is.
func TestWithoutSOA(t *testing.T) {
	now := epoch
	c := newCache(t, Config{Now: func() time.Time { return now }})
	c.Add("example.", sets(t, "example.", soaText("example.")+"example. 3600 NSEC c.example. NS SOA"))
	now = now.Add(400 * time.Second)
	c.Add("example.", sets(t, "example.", "c.example. 3600 NSEC f.example. NS"))
	ask(t, c, []asked{{"c.example.", dns.TypeDS, "NOERROR"}})
	if a, _ := c.Lookup("d.example.", dns.TypeA); a.TTL != 200*time.Second {
		t.Errorf("TTL %v", a.TTL)
	}
	now = now.Add(200 * time.Second)
	ask(t, c, []asked{{"c.example.", dns.TypeDS, ""}})
	c.Add("example.", sets(t, "example.", "c.example. 3600 NSEC f.example. NS"))
	c.Add("example.", sets(t, "example.", soaText("example.")))
	ask(t, c, []asked{{"c.example.", dns.TypeDS, ""}})
	c.Add("example.", sets(t, "example.", soaText("example.")+"m.example. 3600 NSEC p.example. A"))
	ask(t, c, []asked{{"c.example.", dns.TypeDS, "NOERROR"}, {"m.example.", dns.TypeTXT, "NOERROR"}})
}

// A later SOA prolongs nothing that came before it (RFC 9077).
func TestLaterSOA(t *testing.T) {
	now := epoch
	c := newCache(t, Config{Now: func() time.Time { return now }})
	c.Add("example.", sets(t, "example.", soaText("example.")+"b.example. 3600 NSEC c.example. A"))
	now = now.Add(500 * time.Second)
	c.Add("example.", sets(t, "example.", soaText("example.")+"d.example. 3600 NSEC e.example. A"))
	ask(t, c, []asked{{"b.example.", dns.TypeMX, "NOERROR"}, {"d.example.", dns.TypeMX, "NOERROR"}})
	now = now.Add(100 * time.Second)
	ask(t, c, []asked{{"b.example.", dns.TypeMX, ""}, {"d.example.", dns.TypeMX, "NOERROR"}})
}

// An expired zone does not stand before the one above it, and goes in time.
func TestExpiry(t *testing.T) {
	now := epoch
	c := newCache(t, Config{Now: func() time.Time { return now }})
	c.Add("a.example.", sets(t, "a.example.", soaText("a.example.")+"a.example. 60 NSEC z.a.example. NS SOA"))
	c.Add("b.example.", sets(t, "b.example.", soaText("b.example.")+"b.example. 60 NSEC z.b.example. NS SOA\nz.b.example. 600 NSEC b.example. A"))
	now = now.Add(599 * time.Second)
	c.Add("example.", sets(t, "example.", soaText("example.")+"example. 600 NSEC 0.example. NS SOA\n0.example. 600 NSEC example. A"))
	if got := c.Stats(); got.Zones != 3 || got.Records != 3 {
		t.Errorf("after a sweep %+v", got)
	}
	now = now.Add(2 * time.Second)
	ask(t, c, []asked{{"y.a.example.", dns.TypeA, "NXDOMAIN"}, {"y.example.", dns.TypeA, "NXDOMAIN"}})
	now = now.Add(sweepEvery)
	c.Add("example.", sets(t, "example.", soaText("example.")+"example. 600 NSEC 0.example. NS SOA"))
	if got := c.Stats(); got.Zones != 1 || got.Records != 2 {
		t.Errorf("after the next %+v", got)
	}
}
