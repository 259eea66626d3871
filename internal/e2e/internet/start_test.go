package internet

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestTry(t *testing.T) {
	start := time.Now()
	n := Start(t, AllZones())
	t.Logf("up in %v, %d zones, %d addresses", time.Since(start), len(n.Zones), len(n.opened))
	u, b := n.StartUnbound(t), n.StartBIND(t)
	t.Logf("resolvers up in %v", time.Since(start))
	for _, r := range []*Resolver{u, b} {
		for _, z := range n.Zones {
			for _, typ := range []uint16{dns.TypeA} {
				m := new(dns.Msg).SetQuestion("www."+z.fqdn(), typ)
				if z.Name == "" {
					continue
				}
				m.SetEdns0(1232, false)
				m.AuthenticatedData = true
				c := &dns.Client{Timeout: 12 * time.Second}
				at := time.Now()
				reply, _, err := c.Exchange(m, r.Address)
				if err != nil {
					t.Logf("%s %s: %v", r.Name, z.Name, err)
					continue
				}
				t.Logf("%s %s: %s ad=%v %s %v", r.Name, z.Name, dns.RcodeToString[reply.Rcode], reply.AuthenticatedData, strings.ReplaceAll(strings.Join(data(reply), " "), "\t", " "), time.Since(at).Round(time.Millisecond))
			}
		}
	}
}

func data(m *dns.Msg) (out []string) {
	for _, rr := range m.Answer {
		out = append(out, rr.String()[len(rr.Header().String()):])
	}
	return out
}
