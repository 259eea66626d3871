package pool

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/internal/rpctest"
)

// TestBlame: a backend whose answer does not prove what was asked for is asked last at once, is told of
// once, and is back after a while.
func TestBlame(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]error{"bad proof": chain.ErrBadProof, "malformed": chain.ErrMalformed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logged
			p, nodes := several(t, Config{Log: log.logger()}, func(ec *EndpointConfig) {
				ec.BlockInterval, ec.IdlePoll = time.Hour, time.Hour
			}, "a", "b")
			settle(p)
			asked := 0
			for range 5 {
				err := p.Fetch(t.Context(), proofs(nodes[0].Head()), func(r chain.Reply) error {
					if r.Backend == "n0" {
						asked++
						return fmt.Errorf("account 7: %w", kind)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if asked != 1 {
				t.Errorf("the liar was asked %d times of 5", asked)
			}
			s := p.Status()[0]
			wrong := uint64(0)
			if kind == chain.ErrBadProof {
				wrong = 1
			}
			if s.Demoted < 4*time.Minute || s.Demoted > 5*time.Minute {
				t.Errorf("demoted for %v", s.Demoted)
			}
			if s.Rejected != 1 || s.BadProofs != wrong || !strings.Contains(s.LastError, "account 7: "+kind.Error()) || s.State != Closed {
				t.Errorf("status %+v", s)
			}
			if got := strings.Count(log.String(), "asked last for a while"); got != 1 {
				t.Errorf("the log says so %d times:\n%s", got, log.String())
			}
			if p.ranked()[0].Name() != "n1" {
				t.Error("not asked last")
			}
			p.endpoints[0].health.mu.Lock()
			p.endpoints[0].health.demoted = time.Now() // the while is over
			p.endpoints[0].health.mu.Unlock()
			settle(p)
			var got chain.Reply
			if err := p.Fetch(t.Context(), proofs(nodes[0].Head()), takes(&got)); err != nil || got.Backend != "n0" {
				t.Errorf("afterwards: %+v, %v", got, err)
			}
		})
	}
}

// TestAllLie: nobody left to ask is the proofs' fault, whatever else went wrong; each is named.
func TestAllLie(t *testing.T) {
	t.Parallel()
	p, nodes := calm(t, Config{}, "a", "b", "c")
	nodes[1].Close()
	err := p.Fetch(t.Context(), proofs(nodes[0].Head()), refuses(chain.ErrBadProof, "n0", "n2"))
	nodes[1].Restart()
	if !errors.Is(err, chain.ErrBadProof) || !strings.HasPrefix(err.Error(), chain.ErrBadProof.Error()) {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"n0: account 7", "n1: connection ", "n2: account 7"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	var named *chain.BackendError
	if !errors.As(err, &named) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q", err)
	}
}

// TestLiarLosesItsCircuit: several wrong answers in a row take a backend out of use; its error still says
// why, the log is not flooded, and it is back when a probe succeeds.
func TestLiarLosesItsCircuit(t *testing.T) {
	t.Parallel()
	var log logged
	n := fakeNode(t)
	ec := quick(n.URL())
	ec.Name, ec.Log = "n0", log.logger()
	p := newPool(t, Config{Endpoints: []EndpointConfig{ec}})
	eventually(t, "a head", p.Ready)
	lie := func() error { return p.Fetch(t.Context(), proofs(n.Head()), refuses(chain.ErrBadProof, "n0")) }
	for range failuresToOpen {
		if err := lie(); !errors.Is(err, chain.ErrBadProof) {
			t.Fatal(err)
		}
	}
	if p.Ready() {
		t.Error("still in use")
	}
	if err := lie(); !errors.Is(err, chain.ErrBadProof) || !strings.Contains(err.Error(), "out of use") {
		t.Errorf("error %v", err)
	}
	eventually(t, "a probe", p.Ready)
	if err := lie(); !errors.Is(err, chain.ErrBadProof) || p.Ready() {
		t.Errorf("one more lie: %v", err)
	}
	eventually(t, "a probe", p.Ready)
	if got := strings.Count(log.String(), "\n"); got != 1 || !strings.Contains(log.String(), "not proven") {
		t.Errorf("the log:\n%s", log.String())
	}
	if err := p.Fetch(t.Context(), proofs(n.Head()), func(chain.Reply) error { return nil }); err != nil {
		t.Errorf("an honest answer: %v", err)
	}
	if s := p.Status()[0]; s.BadProofs != failuresToOpen+1 || s.State != Closed {
		t.Errorf("status %+v", s)
	}
	if err := lie(); !errors.Is(err, chain.ErrBadProof) || !p.Ready() {
		t.Errorf("one lie after the truth took it out of use: %v", err)
	}
}

// TestDeadLiarIsLogged: a backend out of use for its lies that then dies is told of as dead, and as back.
func TestDeadLiarIsLogged(t *testing.T) {
	h := health{chance: func() float64 { return 0 }}
	now := time.Now()
	for i := range failuresToOpen {
		first, opened := h.blame(&failure{kind: chain.ErrBadProof}, true, time.Minute, now)
		if first != (i == 0) || opened != (i == failuresToOpen-1) {
			t.Errorf("lie %d: first %v, opened %v", i, first, opened)
		}
	}
	if _, closed := h.probed(true, now, now); closed || h.state != Closed || h.backoff == 0 {
		t.Errorf("a probe closed it loudly, or the back-off was forgotten: %v", h.backoff)
	}
	h.blame(&failure{kind: chain.ErrBadProof}, true, time.Minute, now)
	if opened, _ := h.probed(false, now, now); !opened {
		t.Error("its death is not told")
	}
	if _, closed := h.probed(true, now, now); !closed {
		t.Error("its return is not told")
	}
	h.upheld()
	if h.probed(true, now, now); h.backoff != 0 {
		t.Error("the back-off stays after a truth")
	}
}

// TestGuessesOpenNoCircuit: a contract can make honest backends guess wrong, which must cost them no more
// than their rank for a short while.
func TestGuessesOpenNoCircuit(t *testing.T) {
	t.Parallel()
	var log logged
	p, nodes := calm(t, Config{Log: log.logger()}, "a", "b")
	p.Blame("nobody", chain.ErrMalformed)
	for range 3 * failuresToOpen {
		p.Blame("n0", fmt.Errorf("%w: access list left out 7", chain.ErrMalformed))
	}
	s := p.Status()
	if s[0].State != Closed || s[0].Demoted <= 0 || s[0].Demoted > hintDemotion || s[0].Rejected != 0 || !strings.Contains(s[0].LastError, "left out 7") || s[1].Demoted != 0 {
		t.Errorf("status %+v", s)
	}
	if got := strings.Count(log.String(), "guesses wrong"); got != 1 {
		t.Errorf("the log says so %d times", got)
	}
	var got chain.Reply
	if err := p.Fetch(t.Context(), proofs(nodes[0].Head()), takes(&got)); err != nil || got.Backend != "n1" {
		t.Errorf("%s, %v", got.Backend, err)
	}
	p.endpoints[0].health.blame(&failure{kind: chain.ErrBadProof}, true, time.Minute, time.Now())
	p.Blame("n0", chain.ErrMalformed)
	if d := p.Status()[0].Demoted; d < hintDemotion {
		t.Errorf("a guess made the demotion for a lie shorter: %v", d)
	}
}

// TestUnknownBlockIsNoBlame: who does not have the block is passed over, and keeps its rank.
func TestUnknownBlockIsNoBlame(t *testing.T) {
	t.Parallel()
	p, nodes := calm(t, Config{}, "a", "b")
	for range 5 {
		settle(p)
		p.endpoints[0].health.upheld()
		asked := ""
		err := p.Fetch(t.Context(), proofs(nodes[0].Head()), func(r chain.Reply) error {
			asked += r.Operator
			if r.Operator == "a" {
				return fmt.Errorf("header: %w", chain.ErrUnknownBlock)
			}
			return nil
		})
		if err != nil || asked != "ab" {
			t.Fatalf("asked %s, %v", asked, err)
		}
	}
	prefer(p) // but for how long their answers took
	if s := p.Status()[0]; s.Demoted != 0 || s.State != Closed || s.Rejected != 5 || s.BadProofs != 0 || p.ranked()[0].Operator() != "a" {
		t.Errorf("status %+v", s)
	}
}

// TestAlwaysUnknownIsAskedLess: a backend that never has the state must not cost every look-up a round trip.
func TestAlwaysUnknownIsAskedLess(t *testing.T) {
	t.Parallel()
	p, nodes := calm(t, Config{}, "a", "b")
	asked := 0
	for range 10 {
		err := p.Fetch(t.Context(), proofs(nodes[0].Head()), func(r chain.Reply) error {
			if r.Operator == "a" {
				asked++
				return chain.ErrUnknownBlock
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if asked < 2 || asked > 5 {
		t.Errorf("asked %d times of 10", asked)
	}
	if s := p.Status()[0]; s.Demoted != 0 || s.State != Closed {
		t.Errorf("status %+v", s)
	}
}

// TestSecondLook: a block that no backend has is looked for once more, shortly after.
func TestSecondLook(t *testing.T) {
	t.Parallel()
	p, nodes := calm(t, Config{}, "a", "b")
	head := rpctest.Block(101, "main", time.Now())
	var asked atomic.Int32
	for _, n := range nodes {
		n.Handle("eth_getProof", func([]json.RawMessage) rpctest.Answer {
			if asked.Add(1) <= 2 {
				return rpctest.Answer{Code: -32000, Error: "header not found"}
			}
			return rpctest.Answer{Result: map[string]any{"accountProof": []string{"0x01"}}}
		})
	}
	began := time.Now()
	err := p.Fetch(t.Context(), proofs(head)[:1], func(r chain.Reply) error { return r.Errs[0] })
	if err != nil || asked.Load() != 3 || time.Since(began) < secondLook {
		t.Errorf("asked %d times in %v, %v", asked.Load(), time.Since(began), err)
	}
	asked.Store(-1000)
	err = p.Fetch(t.Context(), proofs(head)[:1], func(r chain.Reply) error { return r.Errs[0] })
	if !errors.Is(err, chain.ErrUnknownBlock) || asked.Load() != -996 || strings.Count(err.Error(), "header not found") != 2 || !strings.HasPrefix(err.Error(), chain.ErrUnknownBlock.Error()) {
		t.Errorf("asked %d times, %v", asked.Load()+1000, err)
	}
	for range 20 { // until both have answered before the time is over
		asked.Store(-1000)
		err = p.Fetch(within(t, secondLook-10*time.Millisecond), proofs(head)[:1], func(r chain.Reply) error { return r.Errs[0] })
		if !errors.Is(err, chain.ErrTimeout) {
			break
		}
	}
	if !errors.Is(err, chain.ErrUnknownBlock) || asked.Load() > -998 {
		t.Errorf("asked %d times with no time for it, %v", asked.Load()+1000, err)
	}
}

// TestVerdict: what the client is to be told of several failures.
func TestVerdict(t *testing.T) {
	unknown, late, down, lie := chain.ErrUnknownBlock, chain.ErrTimeout, chain.ErrUnavailable, chain.ErrBadProof
	tests := []struct {
		said []error
		want error
	}{
		{nil, down}, {[]error{down, down}, down}, {[]error{unknown, unknown}, unknown}, {[]error{unknown, down}, down},
		{[]error{unknown, late}, late}, {[]error{down, lie, late}, lie}, {[]error{chain.ErrStaleHead, late}, chain.ErrStaleHead},
		{[]error{chain.ErrMalformed, down}, down}, {[]error{errRateLimited}, down},
	}
	for _, tt := range tests {
		r := race[int]{}
		for _, err := range tt.said {
			r.failed = append(r.failed, setback{err: err})
		}
		err := r.verdict()
		if !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), tt.want.Error()) {
			t.Errorf("%v: %v, want %v", tt.said, err, tt.want)
		}
		for _, said := range tt.said {
			if !errors.Is(err, said) {
				t.Errorf("%v is lost in %v", said, err)
			}
		}
	}
}

// TestRejectionHidesSecrets: accept's words may hold the backend's, and those what is in the URL.
func TestRejectionHidesSecrets(t *testing.T) {
	n := fakeNode(t)
	ec := quick(n.URL() + "/secret-key-0123")
	var log logged
	ec.Log = log.logger()
	p := newPool(t, Config{Endpoints: []EndpointConfig{ec}})
	err := p.Fetch(t.Context(), proofs(n.Head()), func(r chain.Reply) error {
		return &chain.BackendError{Backend: r.Backend, Err: fmt.Errorf("%w: nonce %q\n", chain.ErrBadProof, "secret-key-0123")}
	})
	if !errors.Is(err, chain.ErrBadProof) || strings.Count(err.Error(), p.Endpoints()[0].Name()) != 1 {
		t.Errorf("error %v", err)
	}
	for _, text := range []string{err.Error(), log.String(), fmt.Sprintf("%+v", p.Status())} {
		if strings.Contains(text, "secret-key") || !strings.Contains(text, "nonce") {
			t.Errorf("a secret shows, or nothing: %s", text)
		}
	}
}

// TestDemotedIsNotSecond: another operator is preferred as the second, but not one that lied.
func TestDemotedIsNotSecond(t *testing.T) {
	p, _ := three(t, Config{}, "a", "a", "b", "c")
	prefer(p)
	p.endpoints[2].health.blame(&failure{kind: chain.ErrBadProof}, true, time.Minute, time.Now())
	var names []string
	for _, e := range p.ranked() {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "n0 n3 n1 n2" {
		t.Errorf("order %s", got)
	}
	r := race[int]{pool: p, left: p.ranked()[3:]}
	if got := r.patience(p.endpoints[0]); got != hedgeMost {
		t.Errorf("the liar is asked after %v", got)
	}
	if r.left = nil; r.patience(p.endpoints[0]) != hedgeLeast {
		t.Errorf("nobody is left, but the patience is %v", r.patience(p.endpoints[0]))
	}
}
