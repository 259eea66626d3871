package ccip

import (
	"fmt"
	"sync/atomic"

	"dens/chain"
)

// budget is what is left to one Call.
type budget struct {
	lookupsLeft, requestsLeft, bytesLeft atomic.Int64
}

func newBudget() *budget {
	b := &budget{}
	b.lookupsLeft.Store(maxLookups)
	b.requestsLeft.Store(maxRequests)
	b.bytesLeft.Store(maxData)
	return b
}

func (b *budget) lookups(n int) error {
	return take(&b.lookupsLeft, n, maxLookups, "off-chain look-ups")
}

func (b *budget) request() error {
	return take(&b.requestsLeft, 1, maxRequests, "requests to gateways")
}

func (b *budget) data(n int) error {
	return take(&b.bytesLeft, n, maxData, "bytes of off-chain data")
}

// take takes n of what is left, or nothing when that is less.
func take(left *atomic.Int64, n int, all int, what string) error {
	for {
		have := left.Load()
		if have < int64(n) {
			return fmt.Errorf("%w: more than %d %s for one call", chain.ErrLimit, all, what)
		}
		if left.CompareAndSwap(have, have-int64(n)) {
			return nil
		}
	}
}
