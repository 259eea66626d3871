package beacon

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"dens/chain"
	"dens/internal/demo/consensus"
)

// lie is one way in which an endpoint can be of no use.
type lie struct {
	name string
	do   script
	// said is part of what is said of the endpoint; "" means that it is merely not followed.
	said string
}

// lies are all of them for a world as it is now.
func lies(w *world) []lie {
	evil := consensus.NewCommittee("evil")
	head := w.chain.Head()
	wrong := w.forge(consensus.Forgery{Slot: head.Slot, Execution: block(666_666), Signer: evil})
	few := w.forge(consensus.Forgery{Slot: head.Slot, Execution: block(666_666), Signers: 341})
	future := w.forge(consensus.Forgery{Slot: head.Slot + 20_000, Execution: block(666_666), SignatureSlot: head.Slot + 20_001})
	captured := w.forge(consensus.Forgery{Slot: w.slot, Execution: block(666_666), Current: evil, Next: evil, Signer: evil})
	handover := w.forge(consensus.Forgery{Slot: w.slot + 100, Execution: block(666_666), Signer: evil, Next: evil})
	endless := strings.Repeat("x", 64<<10)
	hash, swapped := []byte(head.Hash.Hex()), []byte(block(666_666).Hash().Hex())
	swap := func(body []byte) []byte { return bytes.ReplaceAll(body, hash, swapped) }
	return []lie{
		{"forged committee", forged(wrong), "wrong signature"},
		{"forged handover", instead("updates", fmt.Appendf(nil, "[%s]", handover.Update)), ""},
		{"handover to a committee that was not proven", instead("updates", fmt.Appendf(nil, "[%s]", captured.Update)), ""},
		{"341 signers", forged(few), "too few signers"},
		{"future slot", forged(future), "the local clock is behind"},
		{"captured from the start", forged(captured), ""},
		{"block hash replaced", rewrite("optimistic_update finality_update updates", swap), ""},
		{"signature of zeros", rewrite("optimistic_update", zeros("sync_committee_signature", 96)), "wrong signature"},
		{"withheld", withholding(), ""},
		{"unknown checkpoint", status("bootstrap", 404, `{"code":404,"message":"LC bootstrap unavailable"}`), ""},
		{"bootstrap of another block", instead("bootstrap", captured.Bootstrap), ""},
		{"no updates", instead("updates", []byte("[]")), ""},
		{"404", status(everything, 404, `{"code":404,"message":"no such route"}`), "HTTP status 404: no such route"},
		{"401", status(everything, 401, `{"message":"unauthorized"}`), "HTTP status 401: unauthorized"},
		{"429", status(everything, 429, ""), "HTTP status 429"},
		{"500", status(everything, 500, "<html>oops</html>"), "HTTP status 500"},
		{"503", status(everything, 503, `{"message":"syncing"}`), "HTTP status 503: syncing"},
		{"204", status(everything, 204, ""), "HTTP status 204"},
		{"nothing", instead(everything, nil), "malformed"},
		{"null", instead(everything, []byte("null")), "malformed"},
		{"empty object", instead(everything, []byte("{}")), "it is missing"},
		{"list of nulls", instead(everything, []byte("[null,null]")), ""},
		{"garbage", instead(everything, []byte("\x00\xff<html>\x1b[31m")), "malformed"},
		{"no JSON but SSZ", instead(everything, make([]byte, 25_000)), "malformed"},
		{"cut short", rewrite(everything, func(b []byte) []byte { return b[:len(b)/2] }), "malformed"},
		{"twice", rewrite(everything, func(b []byte) []byte { return append(b, b...) }), ""},
		{"deep nesting", instead(everything, []byte(strings.Repeat("[", 20_000))), "nested deeper"},
		{"deep nesting in a field", instead(everything, []byte(`{"version":"fulu","data":{"x":`+strings.Repeat(`{"x":`, 5_000)+strings.Repeat("}", 5_002))), "nested deeper"},
		{"huge", func(_ string, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, endless); err != nil {
					return
				}
			}
		}, "longer than"},
		{"huge and told so", func(_ string, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "1000000000000")
			_, _ = io.WriteString(w, endless)
		}, "longer than"},
		{"compressed bomb", bomb(), "longer than"},
		{"huge headers", func(_ string, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			for i := range 100 {
				w.Header().Set(fmt.Sprintf("X-%d", i), endless[:4096])
			}
		}, "headers exceeded"},
		{"slow drip", func(_ string, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				sleep(r, 20*time.Millisecond)
			}
		}, "no answer in time"},
		{"hanging", func(_ string, _ http.ResponseWriter, r *http.Request, _ http.Handler) { sleep(r, time.Hour) }, "no answer in time"},
		{"broken off", func(_ string, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "{")
			panic(http.ErrAbortHandler)
		}, "connection closed"},
		{"redirect to an honest place", func(_ string, rw http.ResponseWriter, r *http.Request, honest http.Handler) {
			if strings.HasPrefix(r.URL.Path, "/honest") {
				http.StripPrefix("/honest", honest).ServeHTTP(rw, r)
				return
			}
			http.Redirect(rw, r, "/honest"+r.URL.Path, http.StatusFound)
		}, "redirects are not followed"},
	}
}

func (w *world) forge(f consensus.Forgery) *consensus.Forged {
	w.t.Helper()
	made, err := w.chain.Forge(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

// forged serves a forgery as the head.
func forged(f *consensus.Forged) script {
	return func(kind string, w http.ResponseWriter, r *http.Request, honest http.Handler) {
		switch kind {
		case "optimistic_update":
			_, _ = w.Write(f.Optimistic)
		case "finality_update":
			_, _ = w.Write(f.Finality)
		default:
			honest.ServeHTTP(w, r)
		}
	}
}

// zeros replaces a field's value by n zero bytes.
func zeros(field string, n int) func([]byte) []byte {
	return func(body []byte) []byte {
		at := bytes.Index(body, []byte(`"`+field+`":"`))
		if at < 0 {
			return body
		}
		at += len(field) + 4
		copy(body[at:], hexutil.Encode(make([]byte, n)))
		return body
	}
}

// withholding serves the first answer for ever.
func withholding() script {
	kept := make(chan map[string][]byte, 1)
	kept <- map[string][]byte{}
	return func(kind string, w http.ResponseWriter, r *http.Request, honest http.Handler) {
		known := <-kept
		defer func() { kept <- known }()
		rewrite(everything, func(body []byte) []byte {
			if known[kind] == nil {
				known[kind] = bytes.Clone(body)
			}
			return known[kind]
		})(kind, w, r, honest)
	}
}

// bomb is 4 MiB of white space in 4 KiB.
func bomb() script {
	return func(_ string, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		for range 4 {
			_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
		}
		_ = z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}
}

// sleep waits, as long as the request lasts.
func sleep(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// TestLiesAtStart: a client all of whose endpoints but the last lie has the right anchor from that one. There
// are some groups, so that each lie comes to be asked for what it lies about.
func TestLiesAtStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second, History: 1})
	all := lies(w)
	groups := map[string][]string{
		"checkpoint": {"unknown checkpoint", "bootstrap of another block", "captured from the start"},
		"committees": {"no updates", "forged handover", "handover to a committee that was not proven"},
		"heads":      {"forged committee", "341 signers", "future slot", "block hash replaced", "signature of zeros", "withheld"},
	}
	var others []string
	for _, l := range all {
		if !slices.ContainsFunc([]string{"checkpoint", "committees", "heads"}, func(g string) bool { return slices.Contains(groups[g], l.name) }) {
			others = append(others, l.name)
		}
	}
	groups["all"] = others
	for name, group := range groups {
		t.Run(name, func(t *testing.T) {
			world := *w
			world.t = t
			world.lieAtStart(t, all, group)
		})
	}
}

func (w *world) lieAtStart(t *testing.T, all []lie, names []string) {
	var endpoints []Endpoint
	said := map[string]string{}
	for _, l := range all {
		if slices.Contains(names, l.name) {
			_, e := w.server(l.name, l.do)
			endpoints = append(endpoints, e)
			said[l.name] = l.said
		}
	}
	if len(endpoints) != len(names) {
		t.Fatalf("%d of %d lies", len(endpoints), len(names))
	}
	_, honest := w.server("honest", nil)
	cfg := w.config(append(endpoints, honest)...)
	cfg.Timeout = 2 * time.Second
	c := w.client(cfg)
	eventually(t, "an anchor", c.Ready) // on a busy machine the honest one's answer may come too late at first
	w.same(anchor(t, c))
	for i, e := range endpoints {
		eventually(t, "the reproach of "+e.Name, func() bool {
			s := c.Status().Endpoints[i]
			return s.Requests > 0 && strings.Contains(s.LastError, said[e.Name])
		})
	}
	w.same(anchor(t, c))
}

// same fails the test unless a is the chain's newest block.
func (w *world) same(a chain.Anchor) {
	w.t.Helper()
	if head := w.chain.Head(); a.Hash != head.Hash || a.Beacon.Slot != head.Slot || a.Beacon.Root != head.Root {
		w.t.Errorf("anchor %v at slot %d, want %v at slot %d", a.Hash, a.Beacon.Slot, head.Hash, head.Slot)
	}
}

// TestLiesLater: whichever endpoint is in use begins to lie. Anchors keep coming, and all are the chain's.
// When it is honest again it is found to be so.
func TestLiesLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second, Auto: true})
		alpha, first := w.inside("alpha", nil)
		beta, second := w.inside("beta", nil)
		c := w.client(w.config(first, second))
		anchor(t, c)
		for _, name := range []string{"forged committee", "341 signers", "future slot", "withheld", "500", "garbage", "huge", "slow drip", "hanging", "broken off"} {
			time.Sleep(24 * time.Second)
			w.fresh(c)
			for at, s := range []*server{alpha, beta} {
				if e := c.Status().Endpoints[at]; anchor(t, c).Vouchers[0] == e.Name {
					all := lies(w)
					lieLater(t, w, c, s, at, all[slices.IndexFunc(all, func(l lie) bool { return l.name == name })])
					break
				}
			}
			if t.Failed() {
				t.Fatalf("at %q", name)
			}
		}
	})
}

// fresh returns the anchor, which must be a young one of the chain's blocks.
func (w *world) fresh(c *Client) chain.Anchor {
	w.t.Helper()
	a := anchor(w.t, c)
	if !w.blocks.has(a.Hash) {
		w.t.Fatalf("anchor %v is none of the chain's", a.Hash)
	}
	if a.Beacon.Slot+3 < w.chain.Now() {
		w.t.Fatalf("slot %d in slot %d: %+v", a.Beacon.Slot, w.chain.Now(), c.Status())
	}
	return a
}

func lieLater(t *testing.T, w *world, c *Client, s *server, at int, l lie) {
	s.set(l.do)
	before, last := c.Status().Endpoints[at].Requests, anchor(t, c).Beacon.Slot
	for range 5 {
		time.Sleep(12 * time.Second)
		a := w.fresh(c)
		if a.Beacon.Slot < last {
			t.Fatalf("slot %d after %d", a.Beacon.Slot, last)
		}
		last = a.Beacon.Slot
	}
	status := c.Status()
	if status.FailingFor != 0 || status.Reason != "" {
		t.Errorf("status %+v", status)
	}
	e := status.Endpoints[at]
	if l.said != "" && !strings.Contains(e.LastError, l.said) {
		t.Errorf("the liar is %+v", e)
	}
	if n := e.Requests - before; n > 25 {
		t.Errorf("the liar was asked %d times", n)
	}
	wasUsable := e.Usable
	s.set(nil)
	time.Sleep(backoffMax + 24*time.Second)
	anchor(t, c)
	if e := c.Status().Endpoints[at]; !wasUsable && (!e.Usable || e.LastError != "") {
		t.Errorf("the honest endpoint is %+v", e)
	}
}
