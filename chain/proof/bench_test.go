package proof

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

func BenchmarkVerifyAccount(b *testing.B) {
	w := newWorld(b)
	nodes := w.state.prove(b, contract[:])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := VerifyAccount(w.state.root, contract, nodes); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifySlot(b *testing.B) {
	w := newWorld(b)
	slot := number(7)
	nodes := w.storage.prove(b, slot[:])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := VerifySlot(w.storage.root, slot, nodes); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeHeader(b *testing.B) {
	header := osaka()
	block, want := blockJSON(b, fields(b, header)), header.Hash()
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeHeader(block, want); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeAccountProof(b *testing.B) {
	raw := response(b, newWorld(b), contract, []common.Hash{number(1), number(2), number(3)})
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeAccountProof(raw, 3); err != nil {
			b.Fatal(err)
		}
	}
}
