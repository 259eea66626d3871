package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/internal/wire"
	"dens/resolver"
)

// signedZone is a server that has a signed DNSKEY RRset of a zone, and no DS of anything. It returns the
// anchor of that and the server's address.
func signedZone(t *testing.T, zone string) (anchor, addr string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dnssec.NewKey(zone, 300, dns.ZONE|dns.SEP, dns.ED25519, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	sig, err := (&dnssec.Signer{Key: key, Private: private}).Sign([]dns.RR{key}, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative, m.RecursionAvailable = true, true
		switch q.Question[0].Qtype {
		case dns.TypeDNSKEY:
			m.Answer = []dns.RR{key, sig}
		case dns.TypeA:
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
		}
		_ = w.WriteMsg(m)
	})}
	go srv.ActivateAndServe() //nolint:errcheck // ends with Shutdown
	t.Cleanup(func() { _ = srv.Shutdown() })
	return dnssec.NewDS(key, dns.SHA256).String() + "\n", conn.LocalAddr().String()
}

// waitPart waits until a part of /readyz is as wanted: ready for "", else not, for a reason with these words.
func waitPart(t *testing.T, d *daemonState, name, want string) {
	t.Helper()
	var got string
	ok := func() bool {
		for _, p := range d.current.Load().parts() {
			if p.Name == name {
				got = p.Reason
				return p.Ready == (want == "") && strings.Contains(p.Reason, want)
			}
		}
		return false
	}
	waitFor(t.Context(), time.Minute, ok)
	if !ok() {
		t.Fatalf("%s: %q, want %q", name, got, want)
	}
}

// askDaemon returns the rcode and the extended error of a question for A.
func askDaemon(t *testing.T, d *daemonState, name string, cd bool) (int, string) {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, false)
	q.CheckingDisabled = cd
	req, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(answer(t, d.current.Load().cache, req, wire.Peer{})); err != nil {
		t.Fatal(err)
	}
	for _, o := range m.IsEdns0().Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			return m.Rcode, e.String()
		}
	}
	return m.Rcode, ""
}

// TestValidationReady: upstream servers whose answers cannot be validated are of no use where they are to be.
func TestValidationReady(t *testing.T) {
	anchor, addr := signedZone(t, ".")
	file := filepath.Join(t.TempDir(), "anchors")
	if err := os.WriteFile(file, []byte(anchor), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ keys, part, want string }{
		{"", "forward .", ""},
		{"validate: true, trust_anchor: " + file, "forward .", ""},
		{"validate: true", "forward .", "nothing validates that comes from the upstream servers"},
		{"zones: [{ zone: corp.example, forward: [" + addr + "], validate: true }]", "forward corp.example.", "20326, 38696"},
		{"trust_anchor: " + file + ", zones: [{ zone: corp.example, forward: [" + addr + "], validate: true }]", "forward corp.example.", ""},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			d, err := startDaemon(parseConfig(t, "listen: { dns: ['127.0.0.1:0'], http: '' }\nchains: {}\nnames: []\nresolve: { forward: ['"+addr+"'], "+tt.keys+" }\n"), quietLogger())
			if err != nil {
				t.Fatal(err)
			}
			defer d.shutdown(time.Second) //nolint:errcheck // nothing is under way
			waitPart(t, d, tt.part, tt.want)
		})
	}
}

// TestBrokenAnchors: without its trust anchors dens answers what needs no validation, and what does when
// they are there again, after a reload. A reload goes back to what it had instead.
func TestBrokenAnchors(t *testing.T) {
	anchor, addr := signedZone(t, ".")
	file := filepath.Join(t.TempDir(), "anchors")
	text := "listen: { dns: ['127.0.0.1:0'], http: '' }\nchains: {}\nnames: []\nresolve: { forward: ['" + addr + "'], validate: true, trust_anchor: " + file +
		", zones: [{ zone: corp.example, forward: ['" + addr + "'] }, { zone: safe.example, forward: ['" + addr + "'], validate: true }] }\n"
	d, err := startDaemon(parseConfig(t, text), quietLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer d.shutdown(time.Second) //nolint:errcheck // nothing is under way
	for _, tt := range []struct {
		name  string
		cd    bool
		rcode int
		ede   string
	}{
		{"www.example.org.", false, dns.RcodeServerFailure, "trust anchors could not be read"},
		{"www.safe.example.", false, dns.RcodeServerFailure, "trust anchors could not be read"},
		{"www.example.org.", true, dns.RcodeSuccess, ""},
		{"www.corp.example.", false, dns.RcodeSuccess, ""},
		{"localhost.", false, dns.RcodeSuccess, ""},
	} {
		if rcode, ede := askDaemon(t, d, tt.name, tt.cd); rcode != tt.rcode || !strings.Contains(ede, tt.ede) || (ede == "") != (tt.ede == "") {
			t.Errorf("%s: %s, %q", tt.name, dns.RcodeToString[rcode], ede)
		}
	}
	waitPart(t, d, "forward .", file)
	waitPart(t, d, "forward safe.example.", file)
	waitPart(t, d, "forward corp.example.", "")
	if err := d.reload(t.Context(), parseConfig(t, text)); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("reload without the file: %v", err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(anchor)
	if err := d.reload(t.Context(), parseConfig(t, text)); err != nil {
		t.Fatal(err)
	}
	waitPart(t, d, "forward .", "")
	// The same file with other anchors is noticed too.
	write(". IN DS 12345 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
	if err := d.reload(t.Context(), parseConfig(t, text)); err != nil {
		t.Fatal(err)
	}
	waitPart(t, d, "forward .", "12345")
	write("no anchor\n")
	if err := d.reload(t.Context(), parseConfig(t, text)); err == nil {
		t.Error("a broken file was taken")
	}
}

// TestUnvalidated: hosts that certificates vouch for are found where nothing validates, and only there.
func TestUnvalidated(t *testing.T) {
	if unvalidated(nil) != nil {
		t.Error("nobody to ask became somebody")
	}
	for _, tt := range []struct {
		err   error
		asked int
	}{
		{nil, 1},
		{errors.New("broken"), 1},
		{resolver.Errorf(dns.ExtendedErrorCodeNoReachableAuthority, nil, "dead"), 1},
		{resolver.Errorf(dns.ExtendedErrorCodeDNSBogus, nil, "bogus"), 2},
		{&resolver.ZoneError{Zone: "recursive", Err: resolver.Errorf(dns.ExtendedErrorCodeSignatureExpired, nil, "expired")}, 2},
		{resolver.Errorf(dns.ExtendedErrorCodeNSECMissing, nil, "no proof"), 2},
	} {
		var asked []bool
		r := resolverFunc(func(q resolver.Query) (*resolver.Answer, error) {
			if asked = append(asked, q.CD); q.CD {
				return &resolver.Answer{}, nil
			}
			return &resolver.Answer{}, tt.err
		})
		_, err := unvalidated(r).Resolve(t.Context(), resolver.Query{Name: "rpc.example.", Type: dns.TypeA, Class: dns.ClassINET})
		if len(asked) != tt.asked || asked[0] || (err == nil) != (tt.err == nil || tt.asked == 2) {
			t.Errorf("%v: asked with CD %v, %v", tt.err, asked, err)
		}
	}
}

type resolverFunc func(q resolver.Query) (*resolver.Answer, error)

func (f resolverFunc) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	return f(q)
}
