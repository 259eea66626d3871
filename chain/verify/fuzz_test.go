package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/proof"
)

// mutator changes a node's answers as bytes tell it.
type mutator struct {
	data    []byte
	changed int
	seen    []json.RawMessage // of earlier replies
}

func (m *mutator) next() int {
	if len(m.data) == 0 {
		return 0
	}
	b := m.data[0]
	m.data = m.data[1:]
	return int(b)
}

// reply changes one result of a reply, or two. No bytes left: it is honest.
func (m *mutator) reply(reply *chain.Reply) {
	for range 2 {
		kind := m.next()
		if kind == 0 || len(reply.Results) == 0 {
			break
		}
		i := m.next() % len(reply.Results)
		if reply.Results[i] == nil {
			continue
		}
		before := reply.Results[i]
		m.result(reply, i, kind-1)
		if i >= len(reply.Results) || !bytes.Equal(before, reply.Results[i]) {
			m.changed++
		}
	}
	for _, r := range reply.Results {
		if r != nil && len(m.seen) < 64 {
			m.seen = append(m.seen, r)
		}
	}
}

func (m *mutator) result(reply *chain.Reply, i, kind int) {
	raw := bytes.Clone(reply.Results[i])
	at := (m.next()<<8 | m.next()) % max(len(raw), 1)
	switch kind % 12 {
	case 0: // another digit
		for at < len(raw) && (raw[at] == '"' || raw[at] == '{' || raw[at] == '[' || raw[at] == ',') {
			at++
		}
		if at < len(raw) {
			raw[at] = "0123456789abcdef"[m.next()%16]
		}
	case 1: // another byte
		raw[at] ^= byte(1 + m.next()%255)
	case 2: // a part is left out
		raw = append(raw[:at], raw[min(len(raw), at+1+m.next()):]...)
	case 3: // a part is there twice
		end := min(len(raw), at+1+m.next())
		raw = append(bytes.Clone(raw[:end]), raw[at:]...)
	case 4: // the end is missing
		raw = raw[:at]
	case 5: // the answer to another question
		j := m.next() % len(reply.Results)
		if reply.Results[j] != nil {
			raw, reply.Results[j] = reply.Results[j], raw
		}
	case 6: // an answer of before
		if len(m.seen) > 0 {
			raw = m.seen[m.next()%len(m.seen)]
		}
	case 7:
		raw = []json.RawMessage{json.RawMessage("null"), json.RawMessage("{}"), json.RawMessage("[]"), json.RawMessage(`"0x"`), json.RawMessage("0")}[m.next()%5]
	case 8: // an element of a list is gone, or moves
		raw = shuffled(raw, m.next(), m.next())
	case 9: // an error
		reply.Results[i], reply.Errs[i] = nil, &chain.BackendError{Backend: "node", Err: []error{chain.ErrUnavailable, chain.ErrUnknownBlock, chain.ErrMalformed}[m.next()%3]}
		return
	case 10: // fewer results
		reply.Results = reply.Results[:len(reply.Results)-1]
		if i == len(reply.Results) {
			return
		}
	case 11: // much
		raw = bytes.Repeat(raw, 1+m.next()%20)
	}
	reply.Results[i] = raw
}

// shuffled swaps two strings of the answer, or drops one.
func shuffled(raw json.RawMessage, a, b int) json.RawMessage {
	parts := bytes.Split(raw, []byte(","))
	i, j := a%len(parts), b%len(parts)
	if i == j {
		parts = append(parts[:i], parts[i+1:]...)
	} else {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return bytes.Join(parts, []byte(","))
}

// FuzzAnswers changes a node's answers at random. Whatever is taken gives exactly what the node says, and an
// honest answer that comes after is enough.
func FuzzAnswers(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		data := make([]byte, 4+rng.IntN(60))
		for i := range data {
			data[i] = byte(rng.IntN(256))
		}
		f.Add(byte(rng.IntN(8)), data)
	}
	anchor := fixedAnchor{newest(f.Context())}
	msgs := []chain.Msg{text(f, "wallet.eth", "url"), multicall(f, "wallet.eth"), addr(f, "alice.eth"), text(f, "nobody.eth", "url"), {To: common.Address{9}}}
	record := map[string]json.RawMessage{}
	honest := newNodeProvider()
	honest.record = record
	v := newVerifierWith(f, Config{Provider: honest, Anchors: anchor})
	var want []chain.Output
	for _, m := range msgs {
		want = append(want, call(f, v, m).Outputs[0])
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		if len(data) > 1<<10 {
			return
		}
		m := &mutator{data: data}
		p := newNodeProvider()
		if len(record) < 5000 {
			p.record = record
		}
		p.hook = func(_ context.Context, _ []chain.Request, reply *chain.Reply, again bool) error {
			if !again { // what accept refuses is followed by the honest answer
				m.reply(reply)
			}
			return nil
		}
		v, err := New(Config{ChainID: theChain.ChainID(), Provider: p, Anchors: anchor})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		i := int(which) % len(msgs)
		r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{msgs[i]}})
		if err != nil {
			t.Fatalf("%d changes, each followed by an honest answer: %v", m.changed, err)
		}
		if got := r.Outputs[0]; got.Err != nil || got.Reverted != want[i].Reverted || !bytes.Equal(got.Data, want[i].Data) || r.Trust != chain.Proven || r.Head != anchor.Head {
			t.Errorf("%d changes: got %+v, want %+v", m.changed, got, want[i])
		}
		s := v.Status()
		if most := int64(8<<10 + (512+1<<10)*2*maxGuessedAccounts + 128*2*maxGuessedSlots + 1<<20); s.Memory > most || s.Blocks != 1 {
			t.Errorf("%d bytes are held", s.Memory)
		}
		if asked := p.count("eth_getProof") + p.count("eth_getCode"); asked > 4*(maxGuessedAccounts+maxGuessedSlots+maxMisses) {
			t.Errorf("%d requests", asked)
		}
	})
}

// FuzzHeaderPart reads what is said to be the block of a hash: nothing but that block's header is kept.
func FuzzHeaderPart(f *testing.F) {
	head := newest(f.Context())
	var block json.RawMessage
	if err := theChain.Client().CallContext(f.Context(), &block, "eth_getBlockByHash", head.Hash, false); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(block))
	f.Add([]byte("null"))
	f.Add([]byte("{}"))
	f.Add(bytes.Replace(block, []byte(`"number":"0x`), []byte(`"number":"0x1`), 1))
	f.Add(bytes.Replace(block, []byte(`"timestamp"`), []byte(`"time"`), 1))
	v := newVerifierWith(f, Config{Provider: noProvider{}})
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBlock(v, chain.Anchor{Head: chain.Head{Hash: head.Hash, Number: 1}})
		err := headerPart{}.read(t.Context(), data, &reading{block: b})
		env := b.environment()
		if (err == nil) != (env != nil) {
			t.Fatalf("got %v, %v", env, err)
		}
		switch {
		case err == nil && (env.header.Hash() != head.Hash || b.tell().Number != head.Number || env.err != nil):
			t.Errorf("got %+v", env.header)
		case err != nil && !errors.Is(err, chain.ErrMalformed) && !errors.Is(err, chain.ErrBadProof) && !errors.Is(err, chain.ErrUnknownBlock):
			t.Errorf("got %v", err)
		case err != nil && b.tell().Number != 1:
			t.Error("a header that was refused left something behind")
		}
	})
}

// FuzzCodePart reads what is said to be a contract's code.
func FuzzCodePart(f *testing.F) {
	right := common.FromHex(word("43"))
	f.Add([]byte(fmt.Sprintf("%q", "0x"+common.Bytes2Hex(right))))
	f.Add([]byte(`"0x"`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v := made(t, 1337, headerOf(1000), map[common.Address]string{at(1): common.Bytes2Hex(right)}, nil)
		b := v.blocks.Values()[0]
		r := &reading{block: b, accounts: map[common.Address]*account{}, codes: map[common.Hash][]byte{}}
		err := codePart{at(1)}.read(t.Context(), data, r)
		if (err == nil) != (len(r.codes) == 1) {
			t.Fatalf("got %v, %v", r.codes, err)
		}
		for hash, code := range r.codes {
			if !bytes.Equal(code, right) || proof.VerifyCode(hash, code) != nil {
				t.Errorf("got %x", code)
			}
		}
		if err := (codePart{at(2)}).read(t.Context(), data, r); err == nil {
			t.Error("code of an account that is not proven")
		}
		v.Close()
	})
}
