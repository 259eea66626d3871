package forward

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"unicode"

	"github.com/miekg/dns"

	"dens/resolver"
)

const (
	maxRecords = 4096 // in one reply
	maxEDEs    = 4    // passed on from one reply
	maxEDEText = 160  // bytes
)

var (
	errQuestion = errors.New("reply is to another question")
	errRecords  = errors.New("reply has too many records")
	errCut      = errors.New("reply is incomplete")
	errSenses   = errors.New("reply contradicts itself")
	errLame     = errors.New("server does not resolve, it refers to others")
)

// reply is what a server said. answer is nil when its rcode says that it has none to give.
type reply struct {
	answer *resolver.Answer
	rcode  int
	ede    []resolver.EDE
	edns   bool // it has an OPT record
}

// readReply takes a reply for what it says about q and nothing else: the records of q's alias chain,
// and what proves that there are no more. authentic says that the server is the one it should be, so
// that its AD bit means something (RFC 6840 section 5.7). A *resolver.Error tells of a reply that no
// other server would give better; any other error of a reply that is not to be used.
func readReply(q resolver.Query, zone string, wire []byte, authentic bool) (reply, error) {
	m, err := unpack(wire)
	if err != nil {
		return reply{}, err
	}
	r := reply{rcode: m.Rcode, ede: extendedErrors(m), edns: m.IsEdns0() != nil}
	usable := m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError || m.Rcode == dns.RcodeYXDomain
	if len(m.Question) == 0 && !usable {
		return r, nil
	}
	if len(m.Question) != 1 || dns.CanonicalName(m.Question[0].Name) != q.Name ||
		m.Question[0].Qtype != q.Type || m.Question[0].Qclass != q.Class {
		return reply{}, errQuestion
	}
	if !usable {
		return r, nil
	}
	if m.Truncated {
		return reply{}, errCut
	}
	m.Answer, m.Ns = sane(m.Answer), sane(m.Ns)
	chain, err := resolver.Follow(q, zone, m.Answer)
	if err != nil {
		return reply{}, err
	}
	if m.Rcode == dns.RcodeNameError && len(chain.Records) > 0 {
		return reply{}, errSenses
	}
	a := &resolver.Answer{
		Rcode:             m.Rcode,
		AuthenticatedData: authentic && m.AuthenticatedData,
		Answer:            tidy(q, chain.All()),
		EDE:               r.ede,
		Zone:              Kind,
	}
	hasSOA := false
	a.Ns, hasSOA = authority(q, &chain, m.Ns)
	if chain.Overlong != nil {
		a.Rcode = dns.RcodeYXDomain
	}
	if a.Rcode == dns.RcodeSuccess && len(chain.Records) == 0 && !hasSOA {
		switch {
		case len(chain.Links) > 0:
			// The server did not go on, or not to the end.
			a.Target = chain.End
		case refers(m.Ns):
			return reply{}, errLame
		}
	}
	r.answer = a
	return r, nil
}

// unpack reads a whole message. The library stops without an error where counts and contents differ.
func unpack(wire []byte) (*dns.Msg, error) {
	if len(wire) < headerLen {
		return nil, errShape
	}
	counts := [4]int{}
	for i := range counts {
		counts[i] = int(binary.BigEndian.Uint16(wire[4+2*i:]))
	}
	if counts[1]+counts[2]+counts[3] > maxRecords {
		return nil, errRecords
	}
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		return nil, errShape // the library's words may quote the message
	}
	if !m.Response || m.Opcode != dns.OpcodeQuery {
		return nil, errShape
	}
	got := [4]int{len(m.Question), len(m.Answer), len(m.Ns), len(m.Extra)}
	if got != counts && !m.Truncated {
		return nil, errShape
	}
	return m, nil
}

// sane drops records of other classes and mends TTLs (RFC 2181 section 8). It changes the records.
func sane(rrs []dns.RR) []dns.RR {
	out := rrs[:0]
	for _, rr := range rrs {
		h := rr.Header()
		if h.Class != dns.ClassINET {
			continue
		}
		if h.Ttl > math.MaxInt32 {
			h.Ttl = 0
		}
		out = append(out, rr)
	}
	return out
}

// tidy puts owner names in lower case, since a server may repeat those of the request in the case that
// they were sent in, and takes out signatures that nobody asked for (RFC 4035 section 3.2.1).
func tidy(q resolver.Query, rrs []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		h := rr.Header()
		if h.Rrtype == dns.TypeRRSIG && !q.DO && q.Type != dns.TypeRRSIG && q.Type != dns.TypeANY {
			continue
		}
		h.Name = dns.CanonicalName(h.Name)
		out = append(out, rr)
	}
	return out
}

// authority returns the SOA of a negative answer and, for DO, the proofs. Nothing else in an authority
// section is of use behind a resolver, and much of it is what poisoners send.
func authority(q resolver.Query, chain *resolver.Chain, ns []dns.RR) (out []dns.RR, hasSOA bool) {
	negative := len(chain.Records) == 0
	zone := ""
	for _, rr := range ns {
		h := rr.Header()
		h.Name = dns.CanonicalName(h.Name)
		if _, ok := rr.(*dns.SOA); ok && negative && zone == "" && dns.IsSubDomain(h.Name, chain.End) {
			zone = h.Name
			out = append(out, rr)
		}
	}
	if q.DO {
		for _, rr := range ns {
			rrtype := rr.Header().Rrtype
			if sig, ok := rr.(*dns.RRSIG); ok {
				rrtype = sig.TypeCovered
				if rrtype == dns.TypeSOA && zone != "" && rr.Header().Name == zone {
					out = append(out, rr)
				}
			}
			if rrtype == dns.TypeNSEC || rrtype == dns.TypeNSEC3 {
				out = append(out, rr)
			}
		}
	}
	return out, zone != ""
}

// refers reports whether an authority section is a referral.
func refers(ns []dns.RR) bool {
	for _, rr := range ns {
		if rr.Header().Rrtype == dns.TypeNS {
			return true
		}
	}
	return false
}

// extendedErrors returns the extended errors (RFC 8914) of a reply. Their texts are for people.
func extendedErrors(m *dns.Msg) []resolver.EDE {
	opt := m.IsEdns0()
	if opt == nil {
		return nil
	}
	var out []resolver.EDE
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok && len(out) < maxEDEs {
			out = append(out, resolver.EDE{Code: e.InfoCode, Text: printable(e.ExtraText)})
		}
	}
	return out
}

func printable(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxEDEText)], "")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
