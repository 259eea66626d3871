package quorum

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"dens/chain"
)

// Bounds of hedging: how long the voters asked may take before a spare is asked too.
const (
	hedgeLeast   = 50 * time.Millisecond
	hedgeMost    = 2 * time.Second
	hedgeUnknown = 300 * time.Millisecond // of a voter that has no history
)

// ballot is one call put to the operators. All but the requests themselves happens in run's goroutine.
type ballot struct {
	q    *Quorum
	msgs []chain.Msg
	head chain.Head

	left    []voter // not asked yet, the next at the front
	tried   []Backend
	pending []voter
	votes   []vote // of those who answered
	errs    []error
	results chan ballotResult
}

// vote is what one operator said.
type vote struct {
	operator *operator
	outputs  []chain.Output
}

type ballotResult struct {
	voter   voter
	outputs []chain.Output
	err     error
}

func newBallot(q *Quorum, msgs []chain.Msg, head chain.Head) *ballot {
	ranked := q.ranked()
	return &ballot{q: q, msgs: msgs, head: head, left: ranked, results: make(chan ballotResult, len(q.cfg.Backends))}
}

// run asks K operators, and others in place of those who fail or take long, until K agree.
func (b *ballot) run(ctx context.Context) (chain.Result, error) {
	for range b.q.cfg.K {
		b.askNext(ctx)
	}
	for len(b.pending) > 0 {
		hedge := time.NewTimer(b.patience())
		select {
		case <-ctx.Done():
			hedge.Stop()
			for _, v := range b.pending {
				b.errs = append(b.errs, &chain.BackendError{Backend: v.Name(), Err: chain.ErrTimeout})
			}
			return chain.Result{}, tooFew("call", len(b.votes), b.q.cfg.K, b.errs)
		case r := <-b.results:
			b.take(r)
		case <-hedge.C:
			b.askNext(ctx)
			continue
		}
		hedge.Stop()
		if err := b.conflict(); err != nil {
			return chain.Result{}, err
		}
		if outputs, ok := b.decided(); ok {
			return chain.Result{Outputs: outputs, Head: b.head, Trust: chain.Quorum, Backends: b.names()}, nil
		}
		for len(b.votes)+len(b.pending) < b.q.cfg.K || len(b.pending) == 0 {
			if !b.askNext(ctx) {
				break
			}
		}
	}
	return chain.Result{}, tooFew("call", len(b.votes), b.q.cfg.K, b.errs)
}

// askNext asks one more operator, unless nobody is left or 2K-1 are being heard.
func (b *ballot) askNext(ctx context.Context) bool {
	if len(b.left) == 0 || len(b.votes)+len(b.pending) >= 2*b.q.cfg.K-1 {
		return false
	}
	v := b.left[0]
	b.left, b.pending = b.left[1:], append(b.pending, v)
	go func() {
		outputs, err := v.CallAt(ctx, b.msgs, b.head)
		if err == nil && len(outputs) != len(b.msgs) {
			err = &chain.BackendError{Backend: v.Name(), Err: chain.ErrMalformed}
		}
		b.results <- ballotResult{v, outputs, err}
	}()
	return true
}

// take counts an answer. An operator whose endpoint failed is out, and comes last in line again with
// another one if it has it.
func (b *ballot) take(r ballotResult) {
	b.pending = slices.DeleteFunc(b.pending, func(v voter) bool { return v.operator == r.voter.operator })
	if r.err != nil {
		b.errs = append(b.errs, r.err)
		b.tried = append(b.tried, r.voter.Backend)
		if other := r.voter.operator.best(b.tried); other != nil {
			b.left = append(b.left, voter{r.voter.operator, other})
		}
		return
	}
	b.votes = append(b.votes, vote{r.voter.operator, r.outputs})
}

// patience is how long the voters under way are left alone: the slowest one's 95th percentile. Before
// one is heard that was caught alone with what it said, they get the most.
func (b *ballot) patience() time.Duration {
	if len(b.left) > 0 && b.left[0].demoted() {
		return hedgeMost
	}
	var most time.Duration
	for _, v := range b.pending {
		_, p95 := v.Latency()
		if p95 <= 0 {
			p95 = hedgeUnknown
		}
		most = max(most, p95)
	}
	return min(max(most, hedgeLeast), hedgeMost)
}

// decided returns the outputs once each of them has K equal votes. An output that K operators could not
// give, each for a reason of its own limits, is decided to be an error.
func (b *ballot) decided() ([]chain.Output, bool) {
	outputs := make([]chain.Output, len(b.msgs))
	for i := range outputs {
		given, failed := 0, 0
		for _, v := range b.votes {
			if out := v.outputs[i]; out.Err != nil {
				failed++
				if given == 0 {
					outputs[i] = out
				}
			} else {
				given++
				outputs[i] = out
			}
		}
		if given < b.q.cfg.K && failed < b.q.cfg.K {
			return nil, false
		}
		if given < b.q.cfg.K && outputs[i].Err == nil {
			outputs[i] = b.failure(i)
		}
	}
	return outputs, true
}

// failure is the error of an output that more operators failed at than K-1.
func (b *ballot) failure(i int) chain.Output {
	for _, v := range b.votes {
		if v.outputs[i].Err != nil {
			return v.outputs[i]
		}
	}
	return chain.Output{}
}

// conflict is the error of two operators that say different things of one message.
func (b *ballot) conflict() error {
	for i := range b.msgs {
		var first *chain.Output
		for _, v := range b.votes {
			out := &v.outputs[i]
			switch {
			case out.Err != nil:
			case first == nil:
				first = out
			case !equal(first, out):
				return fmt.Errorf("%w at block %d: %s", chain.ErrConflict, b.head.Number, b.sayings(i))
			}
		}
	}
	return nil
}

func equal(a, b *chain.Output) bool { return a.Reverted == b.Reverted && bytes.Equal(a.Data, b.Data) }

// sayings names who said what of one message, by length and hash.
func (b *ballot) sayings(i int) string {
	var parts []string
	for _, v := range b.votes {
		if out := v.outputs[i]; out.Err == nil {
			kind := "returned"
			if out.Reverted {
				kind = "reverted with"
			}
			parts = append(parts, fmt.Sprintf("%s %s %d bytes (hash %x)", v.operator.name, kind, len(out.Data), crypto.Keccak256(out.Data)[:4]))
		}
	}
	return strings.Join(parts, ", ")
}

func (b *ballot) names() []string {
	var names []string
	for _, v := range b.votes {
		names = append(names, v.operator.name)
	}
	slices.Sort(names)
	return names
}

// arbitrate hears the operators that were not asked about a conflict, for the sake of the ranking alone:
// when K of all say the same, who contradicts them is asked last for a while. The call itself has failed.
func (q *Quorum) arbitrate(b *ballot) {
	if !q.arbiter.TryLock() { // one at a time: a stream of conflicts is about one liar
		return
	}
	if !q.begin() {
		q.arbiter.Unlock()
		return
	}
	go func() {
		defer q.running.Done()
		defer q.arbiter.Unlock()
		ctx, cancel := context.WithTimeout(q.ctx, q.cfg.Timeout)
		defer cancel()
		// The requests under way were ended with the call; their operators are heard anew.
		witnesses := append(b.pending, b.left...)
		results := make(chan ballotResult, len(witnesses))
		for _, v := range witnesses {
			go func() {
				outputs, err := v.CallAt(ctx, b.msgs, b.head)
				results <- ballotResult{v, outputs, err}
			}()
		}
		for range witnesses {
			if r := <-results; r.err == nil && len(r.outputs) == len(b.msgs) {
				b.votes = append(b.votes, vote{r.voter.operator, r.outputs})
			}
		}
		for _, o := range b.outvoted() {
			o.demote(q.cfg.Demotion)
			q.cfg.Log.Warn("backend contradicts the others and is asked last for a while", "operator", o.name, "for", q.cfg.Demotion)
		}
	}()
}

// outvoted are the operators that contradict K others who are of one mind.
func (b *ballot) outvoted() []*operator {
	var out []*operator
	for i := range b.msgs {
		for _, candidate := range b.votes {
			said := &candidate.outputs[i]
			supporters := 0
			for _, v := range b.votes {
				if v.outputs[i].Err == nil && equal(said, &v.outputs[i]) {
					supporters++
				}
			}
			if said.Err != nil || supporters < b.q.cfg.K {
				continue
			}
			for _, v := range b.votes {
				if v.outputs[i].Err == nil && !equal(said, &v.outputs[i]) && !slices.Contains(out, v.operator) {
					out = append(out, v.operator)
				}
			}
		}
	}
	return out
}
