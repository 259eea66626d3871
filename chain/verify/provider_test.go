package verify

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/holiman/uint256"

	"dens/chain"
	"dens/chain/proof"
)

// nodeProvider is a node without a network between. Its hook sees all that goes out, and may change what
// comes back.
type nodeProvider struct {
	client *rpc.Client
	// hook is called before a reply is handed over; again says that accept refused the one before, and that
	// this is the last. nil: honest.
	hook func(ctx context.Context, requests []chain.Request, reply *chain.Reply, again bool) error

	mu     sync.Mutex
	record map[string]json.RawMessage // what was answered once is answered from memory; nil: not
	asked  map[string]int             // requests by method
	blamed []string
}

func newNodeProvider() *nodeProvider {
	return &nodeProvider{client: theChain.Client(), asked: map[string]int{}}
}

func (p *nodeProvider) Fetch(ctx context.Context, requests []chain.Request, accept func(chain.Reply) error) (err error) {
	if len(requests) == 0 || len(requests) > chain.MaxRequests {
		return errors.New("too many requests")
	}
	for _, again := range []bool{false, true} {
		reply := chain.Reply{Backend: "node", Operator: "node", Results: make([]json.RawMessage, len(requests)), Errs: make([]error, len(requests))}
		for i, q := range requests {
			reply.Results[i], reply.Errs[i] = p.ask(ctx, q)
			reply.Bytes += len(reply.Results[i])
		}
		if p.hook != nil {
			if err := p.hook(ctx, requests, &reply, again); err != nil {
				return err
			}
		}
		if err = accept(reply); err == nil || p.hook == nil {
			return err
		}
	}
	return err
}

func (p *nodeProvider) ask(ctx context.Context, q chain.Request) (answer json.RawMessage, err error) {
	name, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.asked[q.Method]++
	answer, ok := p.record[string(name)]
	p.mu.Unlock()
	if ok {
		return answer, nil
	}
	err = p.client.CallContext(ctx, &answer, q.Method, q.Params...)
	if said := rpc.Error(nil); errors.As(err, &said) {
		return nil, &chain.BackendError{Backend: "node", Err: err}
	}
	if err == nil && p.record != nil {
		p.mu.Lock()
		p.record[string(name)] = answer
		p.mu.Unlock()
	}
	return answer, err
}

func (p *nodeProvider) Blame(backend string, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blamed = append(p.blamed, backend)
}

func (p *nodeProvider) count(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[method]
}

// inTurn asks the first Provider, and those after it when it fails.
type inTurn []Provider

func (all inTurn) Fetch(ctx context.Context, requests []chain.Request, accept func(chain.Reply) error) (err error) {
	for _, p := range all {
		if err = p.Fetch(ctx, requests, accept); err == nil {
			return nil
		}
	}
	return err
}

func (all inTurn) Blame(backend string, err error) { all[0].Blame(backend, err) }

// asks says whether one of the requests is of that method.
func asks(requests []chain.Request, method string) bool {
	for _, q := range requests {
		if q.Method == method {
			return true
		}
	}
	return false
}

// fixedAnchor vouches for one block.
type fixedAnchor struct{ chain.Head }

func (a fixedAnchor) Anchor(context.Context) (chain.Anchor, error) {
	return chain.Anchor{Head: a.Head, Source: chain.AnchorTrusted, Vouchers: []string{"test"}}, nil
}

// anchorFunc is a function that vouches.
type anchorFunc func() (chain.Anchor, error)

func (f anchorFunc) Anchor(context.Context) (chain.Anchor, error) { return f() }

// noProvider has nothing.
type noProvider struct{}

func (noProvider) Fetch(context.Context, []chain.Request, func(chain.Reply) error) error {
	return chain.ErrUnavailable
}

func (noProvider) Blame(string, error) {}

// made is a Verifier with a made-up block: the state is as if it had been proven. There is nobody to ask for
// more.
func made(t testing.TB, chainID uint64, header types.Header, codes map[common.Address]string, slots map[common.Address]map[common.Hash]common.Hash) *Verifier {
	if header.Number == nil {
		header.Number = big.NewInt(1000)
	}
	if header.Difficulty == nil {
		header.Difficulty = new(big.Int)
	}
	v, err := New(Config{ChainID: chainID, Provider: noProvider{}, Anchors: fixedAnchor{chain.Head{Hash: header.Hash()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	b := newBlock(v, chain.Anchor{Head: chain.Head{Hash: header.Hash()}})
	b.learnHeader(&header)
	proven := map[common.Address]*account{}
	for address, code := range codes {
		runtime := common.FromHex(code)
		hash := crypto.Keccak256Hash(runtime)
		a := &account{Account: proof.Account{Exists: true, Balance: new(uint256.Int), StorageRoot: types.EmptyRootHash, CodeHash: hash}, by: []string{"made"}}
		if s := slots[address]; s != nil {
			a.StorageRoot, a.slots = common.Hash{1}, maps.Clone(s)
		}
		proven[address] = a
		v.codes.put(hash, runtime)
		v.memory.learn(key(chain.Msg{To: address}), common.Hash{}, nil) // so that no list is asked for
	}
	b.learn(proven)
	v.blocks.Add(header.Hash(), b)
	return v
}

func headerOf(number int64) types.Header { return types.Header{Number: big.NewInt(number)} }
