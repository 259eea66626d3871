package ens

import (
	"context"
	"testing"

	"dens/chain"

	"github.com/miekg/dns"
)

// canned gives the answer of an earlier Call again, so that what is measured is dens and not the fake.
type canned struct{ result chain.Result }

func (c canned) Call(context.Context, chain.Call) (chain.Result, error) { return c.result, nil }

// BenchmarkLookup measures what a cold look-up costs beside the round trip.
func BenchmarkLookup(b *testing.B) {
	for _, bb := range []struct {
		name string
		kind uint16
	}{{"alice.eth.", dns.TypeA}, {"alice.eth.", typeWallet}, {"a.b.c.alice.eth.", dns.TypeAAAA}, {"xn--3s9h.eth.", dns.TypeTXT}} {
		b.Run(bb.name+"/"+typeName(bb.kind), func(b *testing.B) {
			w := sample(b)
			d := w.systems()["universal"].Deployment()
			if _, err := New(w, d).Lookup(context.Background(), bb.name, bb.kind); err != nil {
				b.Fatal(err)
			}
			result, err := w.Call(context.Background(), w.reset()[0])
			if err != nil {
				b.Fatal(err)
			}
			system := New(canned{result}, d)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := system.Lookup(context.Background(), bb.name, bb.kind); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
