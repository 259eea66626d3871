package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/miekg/dns"

	"dens/internal/demo/consensus"
	"dens/internal/e2e/bed"
)

// lieAbout changes the results of one method, each read as JSON.
func lieAbout(method string, change func(result map[string]any)) bed.Lie {
	return func(m string, _ []json.RawMessage, result json.RawMessage) json.RawMessage {
		var fields map[string]any
		if m != method || json.Unmarshal(result, &fields) != nil || fields == nil {
			return result
		}
		change(fields)
		changed, err := json.Marshal(fields)
		if err != nil {
			return result
		}
		return changed
	}
}

// sayAlways gives one result to all calls of a method.
func sayAlways(method, result string) bed.Lie {
	return func(m string, _ []json.RawMessage, honest json.RawMessage) json.RawMessage {
		if m == method && result == "" {
			return nil
		} else if m == method {
			return json.RawMessage(result)
		}
		return honest
	}
}

// flipped is a hex string with a byte of its middle changed.
func flipped(hex any) string {
	data := common.FromHex(hex.(string))
	if len(data) == 0 {
		return "0x00"
	}
	data[len(data)/2] ^= 1
	return fmt.Sprintf("0x%x", data)
}

// onSlotProofs changes the nodes that prove each storage slot.
func onSlotProofs(change func(nodes []any) []any) bed.Lie {
	return lieAbout("eth_getProof", func(result map[string]any) {
		slots, _ := result["storageProof"].([]any)
		for _, s := range slots {
			s := s.(map[string]any)
			nodes, _ := s["proof"].([]any)
			s["proof"] = change(nodes)
		}
	})
}

// TestLyingProvider puts a backend before dens that lies about what it is asked for, alone and beside an
// honest one that is slower. All lies are of one that would like to be believed, or not to answer at all.
func TestLyingProvider(t *testing.T) {
	t.Parallel()
	chain := world(t)
	failed := []int{24}
	tests := []struct {
		name  string
		fault bed.Fault
		lie   bed.Lie
		codes []int // of the extended error without an honest backend
		proof bool  // a proof does not hold
	}{
		{"an altered leaf", 0, onSlotProofs(func(nodes []any) []any {
			if len(nodes) > 0 {
				nodes[len(nodes)-1] = flipped(nodes[len(nodes)-1])
			}
			return nodes
		}), failed, true},
		{"a truncated path to the account", 0, lieAbout("eth_getProof", func(r map[string]any) {
			nodes, _ := r["accountProof"].([]any)
			r["accountProof"] = nodes[:max(len(nodes)-1, 0)]
		}), failed, true},
		{"a dropped slot", 0, lieAbout("eth_getProof", func(r map[string]any) {
			slots, _ := r["storageProof"].([]any)
			r["storageProof"] = slots[:max(len(slots)-1, 0)]
		}), failed, false},
		{"wrong code", 0, sayAlways("eth_getCode", `"0x600160005260206000f3"`), failed, true},
		{"a changed state root", 0, lieAbout("eth_getBlockByHash", func(r map[string]any) { r["stateRoot"] = flipped(r["stateRoot"]) }), failed, true},
		{"null for proofs", 0, sayAlways("eth_getProof", "null"), failed, false},
		{"null for the block", 0, sayAlways("eth_getBlockByHash", "null"), []int{14}, false},
		{"no JSON", bed.Garbage, nil, []int{22, 24}, false},
		{"huge answers", bed.Huge, nil, []int{22}, false},
		{"answers that come byte by byte", bed.Drip, nil, []int{23, 22}, false},
		{"no answers", bed.Down, nil, []int{22}, false},
		{"late answers", bed.Slow, nil, []int{23, 22}, false},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			liar, honest := bed.NewProxy(t, chain.HTTPURL()), bed.NewProxy(t, chain.HTTPURL())
			honest.SetDelay(30 * time.Millisecond)
			liar.SetLie(c.lie)
			alone := bed.Serve(t, provenConfig(t, chain, chain.Beacon, worldOptions{rpc: []string{liar.URL}, chainExt: "    timeout: 2s\n"}))
			both := bed.Serve(t, provenConfig(t, chain, chain.Beacon, worldOptions{rpc: []string{liar.URL, honest.URL}}))
			liar.Set(c.fault)
			got := unanswered(t, alone.DNS, c.codes...)
			if text := bed.EDE(got).ExtraText; c.codes[0] == 24 && !strings.Contains(text, strings.TrimPrefix(liar.URL, "http://")) {
				t.Errorf("the extended error does not name the liar: %q", text)
			}
			for range 3 {
				if o := fresh(t, both.DNS); !slices.Contains(o.Backends, "operator2") {
					t.Errorf("answered by %v, and not by the honest one", o.Backends)
				}
			}
			if bad := metric(t, alone, "dens_chain_bad_proofs_total"); c.proof && bad == 0 {
				t.Error("/metrics counts no bad proofs")
			}
		})
	}
}

// forged makes an answer of a kind out of a forgery.
func forged(kind string, body []byte, f *consensus.Forged) []byte {
	switch kind {
	case "optimistic_update":
		return f.Optimistic
	case "finality_update":
		return f.Finality
	case "updates":
		return slices.Concat([]byte("["), f.Update, []byte("]"))
	}
	return body
}

// TestLyingBeacon puts a beacon API before dens that lies, alone and beside an honest one.
func TestLyingBeacon(t *testing.T) {
	t.Parallel()
	chain := signed(t, consensus.Config{})
	evil := consensus.NewCommittee("of the attacker")
	forgery := func(f func() consensus.Forgery) consensus.Rewrite {
		return func(kind string, body []byte) []byte {
			made, err := chain.Forge(f())
			if err != nil {
				t.Error(err)
				return nil
			}
			return forged(kind, body, made)
		}
	}
	var all []*rumour
	for name, rewrite := range map[string]consensus.Rewrite{
		"the attacker's committee": forgery(func() consensus.Forgery {
			return consensus.Forgery{Signer: evil, Hash: common.Hash{1}}
		}),
		"341 signers":               forgery(func() consensus.Forgery { return consensus.Forgery{Signers: 341} }),
		"a slot of the future":      forgery(func() consensus.Forgery { return consensus.Forgery{Slot: chain.Now() + 600} }),
		"another execution hash":    replaceHash,
		"an unknown checkpoint":     only("bootstrap"),
		"withheld updates":          only("optimistic_update", "finality_update", "updates"),
		"no JSON":                   func(string, []byte) []byte { return []byte("<html>") },
		"another block's bootstrap": forgeBootstrap(t, chain),
	} {
		r := &rumour{name: name, rewrite: rewrite, liar: bed.NewBeaconAPI(t, chain)}
		r.liar.SetRewrite(rewrite)
		r.alone = bed.ServeUnready(t, provenConfig(t, world(t), chain, worldOptions{}, r.liar.URL))
		all = append(all, r)
	}
	var asking sync.WaitGroup
	for _, r := range all { // all at once, since each takes as long as there is hope
		name := freshName()
		asking.Go(func() { r.got, r.err = bed.TryAsk(r.alone.DNS, name, dns.TypeA) })
	}
	asking.Wait()
	honest := bed.NewBeaconAPI(t, chain)
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) { r.check(t, chain, honest) })
	}
}

// rumour is a lie of a beacon API, and what came of it.
type rumour struct {
	name    string
	rewrite consensus.Rewrite
	liar    *bed.BeaconAPI
	alone   *bed.Server // which knows only the liar
	got     *dns.Msg
	err     error
}

func (r *rumour) check(t *testing.T, chain *consensus.Chain, honest *bed.BeaconAPI) {
	t.Helper()
	if r.err != nil || r.got.Rcode != dns.RcodeServerFailure || ede(r.got) != 14 || len(r.got.Answer) > 0 {
		t.Errorf("alone: %v %v, want SERVFAIL with extended error 14", r.got, r.err)
	}
	if status, body := r.alone.Get(t, "/readyz"); !strings.Contains(body, `"name":"chain demo","ready":false,"reason":"light client: `) {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if left := metric(t, r.alone, "dens_chain_anchor_expires_seconds"); left != 0 {
		t.Errorf("/metrics: an anchor for %v s", left)
	}
	if r.liar.Requests("bootstrap") == 0 {
		t.Error("the liar was not asked")
	}
	both := bed.Serve(t, provenConfig(t, world(t), chain, worldOptions{}, r.liar.URL, honest.URL))
	if o := fresh(t, both.DNS); !slices.Equal(o.Proof.Vouchers, []string{strings.TrimPrefix(honest.URL, "http://")}) {
		t.Errorf("brought by %v, and not by the honest one", o.Proof.Vouchers)
	}
}

// only has it be 404 for some kinds of answers.
func only(kinds ...string) consensus.Rewrite {
	return func(kind string, body []byte) []byte {
		if slices.Contains(kinds, kind) {
			return nil
		}
		return body
	}
}

// replaceHash puts another execution block's hash in the place of the right one.
func replaceHash(kind string, body []byte) []byte {
	const key = `"block_hash":"0x`
	text := string(body)
	for at := strings.Index(text, key); at >= 0; {
		from := at + len(key)
		text = text[:from] + strings.Repeat("66", 32) + text[from+64:]
		next := strings.Index(text[from:], key)
		if next < 0 {
			break
		}
		at = from + next
	}
	return []byte(text)
}

// forgeBootstrap has another block, with the attacker's committee, in the place of the checkpoint.
func forgeBootstrap(t *testing.T, chain *consensus.Chain) consensus.Rewrite {
	evil := consensus.NewCommittee("of the attacker")
	return func(kind string, body []byte) []byte {
		if kind != "bootstrap" {
			return body
		}
		made, err := chain.Forge(consensus.Forgery{Current: evil, Signer: evil})
		if err != nil {
			t.Error(err)
			return nil
		}
		return made.Bootstrap
	}
}
