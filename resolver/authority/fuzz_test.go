package authority

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

func packedQuestion(t testing.TB) (Question, []byte) {
	t.Helper()
	q := question("www.example.org.")
	req, err := request(&q, true)
	if err != nil {
		t.Fatal(err)
	}
	return q, req
}

// change returns a changed copy of a good reply.
func change(req []byte, f func([]byte) []byte) []byte { return f(answerTo(req, record)) }

func TestReadReply(t *testing.T) {
	q, req := packedQuestion(t)
	tests := []struct {
		name string
		raw  []byte
		want string // the beginning of the error; "" is none
	}{
		{"good", change(req, func(b []byte) []byte { return b }), ""},
		{"empty", nil, "garbled"},
		{"header only", change(req, func(b []byte) []byte { return b[:12] }), "garbled"},
		{"bare request", make([]byte, 12), "garbled"},
		{"bare FORMERR", []byte{0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0}, ""},
		{"bare NXDOMAIN", []byte{0, 0, 0x80, 3, 0, 0, 0, 0, 0, 0, 0, 0}, "reply is to another"},
		{"a question", change(req, func(b []byte) []byte { b[2] &^= 0x80; return b }), "garbled"},
		{"a notification", change(req, func(b []byte) []byte { b[2] |= 4 << 3; return b }), "garbled"},
		{"truncated", change(req, func(b []byte) []byte { b[2] |= 2; return b }), "truncated"},
		{"truncated garbage", change(req, func(b []byte) []byte { b[2] |= 2; return b[:20] }), "truncated"},
		{"truncated REFUSED", change(req, func(b []byte) []byte { b[2] |= 2; b[3] |= 5; return b }), ""},
		{"ends between records", change(req, func(b []byte) []byte { return b[:len(b)-11] }), "garbled"},
		{"one record less than said", change(req, func(b []byte) []byte { b[7]++; return b }), "garbled"},
		{"another name", change(req, func(b []byte) []byte { b[13] = 'x'; return b }), "reply is to another"},
		{"another class", change(req, func(b []byte) []byte { b[32] = 3; return b }), "reply is to another"},
	}
	for _, tt := range tests {
		m, err := readReply(tt.raw, &q)
		if got := fmt.Sprint(err); (tt.want == "") != (err == nil) || err != nil && got[:len(tt.want)] != tt.want || (m == nil) != (err != nil) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	q, req := packedQuestion(f)
	f.Add(answerTo(req, record))
	f.Add(answerTo(req, record, "@ 60 IN TXT x", ". 60 IN NSEC a. A RRSIG"))
	f.Add([]byte{0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := readReply(raw, &q)
		if (m == nil) != (err != nil) {
			t.Fatal(m, err)
		}
		if err != nil {
			return
		}
		switch {
		case len(m.Question) == 0:
			if len(raw) != headerLen || isAnswer(m.Rcode) {
				t.Fatalf("%v from %x", m, raw)
			}
		case m.Question[0].Qtype != q.Type || dns.CanonicalName(m.Question[0].Name) != q.Name:
			t.Fatalf("%v from %x", m, raw)
		case m.Truncated && isAnswer(int(raw[3]&0xf)), m.Rcode&0xf != int(raw[3]&0xf):
			t.Fatalf("%v from %x", m, raw)
		case len(m.Answer) > int(binary.BigEndian.Uint16(raw[6:])):
			t.Fatalf("%v from %x", m, raw)
		}
		for _, rr := range slices.Concat(m.Answer, m.Ns, m.Extra) {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT && h.Class != dns.ClassINET {
				t.Fatalf("%v from %x", rr, raw)
			}
		}
		if !sameReply(m, m) {
			t.Fatal("it is not like itself")
		}
	})
}

// script answers each message as the next byte says.
type script struct {
	mu    sync.Mutex
	steps []byte
	sent  int
	as    int // good replies to questions without random case
}

func (s *script) play(req []byte, asIs bool) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	if len(s.steps) == 0 {
		return nil, syscall.ECONNREFUSED
	}
	step := s.steps[0]
	s.steps = s.steps[1:]
	raw := answerTo(req, record)
	switch step % 13 {
	case 0:
		if asIs {
			s.as++
			return answerTo(req, "@ 61 IN A 192.0.2.1"), nil
		}
		return raw, nil
	case 1:
		return nil, context.DeadlineExceeded
	case 2:
		return nil, resolver.ErrCase
	case 3:
		return nil, resolver.ErrForged
	case 4, 5, 6: // FORMERR, SERVFAIL, REFUSED
		raw = answerTo(req)
		raw[3] = []byte{1, 2, 5}[step%13-4]
		return raw, nil
	case 7: // truncated
		raw[2] |= 2
		return raw, nil
	case 8: // lame
		raw[2] &^= 4
		return raw, nil
	case 9:
		return raw[:len(raw)-1], nil
	case 10:
		return []byte{0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0}, nil
	case 11:
		return nil, syscall.ENETUNREACH
	default:
		return nil, syscall.EMFILE
	}
}

func (s *script) Exchange(_ context.Context, _ netip.AddrPort, req, _ []byte) ([]byte, error) {
	return s.play(req, false)
}

func (s *script) ExchangeAsIs(_ context.Context, _ netip.AddrPort, req, _ []byte) ([]byte, error) {
	return s.play(req, true)
}

// Whatever servers do, in whatever order: an ask ends, its messages are bounded and paid for, only a good
// reply comes out, one that could be forged only when it came twice, and nothing stays under way.
func FuzzAsk(f *testing.F) {
	f.Add([]byte{0}, uint8(1))
	f.Add([]byte{4, 0}, uint8(1))
	f.Add([]byte{2, 11, 0, 0}, uint8(1))
	f.Add([]byte{1, 0, 1}, uint8(1))
	f.Add([]byte{2, 11, 10, 10, 2, 11, 0, 0}, uint8(1))
	f.Add([]byte{1, 1, 1, 1, 6, 7, 9, 8, 0}, uint8(3))
	f.Fuzz(func(t *testing.T, steps []byte, n uint8) {
		net := &script{steps: steps[:min(len(steps), 64)]}
		s := New(Config{UDP: net, TCP: net, Timeout: 50 * time.Millisecond, Rand: source(1)})
		var list []netip.AddrPort
		for i := range n%5 + 1 {
			list = append(list, at(fmt.Sprintf("10.0.0.%d:53", i)))
		}
		spent := 0
		q := question("www.example.org.")
		q.Spend = func() error { spent++; return nil }
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		reply, err := s.Ask(ctx, list, q)
		if ctx.Err() != nil || (reply == nil) != (err != nil) {
			t.Fatal(reply, err)
		}
		if err != nil && (err.Error() == "" || err.(*Error).Text() == "") {
			t.Fatalf("%#v", err)
		}
		if reply != nil && (reply.Msg.Rcode != 0 || !reply.Msg.Authoritative || reply.Msg.Truncated || len(reply.Msg.Answer) != 1) {
			t.Fatal(reply.Msg)
		}
		if !eventually(func() bool { return idle(s, list) }) {
			t.Fatal("something is under way still")
		}
		net.mu.Lock()
		defer net.mu.Unlock()
		if reply != nil && reply.Msg.Answer[0].Header().Ttl == 61 && net.as < 2 {
			t.Fatal("a reply that could be forged was believed")
		}
		if net.sent != spent || spent > maxMessages {
			t.Fatalf("%d sent, %d spent", net.sent, spent)
		}
	})
}

// idle reports whether no message is under way.
func idle(s *Servers, list []netip.AddrPort) bool {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	for _, addr := range list {
		if srv, ok := s.memory.servers.Get(addr); ok && srv.inflight != 0 {
			return false
		}
	}
	return s.lingering.Load() == 0
}
