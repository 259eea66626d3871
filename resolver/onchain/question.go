package onchain

import (
	"strings"

	"github.com/miekg/dns"
)

// question is one question in the client's terms and in the system's. They differ below an alias, where
// asked is "alice.eth.limo." and inner is "alice.eth.".
type question struct {
	asked  string
	inner  string
	zone   string // the system's zone
	suffix string // what stands for it in asked: the zone itself or an alias
	rrtype uint16
}

// locate finds the zone or alias that name is in. Names are compared label by label: "a\.eth." is not
// below "eth.".
func (z *zone) locate(name string, rrtype uint16) (question, bool) {
	if dns.IsSubDomain(z.cfg.Zone, name) {
		return question{asked: name, inner: name, zone: z.cfg.Zone, suffix: z.cfg.Zone, rrtype: rrtype}, true
	}
	for _, alias := range z.cfg.Aliases {
		if dns.IsSubDomain(alias, name) {
			q := question{asked: name, zone: z.cfg.Zone, suffix: alias, rrtype: rrtype}
			q.inner = reparent(name, alias, z.cfg.Zone)
			return q, true
		}
	}
	return question{}, false
}

// isAlias reports whether the question is for an alias itself: an ICANN name that stands for the zone
// as a suffix only.
func (q question) isAlias() bool { return q.suffix != q.zone && q.asked == q.suffix }

// outer puts an owner name of the system's zone into the client's terms.
func (q question) outer(owner string) string { return reparent(owner, q.zone, q.suffix) }

// dnsLink reports whether the question is for the name that holds a DNSLink.
func (q question) dnsLink() bool { return strings.HasPrefix(q.inner, "_dnslink.") }

// reparent moves a name that is below (or at) from to below (or at) to.
func reparent(name, from, to string) string {
	prefix := strings.TrimSuffix(name, from)
	if to == "." && prefix != "" {
		return prefix
	}
	return prefix + to
}

// maxName is the length of the longest name in octets on the wire (RFC 1035 section 3.1).
const maxName = 255

// fits reports whether a name is short enough. The library's own check lets 256 and 257 octets pass.
func fits(name string) bool {
	var buf [maxName]byte
	n, err := dns.PackDomainName(name, buf[:], 0, nil, false)
	return err == nil && n <= maxName
}
