// Package internet is a fake internet for tests: the root, top-level domains and some hundreds of zones, good
// and broken, on BIND, NSD and Knot DNS behind relays at public addresses, port 53. All of it lives in the
// network namespace of the test process, which Main makes.
package internet

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// Internet is a running one.
type Internet struct {
	*relays
	Hints  string // file of root hints
	Anchor string // file of the root's DS
	Zones  []Zone

	now     time.Time
	ring    *keyring
	sites   map[string]*site
	servers map[string][]netip.Addr // addresses of a server by its name
	ds      map[string][]dns.RR     // of signed zones
	next    int                     // number of the next address
	opened  []opening
}

// opening is a relay that is to be.
type opening struct {
	at    netip.Addr
	site  string
	fault Fault
}

// Start builds the internet and puts it up until the test ends.
func Start(t testing.TB, tables ...[]Zone) *Internet {
	t.Helper()
	n := &Internet{
		relays: newRelays(), now: time.Now(), ring: newKeyring(), sites: map[string]*site{},
		servers: map[string][]netip.Addr{}, ds: map[string][]dns.RR{}, Zones: slices.Concat(tables...),
	}
	for i := range n.Zones {
		n.Zones[i].withDefaults()
		for j := range n.Zones[i].Servers {
			n.assign(&n.Zones[i].Servers[j])
		}
	}
	if err := n.build(); err != nil {
		t.Fatal(err)
	}
	n.run(t)
	n.files(t)
	return n
}

// AllZones are the tables that make up the internet.
func AllZones() []Zone {
	return slices.Concat(topZones(), goodZones(), bogusZones(), denialZones(), compactZones(), aliasZones(), delegationZones(), serverZones(), attackZones())
}

// fixed are the addresses of servers that have had them for long.
var fixed = map[string][]string{
	"bind-root": {"198.41.0.4", "2001:503:ba3e::2:30"},
	"nsd-root":  {"170.247.170.2", "2801:1b8:10::b"},
	"knot-root": {"192.33.4.12", "2001:500:2::c"},
	"nsd-tld":   {"192.5.6.30", "2001:503:a83e::2:30"},
	"knot-tld":  {"192.33.14.30", "2001:503:231d::2:30"},
}

// fresh makes the next address of a family.
func (n *Internet) fresh(six bool) netip.Addr {
	n.next++
	if six {
		return netip.MustParseAddr(fmt.Sprintf("2a0e:97c0:%x::53", n.next))
	}
	return netip.MustParseAddr(fmt.Sprintf("45.%d.%d.53", 90+n.next/250, n.next%250))
}

// site is the site of a name, made when it is asked for first.
func (n *Internet) site(name string) *site {
	s, ok := n.sites[name]
	if !ok {
		s = &site{name: name, zones: map[string]string{}, backend: netip.AddrFrom4([4]byte{127, 0, 1, byte(len(n.sites) + 1)})}
		for _, a := range fixed[name] {
			s.addrs = append(s.addrs, netip.MustParseAddr(a))
		}
		if len(s.addrs) == 0 {
			s.addrs = []netip.Addr{n.fresh(false), n.fresh(true)}
		}
		for _, a := range s.addrs {
			n.opened = append(n.opened, opening{a, name, nil})
		}
		n.sites[name] = s
	}
	return s
}

// assign gives a server its addresses.
func (n *Internet) assign(s *Server) {
	if len(n.servers["dead"]) == 0 {
		n.servers["dead"] = []netip.Addr{n.fresh(false)}
		n.opened = append(n.opened, opening{n.servers["dead"][0], "", dead})
	}
	if addrs, ok := n.servers[s.Name]; ok {
		s.addrs = addrs
		return
	}
	var own []netip.Addr
	if s.Site != "" {
		own = n.site(s.Site).addrs
	}
	four, six := !s.Only6, !s.Only4
	if s.Fault != nil {
		six = false // a fault shows at one address
	}
	if s.Fault != nil || s.Dead6 {
		own = nil
		if four {
			own = append(own, n.fresh(false))
			n.opened = append(n.opened, opening{own[0], s.Site, s.Fault})
		}
	}
	if s.Dead6 {
		at := n.fresh(true)
		own = append(own, at)
		n.opened = append(n.opened, opening{at, "", dead})
	}
	for _, a := range own {
		if a.Is4() && four || a.Is6() && six {
			s.addrs = append(s.addrs, a)
		}
	}
	n.servers[s.Name] = s.addrs
}

// build makes all zones, children before their parents.
func (n *Internet) build() error {
	order := make([]*Zone, 0, len(n.Zones))
	for i := range n.Zones {
		order = append(order, &n.Zones[i])
	}
	slices.SortStableFunc(order, func(a, b *Zone) int { return cmp.Compare(dns.CountLabel(b.fqdn()), dns.CountLabel(a.fqdn())) })
	contents := map[string]*content{}
	for _, z := range order {
		c := newContent(z.fqdn())
		contents[z.fqdn()] = c
		text := z.apex()
		if !z.Bare {
			text += template
		}
		if err := c.parse(n.fill(text + z.Records)); err != nil {
			return err
		}
	}
	for _, z := range order {
		if err := n.placeServers(z, contents); err != nil {
			return err
		}
	}
	for _, z := range order {
		if err := n.finish(z, contents); err != nil {
			return fmt.Errorf("zone %s: %w", z.Name, err)
		}
	}
	return nil
}

// fill puts addresses of sites where a table has %site%.
func (n *Internet) fill(text string) string {
	for name, s := range n.sites {
		text = strings.ReplaceAll(text, "%"+name+"%", s.addrs[0].String())
	}
	return strings.ReplaceAll(text, "%dead%", n.servers["dead"][0].String())
}

// holder is the zone that a name belongs to, by the zones' names; a zone itself belongs to its parent if
// above says so.
func holder(name string, contents map[string]*content, above bool) *content {
	for at := name; ; at = parentOf(at) {
		if c := contents[at]; c != nil && !(above && at == name) {
			return c
		}
		if at == "." {
			return nil
		}
	}
}

// placeServers puts the addresses of servers outside the zone into the zones that they belong to.
func (n *Internet) placeServers(z *Zone, contents map[string]*content) error {
	for _, s := range z.Servers {
		if dns.IsSubDomain(z.fqdn(), dns.Fqdn(s.Name)) && holder(dns.Fqdn(s.Name), contents, false).zone == z.fqdn() {
			continue
		}
		if err := holder(dns.Fqdn(s.Name), contents, false).parse(addressRecords(s)); err != nil {
			return err
		}
	}
	return nil
}

// finish signs a zone, breaks it, tells its parent and gives it to its sites. Its children are finished.
func (n *Internet) finish(z *Zone, contents map[string]*content) error {
	c := contents[z.fqdn()]
	var ds []dns.RR
	if z.Sign != nil {
		s := &signed{content: c, now: n.now, how: z.Sign.withDefaults()}
		if err := s.makeKeys(n.ring); err != nil {
			return err
		}
		if err := s.signAll(); err != nil {
			return err
		}
		ds = s.delegationDS()
		if z.Break != nil {
			if err := z.Break(s); err != nil {
				return err
			}
		}
		n.ds[z.fqdn()] = ds
	}
	if z.BreakDS != nil {
		ds = z.BreakDS(ds)
	}
	if parent := holder(z.fqdn(), contents, true); parent != nil && z.fqdn() != "." {
		at := newContent(z.fqdn())
		if err := at.parse(n.fill(z.referral())); err != nil {
			return err
		}
		for _, rr := range ds {
			rr.Header().Name = z.fqdn()
		}
		parent.add(ds...)
		for _, types := range at.sets {
			for _, rrs := range types {
				parent.add(rrs...)
			}
		}
	}
	text := c.text()
	for _, s := range z.Servers {
		if s.Site != "" {
			n.site(s.Site).zones[z.fqdn()] = text
		}
	}
	return nil
}

// files writes what a resolver starts with.
func (n *Internet) files(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	var hints, anchor strings.Builder
	for _, s := range rootServers() {
		fmt.Fprintf(&hints, ". 3600000 IN NS %s.\n", s.Name)
		s.addrs = n.servers[s.Name]
		hints.WriteString(strings.NewReplacer(" A ", " 3600000 IN A ", " AAAA ", " 3600000 IN AAAA ").Replace(addressRecords(s)))
	}
	for _, rr := range n.ds["."] {
		rr.Header().Name = "."
		anchor.WriteString(rr.String() + "\n")
	}
	n.Hints = writeFile(t, dir, "root.hints", hints.String())
	n.Anchor = writeFile(t, dir, "root.ds", anchor.String())
}

// run starts programs and relays.
func (n *Internet) run(t testing.TB) {
	t.Helper()
	var batch strings.Builder
	for _, o := range n.opened {
		bits := 32
		if o.at.Is6() {
			bits = 128
		}
		fmt.Fprintf(&batch, "address replace %s/%d dev lo", o.at, bits)
		if o.at.Is6() {
			batch.WriteString(" nodad")
		}
		batch.WriteString("\n")
	}
	for _, s := range n.sites { // BIND listens at addresses of interfaces only
		fmt.Fprintf(&batch, "address replace %s/32 dev lo\n", s.backend)
	}
	bed.Run(t, bed.Tool(t, "ip"), "-batch", writeFile(t, t.TempDir(), "addresses", batch.String()))
	for _, s := range n.sites {
		s.start(t)
	}
	for _, o := range n.opened {
		backend := ""
		if o.site != "" {
			backend = n.site(o.site).address()
		}
		if err := n.relays.open(o.at, backend, o.fault); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(n.Close)
	for _, s := range n.sites {
		s.wait(t)
	}
	if dir := os.Getenv("INTERNET_ZONES"); dir != "" {
		n.dump(t, dir)
	}
}

// dump writes all zone files, for a look at them by hand.
func (n *Internet) dump(t testing.TB, dir string) {
	t.Helper()
	for _, s := range n.sites {
		for origin, text := range s.zones {
			if err := os.WriteFile(filepath.Join(dir, s.name+"_"+strings.TrimSuffix(origin, ".")+".zone"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
