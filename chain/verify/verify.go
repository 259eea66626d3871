// Package verify is a chain.Caller that executes calls itself, in a local EVM, over state that is proven
// by Merkle proofs against the hash of a block. The backends that serve the state are not believed.
package verify

import (
	"context"
	"log/slog"
	"time"

	"dens/chain"
)

// Provider serves parts of the chain's state. It is safe for concurrent use.
type Provider interface {
	// Fetch sends all requests together and hands what came back to accept. Where accept says no, or a
	// backend fails or takes long, the next backend is asked for the same. accept is never called twice at
	// a time, and not after Fetch has returned. A nil error means that accept took a reply.
	Fetch(ctx context.Context, requests []chain.Request, accept func(chain.Reply) error) error
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
	Timeout time.Duration // of a Call whose context has no deadline; 5s
	Log     *slog.Logger  // discards
}

// Verifier is a chain.Caller with trust chain.Proven. It owns neither Provider nor Anchors.
type Verifier struct{ cfg Config }

// New returns a Verifier.
func New(cfg Config) (*Verifier, error) { return &Verifier{cfg: cfg}, nil }

// Close ends the requests under way.
func (v *Verifier) Close() {}

// Call implements chain.Caller.
func (v *Verifier) Call(ctx context.Context, call chain.Call) (chain.Result, error) {
	return chain.Result{}, chain.ErrNotReady
}

// Status is a snapshot of a Verifier.
type Status struct {
	Anchor    chain.Anchor // that the last Call was executed at
	Calls     uint64
	Trips     uint64 // rounds of requests
	Bytes     uint64 // of answers
	BadProofs uint64 // answers of backends that did not prove what they were asked for
	Blocks    int    // blocks whose state is held
	Memory    int64  // bytes of proven state and code that is held
}

// Status returns a snapshot. It asks nobody.
func (v *Verifier) Status() Status { return Status{} }
