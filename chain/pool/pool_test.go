package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/internal/rpctest"
)

// three starts nodes and a pool over them; each is its own operator unless told otherwise.
func three(t testing.TB, cfg Config, operators ...string) (*Pool, []*rpctest.Node) {
	t.Helper()
	return several(t, cfg, func(*EndpointConfig) {}, operators...)
}

func calls(nodes []*rpctest.Node) []int {
	out := make([]int, len(nodes))
	for i, n := range nodes {
		_, out[i], _ = n.Counts()
	}
	return out
}

func TestPoolCall(t *testing.T) {
	p, nodes := three(t, Config{MaxHeadAge: time.Minute}, "a", "b", "c")
	if !p.Ready() {
		t.Error("not ready")
	}
	result, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x", "y")})
	if err != nil {
		t.Fatal(err)
	}
	if string(result.Outputs[1].Data) != "echo:y" || result.Trust != chain.Single || len(result.Backends) != 1 || result.Head.Hash != nodes[0].Head().Hash {
		t.Errorf("%+v", result)
	}
	older := rpctest.Block(50, "main", nodes[0].Head().Time.Add(-50*time.Second))
	result, err = p.Call(t.Context(), chain.Call{Msgs: msgs("x"), At: &older})
	if err != nil || result.Head != older {
		t.Errorf("at a block: %+v, %v", result, err)
	}
	for _, count := range []int{0, chain.MaxMsgs + 1} {
		if _, err := p.Call(t.Context(), chain.Call{Msgs: make([]chain.Msg, count)}); !errors.Is(err, chain.ErrLimit) {
			t.Errorf("%d messages: %v", count, err)
		}
	}
}

// TestPoolFailsOver: a failure costs the next backend's time, no more; the loser is asked last.
func TestPoolFailsOver(t *testing.T) {
	t.Parallel()
	p, nodes := three(t, Config{}, "a", "b", "c")
	prefer(p)
	nodes[0].SetCall(func(common.Address, []byte) rpctest.Reply {
		return rpctest.Reply{Code: -32601, Error: "no such method"}
	})
	for range 10 {
		result, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x")})
		if err != nil || result.Backends[0] == "a" {
			t.Fatalf("%+v, %v", result, err)
		}
	}
	if got := calls(nodes); got[0] > 5 || got[0] == 0 {
		t.Errorf("the broken one was asked %d times of 10", got[0])
	}
}

// TestPoolHedges: when the first takes longer than it mostly does, another operator's backend is asked.
func TestPoolHedges(t *testing.T) {
	t.Parallel()
	p, nodes := several(t, Config{}, func(ec *EndpointConfig) { ec.BlockInterval, ec.IdlePoll = time.Hour, time.Hour }, "a", "a", "b")
	prefer(p)
	patient(p.endpoints[2])
	release := make(chan struct{})
	nodes[0].Intercept(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	began := time.Now()
	result, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x")})
	close(release)
	if err != nil || result.Backends[0] != "b" {
		t.Fatalf("%+v, %v", result, err)
	}
	if took := time.Since(began); took < hedgeLeast {
		t.Errorf("hedged after %v", took)
	}
	if got := calls(nodes); got[1] != 0 {
		t.Errorf("the same operator's other backend was asked: %v", got)
	}
}

func TestRankedPutsOtherOperatorSecond(t *testing.T) {
	p, _ := three(t, Config{}, "a", "a", "b", "c")
	prefer(p)
	var names []string
	for _, e := range p.ranked() {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "n0 n2 n1 n3" {
		t.Errorf("order %s", got)
	}
}

// TestPoolLeavesLaggards: a backend that stays behind is not asked while others are level.
func TestPoolLeavesLaggards(t *testing.T) {
	t.Parallel()
	p, nodes := three(t, Config{}, "a", "b")
	prefer(p)
	nodes[1].Extend(100, 10, "main", time.Now())
	eventually(t, "lag", func() bool { return p.Status()[0].Lag == 10 })
	result, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x")})
	if err != nil || result.Backends[0] != "b" || result.Head.Number != 110 {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestLoneHeadIsNotTheLevel: one who tells of blocks that nobody else has is not preferred for it.
func TestLoneHeadIsNotTheLevel(t *testing.T) {
	tests := []struct {
		heads []uint64
		want  uint64
	}{{nil, 0}, {[]uint64{7}, 7}, {[]uint64{9, 7}, 9}, {[]uint64{1 << 60, 7, 9}, 9}, {[]uint64{9, 9, 3, 1}, 9}}
	for _, tt := range tests {
		if got := level(tt.heads); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.heads, got, tt.want)
		}
	}
}

func TestScoreForgets(t *testing.T) {
	h := health{chance: func() float64 { return 0 }}
	for range 10 {
		h.failed(&failure{kind: chain.ErrUnavailable, text: "x"}, true, time.Now())
		h.succeeded(time.Second, false)
	}
	if now, later := h.score(time.Now()), h.score(time.Now().Add(forgetAfter+time.Second)); now < 10*time.Second || later > 200*time.Millisecond {
		t.Errorf("score %v, later %v", now, later)
	}
}

func TestPoolStaleHead(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	n.Extend(99, 1, "old", time.Now().Add(-time.Hour))
	p := newPool(t, Config{MaxHeadAge: time.Minute, Endpoints: []EndpointConfig{quick(n.URL())}})
	_, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x")})
	if !errors.Is(err, chain.ErrStaleHead) {
		t.Errorf("error %v", err)
	}
	if p.Ready() {
		t.Error("ready")
	}
	if _, calls, _ := n.Counts(); calls != 0 {
		t.Error("the call was made")
	}
	n.Extend(100, 1, "old", time.Now())
	eventually(t, "a new block helps", func() bool {
		_, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x")})
		return err == nil
	})
	off := newPool(t, Config{Endpoints: []EndpointConfig{quick(n.URL())}})
	n.Extend(99, 1, "old", time.Now().Add(-time.Hour))
	if _, err := off.Call(t.Context(), chain.Call{Msgs: msgs("x")}); err != nil {
		t.Errorf("switched off: %v", err)
	}
}

// TestPoolFollowsUnknownBlock: a provider of several nodes may announce a block at one and be asked at
// another; then what is newest there is taken.
func TestPoolFollowsUnknownBlock(t *testing.T) {
	n := fakeNode(t)
	ec := quick(n.URL())
	ec.BlockInterval, ec.IdlePoll = time.Hour, time.Hour
	p := newPool(t, Config{Endpoints: []EndpointConfig{ec}})
	eventually(t, "a head", func() bool { return p.Status()[0].Head.Number == 100 })
	n.Extend(98, 2, "other", time.Now())
	result, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x")})
	if err != nil || result.Head.Hash != n.Head().Hash {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestPoolAllDown(t *testing.T) {
	t.Parallel()
	p, nodes := three(t, Config{Timeout: 5 * time.Second}, "a", "b")
	for _, n := range nodes {
		n.Close()
	}
	_, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x")})
	if !errors.Is(err, chain.ErrUnavailable) || !strings.Contains(err.Error(), "n0: ") || !strings.Contains(err.Error(), "n1: ") {
		t.Errorf("error %v", err)
	}
	eventually(t, "open circuits", func() bool { return !p.endpoints[0].Usable() && !p.endpoints[1].Usable() && !p.Ready() })
	for _, n := range nodes {
		n.Restart()
	}
	began := time.Now()
	eventually(t, "answers", func() bool {
		_, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x")})
		return err == nil
	})
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("answers again after %v", took)
	}
}

func TestPoolDeadline(t *testing.T) {
	t.Parallel()
	p, nodes := several(t, Config{Timeout: 150 * time.Millisecond}, func(ec *EndpointConfig) { ec.Timeout = time.Minute }, "a", "b", "c", "d")
	for _, n := range nodes {
		n.Intercept(silent)
	}
	began := time.Now()
	_, err := p.Call(context.Background(), chain.Call{Msgs: msgs("x")})
	if !errors.Is(err, chain.ErrTimeout) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestPoolUnderLoad: 100 callers at once, one backend dead, one that forges nothing but is slow; all get
// the right answer, no backend sees more requests at a time than allowed, and nothing is left over.
func TestPoolUnderLoad(t *testing.T) {
	noLeaks(t)
	p, nodes := three(t, Config{}, "a", "b", "c")
	nodes[0].Close()
	nodes[1].SetDelay(30 * time.Millisecond)
	var working sync.WaitGroup
	for i := range 100 {
		working.Go(func() {
			want := fmt.Sprintf("m%d", i)
			result, err := p.Call(t.Context(), chain.Call{Msgs: msgs(want, "z")})
			if err != nil || string(result.Outputs[0].Data) != "echo:"+want {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
	working.Wait()
	p.Close()
	if _, err := p.Call(t.Context(), chain.Call{Msgs: msgs("x")}); !errors.Is(err, chain.ErrUnavailable) && !errors.Is(err, chain.ErrTimeout) {
		t.Errorf("after Close: %v", err)
	}
	nodes[0].Restart()
}

// TestCloseDuringCalls: Close ends what is under way, at every transport.
func TestCloseDuringCalls(t *testing.T) {
	noLeaks(t)
	n := fakeNode(t)
	for _, url := range []string{n.URL(), n.WS()} {
		p, err := New(Config{Endpoints: []EndpointConfig{quick(url)}})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "a head", p.Ready)
		n.SetDelay(300 * time.Millisecond)
		var working sync.WaitGroup
		for range 10 {
			working.Go(func() { _, _ = p.Call(t.Context(), chain.Call{Msgs: msgs("x")}) })
		}
		time.Sleep(50 * time.Millisecond)
		began := time.Now()
		p.Close()
		working.Wait()
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("Close took %v", took)
		}
		n.SetDelay(0)
	}
	n.Close()
	n.Restart()
}

func TestNamesAreUnique(t *testing.T) {
	n := fakeNode(t)
	p := newPool(t, Config{Endpoints: []EndpointConfig{quick(n.URL() + "/key-number-one"), quick(n.URL() + "/key-number-two")}})
	a, b := p.Endpoints()[0].Name(), p.Endpoints()[1].Name()
	if a == b || !strings.HasPrefix(b, a) || strings.Contains(a+b, "key") {
		t.Errorf("names %q and %q", a, b)
	}
	if a, b := p.Endpoints()[0].Operator(), p.Endpoints()[1].Operator(); a != b || a != "127.0.0.1" {
		t.Errorf("operators %q and %q", a, b)
	}
}

// TestRateOfConfiguration: no more requests a second than the configuration allows.
func TestRateOfConfiguration(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.Rate = 20; c.BlockInterval, c.IdlePoll = time.Hour, time.Hour })
	eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	before, _, _ := n.Counts()
	began := time.Now()
	var working sync.WaitGroup
	for range 60 {
		working.Go(func() { _, _ = e.CallAt(within(t, 20*time.Second), msgs("x"), n.Head()) })
	}
	working.Wait()
	after, _, _ := n.Counts()
	if most := 20 + int(20*time.Since(began).Seconds()) + 1; after-before > most {
		t.Errorf("%d requests in %v, at most %d allowed", after-before, time.Since(began), most)
	}
	if !e.Usable() {
		t.Error("our own limit put the backend out of use")
	}
}

// TestSlots: a backend never has more of our requests at a time than maxInFlight.
func TestSlots(t *testing.T) {
	n := fakeNode(t)
	var mu sync.Mutex
	now, most := 0, 0
	e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.BlockInterval, c.IdlePoll = time.Hour, time.Hour })
	eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	n.Intercept(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(20 * time.Millisecond)
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		now--
		mu.Unlock()
		_, _ = w.Write(n.Answer(body))
	})
	var working sync.WaitGroup
	for range 200 {
		working.Go(func() {
			if _, err := e.CallAt(within(t, 30*time.Second), msgs("x"), n.Head()); err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	if most > maxInFlight {
		t.Errorf("%d at a time", most)
	}
}
