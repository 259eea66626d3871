package internet

import (
	"time"

	"github.com/miekg/dns"
)

func hasEDNS(x *Exchange) bool { return x.Query.IsEdns0() != nil }

// Servers that have trouble with EDNS (RFC 6891).

// dropEDNS says nothing to queries with EDNS.
func dropEDNS(x *Exchange) {
	if !hasEDNS(x) {
		x.Send(x.Real())
	}
}

// formerrEDNS is a server older than EDNS: FORMERR, and no OPT record in it.
func formerrEDNS(x *Exchange) {
	if hasEDNS(x) {
		x.Send(new(dns.Msg).SetRcode(withoutEDNS(x.Query), dns.RcodeFormatError))
		return
	}
	x.Send(x.Real())
}

// formerrBare sends a header with FORMERR and no question.
func formerrBare(x *Exchange) {
	if hasEDNS(x) {
		reply := new(dns.Msg).SetRcode(x.Query, dns.RcodeFormatError)
		reply.Question = nil
		x.Send(reply)
		return
	}
	x.Send(x.Real())
}

// notimpEDNS answers EDNS with NOTIMP, as some firewalls do.
func notimpEDNS(x *Exchange) {
	if hasEDNS(x) {
		x.Send(new(dns.Msg).SetRcode(withoutEDNS(x.Query), dns.RcodeNotImplemented))
		return
	}
	x.Send(x.Real())
}

// stripEDNS answers as if the query had no EDNS, and so without signatures.
func stripEDNS(x *Exchange) { x.Send(x.Ask(withoutEDNS(x.Query))) }

// badvers says that it knows no EDNS version, not even 0.
func badvers(x *Exchange) {
	if !hasEDNS(x) {
		x.Send(x.Real())
		return
	}
	reply := new(dns.Msg).SetReply(x.Query)
	reply.SetEdns0(1232, false)
	reply.Rcode = dns.RcodeBadVers
	x.Send(reply)
}

// echoOPT sends the query's OPT record back as it came, options and all.
func echoOPT(x *Exchange) {
	reply := x.Ask(withoutEDNS(x.Query))
	if reply != nil && hasEDNS(x) {
		reply.Extra = append(reply.Extra, x.Query.IsEdns0())
	}
	x.Send(reply)
}

// Servers that have trouble with sizes (RFC 7766).

// truncated sends an empty truncated reply by UDP.
func truncated(x *Exchange) {
	if x.TCP {
		x.Send(x.Real())
		return
	}
	reply := new(dns.Msg).SetReply(x.Query)
	reply.Authoritative, reply.Truncated = true, true
	x.Send(reply)
}

// halfTruncated sends one record of the answer, and TC; TCP fails.
func halfTruncated(x *Exchange) {
	if x.TCP {
		return
	}
	if reply := x.Real(); reply != nil {
		reply.Answer = reply.Answer[:min(1, len(reply.Answer))]
		reply.Ns, reply.Truncated = nil, true
		x.Send(reply)
	}
}

// tcpOnly says nothing by UDP.
func tcpOnly(x *Exchange) {
	if x.TCP {
		x.Send(x.Real())
	}
}

// lostEvery drops every nth datagram.
func lostEvery(n int) Fault {
	var seen counter
	return func(x *Exchange) {
		if x.TCP || seen.next()%n != 0 {
			x.Send(x.Real())
		}
	}
}

// slowTCP is a server whose TCP takes its time.
func slowTCP(d time.Duration) Fault {
	return func(x *Exchange) {
		if x.TCP {
			time.Sleep(d)
		}
		x.Send(x.Real())
	}
}
