package quorum

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

// backend is an RPC endpoint by script.
type backend struct {
	name, operator string
	latency        time.Duration

	mu      sync.Mutex
	head    chain.Head
	fork    byte          // makes its blocks others than those of fork 0
	err     error         // of every request
	delay   time.Duration // of every call
	data    string        // what calls return
	revert  bool
	itemErr error
	callErr error // of calls alone
	lost    bool  // its blocks by number, not its head
	hang    bool  // when asked for heads and blocks
	calls   int
	asked   int // requests for heads and blocks
	touched int
	watch   []chan<- struct{}
}

func blockOf(number uint64, fork byte) chain.Head {
	return chain.Head{Number: number, Hash: common.BytesToHash([]byte{fork, byte(number >> 8), byte(number)}), Time: time.Unix(int64(946684800+12*number), 0)}
}

func (b *backend) Name() string     { return b.name }
func (b *backend) Operator() string { return b.operator }

func (b *backend) Usable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err == nil
}

func (b *backend) Latency() (typical, p95 time.Duration) { return b.latency, 2 * b.latency }

func (b *backend) Head() (chain.Head, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return chain.Head{}, time.Time{}
	}
	return b.head, time.Now()
}

func (b *backend) Latest(ctx context.Context, _ time.Duration) (chain.Head, error) {
	b.hangs(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	return b.head, b.named()
}

func (b *backend) hangs(ctx context.Context) {
	b.mu.Lock()
	hang := b.hang
	b.mu.Unlock()
	if hang {
		<-ctx.Done()
	}
}

func (b *backend) named() error {
	if b.err == nil {
		return nil
	}
	return &chain.BackendError{Backend: b.name, Err: b.err}
}

func (b *backend) BlockAt(ctx context.Context, number uint64) (chain.Head, error) {
	b.hangs(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.err != nil {
		return chain.Head{}, b.named()
	}
	if number > b.head.Number || b.lost {
		return chain.Head{}, &chain.BackendError{Backend: b.name, Err: chain.ErrUnknownBlock}
	}
	return blockOf(number, b.fork), nil
}

func (b *backend) CallAt(ctx context.Context, msgs []chain.Msg, head chain.Head) ([]chain.Output, error) {
	b.mu.Lock()
	b.calls++
	delay, err, out := b.delay, b.named(), chain.Output{Data: []byte(b.data), Reverted: b.revert, Err: b.itemErr}
	if err == nil && b.callErr != nil {
		err = &chain.BackendError{Backend: b.name, Err: b.callErr}
	}
	if err == nil && head != blockOf(head.Number, b.fork) {
		err = &chain.BackendError{Backend: b.name, Err: chain.ErrUnknownBlock}
	}
	b.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, &chain.BackendError{Backend: b.name, Err: chain.ErrTimeout}
	}
	if err != nil {
		return nil, err
	}
	outputs := make([]chain.Output, len(msgs))
	for i := range outputs {
		outputs[i] = out
	}
	return outputs, nil
}

func (b *backend) Touch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.touched++
}

func (b *backend) Watch(c chan<- struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch = append(b.watch, c)
}

func (b *backend) Unwatch(chan<- struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch = nil
}

// set changes the script and tells those who watch that there is a new head.
func (b *backend) set(change func(*backend)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
	for _, c := range b.watch {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// bench is a Quorum over scripted backends, each of an operator of its own: a, b, c, ... The first is the
// quickest.
type bench struct {
	*Quorum
	backends []*backend
	log      *bytes.Buffer
}

func newBench(t *testing.T, n, k int, change ...func(*Config)) *bench {
	t.Helper()
	x := &bench{log: new(bytes.Buffer)}
	conf := Config{K: k, Log: slog.New(slog.NewTextHandler(x.log, nil))}
	for i := range n {
		name := string(rune('a' + i))
		b := &backend{name: name + "-node", operator: name, latency: time.Duration(i+1) * 10 * time.Millisecond, head: blockOf(100, 0), data: "truth"}
		x.backends = append(x.backends, b)
		conf.Backends = append(conf.Backends, b)
	}
	for _, c := range change {
		c(&conf)
	}
	q, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	x.Quorum = q
	t.Cleanup(q.Close)
	synctest.Wait()
	return x
}

func (x *bench) call() (chain.Result, error) {
	return x.Call(context.Background(), chain.Call{Msgs: []chain.Msg{{}, {}}})
}

func (x *bench) counts() []int {
	var n []int
	for _, b := range x.backends {
		n = append(n, b.count())
	}
	return n
}
