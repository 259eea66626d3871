package internet

import (
	"time"

	"github.com/miekg/dns"
)

// Fault is what a server does to a query instead of answering it as the program behind it does. It calls
// x.Send for each reply, or not at all.
type Fault func(x *Exchange)

// Exchange is one query at a server of the internet.
type Exchange struct {
	Query   *dns.Msg
	TCP     bool
	forward func(*dns.Msg) (*dns.Msg, error) // asks the program behind the server
	send    func([]byte)                     // to the asker
	spoof   func([]byte)                     // to the asker, from another port of the same address
}

// Ask asks the program behind the server, by TCP, so that nothing is truncated; nil when it fails.
func (x *Exchange) Ask(m *dns.Msg) *dns.Msg {
	reply, err := x.forward(m)
	if err != nil {
		return nil
	}
	return reply
}

// Real is what the program behind the server says to the query; nil when it fails.
func (x *Exchange) Real() *dns.Msg { return x.Ask(x.Query) }

// Send sends a reply, truncated to what the asker takes by UDP.
func (x *Exchange) Send(m *dns.Msg) {
	if m == nil {
		return
	}
	m.Compress = true
	if !x.TCP && !m.Truncated {
		size := dns.MinMsgSize
		if opt := x.Query.IsEdns0(); opt != nil && m.IsEdns0() != nil {
			size = max(size, min(int(opt.UDPSize()), 1232))
		}
		m.Truncate(size)
	}
	if wire, err := m.Pack(); err == nil {
		x.send(wire)
	}
}

// Rcode sends a reply without records.
func (x *Exchange) Rcode(rcode int) { x.Send(new(dns.Msg).SetRcode(x.Query, rcode)) }

// Name and Type are those of the question.
func (x *Exchange) Name() string { return dns.CanonicalName(x.Query.Question[0].Name) }

// Type is the type of the question.
func (x *Exchange) Type() uint16 { return x.Query.Question[0].Qtype }

// withoutEDNS is a copy of a message without its OPT record.
func withoutEDNS(m *dns.Msg) *dns.Msg {
	out := m.Copy()
	out.Extra = nil
	for _, rr := range m.Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			out.Extra = append(out.Extra, rr)
		}
	}
	return out
}

// changed is a fault that changes the real reply.
func changed(change func(x *Exchange, reply *dns.Msg)) Fault {
	return func(x *Exchange) {
		if reply := x.Real(); reply != nil {
			change(x, reply)
			x.Send(reply)
		}
	}
}

// rcode is a server that says the same to everything.
func rcode(code int) Fault { return func(x *Exchange) { x.Rcode(code) } }

// after is a slow server.
func after(d time.Duration) Fault {
	return func(x *Exchange) {
		reply := x.Real()
		time.Sleep(d)
		x.Send(reply)
	}
}

// dead is a server that never answers.
func dead(*Exchange) {}

// healthy is a server that does what the program behind it does, at an address of its own.
func healthy(x *Exchange) { x.Send(x.Real()) }

// only is a fault at the questions that match, and no fault at others.
func only(match func(x *Exchange) bool, fault Fault) Fault {
	return func(x *Exchange) {
		if match(x) {
			fault(x)
			return
		}
		x.Send(x.Real())
	}
}
