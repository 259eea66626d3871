package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

// Fetch sends all requests together to the best backend and hands what came back to accept. As with Call,
// another backend is asked too when that takes long, and the next when one fails or accept says no. An
// error of one request is in the Reply: accept decides whether the rest is good enough.
//
// A backend is blamed for what accept refuses with chain.ErrBadProof or chain.ErrMalformed, and is asked
// last for a while. For chain.ErrUnknownBlock it is not, and is asked once more when no other knows the
// block either.
//
// accept runs in the goroutine that called Fetch. The Reply is accept's to keep. Errors are chain.ErrLimit
// for more than chain.MaxRequests, or none; else, the first that applies to any backend,
// chain.ErrBadProof, chain.ErrTimeout, chain.ErrUnavailable, or chain.ErrUnknownBlock when it is so for all;
// with a *chain.BackendError for every backend that was asked, which wraps what accept said.
func (p *Pool) Fetch(ctx context.Context, requests []chain.Request, accept func(chain.Reply) error) error {
	encoded, err := encodeRequests(requests)
	if err != nil {
		return err
	}
	ctx, cancel := p.bounded(ctx)
	defer cancel() // ends those that were overtaken
	r := race[chain.Reply]{
		pool: p,
		ask: func(ctx context.Context, e *Endpoint) (chain.Reply, error) {
			reply, err := e.gather(ctx, encoded)
			return reply, e.named(err)
		},
		judge: func(e *Endpoint, reply chain.Reply) error {
			if err := accept(reply); err != nil {
				return e.rejected(err)
			}
			e.health.upheld()
			return nil
		},
	}
	_, err = r.run(ctx)
	return err
}

// request is a chain.Request whose parameters are encoded: requests that were overtaken may be read after
// the caller has them back.
type request struct {
	method string
	params []any
}

func encodeRequests(requests []chain.Request) ([]request, error) {
	if len(requests) == 0 || len(requests) > chain.MaxRequests {
		return nil, fmt.Errorf("%w: %d requests at a time", chain.ErrLimit, len(requests))
	}
	out := make([]request, len(requests))
	for i, r := range requests {
		out[i] = request{method: r.Method, params: make([]any, len(r.Params))}
		for j, param := range r.Params {
			enc, err := json.Marshal(param)
			if err != nil {
				return nil, fmt.Errorf("parameter %d of %s cannot be encoded: %w", j+1, r.Method, err)
			}
			out[i].params[j] = json.RawMessage(enc)
		}
	}
	return out, nil
}

// gather makes the requests at one backend. The error is one of the backend as a whole.
func (e *Endpoint) gather(ctx context.Context, requests []request) (chain.Reply, error) {
	e.Touch()
	elems := make([]rpc.BatchElem, len(requests))
	for i, r := range requests {
		elems[i] = rpc.BatchElem{Method: r.method, Args: r.params, Result: new(json.RawMessage)}
	}
	reply := chain.Reply{
		Backend: e.cfg.Name, Operator: e.cfg.Operator,
		Results: make([]json.RawMessage, len(elems)), Errs: make([]error, len(elems)),
	}
	var size, limited atomic.Int64
	err := e.exchange(ctx, elems, forCall, func(i int, elem *rpc.BatchElem) error {
		if elem.Error == nil {
			reply.Results[i] = *elem.Result.(*json.RawMessage)
			n := int64(len(reply.Results[i]))
			return e.fits(size.Add(n), n)
		}
		refusal := e.refusal(elem.Error)
		reply.Errs[i] = e.named(refusal)
		switch {
		case errors.Is(refusal, chain.ErrMalformed):
			return e.fail(nil, refusal, true)
		case errors.Is(refusal, errRateLimited):
			n := limited.Add(1)
			if n == 1 {
				e.health.limit(0, refusal, time.Now())
			}
			if n == int64(len(elems)) {
				return refusal
			}
		}
		return nil
	})
	if err != nil {
		return chain.Reply{}, err
	}
	reply.Bytes = int(size.Load())
	e.health.fetched(reply.Bytes)
	return reply, nil
}

// fits bounds answers that came one by one as if they had come together: size is of all until now, last of
// the newest.
func (e *Endpoint) fits(size, last int64) error {
	if size <= e.cfg.MaxBody {
		return nil
	}
	err := &failure{kind: errTooLong, text: fmt.Sprintf("%v: more than %d bytes", errTooLong, e.cfg.MaxBody)}
	if size-last <= e.cfg.MaxBody { // the others that are too much are the same failure
		e.health.refused(err, true)
	}
	return err
}

// refusal is the error of one request in words that are safe to show.
func (e *Endpoint) refusal(err error) error {
	var answered rpc.Error
	if !errors.As(err, &answered) {
		return &failure{kind: chain.ErrMalformed, text: e.addr.clean(err.Error())}
	}
	kind := refusalOf(answered)
	text := answered.Error()
	if kind == errRateLimited {
		text = "rate limited: " + text
	}
	return &failure{kind: kind, text: e.addr.clean(text)}
}
