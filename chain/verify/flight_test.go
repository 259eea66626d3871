package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

// names says whether one of the requests is about an address.
func names(requests []chain.Request, address common.Address) bool {
	for _, q := range requests {
		if q.Params[0] == any(address) {
			return true
		}
	}
	return false
}

// outcome is what came of a Call in another goroutine.
type outcome struct {
	chain.Result
	err error
}

func begin(ctx context.Context, v *Verifier, msgs ...chain.Msg) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		r, err := v.Call(ctx, chain.Call{Msgs: msgs})
		done <- outcome{r, err}
	}()
	return done
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// right says whether an outcome is what the node says.
func (o outcome) right(t testing.TB, m chain.Msg) bool {
	t.Helper()
	if o.err != nil || o.Outputs[0].Err != nil {
		t.Errorf("got %+v", o)
		return false
	}
	want, reverted := truth(t, m, o.Head.Hash)
	return bytes.Equal(o.Outputs[0].Data, want) && o.Outputs[0].Reverted == reverted
}

// TestFirstCallerGoes: who began a fetch that others wait for gives up; they do not suffer.
func TestFirstCallerGoes(t *testing.T) {
	p := newNodeProvider()
	held, released := make(chan struct{}, 8), make(chan struct{})
	p.hook = func(_ context.Context, requests []chain.Request, _ *chain.Reply, _ bool) error {
		if asks(requests, "eth_getProof") {
			held <- struct{}{}
			<-released
		}
		return nil
	}
	v := newVerifierWith(t, Config{Provider: p, Anchors: fixedAnchor{newest(t.Context())}})
	m := text(t, "wallet.eth", "url")
	ctx, cancel := context.WithCancel(t.Context())
	first := begin(ctx, v, m)
	<-held
	second := begin(t.Context(), v, m)
	eventually(t, "the second asks for a list", func() bool { return p.count("eth_createAccessList") == 2 })
	cancel()
	if o := <-first; !errors.Is(o.err, chain.ErrTimeout) {
		t.Errorf("got %+v", o)
	}
	close(released)
	if o := <-second; !o.right(t, m) || o.Proof.Trips > 2 {
		t.Errorf("got %+v, %+v", o, o.Proof)
	}
	if headers, codes := p.count("eth_getBlockByHash"), p.count("eth_getCode"); headers != 1 || codes != 3 {
		t.Errorf("%d headers, %d codes", headers, codes)
	}
}

// TestTroubleOfOthers: a fetch that takes the header along fails for what else it wants. Those who wait for
// the header fetch it themselves.
func TestTroubleOfOthers(t *testing.T) {
	hostile, good := chain.Msg{To: deploy(t, word("43"))}, chain.Msg{To: deploy(t, word("42"))}
	p := newNodeProvider()
	held, released := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.hook = func(_ context.Context, requests []chain.Request, _ *chain.Reply, _ bool) error {
		if names(requests, hostile.To) && asks(requests, "eth_getProof") {
			once.Do(func() { close(held) })
			<-released
			return chain.ErrUnavailable
		}
		return nil
	}
	v := newVerifierWith(t, Config{Provider: p, Anchors: fixedAnchor{newest(t.Context())}})
	first := begin(t.Context(), v, hostile)
	<-held
	second := begin(t.Context(), v, good)
	eventually(t, "the second fetches", func() bool { return p.count("eth_getProof") >= 2 })
	close(released)
	if o := <-first; !errors.Is(o.err, chain.ErrUnavailable) {
		t.Errorf("got %+v", o)
	}
	if o := <-second; !o.right(t, good) {
		t.Errorf("got %+v", o)
	}
}

// TestSharedItemFails: what several wait for is refused once, then had.
func TestSharedItemFails(t *testing.T) {
	p := newNodeProvider()
	var failed atomic.Int64
	p.hook = func(_ context.Context, requests []chain.Request, _ *chain.Reply, _ bool) error {
		if asks(requests, "eth_getBlockByHash") && failed.Add(1) <= 1 {
			time.Sleep(20 * time.Millisecond)
			return chain.ErrUnavailable
		}
		return nil
	}
	v := newVerifierWith(t, Config{Provider: p, Anchors: fixedAnchor{newest(t.Context())}})
	var all []<-chan outcome
	msgs := texts(t)
	for _, m := range msgs {
		all = append(all, begin(t.Context(), v, m))
	}
	for i, o := range all {
		if o := <-o; !o.right(t, msgs[i]) {
			t.Errorf("got %+v", o)
		}
	}
}

// TestHostileListHoldsNobodyUp: one call's list names much that is slow to come. Another call, which needs
// the same contracts, goes on.
func TestHostileListHoldsNobodyUp(t *testing.T) {
	p := newNodeProvider()
	slot := func(i int) common.Hash { return common.Hash{31: byte(i), 30: byte(i >> 8), 0: 1} }
	first, second := text(t, "wallet.eth", "url"), text(t, "alice.eth", "url")
	held := make(chan struct{}, 100)
	most := 0
	p.hook = func(ctx context.Context, requests []chain.Request, reply *chain.Reply, _ bool) error {
		if asks(requests, "eth_createAccessList") && strings.Contains(string(mustJSON(t, requests)), common.Bytes2Hex(first.Data)) {
			list := []map[string]any{}
			for i := range maxAccounts {
				var slots []common.Hash
				for j := range 100 {
					slots = append(slots, slot(100*i+j))
				}
				list = append(list, map[string]any{"address": common.Address{0: 0xee, 19: byte(i)}, "storageKeys": slots})
			}
			reply.Results[0] = mustJSON(t, map[string]any{"accessList": list})
		}
		if asks(requests, "eth_getProof") && strings.Contains(string(mustJSON(t, requests)), "0xee00") && !names(requests, theChain.UniversalResolver) {
			held <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	v := newVerifierWith(t, Config{Provider: p, Anchors: fixedAnchor{newest(t.Context())}, Timeout: 30 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	hostile := begin(ctx, v, first)
	<-held
	if o := <-begin(t.Context(), v, second); !o.right(t, second) {
		t.Errorf("got %+v", o)
	}
	p.mu.Lock()
	most = p.asked["eth_getProof"]
	p.mu.Unlock()
	if most > 2*(maxGuessedAccounts+maxGuessedSlots/maxPartSlots) {
		t.Errorf("%d proofs were asked for", most)
	}
	cancel()
	<-hostile
}

// TestGuessesAreForgiven: a list names what no backend serves. What is needed is fetched without it.
func TestGuessesAreForgiven(t *testing.T) {
	p := newNodeProvider()
	strange, list := common.Address{0: 0xee}, maxAccounts
	p.hook = func(_ context.Context, requests []chain.Request, reply *chain.Reply, _ bool) error {
		if asks(requests, "eth_createAccessList") {
			named := []map[string]any{}
			for i := range list {
				named = append(named, map[string]any{"address": common.Address{0: 0xee, 19: byte(i)}, "storageKeys": []common.Hash{}})
			}
			reply.Results[0] = mustJSON(t, map[string]any{"accessList": named})
		}
		if names(requests, strange) {
			return chain.ErrLimit
		}
		return nil
	}
	m := text(t, "wallet.eth", "url")
	v := newVerifierWith(t, Config{Provider: p})
	for range 2 { // at a block whose header is known and, first, at one whose header went with the guesses
		r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}})
		if o := (outcome{r, err}); !o.right(t, m) {
			t.Errorf("got %+v", o)
		}
		m = text(t, "alice.eth", "url")
	}
	list = 1 // in one batch with the header
	mine(t)
	m = text(t, "bob.eth", "url")
	r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}})
	if o := (outcome{r, err}); !o.right(t, m) {
		t.Errorf("got %+v", o)
	}
}

func mustJSON(t testing.TB, v any) json.RawMessage {
	out, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return out
}

// TestClaimIsBounded packs what is wanted into batches that every backend can serve.
func TestClaimIsBounded(t *testing.T) {
	v := newVerifierWith(t, Config{Provider: noProvider{}})
	b := newBlock(v, chain.Anchor{})
	w := newWants()
	for i := range 200 {
		a := access{address: common.Address{byte(i)}}
		for j := range 100 {
			a.slots = append(a.slots, common.Hash{byte(j)})
		}
		w.guess([]access{a})
	}
	if len(w.accounts) != maxGuessedAccounts || w.slots != maxGuessedSlots {
		t.Errorf("%d accounts, %d slots", len(w.accounts), w.slots)
	}
	mine, others := b.claim(w)
	items := map[item]bool{}
	for i, f := range mine {
		if len(f.parts) > maxTogether || f.weight > maxWeight || f.weight == 0 {
			t.Errorf("batch of %d parts, %d bytes", len(f.parts), f.weight)
		}
		if _, ok := f.parts[0].(headerPart); ok != (i == 0) {
			t.Errorf("batch %d: header %v", i, ok)
		}
		proven := map[common.Address]bool{}
		for _, p := range f.parts {
			switch p := p.(type) {
			case proofPart:
				proven[p.address] = true
				if len(p.slots) > maxPartSlots {
					t.Errorf("%d slots in one request", len(p.slots))
				}
			case codePart:
				if !proven[p.address] {
					t.Error("code without the proof of its account")
				}
			}
		}
		for _, it := range f.items {
			if items[it] {
				t.Errorf("%+v twice", it)
			}
			items[it] = true
		}
	}
	if want := 1 + 2*maxGuessedAccounts + maxGuessedSlots; len(items) != want || len(others) != 0 {
		t.Errorf("%d items, want %d", len(items), want)
	}
	// Who comes now waits for all, and fetches nothing.
	again, waits := b.claim(w)
	if len(again) != 0 || len(waits) != len(mine) {
		t.Errorf("%d batches, waits for %d of %d", len(again), len(waits), len(mine))
	}
	for _, f := range mine {
		b.land(f)
	}
	if len(b.flights) > 0 {
		t.Errorf("%d items are left in the books", len(b.flights))
	}
}

// TestPanics: what panics in a goroutine of the Verifier's is an error, and the next call is served.
func TestPanics(t *testing.T) {
	for _, method := range []string{"eth_getProof", "eth_createAccessList"} {
		p := newNodeProvider()
		var faulty atomic.Bool
		faulty.Store(true)
		p.hook = func(_ context.Context, requests []chain.Request, _ *chain.Reply, _ bool) error {
			if asks(requests, method) && faulty.Load() {
				panic("a fault of ours")
			}
			return nil
		}
		v := newVerifierWith(t, Config{Provider: p})
		m := text(t, "wallet.eth", "url")
		_, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}})
		if method == "eth_getProof" && (!errors.Is(err, chain.ErrUnavailable) || !strings.Contains(err.Error(), "a fault of ours")) {
			t.Errorf("got %v", err)
		}
		faulty.Store(false)
		call(t, v, m)
		v.Close()
	}
}

// TestClose ends what is under way, in whatever state it is, and leaves nothing behind.
func TestClose(t *testing.T) {
	loop := chain.Msg{To: deploy(t, burner)}
	for _, method := range []string{"eth_createAccessList", "eth_getProof", ""} {
		before := runtime.NumGoroutine()
		p := newNodeProvider()
		held := make(chan struct{}, 100)
		p.hook = func(ctx context.Context, requests []chain.Request, _ *chain.Reply, _ bool) error {
			if asks(requests, method) {
				held <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		v, err := New(Config{ChainID: theChain.ChainID(), Provider: p, Anchors: fixedAnchor{newest(t.Context())}})
		if err != nil {
			t.Fatal(err)
		}
		var all []<-chan outcome
		for _, m := range texts(t)[:4] {
			all = append(all, begin(t.Context(), v, m))
		}
		all = append(all, begin(t.Context(), v, loop, loop))
		if method != "" {
			<-held
		}
		v.Close()
		v.Close()
		for _, done := range all {
			o := <-done
			if o.err != nil && !errors.Is(o.err, chain.ErrTimeout) && !errors.Is(o.err, chain.ErrUnavailable) && !errors.Is(o.err, context.Canceled) {
				t.Errorf("%s: got %+v", method, o)
			}
		}
		if _, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{loop}}); !errors.Is(err, chain.ErrUnavailable) {
			t.Errorf("after Close: %v", err)
		}
		eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
	}
}
