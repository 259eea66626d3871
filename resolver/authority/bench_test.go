package authority

import (
	"context"
	"net/netip"
	"testing"
)

func BenchmarkOrder(b *testing.B) {
	s, list := prepare(b, 26)
	b.ReportAllocs()
	for b.Loop() {
		s.order("org.", list)
	}
}

// BenchmarkAsk is an ask without the network.
func BenchmarkAsk(b *testing.B) {
	_, list := prepare(b, 8)
	_, req := packedQuestion(b)
	raw := answerTo(req, record)
	s := servers(b, Config{UDP: exchanger(func(context.Context, netip.AddrPort, []byte) ([]byte, error) { return raw, nil })})
	q := question("www.example.org.")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Ask(b.Context(), list, q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAskParallel(b *testing.B) {
	_, list := prepare(b, 8)
	_, req := packedQuestion(b)
	raw := answerTo(req, record)
	s := servers(b, Config{UDP: exchanger(func(context.Context, netip.AddrPort, []byte) ([]byte, error) { return raw, nil })})
	q := question("www.example.org.")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Ask(b.Context(), list, q); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
