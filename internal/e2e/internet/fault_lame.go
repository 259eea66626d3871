package internet

import (
	"strings"

	"github.com/miekg/dns"
)

// Servers that do not serve the zone that they are said to.

// upward refers to the root, as old servers did that knew nothing better.
func upward(x *Exchange) {
	reply := new(dns.Msg).SetReply(x.Query)
	for _, name := range []string{"a.root-servers.net.", "b.root-servers.net."} {
		reply.Ns = append(reply.Ns, &dns.NS{Hdr: header(".", dns.TypeNS), Ns: name})
	}
	x.Send(reply)
}

// sideways refers to the zone itself, at itself: a circle.
func sideways(zone string) Fault {
	return func(x *Exchange) {
		reply := new(dns.Msg).SetReply(x.Query)
		reply.Ns = []dns.RR{&dns.NS{Hdr: header(zone, dns.TypeNS), Ns: "ns1." + zone}}
		x.Send(reply)
	}
}

// notAuthoritative answers as a cache would.
func notAuthoritative(x *Exchange) {
	reply := x.Real()
	if reply != nil {
		reply.Authoritative, reply.RecursionAvailable = false, true
	}
	x.Send(reply)
}

// otherZone answers each question with the data of another name.
func otherZone(name string) Fault {
	return func(x *Exchange) {
		q := x.Query.Copy()
		q.Question[0].Name = name
		reply := x.Ask(q)
		if reply != nil {
			reply.Question = x.Query.Question
		}
		x.Send(reply)
	}
}

// emptyReply says NOERROR to all, without any record.
func emptyReply(x *Exchange) {
	reply := new(dns.Msg).SetReply(x.Query)
	reply.Authoritative = true
	x.Send(reply)
}

// Servers that are unfriendly to what resolvers do.

// lowerCase sends names back in lower case.
func lowerCase(x *Exchange) {
	reply := x.Real()
	if reply == nil {
		return
	}
	for i := range reply.Question {
		reply.Question[i].Name = strings.ToLower(reply.Question[i].Name)
	}
	for _, rr := range reply.Answer {
		rr.Header().Name = strings.ToLower(rr.Header().Name)
	}
	x.Send(reply)
}

// refuseMixed refuses names with capital letters.
func refuseMixed(x *Exchange) {
	if name := x.Query.Question[0].Name; name != strings.ToLower(name) {
		x.Rcode(dns.RcodeRefused)
		return
	}
	x.Send(x.Real())
}

// dropMixed says nothing to names with capital letters.
func dropMixed(x *Exchange) {
	if name := x.Query.Question[0].Name; name == strings.ToLower(name) {
		x.Send(x.Real())
	}
}

// emptyIs answers with an rcode where a name exists only by names below it, which QNAME minimisation
// comes across (RFC 9156 section 2.3).
func emptyIs(code int) Fault {
	return func(x *Exchange) {
		reply := x.Real()
		if reply != nil && reply.Rcode == dns.RcodeSuccess && len(reply.Answer) == 0 && isEmptyNonTerminal(x.Name()) {
			reply.Rcode = code
			if code != dns.RcodeNameError {
				reply.Ns = nil
			}
		}
		x.Send(reply)
	}
}

func isEmptyNonTerminal(name string) bool {
	for _, empty := range []string{"ent.", "b.ent.", "wild.deep.", "deep.", "wild."} {
		if strings.HasPrefix(name, empty) {
			return true
		}
	}
	return false
}

// refuseType is a server that knows nothing of a type.
func refuseType(rrtype uint16, code int) Fault {
	return only(func(x *Exchange) bool { return x.Type() == rrtype }, rcode(code))
}

func header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 3600}
}
