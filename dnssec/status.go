package dnssec

import (
	"fmt"

	"github.com/miekg/dns"
)

// Status is what validation says about data (RFC 4035 section 4.3), and Exhausted, which says that it
// was given up.
type Status uint8

const (
	Indeterminate Status = iota // nothing is known: no anchor, or nothing asked yet
	Secure                      // a chain of signatures leads from an anchor to the data
	Insecure                    // proven: no chain is to be expected
	Bogus                       // a chain is to be expected and does not hold
	Exhausted                   // the Budget ended first; for clients the same as Bogus
)

func (s Status) String() string {
	switch s {
	case Indeterminate:
		return "indeterminate"
	case Secure:
		return "secure"
	case Insecure:
		return "insecure"
	case Bogus:
		return "bogus"
	case Exhausted:
		return "exhausted"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Verdict is a Status with its cause. Code is an INFO-CODE of RFC 8914 and means something only where
// Text, a short sentence for the client, is not empty. Secure has no Text.
type Verdict struct {
	Status Status
	Code   uint16
	Text   string
}

func (v Verdict) String() string {
	if v.Text == "" {
		return v.Status.String()
	}
	return v.Status.String() + ": " + v.Text
}

// Failed says whether the data must be withheld from clients that want validation.
func (v Verdict) Failed() bool { return v.Status == Bogus || v.Status == Exhausted }

func bogus(code uint16, format string, args ...any) Verdict {
	return Verdict{Status: Bogus, Code: code, Text: fmt.Sprintf(format, args...)}
}

func insecure(code uint16, format string, args ...any) Verdict {
	return Verdict{Status: Insecure, Code: code, Text: fmt.Sprintf(format, args...)}
}

// telling ranks the causes of failure: when several signatures fail, the one that came nearest to
// success tells the client most.
func telling(v Verdict) int {
	switch {
	case v.Status == Exhausted:
		return 7
	case v.Status != Bogus:
		return 0
	}
	switch v.Code {
	case dns.ExtendedErrorCodeSignatureExpired, dns.ExtendedErrorCodeSignatureNotYetValid:
		return 6
	case dns.ExtendedErrorCodeDNSBogus:
		return 5
	case dns.ExtendedErrorCodeSignatureExpiredBeforeValid:
		return 4
	case dns.ExtendedErrorCodeNoZoneKeyBitSet:
		return 3
	case dns.ExtendedErrorCodeDNSKEYMissing:
		return 2
	}
	return 1
}

// worse returns the more telling of two failures; the first when they tell the same.
func worse(a, b Verdict) Verdict {
	if telling(b) > telling(a) {
		return b
	}
	return a
}
