package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"golang.org/x/sync/errgroup"

	"dens/chain"
)

// Support says whether a backend was seen to do something.
type Support int32

const (
	// Unknown means that it was not tried.
	Unknown Support = iota
	// Yes means that it does.
	Yes
	// No means that it refuses.
	No
)

// String returns the word that people use.
func (s Support) String() string {
	switch s {
	case Yes:
		return "yes"
	case No:
		return "no"
	default:
		return "unknown"
	}
}

const (
	batchRetry     = 10 * time.Minute // until a backend that refused batches is tried again
	singlesAtATime = 8                // parallel calls that stand in for a batch
)

// batchSupport remembers whether a backend takes JSON-RPC batches.
type batchSupport struct {
	mu      sync.Mutex
	state   Support
	retryAt time.Time
}

func (b *batchSupport) set(s Support, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = s
	if s == No {
		b.retryAt = now.Add(batchRetry)
	}
}

func (b *batchSupport) get() Support {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// worth says whether to try a batch; of those who come when a retry is due, one does.
func (b *batchSupport) worth(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != No {
		return true
	}
	if now.Before(b.retryAt) {
		return false
	}
	b.retryAt = now.Add(batchRetry)
	return true
}

// blockHash is the block parameter of EIP-1898. A block that lost a reorganisation is still the one that
// was agreed on.
type blockHash struct {
	Hash      common.Hash `json:"blockHash"`
	Canonical bool        `json:"requireCanonical"`
}

type callArgs struct {
	To   common.Address `json:"to"`
	Data hexutil.Bytes  `json:"data"`
}

// CallAt executes msgs at head. One HTTP request, a JSON-RPC batch, carries them all unless the backend
// refuses batches. The error is a *chain.BackendError that wraps one of package chain's;
// chain.ErrUnknownBlock means that the backend does not have the block.
func (e *Endpoint) CallAt(ctx context.Context, msgs []chain.Msg, head chain.Head) ([]chain.Output, error) {
	if len(msgs) == 0 || len(msgs) > chain.MaxMsgs {
		return nil, e.named(fmt.Errorf("%w: %d messages in one call", chain.ErrLimit, len(msgs)))
	}
	e.touch()
	outputs, err := e.callAt(ctx, msgs, head)
	if err != nil {
		return nil, e.named(err)
	}
	return outputs, nil
}

func (e *Endpoint) callAt(ctx context.Context, msgs []chain.Msg, head chain.Head) ([]chain.Output, error) {
	if len(msgs) == 1 {
		out, err := e.single(ctx, msgs[0], head)
		return []chain.Output{out}, err
	}
	if e.cfg.NoBatch || !e.batches.worth(time.Now()) {
		return e.singles(ctx, msgs, head)
	}
	outputs, err := e.batch(ctx, msgs, head)
	if !errors.Is(err, errBatchRefused) {
		if err == nil {
			e.batches.set(Yes, time.Now())
		}
		return outputs, err
	}
	refusal := e.addr.explain(err)
	if errors.Is(refusal, errRateLimited) {
		return nil, e.fail(nil, err, true)
	}
	outputs, err = e.singles(ctx, msgs, head)
	if err != nil {
		// Not the batch was the trouble, or not it alone.
		return nil, err
	}
	e.batches.set(No, time.Now())
	return outputs, nil
}

func callElem(m chain.Msg, head chain.Head) rpc.BatchElem {
	return rpc.BatchElem{
		Method: "eth_call",
		Args:   []any{callArgs{To: m.To, Data: m.Data}, blockHash{Hash: head.Hash}},
		Result: new(json.RawMessage),
	}
}

func (e *Endpoint) batch(ctx context.Context, msgs []chain.Msg, head chain.Head) ([]chain.Output, error) {
	elems := make([]rpc.BatchElem, len(msgs))
	for i, m := range msgs {
		elems[i] = callElem(m, head)
	}
	if err := e.send(ctx, elems, true, forCall); err != nil {
		return nil, err
	}
	for i := range elems {
		if errors.Is(elems[i].Error, rpc.ErrMissingBatchResponse) { // over streams; over HTTP checkReply finds it
			return nil, fmt.Errorf("%w: an answer is missing", errBatchRefused)
		}
	}
	outputs := make([]chain.Output, len(msgs))
	for i := range elems {
		var err error
		if outputs[i], err = e.output(&elems[i]); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

func (e *Endpoint) single(ctx context.Context, m chain.Msg, head chain.Head) (chain.Output, error) {
	elems := []rpc.BatchElem{callElem(m, head)}
	if err := e.send(ctx, elems, false, forCall); err != nil {
		return chain.Output{}, err
	}
	return e.output(&elems[0])
}

func (e *Endpoint) singles(ctx context.Context, msgs []chain.Msg, head chain.Head) ([]chain.Output, error) {
	outputs := make([]chain.Output, len(msgs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(singlesAtATime)
	for i, m := range msgs {
		group.Go(func() error {
			out, err := e.single(ctx, m, head)
			outputs[i] = out
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return outputs, nil
}

// output reads the answer to one eth_call.
func (e *Endpoint) output(elem *rpc.BatchElem) (chain.Output, error) {
	if elem.Error != nil {
		return e.outputError(elem.Error)
	}
	raw := *elem.Result.(*json.RawMessage)
	if len(raw) > 2*chain.MaxOutput+4 {
		return chain.Output{Err: fmt.Errorf("%w: %d bytes returned", chain.ErrLimit, len(raw)/2-2)}, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return chain.Output{}, e.fail(nil, fmt.Errorf("%w: the result of a call is no string", chain.ErrMalformed), true)
	}
	data, err := decodeOutput(text)
	if errors.Is(err, chain.ErrLimit) {
		return chain.Output{Err: err}, nil
	}
	if err != nil {
		return chain.Output{}, e.fail(nil, err, true)
	}
	return chain.Output{Data: data}, nil
}

// outputError reads the error of one eth_call. What a contract can bring about must not put the backend
// out of use.
func (e *Endpoint) outputError(err error) (chain.Output, error) {
	var answered rpc.Error
	if !errors.As(err, &answered) {
		return chain.Output{}, e.fail(nil, fmt.Errorf("%w: %w", chain.ErrMalformed, err), true)
	}
	out, err := outputOf(answered)
	switch {
	case err == nil:
		if out.Err != nil { // its text is the backend's
			out.Err = e.addr.explain(out.Err)
		}
		return out, nil
	case errors.Is(err, errRateLimited), errors.Is(err, chain.ErrMalformed):
		return chain.Output{}, e.fail(nil, err, true)
	}
	safe := e.addr.explain(err)
	e.health.refused(safe, !errors.Is(safe, chain.ErrUnknownBlock))
	return chain.Output{}, safe
}
