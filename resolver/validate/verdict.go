package validate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// causes says whether err tells the client a cause.
func causes(err error) bool {
	var told *resolver.Error
	return errors.As(err, &told)
}

func bogus(code uint16, format string, args ...any) dnssec.Verdict {
	return dnssec.Verdict{Status: dnssec.Bogus, Code: code, Text: fmt.Sprintf(format, args...)}
}

func indeterminate(format string, args ...any) dnssec.Verdict {
	return dnssec.Verdict{
		Status: dnssec.Indeterminate, Code: dns.ExtendedErrorCodeDNSSECIndeterminate, Text: fmt.Sprintf(format, args...),
	}
}

func spent(format string, args ...any) dnssec.Verdict {
	return dnssec.Verdict{
		Status: dnssec.Exhausted, Code: dns.ExtendedErrorCodeDNSBogus,
		Text: "validation budget spent: " + fmt.Sprintf(format, args...),
	}
}

// worst returns the worse of two verdicts; the first when they are equally bad.
func worst(a, b dnssec.Verdict) dnssec.Verdict {
	rank := func(v dnssec.Verdict) int {
		switch v.Status {
		case dnssec.Secure:
			return 0
		case dnssec.Insecure:
			return 1
		case dnssec.Indeterminate:
			return 2
		}
		return 3
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// explain says more about why no key of a zone can be trusted: the tags that do not fit; and of an anchor's
// zone the likely cause, which is an outdated anchor or the clock. anchor says that the walk began there:
// at an anchor of the configuration, or at the DS that a chain has for the zone.
func explain(v dnssec.Verdict, zone string, set dnssec.RRset, trust dnssec.Trust, anchor bool, now time.Time) dnssec.Verdict {
	keys := keysOf(set)
	switch {
	case v.Status != dnssec.Bogus || len(keys) == 0:
	case !vouched(keys, trust) && anchor && (zone == "." || len(trust.Keys) > 0):
		v.Text = fmt.Sprintf("the trust anchor of %s (%s) does not match its keys (%s) and may be outdated",
			zone, tags(trust), tags(dnssec.Trust{Keys: keys}))
	case !vouched(keys, trust):
		v.Text = fmt.Sprintf("no key of %s (%s) matches the DS that vouches for it (%s)",
			zone, tags(dnssec.Trust{Keys: keys}), tags(trust))
	case anchor && v.Code == dns.ExtendedErrorCodeSignatureExpired && allOutside(set.Sigs, now),
		anchor && v.Code == dns.ExtendedErrorCodeSignatureNotYetValid && allOutside(set.Sigs, now):
		v.Text += fmt.Sprintf("; all signatures of %s are outside their time: the clock (%s) may be wrong",
			zone, now.UTC().Format(time.RFC3339))
	}
	return v
}

// vouched says whether some key may be one that trust means.
func vouched(keys []*dns.DNSKEY, trust dnssec.Trust) bool {
	for _, k := range keys {
		tag := k.KeyTag()
		if slices.ContainsFunc(trust.DS, func(ds *dns.DS) bool { return ds.KeyTag == tag && ds.Algorithm == k.Algorithm }) ||
			slices.ContainsFunc(trust.Keys, func(a *dns.DNSKEY) bool { return a.PublicKey == k.PublicKey }) {
			return true
		}
	}
	return false
}

func allOutside(sigs []*dns.RRSIG, now time.Time) bool {
	return !slices.ContainsFunc(sigs, func(s *dns.RRSIG) bool { return s.ValidityPeriod(now) })
}

func keysOf(set dnssec.RRset) []*dns.DNSKEY {
	var out []*dns.DNSKEY
	for _, rr := range set.RRs {
		if k, ok := rr.(*dns.DNSKEY); ok {
			out = append(out, k)
		}
	}
	return out
}

// tags lists key tags for people, the first few of many.
func tags(t dnssec.Trust) string {
	const most = 8
	var out []string
	for _, ds := range t.DS[:min(len(t.DS), most)] {
		out = append(out, fmt.Sprint(ds.KeyTag))
	}
	for _, k := range t.Keys[:min(len(t.Keys), most)] {
		out = append(out, fmt.Sprint(k.KeyTag()))
	}
	switch {
	case len(t.DS) > most || len(t.Keys) > most:
		out = append(out, "...")
	case len(out) == 1:
		return "tag " + out[0]
	}
	return "tags " + strings.Join(out, ", ")
}
