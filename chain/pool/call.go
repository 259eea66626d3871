package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

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
	e.Touch()
	outputs, err := e.callAt(ctx, msgs, head)
	if err != nil {
		return nil, e.named(err)
	}
	return outputs, nil
}

func (e *Endpoint) callAt(ctx context.Context, msgs []chain.Msg, head chain.Head) ([]chain.Output, error) {
	elems := make([]rpc.BatchElem, len(msgs))
	for i, m := range msgs {
		elems[i] = callElem(m, head)
	}
	outputs := make([]chain.Output, len(msgs))
	err := e.exchange(ctx, elems, forCall, func(i int, elem *rpc.BatchElem) (err error) {
		outputs[i], err = e.output(elem)
		return err
	})
	if err != nil {
		return nil, err
	}
	return outputs, nil
}

func callElem(m chain.Msg, head chain.Head) rpc.BatchElem {
	return rpc.BatchElem{
		Method: "eth_call",
		Args:   []any{callArgs{To: m.To, Data: m.Data}, blockHash{Hash: head.Hash}},
		Result: new(json.RawMessage),
	}
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
