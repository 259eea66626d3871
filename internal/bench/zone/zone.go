// Package zone is what the benchmark asks for: names whose addresses follow from their number, so that every
// answer can be checked, and the server that all the measured servers forward to.
package zone

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

const (
	// Apex is the zone of all names.
	Apex = "bench.example."
	// TTL is that of every record, in seconds: longer than any run, and no longer than caches keep one.
	TTL = 86400
	// Limit is the number of names that exist.
	Limit = 1 << 24

	warmPrefix = 'n'
	slowZone   = ".slow." + Apex
)

// Name is the i-th name, which exists if i is below Limit.
func Name(i int) string { return string(warmPrefix) + strconv.Itoa(i) + "." + Apex }

// SlowName is a name that exists, whose answer the upstream delays.
func SlowName(i int) string { return string(warmPrefix) + strconv.Itoa(i) + slowZone }

// RandomName is a name that does not exist, and that no resolver has seen.
func RandomName(random *rand.Rand) string {
	return fmt.Sprintf("x%016x.%s", random.Uint64(), Apex)
}

// Address is that of the i-th name.
func Address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// number is the inverse of Name and SlowName.
func number(name string) (i int, slow, ok bool) {
	name = strings.ToLower(name)
	label, ok := strings.CutSuffix(name, slowZone)
	if slow = ok; !ok {
		if label, ok = strings.CutSuffix(name, "."+Apex); !ok {
			return 0, false, false
		}
	}
	if label == "" || label[0] != warmPrefix {
		return 0, false, false
	}
	i, err := strconv.Atoi(label[1:])
	if err != nil || i < 0 || i >= Limit || strconv.Itoa(i) != label[1:] {
		return 0, false, false
	}
	return i, slow, true
}

// Check says what is wrong with a reply to a question for the A record of the i-th name, whose answer the
// server cached at most age seconds ago.
func Check(reply *dns.Msg, i int, age uint32) error {
	switch {
	case !reply.Response || reply.Rcode != dns.RcodeSuccess || reply.Truncated:
		return fmt.Errorf("%s: not a whole successful answer: %s, truncated %v", Name(i), dns.RcodeToString[reply.Rcode], reply.Truncated)
	case len(reply.Question) != 1 || !strings.EqualFold(reply.Question[0].Name, Name(i)):
		return fmt.Errorf("%s: answer to another question: %v", Name(i), reply.Question)
	case len(reply.Answer) != 1:
		return fmt.Errorf("%s: %d records instead of one", Name(i), len(reply.Answer))
	}
	a, ok := reply.Answer[0].(*dns.A)
	if !ok || !strings.EqualFold(a.Hdr.Name, Name(i)) {
		return fmt.Errorf("%s: answered by another record: %s", Name(i), reply.Answer[0])
	}
	if got := a.A.String(); got != Address(i).String() {
		return fmt.Errorf("%s: address %s instead of %s", Name(i), got, Address(i))
	}
	if ttl := a.Hdr.Ttl; ttl > TTL || ttl+age < TTL {
		return fmt.Errorf("%s: TTL %d outside of %d to %d", Name(i), ttl, TTL-age, TTL)
	}
	return nil
}
