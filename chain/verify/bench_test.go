package verify

import (
	"encoding/json"
	"testing"

	"dens/chain"
	"dens/internal/demo"
)

// addr asks the resolver for an address, as package ens does.
func addr(t testing.TB, name string) chain.Msg {
	inner, err := demo.Pack(demo.Resolver, "addr(bytes32)", demo.Namehash(name))
	if err != nil {
		t.Fatal(err)
	}
	data, err := demo.Pack(demo.UniversalResolver, "resolve(bytes,bytes)", wireName(name), inner)
	if err != nil {
		t.Fatal(err)
	}
	return chain.Msg{To: theChain.UniversalResolver, Data: data}
}

// multicall asks for the address and two texts in one message.
func multicall(t testing.TB, name string) chain.Msg {
	var calls [][]byte
	for _, key := range []string{"", "url", "avatar"} {
		call, err := demo.Pack(demo.Resolver, "text(bytes32,string)", demo.Namehash(name), key)
		if key == "" {
			call, err = demo.Pack(demo.Resolver, "addr(bytes32)", demo.Namehash(name))
		}
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call)
	}
	inner, err := demo.Pack(demo.Resolver, "multicall(bytes[])", calls)
	if err != nil {
		t.Fatal(err)
	}
	data, err := demo.Pack(demo.UniversalResolver, "resolve(bytes,bytes)", wireName(name), inner)
	if err != nil {
		t.Fatal(err)
	}
	return chain.Msg{To: theChain.UniversalResolver, Data: data}
}

// BenchmarkSameBlock has all state at hand: the EVM's run and what is around it.
func BenchmarkSameBlock(b *testing.B) {
	for _, bench := range []struct {
		what string
		msg  chain.Msg
	}{{"addr", addr(b, "wallet.eth")}, {"multicall", multicall(b, "wallet.eth")}} {
		b.Run(bench.what, func(b *testing.B) {
			v := newVerifierWith(b, Config{Provider: newNodeProvider(), Anchors: fixedAnchor{newest(b.Context())}})
			if r := call(b, v, bench.msg); r.Outputs[0].Reverted || len(r.Outputs[0].Data) < 64 {
				b.Fatalf("%+v", r.Outputs)
			}
			b.ReportAllocs()
			for b.Loop() {
				call(b, v, bench.msg)
			}
		})
	}
}

// BenchmarkSameBlockParallel has many calls at once.
func BenchmarkSameBlockParallel(b *testing.B) {
	v := newVerifierWith(b, Config{Provider: newNodeProvider(), Anchors: fixedAnchor{newest(b.Context())}})
	msgs := texts(b)
	for _, m := range msgs {
		call(b, v, m)
	}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			call(b, v, msgs[i%len(msgs)])
		}
	})
}

// BenchmarkNewBlock proves all that one name needs of a block, from answers that are at hand: header, four
// accounts, their slots.
func BenchmarkNewBlock(b *testing.B) {
	anchor := fixedAnchor{newest(b.Context())}
	p := newNodeProvider()
	p.record = map[string]json.RawMessage{}
	v := newVerifierWith(b, Config{Provider: p, Anchors: anchor})
	msg := addr(b, "wallet.eth")
	call(b, v, msg)
	b.ReportAllocs()
	for b.Loop() {
		v.mu.Lock()
		v.blocks.Purge()
		v.mu.Unlock()
		if r := call(b, v, msg); r.Proof.Trips != 1 {
			b.Fatalf("%+v", r.Proof)
		}
	}
}
