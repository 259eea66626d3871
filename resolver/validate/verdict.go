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

// explain adds the likely cause to the failure of an anchor's zone: the clock, or an outdated anchor.
func explain(v dnssec.Verdict, zone string, set dnssec.RRset, trust dnssec.Trust, now time.Time) dnssec.Verdict {
	switch {
	case v.Status != dnssec.Bogus || len(set.RRs) == 0:
	case !anchored(set, trust):
		v.Text = fmt.Sprintf("the trust anchor of %s (%s) does not match its keys (%s) and may be outdated",
			zone, tags(trust), tags(dnssec.Trust{Keys: keysOf(set)}))
	case v.Code == dns.ExtendedErrorCodeSignatureExpired && allOutside(set.Sigs, now),
		v.Code == dns.ExtendedErrorCodeSignatureNotYetValid && allOutside(set.Sigs, now):
		v.Text += fmt.Sprintf("; all signatures of %s are outside their time: the clock (%s) may be wrong",
			zone, now.UTC().Format(time.RFC3339))
	}
	return v
}

// anchored says whether some key of the set may be one that trust means.
func anchored(set dnssec.RRset, trust dnssec.Trust) bool {
	for _, k := range keysOf(set) {
		for _, ds := range trust.DS {
			if ds.KeyTag == k.KeyTag() && ds.Algorithm == k.Algorithm {
				return true
			}
		}
		for _, a := range trust.Keys {
			if a.PublicKey == k.PublicKey {
				return true
			}
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

// tags lists key tags for people.
func tags(t dnssec.Trust) string {
	const most = 8
	var out []string
	for _, ds := range t.DS {
		out = append(out, fmt.Sprint(ds.KeyTag))
	}
	for _, k := range t.Keys {
		out = append(out, fmt.Sprint(k.KeyTag()))
	}
	if len(out) > most {
		out = append(out[:most], "...")
	}
	return "tags " + strings.Join(out, ", ")
}
