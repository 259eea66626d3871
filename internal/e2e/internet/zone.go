package internet

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Zone is a zone of the internet, as the tables of zones_*.go describe it.
type Zone struct {
	Name    string   // without the final dot; "" is the root
	Group   string   // what kind of zone it is, for tables of differences
	Servers []Server // none: ns1 and ns2 of the zone, at NSD and Knot
	Records string   // besides SOA, NS and those of the template, as a zone file
	Bare    bool     // without the template's records
	Sign    *Signing // nil: not signed

	// Refer replaces the NS records and glue in the parent: a zone file relative to the zone. Its own NS
	// records are as Servers say.
	Refer string
	// Own replaces the zone's own NS records and their addresses.
	Own string
	// Break changes the zone after it is signed; BreakDS the DS records for the parent.
	Break   func(*signed) error
	BreakDS func([]dns.RR) []dns.RR

	// Ask are questions "name type" besides those of the template, names relative to the zone.
	Ask []string
	// Few keeps the number of questions small, since each may take seconds: only these of Ask are asked.
	Few bool
}

// Server is one name server of a zone.
type Server struct {
	Site string // the program that holds the zone: bind, nsd or knot, with a tier: "nsd", "nsd-tld"; "" none
	Name string // "": ns1, ns2, ... below the zone; otherwise absolute, without the final dot
	// Fault makes a server of its own, at addresses of its own; nil: the addresses of Site.
	Fault  Fault
	NoGlue bool // the parent has no address of it
	Only4  bool // has no IPv6 address
	Only6  bool // has no IPv4 address
	Dead6  bool // nobody answers at its IPv6 address

	addrs []netip.Addr
}

// template is what most zones hold.
const template = `
@        A     203.119.1.1
@        AAAA  2a00:d0::1
@        MX    10 mail
@        TXT   "the apex"
mail     A     203.119.1.2
www      A     203.119.1.3
www      A     203.119.1.4
www      AAAA  2a00:d0::3
alias    CNAME www
dangling CNAME nothing.here
*.wild   A     203.119.1.5
*.wild   TXT   "made from a wildcard"
a.b.ent  A     203.119.1.6
sub.wild.deep A 203.119.1.7
`

// templateQuestions are asked of most zones.
var templateQuestions = []string{
	"@ A", "@ AAAA", "@ NS", "@ SOA", "@ DNSKEY", "@ DS", "@ MX", "@ SRV",
	"www A", "www AAAA", "www TXT", "www DS",
	"alias A", "alias CNAME", "alias TXT", "dangling A",
	"x.wild A", "x.wild MX", "x.y.wild TXT", "*.wild A", "wild A",
	"ent A", "b.ent A", "a.b.ent A", "a.b.ent AAAA",
	"missing A", "missing.www A", "zzz.missing TXT",
}

// fqdn is the zone's name with the final dot.
func (z *Zone) fqdn() string { return dns.CanonicalName(z.Name) }

// servers fills in what is left out of the table.
func (z *Zone) withDefaults() {
	if len(z.Servers) == 0 {
		z.Servers = []Server{{Site: "nsd"}, {Site: "knot"}}
	}
	for i := range z.Servers {
		if z.Servers[i].Name == "" {
			z.Servers[i].Name = strings.TrimPrefix(fmt.Sprintf("ns%d.%s", i+1, z.Name), ".")
		}
	}
}

// apex are the SOA and NS records.
func (z *Zone) apex() string {
	var b strings.Builder
	fmt.Fprintf(&b, "@ SOA %s. hostmaster.%s 2026112101 7200 3600 1209600 600\n", z.Servers[0].Name, strings.TrimPrefix(z.fqdn(), "."))
	if z.fqdn() == "." {
		b.Reset()
		fmt.Fprintf(&b, "@ SOA %s. nstld.verisign-grs.com. 2026112101 1800 900 604800 600\n", z.Servers[0].Name)
	}
	if z.Own != "" {
		return b.String() + z.Own
	}
	return b.String() + z.serverRecords(false)
}

// referral is what the parent holds about the zone, besides DS.
func (z *Zone) referral() string {
	if z.Refer != "" {
		return z.Refer
	}
	return z.serverRecords(true)
}

// serverRecords are the NS records, and the addresses of servers below the zone; without those that a
// parent is not to have.
func (z *Zone) serverRecords(inParent bool) string {
	var b strings.Builder
	for _, s := range z.Servers {
		fmt.Fprintf(&b, "@ NS %s.\n", s.Name)
		if !dns.IsSubDomain(z.fqdn(), dns.Fqdn(s.Name)) || inParent && s.NoGlue {
			continue
		}
		b.WriteString(addressRecords(s))
	}
	return b.String()
}

func addressRecords(s Server) string {
	var b strings.Builder
	for _, a := range s.addrs {
		kind := "A"
		if a.Is6() {
			kind = "AAAA"
		}
		fmt.Fprintf(&b, "%s. %s %s\n", s.Name, kind, a)
	}
	return b.String()
}

// questions are "name type", names absolute, that the zone's table asks for.
func (z *Zone) questions() []string {
	list := z.Ask
	if !z.Few && !z.Bare {
		list = append(append([]string{}, templateQuestions...), list...)
	}
	out := make([]string, 0, len(list))
	for _, q := range list {
		name, rrtype, _ := strings.Cut(q, " ")
		out = append(out, absolute(name, z.fqdn())+" "+rrtype)
	}
	return out
}
