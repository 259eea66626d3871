package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"golang.org/x/sync/errgroup"

	"dens/chain"
	"dens/chain/proof"
)

// maxTogether is how many requests go out in one batch; of more, several batches at once.
const maxTogether = 64

// fetch is one trip for pieces of a block's state.
type fetch struct {
	block  *block
	flight *flight
	items  []item // all of what follows, in the block's books

	header bool
	proofs []access
	codes  []common.Address

	// What came of it. Batches are accepted at the same time.
	mu       sync.Mutex
	accounts map[common.Address]*account
	bytes    int
}

func (f *fetch) empty() bool {
	return !f.header && len(f.proofs)+len(f.codes) == 0
}

// run fetches and keeps what was proven. It does not end with the call that began it, since others wait
// for the same.
func (f *fetch) run() {
	ctx, cancel := context.WithTimeout(f.block.v.ctx, f.block.v.cfg.Timeout)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for _, batch := range f.batches() {
		group.Go(func() error { return batch.run(ctx) })
	}
	err := group.Wait()
	if err == nil {
		f.block.learn(f)
	}
	f.block.land(f, err)
}

// batches divides what is to be fetched into batches of at most maxTogether requests.
func (f *fetch) batches() []*batch {
	var all []*batch
	b := &batch{fetch: f}
	add := func(together ...part) {
		if len(b.parts)+len(together) > maxTogether {
			all = append(all, b)
			b = &batch{fetch: f}
		}
		b.parts = append(b.parts, together...)
	}
	if f.header {
		add(headerPart{})
	}
	codes := slices.Clone(f.codes)
	for _, a := range f.proofs {
		if i := slices.Index(codes, a.address); i >= 0 { // code is checked by its account's proof
			codes = slices.Delete(codes, i, i+1)
			add(proofPart(a), codePart{a.address})
			continue
		}
		add(proofPart(a))
	}
	for _, address := range codes {
		add(codePart{address})
	}
	return append(all, b)
}

// batch is a part of a fetch that goes out together.
type batch struct {
	*fetch
	parts []part
}

// part is one request with what its answer means.
type part interface {
	request(at blockHash) chain.Request
	// read takes the answer into r. Errors wrap chain.ErrBadProof, chain.ErrMalformed or
	// chain.ErrUnknownBlock.
	read(ctx context.Context, answer json.RawMessage, r *reading) error
}

// reading is what one reply comes to. It counts as a whole or not at all.
type reading struct {
	*batch
	operator string
	header   *types.Header // where it is in this reply
	rules    *params.ChainConfig
	accounts map[common.Address]*account
	codes    map[common.Hash][]byte
}

// blockHash is the block parameter of EIP-1898. A block that lost a reorganisation is still the one that
// was vouched for.
type blockHash struct {
	Hash      common.Hash `json:"blockHash"`
	Canonical bool        `json:"requireCanonical"`
}

func (b *batch) run(ctx context.Context) error {
	requests := make([]chain.Request, len(b.parts))
	at := blockHash{Hash: b.block.hash}
	for i, p := range b.parts {
		requests[i] = p.request(at)
	}
	return b.block.v.fetch(ctx, requests, func(reply chain.Reply) error {
		b.mu.Lock()
		b.bytes += reply.Bytes
		b.mu.Unlock()
		return b.accept(ctx, reply)
	})
}

// fetch asks the provider, and keeps the books.
func (v *Verifier) fetch(ctx context.Context, requests []chain.Request, accept func(chain.Reply) error) error {
	return v.cfg.Provider.Fetch(ctx, requests, func(reply chain.Reply) error {
		v.bytes.Add(uint64(reply.Bytes))
		if len(reply.Results) != len(requests) || len(reply.Errs) != len(requests) {
			return fmt.Errorf("%w: %d answers to %d requests", chain.ErrMalformed, len(reply.Results), len(requests))
		}
		err := accept(reply)
		if errors.Is(err, chain.ErrBadProof) {
			v.badProofs.Add(1)
		}
		return err
	})
}

// accept checks a reply as a whole, and takes it if all of it holds.
func (b *batch) accept(ctx context.Context, reply chain.Reply) error {
	r := &reading{batch: b, operator: reply.Operator, accounts: map[common.Address]*account{}, codes: map[common.Hash][]byte{}}
	for i, p := range b.parts {
		if reply.Errs[i] != nil {
			return reply.Errs[i]
		}
		if err := p.read(ctx, reply.Results[i], r); err != nil {
			return err
		}
	}
	if r.header != nil {
		b.block.learnHeader(r.header, r.rules)
	}
	for hash, code := range r.codes {
		b.block.v.codes.put(hash, code)
	}
	for address, a := range r.accounts {
		b.block.v.memory.learnCode(address, a.CodeHash)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accounts == nil {
		b.accounts = map[common.Address]*account{}
	}
	maps.Copy(b.accounts, r.accounts)
	return nil
}

// unproven is an error of package proof as one of package chain.
type unproven struct{ kind, err error }

func (u *unproven) Error() string { return u.err.Error() }

func (u *unproven) Unwrap() []error { return []error{u.kind, u.err} }

func bad(err error) error {
	if errors.Is(err, proof.ErrMalformed) {
		return &unproven{chain.ErrMalformed, err}
	}
	return &unproven{chain.ErrBadProof, err}
}

func isNull(answer json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(answer), []byte("null")) }

// headerPart fetches the block's header.
type headerPart struct{}

func (headerPart) request(at blockHash) chain.Request {
	return chain.Request{Method: "eth_getBlockByHash", Params: []any{at.Hash, false}}
}

func (headerPart) read(_ context.Context, answer json.RawMessage, r *reading) error {
	if isNull(answer) {
		return chain.ErrUnknownBlock
	}
	header, err := proof.DecodeHeader(answer, r.block.hash)
	if err != nil {
		return bad(err)
	}
	r.header = header
	r.rules, err = rulesOf(r.block.v.cfg.ChainID, header)
	return err
}

// proofPart fetches the proof of an account and of slots of it.
type proofPart access

func (p proofPart) request(at blockHash) chain.Request {
	slots := p.slots
	if slots == nil {
		slots = []common.Hash{} // null is refused
	}
	return chain.Request{Method: "eth_getProof", Params: []any{p.address, slots, at}}
}

func (p proofPart) read(ctx context.Context, answer json.RawMessage, r *reading) error {
	header := r.header
	if header == nil {
		var err error
		if header, err = r.block.awaitHeader(ctx); err != nil {
			return err
		}
	}
	if isNull(answer) {
		return fmt.Errorf("%w: no proof of %s", chain.ErrMalformed, p.address)
	}
	nodes, err := proof.DecodeAccountProof(answer, len(p.slots))
	if err != nil {
		return bad(err)
	}
	found := &account{slots: make(map[common.Hash]common.Hash, len(p.slots)), by: r.operator}
	if known, _, ok := r.block.account(p.address); ok {
		found.Account = known
	} else if found.Account, err = proof.VerifyAccount(header.Root, p.address, nodes.Account); err != nil {
		return bad(err)
	}
	for i, s := range p.slots {
		if found.slots[s], err = proof.VerifySlot(found.StorageRoot, s, nodes.Slots[i]); err != nil {
			return bad(fmt.Errorf("account %s: %w", p.address, err))
		}
	}
	r.accounts[p.address] = found
	return nil
}

// codePart fetches a contract's code.
type codePart struct{ address common.Address }

func (p codePart) request(at blockHash) chain.Request {
	return chain.Request{Method: "eth_getCode", Params: []any{p.address, at}}
}

func (p codePart) read(_ context.Context, answer json.RawMessage, r *reading) error {
	var code hexutil.Bytes
	if len(answer) > 2*maxCode+4 {
		return fmt.Errorf("%w: code of %s has more than %d bytes", chain.ErrMalformed, p.address, maxCode)
	}
	if isNull(answer) || json.Unmarshal(answer, &code) != nil {
		return fmt.Errorf("%w: code of %s", chain.ErrMalformed, p.address)
	}
	hash, ok := r.codeHash(p.address)
	if !ok {
		return fmt.Errorf("%w: code of %s, whose account is not proven", chain.ErrMalformed, p.address)
	}
	if err := proof.VerifyCode(hash, code); err != nil {
		return bad(fmt.Errorf("account %s: %w", p.address, err))
	}
	r.codes[hash] = code
	return nil
}

// codeHash is the proven hash of a contract's code.
func (r *reading) codeHash(address common.Address) (common.Hash, bool) {
	if a, ok := r.accounts[address]; ok {
		return a.CodeHash, true
	}
	a, _, ok := r.block.account(address)
	return a.CodeHash, ok
}
