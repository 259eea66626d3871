package recursive_test

import (
	"crypto/ed25519"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/internal/looptest"
	"dens/resolver/forward"
	"dens/resolver/recursive"
)

// internet is a small tree of zones, each on a server of its own at 127.x.y.z, all at one port.
type internet struct {
	t     *testing.T
	port  uint16
	zones map[string]*zone
	mu    sync.Mutex
	log   []query
}

type query struct {
	server, name string
	rrtype       uint16
}

// zone is what one server serves: its records, and what it does otherwise than a good server.
type zone struct {
	name    string
	addr    string
	records []dns.RR
	signer  *dnssec.Signer
	odd     func(w dns.ResponseWriter, req *dns.Msg) bool // true: it has answered, or will not
	also    []*zone                                       // served by the same server
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	return &internet{t: t, port: looptest.Free(t).Port(), zones: make(map[string]*zone)}
}

// add makes a zone of zone-file text, with $ for its own name, and serves it.
func (in *internet) add(name, addr string, signed bool, text string) *zone {
	in.t.Helper()
	z := in.zone(name, signed, text)
	z.addr = addr
	in.serve(z)
	return z
}

func (in *internet) zone(name string, signed bool, text string) *zone {
	in.t.Helper()
	z := &zone{name: name}
	text = "@ 3600 IN SOA ns hostmaster 1 3600 600 86400 300\n" + text
	zp := dns.NewZoneParser(strings.NewReader(text), name, "")
	zp.SetDefaultTTL(3600)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		z.records = append(z.records, rr)
	}
	if zp.Err() != nil {
		in.t.Fatalf("zone %s: %v", name, zp.Err())
	}
	if signed {
		pub, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			in.t.Fatal(err)
		}
		key, err := dnssec.NewKey(name, 3600, dns.ZONE|dns.SEP, dns.ED25519, pub)
		if err != nil {
			in.t.Fatal(err)
		}
		z.signer = &dnssec.Signer{Key: key, Private: private}
		z.records = append(z.records, key)
	}
	in.zones[name] = z
	return z
}

// spoil has the server of z answer by odd from now on, where that returns true.
func (in *internet) spoil(z *zone, odd func(w dns.ResponseWriter, req *dns.Msg) bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	z.odd = odd
}

// host has the server of z serve another zone too.
func (in *internet) host(z *zone, name, text string) {
	in.t.Helper()
	other := in.zone(name, false, text)
	in.mu.Lock()
	defer in.mu.Unlock()
	z.also = append(z.also, other)
}

// ds is the DS record of a zone that is signed, in zone-file form.
func (z *zone) ds() string { return dnssec.NewDS(z.signer.Key, dns.SHA256).String() + "\n" }

func (in *internet) serve(z *zone) {
	in.t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, req *dns.Msg) {
		q := req.Question[0]
		in.mu.Lock()
		in.log = append(in.log, query{z.addr, dns.CanonicalName(q.Name), q.Qtype})
		odd := z.odd
		in.mu.Unlock()
		if odd != nil && odd(w, req) {
			return
		}
		w.WriteMsg(in.reply(z, req))
	})
	at := net.JoinHostPort(z.addr, fmt.Sprint(in.port))
	pc, err := net.ListenPacket("udp", at)
	if err != nil {
		in.t.Fatal(err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		in.t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		in.t.Cleanup(func() { s.Shutdown() })
	}
}

// queries returns what was asked of a server since the last time; "" is all of them.
func (in *internet) queries(server string) []query {
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []query
	for _, q := range in.log {
		if server == "" || q.server == server {
			out = append(out, q)
		}
	}
	return out
}

func (in *internet) forget() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.log = nil
}

// reply answers from z, or from another zone on its server that is closer.
func (in *internet) reply(z *zone, req *dns.Msg) *dns.Msg {
	in.mu.Lock()
	also := z.also
	in.mu.Unlock()
	q := req.Question[0]
	name := dns.CanonicalName(q.Name)
	for _, other := range also {
		if dns.IsSubDomain(other.name, name) && (q.Qtype != dns.TypeDS || other.name != name) {
			return other.reply(req)
		}
	}
	return z.reply(req)
}

// reply answers as an authoritative server does.
func (z *zone) reply(req *dns.Msg) *dns.Msg {
	q := req.Question[0]
	name := dns.CanonicalName(q.Name)
	m := new(dns.Msg).SetReply(req)
	m.SetEdns0(1232, true)
	m.Authoritative = true
	if !dns.IsSubDomain(z.name, name) {
		m.Authoritative, m.Rcode = false, dns.RcodeRefused
		return m
	}
	if cut := z.cutAbove(name, q.Qtype); cut != "" {
		z.refer(m, cut)
		return m
	}
	z.fill(m, name, q.Qtype)
	return m
}

func (z *zone) cutAbove(name string, rrtype uint16) string {
	for _, rr := range z.records {
		owner := rr.Header().Name
		if rr.Header().Rrtype == dns.TypeNS && owner != z.name && dns.IsSubDomain(owner, name) && (rrtype != dns.TypeDS || owner != name) {
			return owner
		}
	}
	return ""
}

func (z *zone) refer(m *dns.Msg, cut string) {
	m.Authoritative = false
	for _, rr := range z.rrset(cut, dns.TypeNS) {
		m.Ns = append(m.Ns, rr)
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			m.Extra = append(z.rrset(rr.(*dns.NS).Ns, rrtype), m.Extra...)
		}
	}
	if ds := z.rrset(cut, dns.TypeDS); len(ds) > 0 {
		m.Ns = append(m.Ns, z.sign(ds)...)
	} else if z.signer != nil {
		m.Ns = append(m.Ns, z.nsec(cut)...)
	}
}

func (z *zone) fill(m *dns.Msg, name string, rrtype uint16) {
	for range 20 {
		if set := z.rrset(name, rrtype); len(set) > 0 {
			m.Answer = append(m.Answer, z.sign(set)...)
			return
		}
		alias := z.rrset(name, dns.TypeCNAME)
		if len(alias) == 0 {
			break
		}
		m.Answer = append(m.Answer, z.sign(alias)...)
		if name = dns.CanonicalName(alias[0].(*dns.CNAME).Target); !dns.IsSubDomain(z.name, name) || z.cutAbove(name, rrtype) != "" {
			return
		}
	}
	m.Ns = append(m.Ns, z.sign(z.rrset(z.name, dns.TypeSOA))...)
	if !z.exists(name) {
		m.Rcode = dns.RcodeNameError
	}
	if z.signer != nil {
		m.Ns = append(m.Ns, z.nsec(name)...)
		if m.Rcode == dns.RcodeNameError {
			m.Ns = append(m.Ns, z.nsec("*."+z.name)...)
		}
	}
}

func (z *zone) exists(name string) bool {
	return slices.ContainsFunc(z.records, func(rr dns.RR) bool { return dns.IsSubDomain(name, rr.Header().Name) })
}

func (z *zone) rrset(name string, rrtype uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range z.records {
		if rr.Header().Rrtype == rrtype && dns.CanonicalName(rr.Header().Name) == dns.CanonicalName(name) {
			out = append(out, rr)
		}
	}
	return out
}

func (z *zone) sign(set []dns.RR) []dns.RR {
	if z.signer == nil || len(set) == 0 {
		return set
	}
	sig, err := z.signer.Sign(set, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour))
	if err != nil {
		panic(err)
	}
	return append(slices.Clone(set), sig)
}

// nsec returns the NSEC record at or before a name, signed.
func (z *zone) nsec(name string) []dns.RR {
	var owners []string
	for _, rr := range z.records {
		owner := dns.CanonicalName(rr.Header().Name)
		glue := z.cutAbove(owner, dns.TypeA) != "" && z.cutAbove(owner, dns.TypeA) != owner
		if !slices.Contains(owners, owner) && !glue {
			owners = append(owners, owner)
		}
	}
	slices.SortFunc(owners, canonicalOrder)
	at := 0
	for i, owner := range owners {
		if canonicalOrder(owner, name) <= 0 {
			at = i
		}
	}
	types := []uint16{dns.TypeRRSIG, dns.TypeNSEC}
	for _, rr := range z.records {
		if t := rr.Header().Rrtype; dns.CanonicalName(rr.Header().Name) == owners[at] && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	return z.sign([]dns.RR{&dns.NSEC{
		Hdr:        dns.RR_Header{Name: owners[at], Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300},
		NextDomain: owners[(at+1)%len(owners)], TypeBitMap: types,
	}})
}

// canonicalOrder compares names as RFC 4034 section 6.1 has it.
func canonicalOrder(a, b string) int {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(x)
	slices.Reverse(y)
	return slices.Compare(x, y)
}

// resolver returns a Resolver of this internet. The root is at 127.9.0.1; its keys are the anchor, if
// it is signed.
func (in *internet) resolver(change func(*recursive.Config)) *recursive.Resolver {
	in.t.Helper()
	stream := forward.NewStream(forward.StreamConfig{})
	in.t.Cleanup(func() { stream.Close() })
	hints, err := recursive.ParseHints(strings.NewReader(". IN NS ns.root.\nns.root. IN A 127.9.0.1\n"))
	if err != nil {
		in.t.Fatal(err)
	}
	cfg := recursive.Config{
		UDP: forward.NewDatagram(nil, nil), TCP: stream, Hints: hints, Port: in.port,
		Allow: func(netip.Addr) bool { return true }, Timeout: 20 * time.Second,
	}
	if root := in.zones["."]; root != nil && root.signer != nil {
		anchors := new(dnssec.Anchors).With(".", dnssec.Trust{Keys: []*dns.DNSKEY{root.signer.Key}})
		cfg.Anchors = func() *dnssec.Anchors { return anchors }
	}
	if change != nil {
		change(&cfg)
	}
	r, err := recursive.New(cfg)
	if err != nil {
		in.t.Fatal(err)
	}
	return r
}
