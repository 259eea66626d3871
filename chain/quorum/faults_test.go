package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/internal/rpctest"
	"dens/chain/pool"
	"dens/chain/quorum"
)

// world is a Quorum of 2 over a pool of real sockets, each node of an operator of its own.
type world struct {
	*quorum.Quorum
	pool  *pool.Pool
	nodes []*rpctest.Node

	patience time.Duration // of those who ask
}

func newWorld(t testing.TB, n int) *world { return newWorldOf(t, n, 5*time.Second) }

// newWorldOf has its requests time out after patience.
func newWorldOf(t testing.TB, n int, patience time.Duration) *world {
	t.Helper()
	w := &world{patience: 2 * patience}
	var endpoints []pool.EndpointConfig
	for i := range n {
		node := rpctest.New()
		t.Cleanup(node.Close)
		w.nodes = append(w.nodes, node)
		url := node.URL()
		if i == 1 {
			url = node.WS() // one that pushes heads beside those that are polled
		}
		endpoints = append(endpoints, pool.EndpointConfig{
			URL: url, Operator: string(rune('a' + i)), ChainID: 1, Timeout: patience,
			BlockInterval: 100 * time.Millisecond, IdlePoll: 100 * time.Millisecond,
		})
	}
	p, err := pool.New(pool.Config{Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	w.pool = p
	var backends []quorum.Backend
	for _, e := range p.Endpoints() {
		backends = append(backends, e)
	}
	w.Quorum, err = quorum.New(quorum.Config{Backends: backends, K: 2, Timeout: 2 * patience, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	eventually(t, "all heads", func() bool {
		for _, s := range p.Status() {
			if s.Head.Number != 100 {
				return false
			}
		}
		return w.Ready()
	})
	return w
}

func (w *world) ask(t *testing.T, what string) (chain.Result, error) {
	ctx, cancel := context.WithTimeout(t.Context(), w.patience)
	defer cancel()
	to := common.HexToAddress("0x1")
	return w.Call(ctx, chain.Call{Msgs: []chain.Msg{{To: to, Data: []byte(what)}, {To: to, Data: []byte("second")}}})
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

// TestFaultsUnderLoad: whatever one of three backends does, no answer is ever wrong, and the two others
// go on to be heard. Only who forges results makes calls fail as conflicts, and not for long.
func TestFaultsUnderLoad(t *testing.T) {
	faults := map[string]func(n *rpctest.Node){
		"forged": func(n *rpctest.Node) {
			n.SetCall(func(common.Address, []byte) rpctest.Reply { return rpctest.Reply{Data: []byte("forged")} })
		},
		"forged revert": func(n *rpctest.Node) {
			n.SetCall(func(common.Address, []byte) rpctest.Reply {
				return rpctest.Reply{Code: 3, Error: "execution reverted", Extra: "0x"}
			})
		},
		"slow":        func(n *rpctest.Node) { n.SetDelay(300 * time.Millisecond) },
		"wrong chain": func(n *rpctest.Node) { n.SetChainID(5); n.Close(); n.Restart() },
		"stale":       func(n *rpctest.Node) { n.Extend(50, 1, "main", time.Now()) },
		"garbage": func(n *rpctest.Node) {
			n.Intercept(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "}{") })
		},
		"429": func(n *rpctest.Node) {
			n.Intercept(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(429)
			})
		},
		"huge": func(n *rpctest.Node) {
			n.Intercept(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 8<<20)) })
		},
		"closing": func(n *rpctest.Node) {
			n.Intercept(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		},
		"down":        func(n *rpctest.Node) { n.Close() },
		"other block": func(n *rpctest.Node) { n.Extend(95, 6, "fork", time.Now()) },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 3)
			var right, conflicts, other atomic.Int32
			stop := make(chan struct{})
			var callers sync.WaitGroup
			for c := range 4 {
				callers.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						what := fmt.Sprintf("%d/%d", c, i)
						r, err := w.ask(t, what)
						switch {
						case err == nil && string(r.Outputs[0].Data) == "echo:"+what && r.Trust == chain.Quorum && len(r.Backends) == 2:
							right.Add(1)
						case err == nil:
							t.Errorf("a wrong answer: %+v", r)
						case errors.Is(err, chain.ErrConflict):
							conflicts.Add(1)
						default:
							other.Add(1)
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
			time.Sleep(100 * time.Millisecond)
			fault(w.nodes[0])
			time.Sleep(400 * time.Millisecond)
			before := right.Load()
			eventually(t, "answers in spite of the fault", func() bool { return right.Load() > before+20 })
			close(stop)
			callers.Wait()
			if !strings.HasPrefix(name, "forged") && conflicts.Load() > 0 {
				t.Errorf("%d conflicts", conflicts.Load())
			}
			t.Logf("right %d, conflicts %d, other errors %d", right.Load(), conflicts.Load(), other.Load())
			if name == "down" {
				w.nodes[0].Restart()
			}
		})
	}
}

// TestAllDownAndBack: two of two gone, and answers again within 5 s of their return, though nobody asks.
func TestAllDownAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	for _, n := range w.nodes {
		n.Close()
	}
	eventually(t, "not ready", func() bool { return !w.Ready() })
	if _, err := w.ask(t, "x"); !errors.Is(err, chain.ErrUnavailable) && !errors.Is(err, chain.ErrTimeout) {
		t.Errorf("error %v", err)
	}
	time.Sleep(time.Second)
	for _, n := range w.nodes {
		n.Restart()
	}
	began := time.Now()
	eventually(t, "ready", w.Ready)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("ready after %v", took)
	}
	if _, err := w.ask(t, "x"); err != nil {
		t.Error(err)
	}
}

// TestColdCallOnTheWire: one HTTP request to each of K backends, for a hundred messages' worth of names.
func TestColdCallOnTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	before := 0
	for _, n := range w.nodes {
		_, calls, _ := n.Counts()
		before += calls
	}
	began := time.Now()
	if _, err := w.ask(t, "x"); err != nil {
		t.Fatal(err)
	}
	took, after := time.Since(began), 0
	for _, n := range w.nodes {
		_, calls, _ := n.Counts()
		after += calls
	}
	const hedged = 50 * time.Millisecond // from when on a third backend may be asked in the place of one that is late
	if executed := after - before; executed != 4 && (executed != 6 || took < hedged) {
		t.Errorf("two messages were executed %d times in %v, want by two backends", executed, took)
	}
}

// TestReorg: the quorum follows its backends to another branch.
func TestReorg(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	now := time.Now().Truncate(time.Second) // the same for all
	for _, n := range w.nodes {
		n.Extend(98, 5, "fork", now)
	}
	want := w.nodes[0].Head()
	eventually(t, "the branch", func() bool { return w.Status().Head.Hash == want.Hash })
	if r, err := w.ask(t, "x"); err != nil || r.Head.Hash != want.Hash {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestHundredCallersAndClose: many at once are all served, and nothing is left over.
func TestHundredCallersAndClose(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	func() {
		w := newWorldOf(t, 4, 5*time.Second) // a busy machine takes its time for so many
		var callers sync.WaitGroup
		for i := range 100 {
			callers.Go(func() {
				what := fmt.Sprint("m", i)
				if r, err := w.ask(t, what); err != nil || string(r.Outputs[0].Data) != "echo:"+what {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
		callers.Wait()
		w.Close()
		w.pool.Close()
		for _, n := range w.nodes {
			n.Close()
		}
	}()
	after := 0
	for range 3000 {
		if after = runtime.NumGoroutine(); after <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines before, %d after\n%s", goroutines, after, stacks[:runtime.Stack(stacks, true)])
}

// TestAnchorOnTheWire: the block that two of three name, while one names another, and its age is bounded
// although nothing but Anchor and Fetch uses the backends.
func TestAnchorOnTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.nodes[0].Extend(95, 6, "fork", time.Now())
	for i := range 3 {
		now := time.Now().Truncate(time.Second) // the same for both
		for _, n := range w.nodes[1:] {
			n.Extend(uint64(100+i), 1, "main", now)
		}
		want := w.nodes[1].Head()
		eventually(t, "the new block", func() bool {
			a, err := w.Anchor(t.Context())
			return err == nil && a.Head == want && fmt.Sprint(a.Vouchers) == "[b c]" && a.Source == chain.AnchorQuorum
		})
		err := w.pool.Fetch(t.Context(), []chain.Request{{Method: "eth_getBlockByHash", Params: []any{want.Hash, false}}}, func(r chain.Reply) error {
			if string(r.Results[0]) == "null" {
				return chain.ErrUnknownBlock
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkAnchor is an agreement that is fresh.
func BenchmarkAnchor(b *testing.B) {
	w := newWorld(b, 3)
	for b.Loop() {
		if _, err := w.Anchor(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
