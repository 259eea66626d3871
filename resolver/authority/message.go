package authority

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"dens/resolver"
)

const (
	udpSize   = 1232 // RFC 9715 section 3.1
	headerLen = 12
)

// form is how a question is sent.
type form struct {
	tcp  bool
	edns bool
	asIs bool // without random case
}

func (f form) transport() string {
	if f.tcp {
		return "tcp"
	}
	return "udp"
}

// request packs a question to a name server: no recursion, and with EDNS (RFC 6891) signatures.
func request(q *Question, edns bool) ([]byte, error) {
	size := uint16(0)
	if edns {
		size = udpSize
	}
	return resolver.AppendRequest(nil, resolver.Query{Name: q.Name, Type: q.Type, Class: dns.ClassINET, DO: true}, 0, size)
}

// readReply unpacks a reply to q. One that is truncated is never looked into: errTruncated. What comes
// as a bare header is taken for a failure only (RFC 5452 section 9.1 wants the question).
func readReply(raw []byte, q *Question) (*dns.Msg, error) {
	const response, opcode, tc = 0x80, 0x78, 0x02
	if len(raw) < headerLen || raw[2]&response == 0 || raw[2]&opcode != 0 {
		return nil, errGarbled
	}
	code := int(raw[3] & 0x0f)
	if raw[2]&tc != 0 && isAnswer(code) {
		return nil, errTruncated
	}
	if len(raw) == headerLen && binary.BigEndian.Uint16(raw[4:]) == 0 && !isAnswer(code) {
		return &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Rcode: code}}, nil
	}
	m := new(dns.Msg)
	if err := m.Unpack(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbled, err)
	}
	if !whole(raw, m) {
		return nil, errGarbled
	}
	if len(m.Question) != 1 || m.Question[0].Qtype != q.Type || m.Question[0].Qclass != dns.ClassINET ||
		dns.CanonicalName(m.Question[0].Name) != q.Name {
		return nil, errQuestion
	}
	m.Answer, m.Ns, m.Extra = sift(m.Answer), sift(m.Ns), sift(m.Extra)
	return m, nil
}

// sift leaves out records that are no data of the Internet, whatever their types say: of another class, of
// a type that is for questions and transactions only (RFC 6895 section 3.1), or empty where that makes no
// sense. OPT stays; it counts in the additional section only.
func sift(section []dns.RR) []dns.RR {
	return slices.DeleteFunc(section, func(rr dns.RR) bool {
		h := rr.Header()
		switch {
		case h.Rrtype == dns.TypeOPT:
			return false
		case h.Class != dns.ClassINET, h.Rrtype == 0, h.Rrtype >= dns.TypeTKEY && h.Rrtype <= dns.TypeANY:
			return true
		}
		return h.Rdlength == 0 && !mayBeEmpty(rr)
	})
}

// mayBeEmpty reports whether a record may have no data: of a type of free form, or that is not known.
func mayBeEmpty(rr dns.RR) bool {
	switch rr.(type) {
	case *dns.NULL, *dns.APL, *dns.RFC3597:
		return true
	}
	return false
}

// whole reports whether all records that the header announces were there: the library takes a message
// that just ends for a shorter one.
func whole(raw []byte, m *dns.Msg) bool {
	for i, n := range []int{len(m.Question), len(m.Answer), len(m.Ns), len(m.Extra)} {
		if int(binary.BigEndian.Uint16(raw[4+2*i:])) != n {
			return false
		}
	}
	return true
}

// isAnswer reports whether an rcode is one that a server of the zone gives: data, or none.
func isAnswer(rcode int) bool {
	return rcode == dns.RcodeSuccess || rcode == dns.RcodeNameError || rcode == dns.RcodeYXDomain
}

// dislikesEDNS reports whether a reply to a question with EDNS may be about that (RFC 6891 section 7; old
// servers also fail).
func dislikesEDNS(m *dns.Msg, knows bool) bool {
	switch m.Rcode {
	case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers:
		return true
	case dns.RcodeServerFailure:
		return !knows && m.IsEdns0() == nil
	default:
		return false
	}
}

// sameReply reports whether two replies say the same but for order and TTLs.
func sameReply(a, b *dns.Msg) bool {
	return a.Rcode == b.Rcode && a.Authoritative == b.Authoritative &&
		sameSection(a.Answer, b.Answer) && sameSection(a.Ns, b.Ns) && sameSection(a.Extra, b.Extra)
}

func sameSection(a, b []dns.RR) bool {
	if len(a) != len(b) {
		return false
	}
	seen := make(map[string]int, len(a))
	for _, rr := range a {
		seen[bare(rr)]++
	}
	for _, rr := range b {
		key := bare(rr)
		if seen[key]--; seen[key] < 0 {
			return false
		}
	}
	return true
}

// bare is a record without its TTL. OPT is left alone: its TTL is no TTL.
func bare(rr dns.RR) string {
	if rr.Header().Rrtype == dns.TypeOPT {
		return rr.String()
	}
	c := dns.Copy(rr)
	c.Header().Ttl = 0
	c.Header().Name = dns.CanonicalName(c.Header().Name)
	return c.String()
}
