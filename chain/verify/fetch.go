package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"dens/chain"
	"dens/chain/proof"
)

// batch is a part of what a call fetches, that goes out together. It ends with its own trouble, not with
// that of others, and not with the call that began it, since others wait for the same.
type batch struct {
	block  *block
	items  []item // what it fetches, in the block's books
	parts  []part
	weight int // bytes that the answer is expected to have

	done  chan struct{}
	err   error // when done, as what follows
	bytes int
}

// run fetches and keeps what was proven.
func (b *batch) run() {
	defer b.block.land(b)
	v := b.block.v
	ctx, cancel := context.WithTimeout(v.ctx, v.cfg.Timeout)
	defer cancel()
	defer recovered(&b.err)
	requests := make([]chain.Request, len(b.parts))
	at := blockHash{Hash: b.block.hash}
	for i, p := range b.parts {
		requests[i] = p.request(at)
	}
	var got *reading
	headless := false
	b.err = v.fetch(ctx, requests, func(reply chain.Reply) (err error) {
		b.bytes += reply.Bytes
		if got, err = b.read(ctx, reply); errors.Is(err, errNoHeader) {
			headless = true
			cancel() // other backends' proofs would be in vain too
		}
		return err
	})
	switch {
	case b.err != nil && headless && v.ctx.Err() == nil:
		b.err = errNoHeader // whatever came of ending the fetch
	case b.err == nil && got != nil:
		b.keep(got)
	}
}

// recovered turns a panic into an error. A goroutine that panics ends the server otherwise.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: checking an answer panicked: %v", chain.ErrUnavailable, p)
	}
}

// keep keeps all of a reply that was taken.
func (b *batch) keep(r *reading) {
	for hash, code := range r.codes {
		b.block.v.codes.put(hash, code)
	}
	for address, a := range r.accounts {
		b.block.v.memory.learnCode(address, a.CodeHash)
	}
	b.block.learn(r.accounts)
}

// part is one request with what its answer means.
type part interface {
	request(at blockHash) chain.Request
	// read takes the answer into r. Errors wrap chain.ErrBadProof, chain.ErrMalformed or
	// chain.ErrUnknownBlock.
	read(ctx context.Context, answer json.RawMessage, r *reading) error
}

// reading is what one reply comes to. But for the header, it counts as a whole or not at all.
type reading struct {
	block    *block
	operator string
	accounts map[common.Address]*account
	codes    map[common.Hash][]byte
}

// account is what the reply proves of an account so far; nil before it proved anything.
func (r *reading) account(address common.Address) (proof.Account, bool) {
	if a, ok := r.accounts[address]; ok {
		return a.Account, true
	}
	return r.block.account(address)
}

// blockHash is the block parameter of EIP-1898. A block that lost a reorganisation is still the one that
// was vouched for.
type blockHash struct {
	Hash      common.Hash `json:"blockHash"`
	Canonical bool        `json:"requireCanonical"`
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

// read checks a reply as a whole.
func (b *batch) read(ctx context.Context, reply chain.Reply) (*reading, error) {
	r := &reading{block: b.block, operator: reply.Operator, accounts: map[common.Address]*account{}, codes: map[common.Hash][]byte{}}
	for i, p := range b.parts {
		if reply.Errs[i] != nil {
			return nil, reply.Errs[i]
		}
		if err := p.read(ctx, reply.Results[i], r); err != nil {
			return nil, err
		}
	}
	return r, nil
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
	r.block.learnHeader(header) // whatever else is in the reply, the hash is proof enough
	return nil
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
	header, err := r.block.awaitHeader(ctx)
	if err != nil {
		return err
	}
	if isNull(answer) {
		return fmt.Errorf("%w: no proof of %s", chain.ErrMalformed, p.address)
	}
	nodes, err := proof.DecodeAccountProof(answer, len(p.slots))
	if err != nil {
		return bad(err)
	}
	found := r.accounts[p.address]
	if found == nil {
		found = &account{slots: make(map[common.Hash]common.Hash, len(p.slots)), by: []string{r.operator}}
		if known, ok := r.block.account(p.address); ok {
			found.Account = known
		} else if found.Account, err = proof.VerifyAccount(header.Root, p.address, nodes.Account); err != nil {
			return bad(err)
		}
		r.accounts[p.address] = found
	}
	for i, s := range p.slots {
		if found.slots[s], err = proof.VerifySlot(found.StorageRoot, s, nodes.Slots[i]); err != nil {
			return bad(fmt.Errorf("account %s: %w", p.address, err))
		}
	}
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
	account, ok := r.account(p.address)
	if !ok {
		return fmt.Errorf("%w: code of %s, whose account is not proven", chain.ErrMalformed, p.address)
	}
	if err := proof.VerifyCode(account.CodeHash, code); err != nil {
		return bad(fmt.Errorf("account %s: %w", p.address, err))
	}
	r.codes[account.CodeHash] = code
	return nil
}
