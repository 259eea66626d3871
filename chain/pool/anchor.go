package pool

import (
	"context"

	"dens/chain"
)

// Anchor returns the newest block of the best backend, as Call without a block would use it, with the source
// chain.AnchorTrusted: that backend alone names the hash. Errors are those of Call.
func (p *Pool) Anchor(ctx context.Context) (chain.Anchor, error) {
	ctx, cancel := p.bounded(ctx)
	defer cancel()
	r := race[chain.Anchor]{pool: p, ask: func(ctx context.Context, e *Endpoint) (chain.Anchor, error) {
		e.Touch()
		head, err := p.newest(ctx, e, e.fresh())
		if err != nil {
			return chain.Anchor{}, err
		}
		return chain.Anchor{Head: head, Source: chain.AnchorTrusted, Vouchers: []string{e.Operator()}}, nil
	}}
	return r.run(ctx)
}
