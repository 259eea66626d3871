package quorum

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// operator is one voice: the endpoints of one operator are alternates of each other.
type operator struct {
	name      string
	endpoints []Backend
	until     atomic.Int64 // end of its demotion in Unix nanoseconds
}

func group(backends []Backend) []*operator {
	var all []*operator
	for _, b := range backends {
		at := slices.IndexFunc(all, func(o *operator) bool { return o.name == b.Operator() })
		if at < 0 {
			all = append(all, &operator{name: b.Operator()})
			at = len(all) - 1
		}
		all[at].endpoints = append(all[at].endpoints, b)
	}
	return all
}

// best is the endpoint to ask, usable and quick, of those not in without; nil when there is none.
func (o *operator) best(without []Backend) Backend {
	var best Backend
	for _, e := range o.endpoints {
		if slices.Contains(without, e) {
			continue
		}
		switch {
		case best == nil, e.Usable() && !best.Usable():
			best = e
		case e.Usable() == best.Usable() && compareLatency(e, best) < 0:
			best = e
		}
	}
	return best
}

func (o *operator) demote(d time.Duration) { o.until.Store(time.Now().Add(d).UnixNano()) }

func (o *operator) demoted() bool { return time.Now().UnixNano() < o.until.Load() }

// voter is an operator with the endpoint that speaks for it.
type voter struct {
	*operator
	Backend
}

// Name is the operator's: the endpoint's own is in its errors.
func (v voter) Name() string { return v.operator.name }

// ranked lists one voter for each operator, the one to ask first at the front: not demoted, usable, not
// behind the others, quick.
func (q *Quorum) ranked() []voter {
	const lagBound = 2 // blocks behind the best that still count as level with it
	voters := make([]voter, len(q.operators))
	var heads []uint64
	for i, o := range q.operators {
		voters[i] = voter{o, o.best(nil)}
		if head, _ := voters[i].Head(); voters[i].Usable() && !o.demoted() {
			heads = append(heads, head.Number)
		}
	}
	newest := uint64(0) // that K know: who invents blocks does not make all others laggards
	if slices.Sort(heads); len(heads) >= q.cfg.K {
		newest = heads[len(heads)-q.cfg.K]
	}
	const ( // what speaks against a voter, each more than all before it together
		isLagging = 1 << iota
		isDemoted
		isUnusable
	)
	class := make(map[*operator]int, len(voters))
	for _, v := range voters {
		if head, _ := v.Head(); head.Number+lagBound < newest {
			class[v.operator] |= isLagging
		}
		if v.demoted() {
			class[v.operator] |= isDemoted
		}
		if !v.Usable() {
			class[v.operator] |= isUnusable
		}
	}
	slices.SortStableFunc(voters, func(a, b voter) int {
		return cmp.Or(cmp.Compare(class[a.operator], class[b.operator]), compareLatency(a, b))
	})
	return voters
}

func compareLatency(a, b Backend) int {
	x, _ := a.Latency()
	y, _ := b.Latency()
	return cmp.Compare(x, y)
}
