package reply_test

import (
	"errors"
	"testing"

	"github.com/miekg/dns"

	"dens/reply"
	"dens/resolver"
)

// FuzzReply holds what any request gets against what a client relies on: a reply that unpacks, is one,
// has no OPT, repeats the question asked, and an error only for what is no request.
func FuzzReply(f *testing.F) {
	f.Add(request(f, "alice.eth.", dns.TypeA, nil), []byte(nil))
	f.Add(request(f, "Alice.eth.", dns.TypeANY, func(m *dns.Msg) { m.SetEdns0(1232, true) }), request(f, "alice.eth.", dns.TypeA, nil))
	f.Add(request(f, "version.bind.", dns.TypeTXT, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), []byte{1})
	f.Add(request(f, "a.", dns.TypeTXT, func(m *dns.Msg) {
		m.Response = true
		m.Answer = rrs(f, "a. 60 IN TXT b", "a. 60 IN RRSIG TXT 13 2 60 20300101000000 20200101000000 1 a. AAAA")
		m.Ns = rrs(f, "a. 60 IN SOA a. b. 1 2 3 4 5")
	}), []byte{})
	f.Fuzz(func(t *testing.T, req, upstream []byte) {
		// What the resolver answers is what a stranger sent, too.
		r := &answers{err: errors.New("nothing")}
		var got dns.Msg
		if err := got.Unpack(upstream); err == nil {
			r.answer, r.err = &resolver.Answer{Rcode: got.Rcode, Answer: got.Answer, Ns: got.Ns, Extra: got.Extra}, nil
		}
		checkReply(t, r, req)
		if got.Response && len(got.Question) == 1 {
			asked := got.Question[0]
			m := &dns.Msg{Question: []dns.Question{asked}}
			if packed, err := m.Pack(); err == nil {
				checkReply(t, r, packed)
			}
		}
	})
}

func checkReply(t *testing.T, r resolver.Resolver, req []byte) {
	t.Helper()
	e, err := source(r).Reply(t.Context(), req)
	if err != nil {
		if !errors.Is(err, reply.ErrSilent) || len(req) >= 12 && req[2]&0x80 == 0 {
			t.Fatalf("no reply: %v", err)
		}
		return
	}
	var m dns.Msg
	if err := m.Unpack(e.Wire); err != nil {
		t.Fatalf("does not unpack: %v", err)
	}
	if !m.Response || m.Id != 0 || m.IsEdns0() != nil || m.Opcode != int(req[2]>>3&0xf) || m.Rcode != int(e.Rcode&0xf) {
		t.Errorf("got %v with rcode %d", &m, e.Rcode)
	}
	if len(e.Wire) > 65535 || e.TTL < 0 || e.Failure && e.TTL == 0 {
		t.Errorf("%d octets for %v, failure %v", len(e.Wire), e.TTL, e.Failure)
	}
	var asked dns.Msg
	if asked.Unpack(req) == nil && len(m.Question) == 1 && len(asked.Question) == 1 {
		q := asked.Question[0]
		q.Name = dns.CanonicalName(q.Name)
		if m.Question[0] != q {
			t.Errorf("the question %v became %v", q, m.Question[0])
		}
	}
	if m.Rcode == dns.RcodeSuccess && len(m.Question) != 1 && e.Rcode == 0 {
		t.Error("success without a question")
	}
}
