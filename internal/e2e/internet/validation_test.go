package internet

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// hasEDE tells whether a reply carries an extended error.
func hasEDE(reply Reply, code uint16) bool {
	return slices.ContainsFunc(reply.EDE, func(e string) bool {
		first, _, _ := strings.Cut(e, " ")
		return first == strconv.Itoa(int(code))
	})
}

// RFC 8914: each failure says what caused it.
func TestCauses(t *testing.T) {
	n := Start(t, topZones(), goodZones(), bogusZones(), denialZones(), delegationZones(), serverZones())
	r := n.StartDens(t)
	for _, tt := range []struct {
		name   string
		rrtype uint16
		want   string
		codes  []uint16 // one of these; none: no extended error
	}{
		{"www.alg13.net", dns.TypeA, "NOERROR AD", nil},
		{"www.badsig.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeDNSBogus}},
		{"www.changed.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeDNSBogus}},
		{"www.wronganswer.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeDNSBogus}},
		{"www.expired.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeSignatureExpired}},
		{"www.expiredwww.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeSignatureExpired}},
		{"www.future.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeSignatureNotYetValid}},
		{"www.futurewww.org", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeSignatureNotYetValid}},
		{"www.dsbad.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeDNSKEYMissing}},
		{"www.nokeys.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeDNSKEYMissing}},
		{"www.dsonlyother.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeDNSKEYMissing}},
		{"www.stripped.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeRRSIGsMissing}},
		{"www.nosigs.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeRRSIGsMissing}},
		{"www.unsignedkeys.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeRRSIGsMissing}},
		{"www.nonzone.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeNoZoneKeyBitSet, dns.ExtendedErrorCodeDNSKEYMissing}},
		{"missing.nodenial.net", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeNSECMissing}},
		{"missing.nodenial.de", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeNSECMissing}},
		{"www.dead.com", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeNoReachableAuthority, dns.ExtendedErrorCodeNetworkError}},
		{"www.refused.com", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeNoReachableAuthority, dns.ExtendedErrorCodeNetworkError}},
		{"www.nsmissing.com", dns.TypeA, "SERVFAIL", []uint16{dns.ExtendedErrorCodeNoReachableAuthority}},
		{"missing.it2500.org", dns.TypeA, "NXDOMAIN", []uint16{dns.ExtendedErrorCodeUnsupportedNSEC3IterValue}},
		{"www.alg200.net", dns.TypeA, "NOERROR |", []uint16{dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm}},
		{"www.dsunknown.net", dns.TypeA, "NOERROR |", []uint16{dns.ExtendedErrorCodeUnsupportedDSDigestType}},
	} {
		reply := r.must(t, tt.name, tt.rrtype, tt.want)
		if len(tt.codes) == 0 && len(reply.EDE) > 0 || len(tt.codes) > 0 && !slices.ContainsFunc(tt.codes, func(c uint16) bool { return hasEDE(reply, c) }) {
			t.Errorf("%s: EDE %q, expected one of %v", tt.name, reply.EDE, tt.codes)
		}
	}
}

// The lines of the specification about DNSSEC that a comparison of answers does not show.
func TestValidation(t *testing.T) {
	n := Start(t, topZones(), goodZones(), bogusZones(), aliasZones())
	r := n.StartDens(t)
	t.Run("flags", func(t *testing.T) { testFlags(t, r) })
	t.Run("aggressive NSEC", func(t *testing.T) { testAggressive(t, n, r) })
	t.Run("negative anchors", func(t *testing.T) { testNegativeAnchors(t, n) })
	t.Run("anchors", func(t *testing.T) { testAnchors(t, n) })
	t.Run("not validating", func(t *testing.T) {
		off := n.StartDensWith(t, n.Hints, "validate: false")
		off.must(t, "www.badsig.net", dns.TypeA, "NOERROR |")
		off.must(t, "www.alg13.net", dns.TypeA, "NOERROR |")
	})
}

// RFC 4035 section 3.2, RFC 6840 section 5.7: AD when asked for, signatures with DO, bogus data with CD.
func testFlags(t *testing.T, r *Resolver) {
	ask := func(name string, flags Flags) *dns.Msg {
		t.Helper()
		reply := r.Ask(t.Context(), Question{Name: name, Type: dns.TypeA, Flags: flags})
		if reply.Msg == nil {
			t.Fatalf("%s %s: no reply", name, flags)
		}
		return reply.Msg
	}
	signatures := func(m *dns.Msg) int {
		return len(slices.DeleteFunc(slices.Clone(m.Answer), func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeRRSIG }))
	}
	for range 2 { // the second time from the cache
		if m := ask("www.alg13.net.", Plain); m.AuthenticatedData || signatures(m) > 0 || m.IsEdns0() != nil {
			t.Errorf("plain: %s", m)
		}
		if m := ask("www.alg13.net.", AD); !m.AuthenticatedData || signatures(m) > 0 || m.IsEdns0() == nil || m.IsEdns0().Do() {
			t.Errorf("AD: %s", m)
		}
		if m := ask("www.alg13.net.", DO); !m.AuthenticatedData || signatures(m) != 1 || !m.IsEdns0().Do() {
			t.Errorf("DO: %s", m)
		}
		if m := ask("www.badsig.net.", DO); m.Rcode != dns.RcodeServerFailure || len(m.Answer) > 0 || m.CheckingDisabled {
			t.Errorf("bogus: %s", m)
		}
		if m := ask("www.badsig.net.", DOCD); m.Rcode != dns.RcodeSuccess || m.AuthenticatedData || signatures(m) != 1 || len(m.Answer) != 3 || !m.CheckingDisabled {
			t.Errorf("bogus with CD: %s", m)
		}
		if m := ask("missing.alg13.net.", DO); len(slices.DeleteFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeNSEC })) == 0 {
			t.Error("a denial without its NSEC records")
		}
	}
}

// RFC 8198, RFC 8020: what is proven not to be there is not asked for again.
func testAggressive(t *testing.T, n *Internet, r *Resolver) {
	r.must(t, "missing.alg14.net", dns.TypeA, "NXDOMAIN AD")
	r.must(t, "www.alg14.net", dns.TypeSRV, "NOERROR AD")
	n.Settle(t)
	n.Forget()
	for _, name := range []string{"missinh.alg14.net", "missing.alg14.net", "x.missing.alg14.net", "n.alg14.net", "x.y.zz.missing.alg14.net"} {
		r.must(t, name, dns.TypeA, "NXDOMAIN AD")
	}
	r.must(t, "www.alg14.net", dns.TypeCAA, "NOERROR AD")
	if sent := n.Sent(r); len(sent) > 0 {
		t.Errorf("NSEC: what is proven was asked for again:%s", describe(sent))
	}
	// With NSEC3, once every gap between hashes is known.
	for i := range 150 {
		r.must(t, label("m", i)+".n3alg14.net", dns.TypeA, "NXDOMAIN AD")
	}
	n.Settle(t)
	n.Forget()
	for i := range 50 {
		r.must(t, label("o", i)+".n3alg14.net", dns.TypeA, "NXDOMAIN AD")
	}
	if sent := n.Sent(r); len(sent) > 5 {
		t.Errorf("NSEC3: what is proven was asked for again:%s", describe(sent))
	}
	// An opt-out span proves nothing (RFC 8198 section 5.2): new delegations may be in it.
	r.must(t, "nosuch.com", dns.TypeA, "NXDOMAIN")
	n.Settle(t)
	n.Forget()
	r.must(t, "nosuchother.com", dns.TypeA, "NXDOMAIN")
	if sent := n.Sent(r); len(sent) == 0 {
		t.Error("an opt-out span was taken as proof")
	}
}

// RFC 7646: below a negative anchor nothing is validated.
func testNegativeAnchors(t *testing.T, n *Internet) {
	r := n.StartDensWith(t, n.Hints, "negative_anchors: [badsig.net, expired.net]")
	for _, name := range []string{"www.badsig.net", "www.expired.net", "www.below.expired.net"} {
		r.must(t, name, dns.TypeA, "NOERROR |")
	}
	r.must(t, "www.badsig8.org", dns.TypeA, "SERVFAIL")
	r.must(t, "www.alg13.net", dns.TypeA, "NOERROR AD")
}

// An anchor that no key of the root matches: nothing resolves, and the reason is told.
func testAnchors(t *testing.T, n *Internet) {
	anchor := n.Anchor
	defer func() { n.Anchor = anchor }()
	n.Anchor = writeFile(t, t.TempDir(), "root.ds", ". 3600 IN DS 12345 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
	r := n.startDensUnready(t, n.Hints)
	reply := r.must(t, "www.alg13.net", dns.TypeA, "SERVFAIL")
	if !hasEDE(reply, dns.ExtendedErrorCodeDNSKEYMissing) && !hasEDE(reply, dns.ExtendedErrorCodeDNSBogus) {
		t.Errorf("EDE %q", reply.EDE)
	}
}
