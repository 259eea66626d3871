package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

func TestCallIsProven(t *testing.T) {
	b := newBackend(t, nil)
	v := newVerifier(t, newPool(t, b))
	m := text(t, "wallet.eth", "url")
	want, _ := truth(t, m, newest(t.Context()).Hash)
	r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Outputs[0]; !bytes.Equal(got.Data, want) || got.Reverted || got.Err != nil || len(want) < 64 {
		t.Errorf("got %+v, want %x", got, want)
	}
	if r.Trust != chain.Proven || r.Proof == nil || r.Proof.Trips != 2 || r.Proof.Bytes == 0 || len(r.Proof.Accounts) < 3 {
		t.Errorf("got %+v, %+v", r, r.Proof)
	}
	if r.Proof.StateRoot == ([32]byte{}) || r.Head != newest(t.Context()) || len(r.Backends) != 1 || r.Backends[0] != "a" {
		t.Errorf("got %+v", r)
	}
	t.Logf("%+v, %v", r.Proof, b.seen)
}

// TestAt pins calls to blocks: only those that a Result named are served, as long as they are remembered.
func TestAt(t *testing.T) {
	head := newest(t.Context())
	anchor := chain.Anchor{Head: head, Source: chain.AnchorTrusted}
	now := head.Time
	v := newVerifierWith(t, Config{
		Provider: newNodeProvider(), MaxAnchorAge: time.Minute, Now: func() time.Time { return now },
		Anchors: anchorFunc(func() (chain.Anchor, error) { return anchor, nil }),
	})
	m := chain.Msg{To: deploy(t, word("43"))} // NUMBER; at the first block there is no such contract
	at := func(head chain.Head) (chain.Result, error) {
		return v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}, At: &head})
	}
	if _, err := at(head); !errors.Is(err, chain.ErrUnknownBlock) {
		t.Errorf("a block that nobody named: %v", err)
	}
	now = now.Add(2 * time.Minute)
	if _, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}}); !errors.Is(err, chain.ErrStaleHead) {
		t.Errorf("stale: %v", err)
	}
	if _, err := at(head); !errors.Is(err, chain.ErrUnknownBlock) {
		t.Errorf("a block that was refused: %v", err)
	}
	now = head.Time.Add(time.Minute)
	if r := call(t, v, m); r.Head != head || len(r.Outputs[0].Data) != 0 {
		t.Errorf("got %+v", r)
	}
	anchor.Head = newest(t.Context())
	if r := call(t, v, m); common.BytesToHash(r.Outputs[0].Data).Big().Uint64() != anchor.Number {
		t.Errorf("got %+v", r)
	}
	now = head.Time.Add(time.Hour) // who follows up a Result may be late
	if r, err := at(head); err != nil || r.Head != head || len(r.Outputs[0].Data) != 0 || r.Proof.Trips != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	if got := v.Status().Anchor; got.Hash != anchor.Hash {
		t.Errorf("got %+v", got)
	}
	v.mu.Lock()
	v.blocks.Purge()
	v.mu.Unlock()
	if _, err := at(head); !errors.Is(err, chain.ErrUnknownBlock) {
		t.Errorf("a block that was forgotten: %v", err)
	}
}

// TestBlocksAreBounded: old blocks go when there are too many, or when they hold too much.
func TestBlocksAreBounded(t *testing.T) {
	var anchor chain.Anchor
	v := newVerifierWith(t, Config{Provider: noProvider{}, Anchors: anchorFunc(func() (chain.Anchor, error) { return anchor, nil })})
	next := func(i int) *block {
		anchor.Hash = common.Hash{30: byte(i >> 8), 31: byte(i), 0: 1}
		b, err := v.at(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for i := range 3 * maxBlocks {
		next(i)
	}
	if s := v.Status(); s.Blocks != maxBlocks {
		t.Errorf("got %+v", s)
	}
	for i := range 20 {
		next(1000 + i).bytes = maxHeld / 3
		if s := v.Status(); s.Memory > maxHeld+maxHeld/3 {
			t.Fatalf("got %+v", s)
		}
	}
	// A block that has grown too much is begun anew.
	first := next(2000)
	first.bytes = maxHeld / 2
	if again := next(2000); again == first || again.bytes != 0 {
		t.Error("the block was not begun anew")
	}
}

// TestAnchorIsProven: the anchor's number and time may be lies; those in a Result are the header's.
func TestAnchorIsProven(t *testing.T) {
	head := newest(t.Context())
	lie := chain.Head{Number: head.Number + 1000, Hash: head.Hash, Time: head.Time.Add(24 * time.Hour)}
	evidence := &chain.BeaconEvidence{Slot: 7}
	anchor := chain.Anchor{Head: lie, Source: chain.AnchorQuorum, Vouchers: []string{"x", "y"}}
	now := head.Time
	v := newVerifierWith(t, Config{
		Provider: newNodeProvider(), MaxAnchorAge: time.Minute, Now: func() time.Time { return now },
		Anchors: anchorFunc(func() (chain.Anchor, error) { return anchor, nil }),
	})
	m := text(t, "wallet.eth", "url")
	if s := v.Status(); s.Anchor.Hash != (common.Hash{}) {
		t.Errorf("got %+v", s)
	}
	for range 2 {
		r := call(t, v, m)
		if r.Head != head || r.Proof.Anchor.Head != head || v.Status().Anchor.Head != head || len(r.Proof.Anchor.Vouchers) != 2 {
			t.Errorf("got %+v, %+v", r.Proof.Anchor, v.Status())
		}
	}
	anchor.Source, anchor.Beacon = chain.AnchorBeacon, evidence
	if r := call(t, v, m); r.Proof.Anchor.Beacon != evidence || r.Proof.Anchor.Source != chain.AnchorBeacon || r.Head != head {
		t.Errorf("got %+v", r.Proof.Anchor)
	}
	// What counts is the age by the proven time, though the anchor claims to be young.
	now = head.Time.Add(time.Minute + time.Second)
	if _, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}}); !errors.Is(err, chain.ErrStaleHead) || !strings.Contains(err.Error(), "1m1s old") {
		t.Errorf("got %v", err)
	}
	// And an anchor that claims to be old is young.
	anchor.Time, now = head.Time.Add(-time.Hour), head.Time
	call(t, v, m)
}

// TestAnchorFails: its errors are the Call's, and nobody is asked.
func TestAnchorFails(t *testing.T) {
	p := newNodeProvider()
	for _, want := range []error{chain.ErrNotReady, chain.ErrStaleHead, chain.ErrConflict, chain.ErrTimeout} {
		v := newVerifierWith(t, Config{Provider: p, Anchors: anchorFunc(func() (chain.Anchor, error) { return chain.Anchor{}, want })})
		if _, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{{}}}); !errors.Is(err, want) {
			t.Errorf("got %v", err)
		}
	}
	v := newVerifierWith(t, Config{Provider: p, Anchors: fixedAnchor{}}) // no block at all
	if _, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{{}}}); !errors.Is(err, chain.ErrUnknownBlock) {
		t.Errorf("got %v", err)
	}
	for _, n := range []int{0, chain.MaxMsgs + 1} {
		if _, err := v.Call(t.Context(), chain.Call{Msgs: make([]chain.Msg, n)}); !errors.Is(err, chain.ErrLimit) {
			t.Errorf("%d messages: %v", n, err)
		}
	}
}

// TestStatus counts what calls took.
func TestStatus(t *testing.T) {
	p := newNodeProvider()
	v := newVerifierWith(t, Config{Provider: p, Anchors: fixedAnchor{newest(t.Context())}})
	if s := v.Status(); s.Calls+s.Trips+s.Bytes+s.BadProofs != 0 || s.Blocks != 0 || s.Memory != 0 {
		t.Errorf("got %+v", s)
	}
	m := text(t, "wallet.eth", "url")
	r := call(t, v, m)
	s := v.Status()
	if s.Calls != 1 || s.Trips != 2 || s.Bytes != uint64(r.Proof.Bytes) || s.Blocks != 1 || s.Memory < 4000 || s.Anchor.Head != r.Head {
		t.Errorf("got %+v, %+v", s, r.Proof)
	}
	call(t, v, m)
	if again := v.Status(); again.Calls != 2 || again.Trips != s.Trips || again.Bytes != s.Bytes || again.Memory != s.Memory {
		t.Errorf("got %+v", again)
	}
	p.hook = func(_ context.Context, requests []chain.Request, reply *chain.Reply, again bool) error {
		if asks(requests, "eth_getProof") && !again {
			for i, q := range requests {
				if q.Method == "eth_getProof" {
					reply.Results[i] = json.RawMessage(`{"accountProof":[],"storageProof":[]}`)
				}
			}
		}
		return nil
	}
	call(t, v, chain.Msg{To: common.Address{1, 2, 3}})
	if s := v.Status(); s.BadProofs != 1 || s.Calls != 3 {
		t.Errorf("got %+v", s)
	}
}

// waitingAnchor has nobody vouch for a block: it says so when the time is up.
type waitingAnchor struct{}

func (waitingAnchor) Anchor(ctx context.Context) (chain.Anchor, error) {
	<-ctx.Done()
	return chain.Anchor{}, chain.ErrNotReady
}

// TestTimeout bounds a Call below what its context allows: the bound is the configuration's.
func TestTimeout(t *testing.T) {
	v := newVerifierWith(t, Config{Provider: newPool(t, newBackend(t, nil)), Anchors: waitingAnchor{}, Timeout: 50 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := v.Call(ctx, chain.Call{Msgs: []chain.Msg{{To: theChain.Registry}}})
	if !errors.Is(err, chain.ErrNotReady) || ctx.Err() != nil {
		t.Errorf("got %v, %v", err, ctx.Err())
	}
}
