package pool

import (
	"context"
	"errors"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

// Status is a snapshot of an Endpoint for metrics and people. It holds no URL and no secret.
type Status struct {
	Name       string
	Operator   string
	Transport  string // http, websocket, ipc
	State      State
	ChainID    uint64        // as the backend reported it; 0 is unknown
	Head       chain.Head    // newest block that the backend told; zero is unknown
	HeadAge    time.Duration // since the backend last confirmed Head
	Lag        uint64        // blocks behind the best head of the Pool; 0 from Endpoint.Status
	Latency    time.Duration // smoothed; 0 is unknown
	P95        time.Duration
	Calls      uint64 // requests for look-ups
	Errors     uint64
	Limited    uint64        // answers that asked for fewer requests (HTTP 429 and the like)
	LimitedFor time.Duration // until the next request may be sent; 0 is now
	LastError  string        // safe to show; "" is none
	Batches    Support
	Subscribes Support
}

// Status returns a snapshot. It asks nobody.
func (e *Endpoint) Status() Status {
	s := Status{
		Name: e.cfg.Name, Operator: e.cfg.Operator, Transport: e.addr.transport,
		Batches: e.batches.get(), Subscribes: Support(e.subscribe.Load()),
	}
	s.Latency, s.P95 = e.health.times()
	now := time.Now()
	e.mu.Lock()
	s.ChainID, s.Head = e.chainID, e.ring.head
	if e.ring.known {
		s.HeadAge = now.Sub(e.ring.seen)
	}
	e.mu.Unlock()
	h := &e.health
	h.mu.Lock()
	defer h.mu.Unlock()
	s.State, s.Calls, s.Errors, s.Limited = h.state, h.calls, h.errors, h.limits
	s.LimitedFor = max(h.limited.Sub(now), 0)
	if h.last != nil {
		s.LastError = h.last.Error()
	}
	return s
}

// Probe is what Endpoint.Probe found out.
type Probe struct {
	ChainID uint64
	Head    chain.Head
	Latency time.Duration // of one small request, after connecting
	Archive bool          // state of block 1 was served
	Proofs  bool          // eth_getProof was served at the head
	Batches bool          // a JSON-RPC batch was served
}

// Probe connects, checks the chain id and finds out what the backend can do. It takes about five requests,
// and is for people who look at a configuration. The error is a *chain.BackendError without secrets; the
// Probe then holds what was found before.
func (e *Endpoint) Probe(ctx context.Context) (Probe, error) {
	var p Probe
	err := e.fetch(ctx, forProbe)
	e.mu.Lock()
	p.ChainID, p.Head = e.chainID, e.ring.head
	e.mu.Unlock()
	if err != nil {
		return p, e.named(err)
	}
	var balance string
	start := time.Now()
	if _, err := e.ask(ctx, &balance, "eth_getBalance", common.Address{}, p.Head.Number); err != nil {
		return p, e.named(err)
	}
	p.Latency = time.Since(start)
	if p.Archive, err = e.ask(ctx, &balance, "eth_getBalance", common.Address{}, min(1, p.Head.Number)); err != nil {
		return p, e.named(err)
	}
	var proof struct {
		AccountProof []string `json:"accountProof"`
	}
	if p.Proofs, err = e.ask(ctx, &proof, "eth_getProof", common.Address{}, []string{}, p.Head.Number); err != nil {
		return p, e.named(err)
	}
	p.Proofs = p.Proofs && len(proof.AccountProof) > 0
	p.Batches, err = e.probeBatch(ctx)
	return p, e.named(err)
}

// ask sends one request; numbers become quantities. An error of the method is "no"; an error of the
// backend is an error.
func (e *Endpoint) ask(ctx context.Context, result any, method string, args ...any) (bool, error) {
	for i, a := range args {
		if n, ok := a.(uint64); ok {
			args[i] = hexutil.EncodeUint64(n)
		}
	}
	elem := []rpc.BatchElem{{Method: method, Args: args, Result: result}}
	if err := e.send(ctx, elem, false, forProbe); err != nil {
		return false, err
	}
	return elem[0].Error == nil, nil
}

func (e *Endpoint) probeBatch(ctx context.Context) (bool, error) {
	var id, number string
	elems := []rpc.BatchElem{{Method: "eth_chainId", Result: &id}, {Method: "eth_blockNumber", Result: &number}}
	err := e.send(ctx, elems, true, forProbe)
	switch {
	case err == nil && elems[0].Error == nil && elems[1].Error == nil:
		e.batches.set(Yes, time.Now())
		return true, nil
	case err == nil || errors.Is(err, errBatchRefused):
		e.batches.set(No, time.Now())
		return false, nil
	}
	return false, err
}
