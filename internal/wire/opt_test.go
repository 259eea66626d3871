package wire_test

import (
	"testing"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

// TestPad counts from messages of all lengths to those that go out.
func TestPad(t *testing.T) {
	for _, o := range []wire.OPT{{}, {HasEDE: true, EDEText: "text"}, {Cookie: make([]byte, wire.CookieLen), Keepalive: 1}} {
		for n := 12; n < 3000; n++ {
			for _, limit := range []int{512, 1232, 1404, wire.MaxMessage} {
				o.Pad(n, limit)
				bare := o
				bare.HasPadding = false
				whole := n + o.Len()
				switch {
				case n+bare.Len()+4 > limit:
					if o.HasPadding {
						t.Fatalf("%d octets are padded to %d, limit %d", n+bare.Len(), whole, limit)
					}
				case !o.HasPadding || whole%468 != 0 && whole != limit || whole > limit || whole-n-bare.Len() >= 468+4:
					t.Fatalf("%d octets are padded to %d, limit %d", n+bare.Len(), whole, limit)
				}
				if got := len(wire.AppendOPT(nil, &o)); got != o.Len() {
					t.Fatalf("%d octets, said to be %d", got, o.Len())
				}
			}
		}
	}
}

// TestLower puts every octet at every place of names of all lengths.
func TestLower(t *testing.T) {
	for length := range 40 {
		for c := range 256 {
			for at := range length {
				req := query(t, ".", dns.TypeA, nil)
				name := make([]byte, length)
				name[at] = byte(c)
				req = append(append(req[:12:12], name...), 0, 0, 1, 0, 1)
				r := wire.Request{NameEnd: 12 + length + 1, QuestionEnd: 12 + length + 5}
				want := byte(c)
				if 'A' <= want && want <= 'Z' {
					want += 'a' - 'A'
				}
				key := r.AppendKey(nil, req)
				for i, got := range key[:length] {
					if i == at && got != want || i != at && got != 0 {
						t.Fatalf("octet %d of %x, which has %#x at %d: %#x", i, name, c, at, got)
					}
				}
			}
		}
	}
}
