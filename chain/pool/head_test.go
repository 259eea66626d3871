package pool

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/internal/rpctest"
)

func TestRing(t *testing.T) {
	now := time.Now()
	block := func(number uint64, branch string) chain.Head { return rpctest.Block(number, branch, now) }
	hash := func(number uint64, branch string) common.Hash { return block(number, branch).Hash }
	var r ring
	expect := func(number uint64, branch string) {
		t.Helper()
		got, ok := r.at(number)
		if branch == "" && ok {
			t.Errorf("block %d is known", number)
		}
		if branch != "" && (!ok || got.Hash != hash(number, branch)) {
			t.Errorf("block %d of %s: %v, %v", number, branch, ok, got)
		}
	}
	for n := uint64(1); n <= 300; n++ {
		if !r.push(block(n, "a"), hash(n-1, "a"), now) {
			t.Fatal("a new block is no change")
		}
	}
	if r.push(block(300, "a"), hash(299, "a"), now) {
		t.Error("the same block is a change")
	}
	expect(300, "a")
	expect(45, "a")
	expect(44, "") // overwritten
	expect(301, "")

	r.push(block(300, "b"), hash(299, "a"), now) // the tip is replaced
	expect(300, "b")
	expect(299, "a")
	r.push(block(301, "c"), hash(300, "c"), now) // a deeper reorganisation, told by the parent
	expect(301, "c")
	expect(300, "c")
	expect(299, "")
	r.push(block(299, "c"), hash(298, "c"), now) // a shorter chain
	expect(300, "")
	expect(298, "c")
	r.push(block(310, "c"), hash(309, "c"), now) // blocks were missed
	expect(299, "")
	expect(309, "c")
	r.add(block(305, "c"), block(310, "c"))
	expect(305, "c")
	r.add(block(306, "x"), block(310, "other")) // asked for under another head
	expect(306, "")
	r.push(block(0, "d"), common.Hash{}, now) // a chain that began anew
	expect(0, "d")
	expect(310, "")
}

// TestHeadsBySubscription: a new block is known without asking.
func TestHeadsBySubscription(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	e := endpoint(t, n.WS(), func(c *EndpointConfig) { c.BlockInterval, c.IdlePoll = time.Hour, time.Hour })
	eventually(t, "a subscription", func() bool { return e.Status().Subscribes == Yes })
	changed := make(chan struct{}, 1)
	e.Watch(changed)
	before, _, _ := n.Counts()
	n.Extend(100, 3, "main", time.Now())
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody told")
	}
	eventually(t, "the head", func() bool { head, _ := e.Head(); return head.Hash == n.Head().Hash })
	n.Extend(101, 3, "fork", time.Now()) // 102 to 104 of another branch
	eventually(t, "the other branch", func() bool { head, _ := e.Head(); return head.Hash == n.Head().Hash })
	want := rpctest.Block(102, "fork", time.Now()).Hash
	if got, err := e.BlockAt(t.Context(), 102); err != nil || got.Hash != want {
		t.Errorf("block 102 is %v, %v", got, err)
	}
	if after, _, _ := n.Counts(); after != before {
		t.Errorf("%d requests were made for it", after-before)
	}
	e.Unwatch(changed)
	<-time.After(20 * time.Millisecond)
	select {
	case <-changed: // of the branch
	default:
	}
	n.Extend(104, 1, "fork", time.Now())
	eventually(t, "the head", func() bool { head, _ := e.Head(); return head.Number == 105 })
	select {
	case <-changed:
		t.Error("told after Unwatch")
	default:
	}
}

// TestHeadsByPolling: about once a block interval while there are calls, seldom when there are none.
func TestHeadsByPolling(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	e := endpoint(t, n.URL(), func(c *EndpointConfig) {
		c.BlockInterval, c.IdleAfter, c.IdlePoll = 50*time.Millisecond, 300*time.Millisecond, time.Hour
	})
	eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	time.Sleep(200 * time.Millisecond)
	if _, _, heads := n.Counts(); heads > 2 {
		t.Errorf("idle, but asked %d times for the head", heads)
	}
	n.Extend(100, 1, "main", time.Now())
	if _, err := e.CallAt(within(t, 20*time.Second), msgs("x"), n.Head()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new head", func() bool { head, _ := e.Head(); return head.Number == 101 })
	time.Sleep(500 * time.Millisecond)
	_, _, before := n.Counts()
	time.Sleep(200 * time.Millisecond)
	if _, _, after := n.Counts(); after > before+1 {
		t.Errorf("idle again, but asked %d times", after-before)
	}
}

// TestLatestIsShared: many who need a newer head share one request.
func TestLatestIsShared(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.BlockInterval, c.IdlePoll = time.Hour, time.Hour })
	eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	n.SetDelay(time.Second)
	_, _, before := n.Counts()
	var working sync.WaitGroup
	for range 100 {
		working.Go(func() {
			if head, err := e.Latest(within(t, 30*time.Second), 0); err != nil || head.Number != 100 {
				t.Errorf("%v, %v", head, err)
			}
		})
	}
	working.Wait()
	if _, _, after := n.Counts(); after-before > 3 {
		t.Errorf("%d requests", after-before)
	}
	if _, err := e.Latest(t.Context(), time.Hour); err != nil {
		t.Error(err)
	}
	ctx := within(t, time.Millisecond)
	<-ctx.Done()
	if _, err := e.Latest(ctx, 0); !errors.Is(err, chain.ErrTimeout) {
		t.Errorf("error %v", err)
	}
}

func TestBlockAt(t *testing.T) {
	n := fakeNode(t)
	e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.BlockInterval, c.IdlePoll = time.Hour, time.Hour })
	eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	before, _, _ := n.Counts()
	for _, number := range []uint64{100, 99, 42, 42} {
		if got, err := e.BlockAt(within(t, 20*time.Second), number); err != nil || got.Hash != rpctest.Block(number, "main", time.Now()).Hash {
			t.Errorf("block %d: %v, %v", number, got, err)
		}
	}
	if after, _, _ := n.Counts(); after-before != 2 { // 42 is remembered
		t.Errorf("%d requests, want 2: the parent of the head is known by its hash alone", after-before)
	}
}
