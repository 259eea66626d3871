package dnssec

import (
	"testing"

	"github.com/miekg/dns"
)

// The parent's answer to the DS question of each kind of name, in each kind of chain.
func TestDelegation(t *testing.T) {
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	keys := keysOf(t, v, s)
	zone := rrs(t, zoneText)
	m := newModel(t, "example.", zone)
	signed := func(chain chainKind) []RRset {
		var out []RRset
		for _, rr := range chain.records(m) {
			out = append(out, s.signSet(t, rr))
		}
		return out
	}
	tests := []struct {
		child         string
		status        Status
		optOut        Status // with an opt-out chain
		noCut, optCut bool
	}{
		{"unsigned.example.", Insecure, Insecure, false, false},
		{"only.hidden.example.", Insecure, Insecure, false, false},
		{"hidden.example.", Secure, Insecure, true, false}, // opt-out hides such an empty non-terminal
		{"host.example.", Secure, Secure, true, true},
		{"ent.example.", Secure, Secure, true, true},
		{"mm.example.", Secure, Insecure, true, false},
		{"signed.example.", Bogus, Bogus, false, false},        // its DS was kept back
		{"x.unsigned.example.", Bogus, Insecure, false, false}, // opt-out hides the cut above it
		{"alias.example.", Bogus, Bogus, false, false},         // the answer would have been the CNAME
		{"example.", Bogus, Bogus, false, false},
		{"other.", Bogus, Bogus, false, false},
	}
	for _, chain := range chains {
		sets := signed(chain)
		for _, tt := range tests {
			want, noCut := tt.status, tt.noCut
			if chain.optOut {
				want, noCut = tt.optOut, tt.optCut
			}
			cut := v.Delegation(tt.child, sets, keys, now, NewBudget(Limits{}))
			if cut.Status != want || cut.NoCut() != noCut || len(cut.DS) != 0 {
				t.Errorf("%s, %s: %v, no cut %v", chain.name, tt.child, cut.Verdict, cut.NoCut())
			}
			if missing := tt.child == "mm.example." && !chain.optOut; cut.NoName != missing {
				t.Errorf("%s, %s: no name %v", chain.name, tt.child, cut.NoName)
			}
			if cut := v.Delegation(tt.child, nil, keys, now, NewBudget(Limits{})); cut.Status != Bogus {
				t.Errorf("%s without proof: %v", tt.child, cut.Verdict)
			}
		}
	}
}

func TestDelegationSigned(t *testing.T) {
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	child := signerFor(t, "Sub.example.", dns.ED25519, dns.ZONE|dns.SEP)
	keys := keysOf(t, v, s)
	ds := func(change func(*dns.DS)) dns.RR {
		d := NewDS(child.Key, dns.SHA256)
		change(d)
		return d
	}
	good := ds(func(*dns.DS) {})
	oddAlg, oddDigest := ds(func(d *dns.DS) { d.Algorithm = 3 }), ds(func(d *dns.DS) { d.DigestType = 5 })
	tests := []struct {
		name   string
		set    RRset
		status Status
		code   uint16
		ds     int
	}{
		{"good", s.signSet(t, good), Secure, 0, 1},
		{"good among odd ones", s.signSet(t, good, oddAlg, oddDigest), Secure, 0, 1},
		{"SHA-1 beside", s.signSet(t, good, NewDS(child.Key, dns.SHA1)), Secure, 0, 1},
		{"unknown algorithm", s.signSet(t, oddAlg), Insecure, dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, 0},
		{"unknown digest", s.signSet(t, oddDigest), Insecure, dns.ExtendedErrorCodeUnsupportedDSDigestType, 0},
		{"unsigned", RRset{RRs: []dns.RR{good}}, Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"signed by the child", child.signSet(t, good), Bogus, dns.ExtendedErrorCodeDNSBogus, 0},
	}
	for _, tt := range tests {
		cut := v.Delegation("SUB.example.", []RRset{tt.set}, keys, now, NewBudget(Limits{}))
		if cut.Status != tt.status || cut.Code != tt.code || len(cut.DS) != tt.ds || cut.NoCut() {
			t.Errorf("%s: %+v", tt.name, cut)
		}
	}
	wild := s.signSet(t, rrs(t, "*.example. 300 IN DS 1 15 2 00000000000000000000000000000000000000000000000000000000000000ff")...)
	wild.RRs[0].Header().Name, wild.Sigs[0].Hdr.Name = "sub.example.", "sub.example."
	if cut := v.Delegation("sub.example.", []RRset{wild}, keys, now, NewBudget(Limits{})); cut.Status != Bogus {
		t.Errorf("DS made from a wildcard: %v", cut.Verdict)
	}
	// The whole step: the parent's DS opens the child's keys; below an insecure parent nothing is opened.
	cut := v.Delegation("sub.example.", []RRset{s.signSet(t, good)}, keys, now, NewBudget(Limits{}))
	opened := v.ValidateKeys("sub.example.", child.signSet(t, child.Key), Trust{DS: cut.DS}, now, NewBudget(Limits{}))
	if opened.Status != Secure {
		t.Errorf("child's keys: %v", opened.Verdict)
	}
	unsigned := InsecureKeys("example.", Verdict{Text: "no DS"})
	if cut := v.Delegation("sub.example.", []RRset{s.signSet(t, good)}, unsigned, now, NewBudget(Limits{})); cut.Status != Insecure || len(cut.DS) != 0 {
		t.Errorf("signed below unsigned: %v", cut.Verdict)
	}
}

// A chain above the iteration limit makes its delegations insecure (RFC 9276 section 3.2), but only if its
// records are signed.
func TestDelegationIterations(t *testing.T) {
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	m := newModel(t, "example.", rrs(t, zoneText))
	var sets []RRset
	for _, rr := range m.nsec3s(60, "", false) {
		sets = append(sets, s.signSet(t, rr))
	}
	strict, lax := New(Config{MaxIterations: 50}), New(Config{})
	keys := keysOf(t, lax, s)
	if cut := lax.Delegation("unsigned.example.", sets, keys, now, NewBudget(Limits{})); cut.Status != Insecure || cut.Code != 0 {
		t.Errorf("within the limit: %v", cut.Verdict)
	}
	if cut := strict.Delegation("host.example.", sets, keys, now, NewBudget(Limits{})); cut.Status != Insecure || cut.Code != dns.ExtendedErrorCodeUnsupportedNSEC3IterValue {
		t.Errorf("above the limit: %v", cut.Verdict)
	}
	for i := range sets {
		sets[i].Sigs = nil
	}
	if cut := strict.Delegation("host.example.", sets, keys, now, NewBudget(Limits{})); cut.Status != Bogus {
		t.Errorf("above the limit, unsigned: %v", cut.Verdict)
	}
}
