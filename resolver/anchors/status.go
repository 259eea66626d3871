package anchors

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// Status is what is known of a zone's anchors. Its JSON form is part of dens's interface.
type Status struct {
	Zone    string      `json:"zone"`
	Keys    []KeyStatus `json:"keys"`
	Closed  bool        `json:"closed,omitempty"` // all keys are revoked
	Checked time.Time   `json:"checked,omitzero"` // the newest refresh that succeeded
	Next    time.Time   `json:"next,omitzero"`    // the next refresh
	Error   string      `json:"error,omitempty"`  // why the newest refresh failed, or the state could not be kept
}

// KeyStatus is one anchor, or one key that may become or was one.
type KeyStatus struct {
	Tag        uint16    `json:"tag"`
	Algorithm  uint8     `json:"algorithm"`
	State      State     `json:"state"`
	DS         bool      `json:"ds,omitempty"`         // known by its DS alone
	Configured bool      `json:"configured,omitempty"` // the configuration names it
	Since      time.Time `json:"since,omitzero"`       // when it came into its state
	Until      time.Time `json:"until,omitzero"`       // of AddPend: when the hold-down ends
}

// Status returns a snapshot of all zones with anchors, in order.
func (s *Store) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Status
	for _, p := range s.snapshot() {
		if !p.configured {
			continue
		}
		st := Status{Zone: p.zone, Closed: p.trust().Empty(), Checked: p.checked, Next: p.next}
		for _, ds := range p.ds {
			st.Keys = append(st.Keys, KeyStatus{Tag: ds.KeyTag, Algorithm: ds.Algorithm, State: Valid, DS: true, Configured: true})
		}
		for _, k := range p.keys {
			st.Keys = append(st.Keys, KeyStatus{
				Tag: k.rr(p.zone).KeyTag(), Algorithm: k.id.algorithm, State: k.state,
				Configured: k.named, Since: k.since, Until: k.until,
			})
		}
		if err, ok := s.failed[p.zone]; ok {
			st.Error = err.Error()
		} else if s.saved != nil {
			st.Error = s.saved.Error()
		}
		out = append(out, st)
	}
	return out
}

// explain says why a DNSKEY RRset is not trusted, and the likely cause.
func explain(zone string, why dnssec.Verdict, trust dnssec.Trust, set dnssec.RRset, now time.Time) error {
	hint := ""
	switch why.Code {
	case dns.ExtendedErrorCodeSignatureExpired, dns.ExtendedErrorCodeSignatureNotYetValid:
		hint = fmt.Sprintf("; the clock here says %s: is it right?", now.UTC().Format(time.RFC3339))
	case dns.ExtendedErrorCodeDNSKEYMissing, dns.ExtendedErrorCodeRRSIGsMissing, dns.ExtendedErrorCodeDNSBogus:
		hint = fmt.Sprintf("; the anchors are of keys %s, the zone shows %s: are the anchors out of date, or does the network change answers?",
			tags(trust), shownTags(set))
	}
	return fmt.Errorf("trust anchors of %s: %s%s", zone, why, hint)
}

func tags(t dnssec.Trust) string {
	var all []uint16
	for _, ds := range t.DS {
		all = append(all, ds.KeyTag)
	}
	for _, k := range t.Keys {
		all = append(all, k.KeyTag())
	}
	return join(all)
}

func shownTags(set dnssec.RRset) string {
	var all []uint16
	for _, k := range dnskeys(set) {
		all = append(all, k.KeyTag())
	}
	return join(all)
}

// join lists some key tags.
func join(all []uint16) string {
	const most = 8
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, tag := range all {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(all)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, tag)
	}
	return b.String()
}
