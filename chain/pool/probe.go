package pool

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

// Probe is what Endpoint.Probe found out.
type Probe struct {
	ChainID uint64
	Head    chain.Head
	Latency time.Duration // of one small request, after connecting
	Archive bool          // state of block 1 was served
	Proofs  bool          // ProofWindow is not 0
	Batches bool          // a JSON-RPC batch was served
	ByHash  bool          // state of a block that was named by its hash was served (EIP-1898)
	// ProofWindow is of how many of the newest blocks, at least, eth_getProof by the block's hash was
	// served: 0 of none, 1 of the head alone, Head.Number+1 of all.
	ProofWindow uint64
	AccessLists bool // eth_createAccessList at a block that was named by its hash was served
}

// Probe connects, checks the chain id and finds out what the backend can do. It takes some ten requests, or
// thirty where batches are refused, and is for people who look at a configuration. The error is a
// *chain.BackendError without secrets; the Probe then holds what was found before.
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
	if p.Batches, err = e.probeBatch(ctx); err != nil {
		return p, e.named(err)
	}
	err = e.probeProofs(ctx, &p)
	p.Batches = p.Batches && e.batches.get() == Yes // larger ones may be refused
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
	return elem[0].Error == nil, e.overRate(elem[0].Error)
}

// overRate is the error of a request that says nothing of what the backend can do; nil else.
func (e *Endpoint) overRate(err error) error {
	if err == nil || !errors.Is(e.refusal(err), errRateLimited) {
		return nil
	}
	return e.fail(nil, err, false)
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

// distances are how far below the head proofs are asked for, the head first. Usual bounds are met with a
// little to spare, since the chain grows meanwhile: geth has 128 blocks, and finality takes 64 to 96.
func distances() []uint64 { return []uint64{0, 1, 8, 32, 64, 96, 127, 256} }

// probeProofs finds out at which blocks, named by their hashes, proofs are served, and what else is at the
// head.
func (e *Endpoint) probeProofs(ctx context.Context, p *Probe) error {
	numbers := make([]uint64, 0, 10)
	for _, d := range distances() {
		if d <= p.Head.Number {
			numbers = append(numbers, p.Head.Number-d)
		}
	}
	oldest := min(1, p.Head.Number) // the state of genesis is kept by some who keep no other
	blocks, err := e.roots(ctx, append(numbers, oldest))
	if err != nil {
		return err
	}
	recent, first := blocks[:len(numbers)], blocks[len(numbers)]
	elems := []rpc.BatchElem{
		{Method: "eth_getBalance", Args: []any{common.Address{}, blockHash{Hash: recent[0].hash}}},
		{Method: "eth_createAccessList", Args: []any{callArgs{Data: []byte{}}, blockHash{Hash: recent[0].hash}}},
	}
	for _, b := range recent {
		elems = append(elems, proofElem(b))
	}
	answers, err := e.answers(ctx, elems)
	if err != nil {
		return err
	}
	p.ByHash, p.AccessLists = isQuantity(answers[0]), isAccessList(answers[1])
	served := 0
	for served < len(recent) && isProof(answers[2+served], recent[served].root) {
		p.ProofWindow = p.Head.Number - numbers[served] + 1
		served++
	}
	if p.Proofs = served > 0; served < len(recent) {
		return nil
	}
	// A proof of old state may take long where it is served at all: nobody else waits for it.
	answers, err = e.answers(ctx, []rpc.BatchElem{proofElem(first)})
	if errors.Is(err, chain.ErrTimeout) && ctx.Err() == nil {
		return nil
	}
	if err == nil && isProof(answers[0], first.root) {
		p.ProofWindow = p.Head.Number + 1
	}
	return err
}

// rooted is a block with its state, as the backend tells it; zero when it does not.
type rooted struct{ hash, root common.Hash }

// roots asks for blocks by number.
func (e *Endpoint) roots(ctx context.Context, numbers []uint64) ([]rooted, error) {
	elems := make([]rpc.BatchElem, len(numbers))
	for i, n := range numbers {
		elems[i] = rpc.BatchElem{Method: "eth_getBlockByNumber", Args: []any{hexutil.EncodeUint64(n), false}}
	}
	answers, err := e.answers(ctx, elems)
	if err != nil {
		return nil, err
	}
	out := make([]rooted, len(numbers))
	for i, raw := range answers {
		out[i] = rootOf(raw)
	}
	return out, nil
}

// answers makes requests that may be refused: the answer to one that was is nil.
func (e *Endpoint) answers(ctx context.Context, elems []rpc.BatchElem) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(elems))
	for i := range elems {
		elems[i].Result = new(json.RawMessage)
	}
	err := e.exchange(ctx, elems, forProbe, func(i int, elem *rpc.BatchElem) error {
		if elem.Error != nil {
			return e.overRate(elem.Error)
		}
		out[i] = *elem.Result.(*json.RawMessage)
		return nil
	})
	return out, err
}

func proofElem(b rooted) rpc.BatchElem {
	return rpc.BatchElem{Method: "eth_getProof", Args: []any{common.Address{}, []string{}, blockHash{Hash: b.hash}}}
}

func rootOf(raw json.RawMessage) rooted {
	var block struct {
		Hash      string `json:"hash"`
		StateRoot string `json:"stateRoot"`
	}
	if json.Unmarshal(raw, &block) != nil {
		return rooted{}
	}
	hash, hashErr := decodeHash(block.Hash)
	root, rootErr := decodeHash(block.StateRoot)
	if hashErr != nil || rootErr != nil {
		return rooted{}
	}
	return rooted{hash: hash, root: root}
}

func isQuantity(raw json.RawMessage) bool {
	var n *hexutil.Big
	return json.Unmarshal(raw, &n) == nil && n != nil
}

// isAccessList looks for the list of EIP-2930 in what eth_createAccessList answers.
func isAccessList(raw json.RawMessage) bool {
	var answer struct {
		List []json.RawMessage `json:"accessList"`
	}
	return json.Unmarshal(raw, &answer) == nil && answer.List != nil
}

// isProof says whether an answer to eth_getProof (EIP-1186) begins at the root of the block's state; some
// backends answer for their newest block whatever they are asked for.
func isProof(raw json.RawMessage, root common.Hash) bool {
	var answer struct {
		AccountProof []string `json:"accountProof"`
	}
	if json.Unmarshal(raw, &answer) != nil || len(answer.AccountProof) == 0 {
		return false
	}
	node, err := decodeOutput(answer.AccountProof[0])
	return err == nil && len(node) > 0 && crypto.Keccak256Hash(node) == root
}
