package anchors

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// State is where a key stands (RFC 5011 section 4.1). Keys in the state Start are not kept.
type State uint8

// The states of a key.
const (
	AddPend State = iota + 1 // seen, and waiting for the hold-down
	Valid                    // trusted
	Missing                  // trusted, but not in the zone's DNSKEY RRset now
	Revoked                  // never trusted again
	Removed                  // the same, and gone from the zone
)

var stateNames = [...]string{AddPend: "AddPend", Valid: "Valid", Missing: "Missing", Revoked: "Revoked", Removed: "Removed"}

func (s State) String() string {
	if s == 0 || int(s) >= len(stateNames) {
		return "Start"
	}
	return stateNames[s]
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *State) UnmarshalText(text []byte) error {
	for i := AddPend; i <= Removed; i++ {
		if stateNames[i] == string(text) {
			*s = i
			return nil
		}
	}
	return fmt.Errorf("%q is no state: expected AddPend, Valid, Missing, Revoked or Removed", text)
}

// trusted says whether a key in this state is an anchor.
func (s State) trusted() bool { return s == Valid || s == Missing }

// dead says whether a key in this state was revoked.
func (s State) dead() bool { return s == Revoked || s == Removed }

// maxPublicKey bounds a public key, in bytes: RSA with 4096 bits needs 516.
const maxPublicKey = 4096

// keyID tells keys apart by what signs: flags do not count, so that a revoked key cannot return with others.
type keyID struct {
	algorithm uint8
	public    string
}

// key is one key of a trust point.
type key struct {
	id    keyID
	flags uint16 // without REVOKE
	state State
	since time.Time // when it came into the state; of AddPend, when the hold-down began
	until time.Time // of AddPend: when the hold-down ends
	seen  time.Time // when it was last in a set, in whatever form
	named bool      // the configuration names it
}

// readKey returns a DNSKEY as a key without a state; false when it can never be one.
func readKey(rr *dns.DNSKEY) (key, bool) {
	public, err := base64.StdEncoding.DecodeString(rr.PublicKey)
	if err != nil || len(public) == 0 || len(public) > maxPublicKey || rr.Protocol != 3 || rr.Flags&dns.ZONE == 0 {
		return key{}, false
	}
	id := keyID{rr.Algorithm, base64.StdEncoding.EncodeToString(public)}
	return key{id: id, flags: rr.Flags &^ dns.REVOKE}, true
}

// rr returns the key as it was before it was revoked, if it was.
func (k key) rr(zone string) *dns.DNSKEY {
	return &dns.DNSKEY{
		Hdr:       dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET},
		Flags:     k.flags,
		Protocol:  3,
		Algorithm: k.id.algorithm,
		PublicKey: k.id.public,
	}
}

// is says whether ds is of k.
func (k key) is(zone string, ds *dns.DS) bool {
	if ds.Algorithm != k.id.algorithm {
		return false
	}
	own := dnssec.NewDS(k.rr(zone), ds.DigestType)
	return own != nil && own.KeyTag == ds.KeyTag && sameHex(own.Digest, ds.Digest)
}
