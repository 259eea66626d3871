package ccip

import (
	"context"
	"errors"
	"fmt"

	"dens/chain"

	"github.com/ethereum/go-ethereum/common"
)

var errSender = errors.New("the contract passes on a look-up of another contract")

// pending is an output that waits for an off-chain look-up.
type pending struct {
	index  int // of the output
	to     common.Address
	lookup lookup
	hosts  []string // gateways whose data, or failure in a batch, went into it so far
	// signature says that a callback before this look-up checked one: what it let pass went into it, too.
	signature bool
	callback  chain.Msg // when err is nil after fetch
	err       error
}

// newPending returns nil when out does not ask for a look-up.
func newPending(index int, to common.Address, out chain.Output) *pending {
	if !out.Reverted || out.Err != nil || !isLookup(out.Data) {
		return nil
	}
	p := &pending{index: index, to: to}
	p.lookup, p.err = decodeLookup(out.Data)
	if p.err == nil && p.lookup.sender != to {
		// Followed, it would let a contract make others' callbacks speak for it (EIP-3668, "Client
		// Lookup Protocol", step 3).
		p.err = errSender
	}
	return p
}

// fetch asks the gateways and prepares the callback.
func (p *pending) fetch(ctx context.Context, f *fetcher, round int) {
	if p.err == nil && round > maxRounds {
		p.err = fmt.Errorf("%w: more than %d look-ups, one after the other", chain.ErrLimit, maxRounds)
	}
	if p.err == nil {
		p.err = f.budget.data(len(p.lookup.extra)) // it rides in the callback too
	}
	if p.err == nil {
		var answer []byte
		var hosts []string
		if answer, hosts, p.err = f.lookup(ctx, p.lookup.request, 0); p.err == nil {
			p.hosts = union(p.hosts, hosts)
			p.callback = chain.Msg{To: p.to, Data: encodeCallback(p.lookup.callback, answer, p.lookup.extra)}
		}
	}
	if p.err != nil {
		p.err = fmt.Errorf("%w: %w", chain.ErrGateway, p.err)
	}
}
