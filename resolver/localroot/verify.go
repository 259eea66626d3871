package localroot

import (
	"crypto"
	_ "crypto/sha512" // SHA-384 and SHA-512
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// verify does the steps of RFC 8976 section 4, where the zone is expected to be signed: the keys from the
// trust anchor, then SOA and ZONEMD by the keys, then the digest.
func (c *content) verify(v *dnssec.Validator, trust dnssec.Trust, now time.Time) error {
	b := dnssec.NewBudget(dnssec.Limits{})
	keys := v.ValidateKeys(c.apex, c.set(dns.TypeDNSKEY), trust, now, b)
	if keys.Status != dnssec.Secure {
		return fmt.Errorf("the zone's keys do not validate: %s", keys.Verdict)
	}
	ends := []*dns.RRSIG{keys.Sig}
	if len(c.set(dns.TypeZONEMD).RRs) == 0 {
		return c.noDigest(v, keys, now, b)
	}
	for _, rrtype := range []uint16{dns.TypeSOA, dns.TypeZONEMD} {
		r := v.ValidateRRset(c.set(rrtype), keys, now, b)
		if r.Status != dnssec.Secure || r.Expanded {
			return fmt.Errorf("the zone's %s record does not validate: %s", dns.Type(rrtype), r.Verdict)
		}
		ends = append(ends, r.Sig)
	}
	c.signed = firstEnd(ends, now)
	return c.verifyDigest()
}

// noDigest says why a zone without a ZONEMD record is refused: none was made, or it was taken out.
func (c *content) noDigest(v *dnssec.Validator, keys *dnssec.Keys, now time.Time, b *dnssec.Budget) error {
	const refused = "the zone has no ZONEMD record (RFC 8976), so nothing shows that it is whole and unchanged"
	proof := v.Evidence([]dnssec.RRset{c.set(dns.TypeNSEC)}, keys, now, b).NoData(c.apex, dns.TypeZONEMD, b)
	if proof.Status == dnssec.Secure {
		return errors.New(refused + "; its NSEC record says that there is none")
	}
	return errors.New(refused + "; nothing proves that there is none: it may have been taken out")
}

// firstEnd returns when the first of some valid signatures ends (serial arithmetic: RFC 4034 section 3.1.5).
func firstEnd(sigs []*dns.RRSIG, now time.Time) time.Time {
	least := time.Duration(1<<63 - 1)
	for _, sig := range sigs {
		least = min(least, time.Duration(int32(sig.Expiration-uint32(now.Unix())))*time.Second)
	}
	return now.Add(least)
}

// verifyDigest looks for a ZONEMD record that fits (RFC 8976 section 4, steps 4 to 9). One is enough.
func (c *content) verifyDigest() error {
	all := c.set(dns.TypeZONEMD).RRs
	var why []string
	for i, rr := range all {
		z, ok := rr.(*dns.ZONEMD)
		if !ok {
			why = append(why, "a ZONEMD record is malformed")
			continue
		}
		name, err := c.check(z, slices.Delete(slices.Clone(all), i, i+1))
		if err == nil {
			c.digest = name
			return nil
		}
		if len(why) < 4 {
			why = append(why, err.Error())
		}
	}
	return fmt.Errorf("no ZONEMD record verifies: %s", strings.Join(why, "; "))
}

// check verifies one ZONEMD record and returns the name of its hash.
func (c *content) check(z *dns.ZONEMD, others []dns.RR) (string, error) {
	if z.Serial != c.soa.Serial {
		return "", fmt.Errorf("it is of serial %d, the zone has %d", z.Serial, c.soa.Serial)
	}
	if z.Scheme != dns.ZoneMDSchemeSimple {
		return "", fmt.Errorf("scheme %d is unknown", z.Scheme)
	}
	hash, ok := hashOf(z.Hash)
	if !ok {
		return "", fmt.Errorf("hash algorithm %d is unknown", z.Hash)
	}
	for _, rr := range others {
		if o, ok := rr.(*dns.ZONEMD); ok && o.Scheme == z.Scheme && o.Hash == z.Hash {
			return "", fmt.Errorf("scheme %d with hash algorithm %d is there twice", z.Scheme, z.Hash)
		}
	}
	want, err := hex.DecodeString(z.Digest)
	if err != nil || len(want) != hash.Size() {
		return "", fmt.Errorf("the %s digest is not %d bytes long", hash, hash.Size())
	}
	if got := c.sum(hash); subtle.ConstantTimeCompare(got, want) != 1 {
		return "", fmt.Errorf("the %s digest does not fit: the zone is incomplete or was changed", hash)
	}
	return hash.String(), nil
}

func hashOf(algorithm uint8) (crypto.Hash, bool) {
	switch algorithm {
	case dns.ZoneMDHashAlgSHA384:
		return crypto.SHA384, true
	case dns.ZoneMDHashAlgSHA512:
		return crypto.SHA512, true
	}
	return 0, false
}

// sum digests the zone by the SIMPLE scheme (RFC 8976 section 3.3.1), without the apex's ZONEMD records and
// their signatures.
func (c *content) sum(hash crypto.Hash) []byte {
	h := hash.New()
	for _, r := range c.records {
		if !c.isDigest(r.rr) {
			h.Write(r.wire)
		}
	}
	return h.Sum(nil)
}

func (c *content) isDigest(rr dns.RR) bool {
	covered := rr.Header().Rrtype
	if sig, ok := rr.(*dns.RRSIG); ok {
		covered = sig.TypeCovered
	}
	return covered == dns.TypeZONEMD && dns.CanonicalName(rr.Header().Name) == c.apex
}
