package dnssec

import (
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// A zone's own key cannot sign what is not the zone's to hold.
func TestOutOfPlace(t *testing.T) {
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	keys := keysOf(t, v, s)
	inner := s.signSet(t, rrs(t, "a.example. 1 IN A 192.0.2.1")...)
	for _, set := range [][]dns.RR{rrs(t, "www.other. 1 IN A 192.0.2.1"), {inner.Sigs[0]}} {
		c, err := canonicalize(set)
		if err != nil {
			t.Fatal(err)
		}
		sig := *inner.Sigs[0]
		sig.Hdr.Name, sig.TypeCovered, sig.Labels = set[0].Header().Name, c.rrtype, uint8(c.owner.sigLabels())
		msg, err := c.signedData(&sig, keys.zone)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signRaw(s.Private, sig.Algorithm, msg)
		if err != nil {
			t.Fatal(err)
		}
		sig.Signature = base64.StdEncoding.EncodeToString(raw)
		if res := v.ValidateRRset(RRset{RRs: set, Sigs: []*dns.RRSIG{&sig}}, keys, now, NewBudget(Limits{})); res.Status != Bogus {
			t.Errorf("%v: %v", set, res.Verdict)
		}
	}
}

// An NSEC3 that is alone covers everything but its own name (RFC 5155 section 3.1.7).
func TestLoneNSEC3(t *testing.T) {
	m := newModel(t, "example.", rrs(t, "example. 300 IN SOA ns.other. host.other. 1 2 3 4 5"))
	e := evidenceOf(m, m.nsec3s(0, "", false), 150)
	if p := e.NameError("a.example.", NewBudget(Limits{})); p.Status != Secure {
		t.Error(p.Verdict)
	}
	if p := e.NameError("example.", NewBudget(Limits{})); p.Status != Bogus {
		t.Error(p.Verdict)
	}
	if p := e.Expansion("a.example.", 0, NewBudget(Limits{})); p.Status != Bogus {
		t.Errorf("the wildcard above the zone: %v", p.Verdict)
	}
	h, own := e.nsec3[0], e.nsec3[0].owner
	if h.covers(own) || !h.covers([20]byte{1}) {
		t.Error("what a lone record covers")
	}
}

// A proof whose last hash could not be paid for is none, though what was seen before would allow opt-out.
func TestHalfAProof(t *testing.T) {
	m := newModel(t, "example.", rrs(t, zoneText))
	e := evidenceOf(m, m.nsec3s(0, "", true), 150)
	for hashes := 1; hashes < 3; hashes++ {
		b := NewBudget(Limits{Hashes: hashes})
		if p := e.NoData("mm.example.", dns.TypeA, b); p.Status != Exhausted || !strings.Contains(p.Text, "NSEC3") {
			t.Errorf("%d hashes: %v", hashes, p)
		}
	}
	if p := e.NoData("mm.example.", dns.TypeA, NewBudget(Limits{Hashes: 3})); p.Status != Insecure {
		t.Error(p.Verdict)
	}
}

// A signature is below the modulus (RFC 8017 section 5.2.2).
func TestRSASignatureRange(t *testing.T) {
	public, sign := oddKey(t, 768, big.NewInt(3))
	k, ok := newKey(&dns.DNSKEY{Flags: dns.ZONE, Protocol: 3, Algorithm: dns.RSASHA256, PublicKey: base64.StdEncoding.EncodeToString(public)})
	if !ok {
		t.Fatal("key")
	}
	pub := k.public().(rsaKey)
	for i := range 1000 { // until a sum still fits the modulus's length
		msg := big.NewInt(int64(i)).Bytes()
		sum := new(big.Int).Add(new(big.Int).SetBytes(sign(msg)), pub.n)
		if sum.BitLen() <= 768 {
			if k.verify(msg, sum.FillBytes(make([]byte, 96))) {
				t.Error("a signature above the modulus verified")
			}
			return
		}
	}
	t.Fatal("no signature to try")
}
