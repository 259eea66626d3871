package internet

import (
	"bytes"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"
)

// counter counts, from many goroutines.
type counter struct{ n atomic.Int64 }

func (c *counter) next() int { return int(c.n.Add(1)) }

// forged is the address in all data that nobody may ever see in an answer.
const forged = "6.6.6.6"

func forgedReply(x *Exchange) *dns.Msg {
	reply := new(dns.Msg).SetReply(x.Query)
	reply.Authoritative = true
	reply.Answer = []dns.RR{mustRR(x.Query.Question[0].Name + " 3600 A " + forged)}
	return reply
}

// Servers in front of which somebody sends wrong replies, ahead of the right one (RFC 5452).

// wrongID sends a forged reply with another id first.
func wrongID(x *Exchange) {
	bad := forgedReply(x)
	bad.Id++
	x.Send(bad)
	x.Send(x.Real())
}

// wrongQuestion sends a reply to another question first.
func wrongQuestion(x *Exchange) {
	bad := forgedReply(x)
	bad.Question[0].Name = "other." + bad.Question[0].Name
	x.Send(bad)
	x.Send(x.Real())
}

// wrongPort sends a forged reply from another port first.
func wrongPort(x *Exchange) {
	if wire, err := forgedReply(x).Pack(); err == nil && !x.TCP {
		x.spoof(wire)
	}
	x.Send(x.Real())
}

// wrongCase sends a forged reply with the question's letters in other cases first.
func wrongCase(x *Exchange) {
	bad := forgedReply(x)
	name := bad.Question[0].Name
	flipped := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r ^ 0x20
		}
		return r
	}, name)
	if flipped != strings.ToLower(name) && strings.ToLower(name) != name {
		bad.Question[0].Name = flipped
		x.Send(bad)
	}
	x.Send(x.Real())
}

// Servers that send no DNS.

// garbage sends bytes.
func garbage(x *Exchange) { x.send([]byte("\x00\xff this is no DNS message")) }

// hugeGarbage sends the right header and many bytes.
func hugeGarbage(x *Exchange) {
	wire, err := new(dns.Msg).SetReply(x.Query).Pack()
	if err == nil {
		x.send(append(wire, bytes.Repeat([]byte{0xc0, 0x0c}, 20_000)...))
	}
}

// loopingName sends a name whose compression points at itself.
func loopingName(x *Exchange) {
	wire, err := new(dns.Msg).SetReply(x.Query).Pack()
	if err == nil {
		wire[7] = 1 // one answer
		at := len(wire)
		x.send(append(wire, 0xc0, byte(at), 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 6, 6, 6, 6))
	}
}

// echo sends the query back.
func echo(x *Exchange) {
	if wire, err := x.Query.Pack(); err == nil {
		x.send(wire)
	}
}

// echoAnswer sends the query back as a reply.
func echoAnswer(x *Exchange) {
	m := x.Query.Copy()
	m.Response = true
	x.Send(m)
}

// poison adds records for a zone that is not the server's, in every section.
func poison(victim string) Fault {
	return changed(func(x *Exchange, reply *dns.Msg) {
		if x.Type() != dns.TypeA && x.Type() != dns.TypeTXT {
			return
		}
		reply.Answer = append(reply.Answer, mustRR("www."+victim+" 3600 A "+forged))
		reply.Ns = append(reply.Ns, mustRR(victim+" 3600 NS ns.evil.com."))
		reply.Extra = append([]dns.RR{mustRR("ns.evil.com. 3600 A " + forged), mustRR("mail." + victim + " 3600 A " + forged)}, reply.Extra...)
	})
}

// mustRR parses a record of a table.
func mustRR(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic("record of a table: " + err.Error())
	}
	return rr
}
