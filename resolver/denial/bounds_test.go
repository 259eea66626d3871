package denial

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Records and zones are bounded; what is of use stays.
func TestBounds(t *testing.T) {
	tick := epoch
	c := newCache(t, Config{Zones: 4, Records: 40, ZoneRecords: 20, Now: func() time.Time {
		tick = tick.Add(time.Millisecond)
		return tick
	}})
	c.Add("big.", sets(t, "big.", soaText("big.")+"big. 600 NSEC 000.big. NS SOA\nz.big. 600 NSEC big. A"))
	for i := range 200 {
		c.Add("big.", sets(t, "big.", soaText("big.")+fmt.Sprintf("%03d.big. 600 NSEC %03d.big. A", i, i+1)))
		ask(t, c, []asked{{"zz.big.", dns.TypeA, "NXDOMAIN"}})
	}
	if got := c.Stats(); got.Records != 20 || got.Evicted != 182 {
		t.Errorf("one zone: %+v", got)
	}
	for i := range 50 {
		zone := fmt.Sprintf("%02d.", i)
		c.Add(zone, sets(t, zone, soaText(zone)+fmt.Sprintf("%[1]s 600 NSEC a.%[1]s NS SOA\na.%[1]s 600 NSEC b.%[1]s A", zone)))
		ask(t, c, []asked{{"zz.big.", dns.TypeA, "NXDOMAIN"}})
	}
	if got := c.Stats(); got.Zones != 4 || got.Records != 26 {
		t.Errorf("many zones: %+v", got)
	}
	for _, zone := range []string{"x.", "y."} {
		for i := range 30 {
			c.Add(zone, sets(t, zone, soaText(zone)+fmt.Sprintf("%03d.%s 600 NSEC %03d.%s A", i, zone, i+1, zone)))
		}
	}
	if got := c.Stats(); got.Records > 40 || got.Records < 20 {
		t.Errorf("three great zones: %+v", got)
	}
	ask(t, c, []asked{{"001.y.", dns.TypeA, ""}, {"029.y.", dns.TypeMX, "NOERROR"}})
}

// A Lookup hashes no more than it may: names with many labels are left to the servers, unless the label next
// to the closest encloser settles it.
func TestHashBound(t *testing.T) {
	deep := "z." + strings.Repeat("y.", 10) + "example."
	m := newModel("example.", map[string][]uint16{"example.": {dns.TypeNS, dns.TypeSOA}, deep: {dns.TypeA}})
	for _, tt := range []struct {
		hashes   int
		question asked
	}{
		{3, asked{strings.Repeat("x.", 100) + "example.", dns.TypeA, "NXDOMAIN"}},
		{2, asked{strings.Repeat("x.", 100) + "example.", dns.TypeA, ""}},
		{3, asked{"x.example.", dns.TypeA, "NXDOMAIN"}},
		{1, asked{deep, dns.TypeMX, "NOERROR"}},
		{13, asked{"a.b." + deep, dns.TypeA, ""}},
		{14, asked{"a.b." + deep, dns.TypeA, "NXDOMAIN"}},
	} {
		c := newCache(t, Config{Hashes: tt.hashes})
		c.Add("example.", append(m.chain(kinds[1]), m.soa()))
		ask(t, c, []asked{tt.question})
	}
}

// Everything at once, for the race detector; the count of records stays right.
func TestConcurrent(t *testing.T) {
	c := newCache(t, Config{Zones: 4, Records: 40, ZoneRecords: 10})
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 300 {
				zone := fmt.Sprintf("%d.", (i+worker)%6)
				c.Add(zone, sets(t, zone, soaText(zone)+fmt.Sprintf("%[1]s 600 NSEC %02[2]d.%[1]s NS SOA\n%02[2]d.%[1]s 600 NSEC %[1]s A", zone, i%50)))
				if a, ok := c.Lookup("zz."+zone, dns.TypeA); ok && (a.Rcode != dns.RcodeNameError || a.Zone != zone) {
					t.Errorf("%+v", a)
				}
				if i%50 == 0 {
					c.Flush(zone)
				}
				c.Stats()
			}
		})
	}
	wg.Wait()
	held := 0
	for _, z := range c.zones {
		held += len(z.chain.records)
	}
	if got := c.Stats(); got.Records != held || got.Records > 40 || got.Zones > 4 {
		t.Errorf("%d records held, %+v", held, got)
	}
}
