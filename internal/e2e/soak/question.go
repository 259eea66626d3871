// Package soak is what the soak test is made of: clients of every transport that know what each answer has to
// be, others that mean harm, and servers behind dens that come and go.
package soak

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Question is a question, and what the answer has to be.
type Question struct {
	Name  string // without the final dot
	Type  uint16
	Rcode int
	Auth  bool     // asked of an authoritative server
	Data  []string // of the records of the answer section in presentation form, in any order
}

var (
	// ErrFailed is a reply that says that there is no answer now: none, but not a wrong one.
	ErrFailed = errors.New("SERVFAIL")
	// ErrWrong is what a server must not send, whatever happens.
	ErrWrong = errors.New("a wrong answer")
)

// Message is the question as it is asked, with an ID of its own.
func (q Question) Message() *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(q.Name), q.Type)
	m.SetEdns0(1232, false)
	return m
}

// Check compares a reply: nil, ErrFailed, or an error that says what is wrong.
func (q Question) Check(asked, reply *dns.Msg) error {
	wrong := func(what string) error {
		return fmt.Errorf("%w: %s: %s %s:\n%v", ErrWrong, what, q.Name, dns.Type(q.Type), reply)
	}
	switch {
	case !reply.Response || reply.RecursionAvailable == q.Auth || reply.Opcode != dns.OpcodeQuery:
		return wrong("bad header")
	case reply.Id != asked.Id:
		return wrong("another ID")
	case len(reply.Question) != 1 || reply.Question[0] != asked.Question[0]:
		return wrong("another question")
	case reply.Truncated:
		return wrong("truncated")
	case reply.IsEdns0() == nil:
		return wrong("no OPT record")
	case reply.Rcode == dns.RcodeServerFailure && q.Rcode != dns.RcodeServerFailure && len(reply.Answer) == 0:
		return fmt.Errorf("%w: %s %s: %s", ErrFailed, q.Name, dns.Type(q.Type), cause(reply))
	case reply.Rcode != q.Rcode:
		return wrong("another rcode than " + dns.RcodeToString[q.Rcode])
	}
	var data []string
	for _, rr := range reply.Answer {
		if !strings.EqualFold(rr.Header().Name, dns.Fqdn(q.Name)) || rr.Header().Rrtype != q.Type {
			return wrong("a record of something else")
		}
		data = append(data, rr.String()[len(rr.Header().String()):])
	}
	slices.Sort(data)
	if !slices.Equal(data, slices.Sorted(slices.Values(q.Data))) {
		return wrong(fmt.Sprintf("other records than %.200q", q.Data))
	}
	if len(q.Data) == 0 && (len(reply.Ns) == 0 || reply.Ns[0].Header().Rrtype != dns.TypeSOA) {
		return wrong("a negative answer without SOA")
	}
	return nil
}

// cause is the extended error of a reply.
func cause(reply *dns.Msg) string {
	for _, o := range reply.IsEdns0().Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			return fmt.Sprintf("EDE %d %s", e.InfoCode, e.ExtraText)
		}
	}
	return "no extended error"
}
