package pool

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"dens/chain"
	"dens/chain/internal/rpctest"
)

// BenchmarkCallAt is ten messages in a batch over loopback, the fake node's work included.
func BenchmarkCallAt(b *testing.B) {
	n := fakeNode(b)
	e := endpoint(b, n.URL())
	eventually(b, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	list := msgs("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	head := n.Head()
	for b.Loop() {
		if _, err := e.CallAt(b.Context(), list, head); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckReply is the reading of ten answers of 1 KiB each.
func BenchmarkCheckReply(b *testing.B) {
	var ids []string
	body := []byte("[")
	for i := range 10 {
		ids = append(ids, strconv.Itoa(i))
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"jsonrpc":"2.0","id":`+ids[i]+`,"result":"0x`...)
		body = append(body, bytes.Repeat([]byte("ab"), 1<<10)...)
		body = append(body, `"}`...)
	}
	body = append(body, ']')
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := checkReply(body, ids, true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFetch is twenty proofs in a batch over loopback, the fake node's work included.
func BenchmarkFetch(b *testing.B) {
	p, nodes := calm(b, Config{}, "a")
	requests := make([]chain.Request, 20)
	for i := range requests {
		requests[i] = proofs(nodes[0].Head())[0]
	}
	node := "0x" + strings.Repeat("ab", 532) // a full branch
	nodes[0].Handle("eth_getProof", func([]json.RawMessage) rpctest.Answer {
		return rpctest.Answer{Result: map[string]any{"accountProof": []string{node, node, node, node, node, node, node, node}}}
	})
	for b.Loop() {
		if err := p.Fetch(b.Context(), requests, func(r chain.Reply) error { return r.Errs[19] }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAnchor is a block that is known.
func BenchmarkAnchor(b *testing.B) {
	p, _ := calm(b, Config{}, "a", "b", "c")
	for b.Loop() {
		if _, err := p.Anchor(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
