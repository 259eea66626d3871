// Package verify is a chain.Caller that executes calls itself, in a local EVM, over state that is proven
// by Merkle proofs against the hash of a block. The backends that serve the state are not believed.
//
// All that is proven of one block is shared by the calls at it. What a call will read is guessed first, so
// that its proofs come together: from what the same call read before (one trip at a new block), else from
// a backend's access list (EIP-2930; two trips). What was not guessed is fetched while the call waits.
package verify

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/hashicorp/golang-lru/v2/simplelru"

	"dens/chain"
)

// Bounds of what one Call may cost, whatever contracts and backends do.
const (
	maxMisses   = 64          // trips of one message for state that nobody guessed
	maxGas      = 50_000_000  // of one message
	maxCallGas  = 150_000_000 // of one Call
	maxBytes    = 16 << 20    // of the answers to one Call
	maxAccounts = 64          // that are guessed for one message
	maxSlots    = 512         // that are guessed for one message
	maxBlocks   = 128         // whose state is held: a callback comes seconds later, and some chains are quick
	maxHeld     = 128 << 20   // bytes of state that are held, about
	maxRounds   = 6           // of fetching for one need: others may fail at what is needed, code may have changed
)

// Provider serves parts of the chain's state. It is safe for concurrent use.
type Provider interface {
	// Fetch sends all requests together and hands what came back to accept. Where accept says no, or a
	// backend fails or takes long, the next backend is asked for the same. accept is never called twice at
	// a time, and not after Fetch has returned. A nil error means that accept took a reply.
	Fetch(ctx context.Context, requests []chain.Request, accept func(chain.Reply) error) error
	// Blame tells that a backend's guesses were of no use. It makes it the last to be asked for a while.
	Blame(backend string, err error)
}

// Anchorer says at which block calls are executed.
type Anchorer interface {
	Anchor(ctx context.Context) (chain.Anchor, error)
}

// Config is what a Verifier is made of.
type Config struct {
	ChainID  uint64
	Provider Provider
	Anchors  Anchorer
	// MaxAnchorAge is how old an anchor may be by its block's own time and the local clock; 0 is off.
	MaxAnchorAge time.Duration
	// CodeDir is a directory that contracts' code is kept in, by its hash; "" is memory only.
	CodeDir string
	Timeout time.Duration    // of a Call, whatever its context allows; 5s
	Now     func() time.Time // time.Now
	Log     *slog.Logger     // discards
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Verifier is a chain.Caller with trust chain.Proven. It owns neither Provider nor Anchors.
type Verifier struct {
	cfg     Config
	codes   *codeStore
	jumps   *jumpCache
	memory  *memory
	running chan struct{} // a token for each processor: an EVM that computes holds one

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	under  sync.WaitGroup // Calls, and what they began

	mu      sync.Mutex // guards what follows
	closed  bool
	blocks  *simplelru.LRU[common.Hash, *block]
	last    chain.Anchor
	strikes map[string]int // bad access lists in a row, by backend

	calls, trips, bytes, badProofs atomic.Uint64
	listless                       atomic.Int64 // until when no access lists are asked for, in Unix nanoseconds
}

// New returns a Verifier. It creates CodeDir if need be.
func New(cfg Config) (*Verifier, error) {
	cfg = cfg.withDefaults()
	codes, err := newCodeStore(cfg.CodeDir, cfg.Log)
	if err != nil {
		return nil, err
	}
	blocks, err := simplelru.NewLRU[common.Hash, *block](maxBlocks, nil)
	if err != nil {
		return nil, err
	}
	v := &Verifier{cfg: cfg, codes: codes, jumps: newJumpCache(), memory: newMemory(), blocks: blocks,
		running: make(chan struct{}, runtime.GOMAXPROCS(0)), strikes: map[string]int{}}
	v.memory.load(codes.loadIndex(cfg.ChainID))
	v.ctx, v.cancel = context.WithCancel(context.Background())
	return v, nil
}

// Close ends the Calls under way, and waits for them and for their requests. What contracts' code is on disk
// for is written down.
func (v *Verifier) Close() {
	v.mu.Lock()
	again := v.closed
	v.closed = true
	v.mu.Unlock()
	v.cancel()
	v.under.Wait()
	if !again {
		v.codes.saveIndex(v.cfg.ChainID, v.memory.export())
	}
}

// begin counts a Call, which then ends with under.Done; false when the Verifier is closed.
func (v *Verifier) begin() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.under.Add(1)
	}
	return !v.closed
}

// Call implements chain.Caller. With call.At, only a block that an earlier Result named is served.
//
// Errors are those of the Anchorer (chain.ErrNotReady, chain.ErrStaleHead, ...), chain.ErrNotReady for a
// block that was made by rules to come, chain.ErrBadProof where no backend could prove its answer,
// chain.ErrUnavailable, chain.ErrTimeout, chain.ErrUnknownBlock, and chain.ErrLimit for what costs too much;
// a message that alone is over a limit, or needs what cannot be proven, has it in its Output.
func (v *Verifier) Call(ctx context.Context, call chain.Call) (chain.Result, error) {
	if len(call.Msgs) == 0 || len(call.Msgs) > chain.MaxMsgs {
		return chain.Result{}, fmt.Errorf("%w: %d messages in one call", chain.ErrLimit, len(call.Msgs))
	}
	if !v.begin() {
		return chain.Result{}, fmt.Errorf("%w: closed", chain.ErrUnavailable)
	}
	defer v.under.Done()
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	defer context.AfterFunc(v.ctx, cancel)()
	v.calls.Add(1)
	b, err := v.at(ctx, call.At)
	if err != nil {
		return chain.Result{}, err
	}
	r := &run{v: v, block: b, pinned: call.At != nil, read: map[common.Address]map[common.Hash]bool{}, lists: map[common.Hash]list{}}
	outputs, err := r.all(ctx, call.Msgs)
	v.trips.Add(uint64(r.cost.trips))
	if err != nil {
		return chain.Result{}, fmt.Errorf("block %s: %w", b.hash.TerminalString(), err)
	}
	result := r.result(outputs)
	if !r.pinned {
		v.mu.Lock()
		v.last = result.Proof.Anchor
		v.mu.Unlock()
	}
	return result, nil
}

// at returns the block of a call: the newest that is vouched for, or one that a Result named before.
func (v *Verifier) at(ctx context.Context, head *chain.Head) (*block, error) {
	if head != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		if b, ok := v.blocks.Get(head.Hash); ok && b.wasTold() {
			return b, nil
		}
		return nil, fmt.Errorf("%w: nobody vouches for %s any more", chain.ErrUnknownBlock, head.Hash.TerminalString())
	}
	anchor, err := v.cfg.Anchors.Anchor(ctx)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if b, ok := v.blocks.Get(anchor.Hash); ok && b.size() < maxHeld/2 {
		b.vouch(anchor)
		return b, nil
	}
	b := newBlock(v, anchor)
	v.blocks.Add(anchor.Hash, b)
	v.trim()
	return b, nil
}

// trim forgets old blocks while too much is held. The newest is kept.
func (v *Verifier) trim() {
	var held int64
	for _, b := range v.blocks.Values() {
		held += b.size()
	}
	for held > maxHeld && v.blocks.Len() > 1 {
		_, old, _ := v.blocks.RemoveOldest()
		held -= old.size()
	}
}

// young refuses a block that is too old by its own, proven time: what a backend tells that withholds the
// newer ones.
func (v *Verifier) young(header *types.Header) error {
	if age := v.cfg.Now().Sub(timeOf(header)); v.cfg.MaxAnchorAge > 0 && age > v.cfg.MaxAnchorAge {
		return fmt.Errorf("%w: block %d is %v old, the limit is %v", chain.ErrStaleHead, header.Number, age.Round(time.Second), v.cfg.MaxAnchorAge)
	}
	return nil
}

// maxStrikes is far above the number of backends that a chain has.
const maxStrikes = 256

// strike notes how good a backend's list was, and says whether too many in a row were bad.
func (v *Verifier) strike(backend string, bad bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !bad {
		delete(v.strikes, backend)
		return false
	}
	if len(v.strikes) >= maxStrikes {
		clear(v.strikes)
	}
	v.strikes[backend]++
	if v.strikes[backend] <= allowedBad {
		return false
	}
	delete(v.strikes, backend)
	return true
}

// Status is a snapshot of a Verifier.
type Status struct {
	Anchor    chain.Anchor // that the last Call without At was executed at; number and time are the proven header's
	Calls     uint64
	Trips     uint64 // rounds of requests that Calls waited for
	Bytes     uint64 // of answers
	BadProofs uint64 // answers of backends that did not prove what they were asked for
	Blocks    int    // blocks whose state is held
	Memory    int64  // bytes of proven state and code that are held, about
}

// Status returns a snapshot. It asks nobody.
func (v *Verifier) Status() Status {
	s := Status{Calls: v.calls.Load(), Trips: v.trips.Load(), Bytes: v.bytes.Load(), BadProofs: v.badProofs.Load(), Memory: v.codes.size()}
	v.mu.Lock()
	defer v.mu.Unlock()
	s.Anchor, s.Blocks = v.last, v.blocks.Len()
	for _, b := range v.blocks.Values() {
		s.Memory += b.size()
	}
	return s
}
