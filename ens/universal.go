package ens

import (
	"context"
	"fmt"
	"slices"

	"dens/chain"

	"github.com/ethereum/go-ethereum/common"
)

// finding is where the records of a name are kept, and the way to them.
type finding struct {
	resolver common.Address
	at       int            // the ancestor whose resolver it is; -1 when there is none
	owners   []chain.Output // of registry.owner, by ancestor below the zone from name.first on
	// ask returns what is held under an ancestor, from what was fetched already where it can.
	ask func(ctx context.Context, c int) (*view, error)
	// askCut is ask for what tells of a zone cut at an ancestor, and may return that only.
	askCut func(ctx context.Context, c int) (*view, error)
}

// universal asks the UniversalResolver: which resolver is responsible, and at once, for each ancestor
// that could be the apex of the zone, what it holds about the name. That is one Call.
func (l *lookup) universal(ctx context.Context) (*finding, error) {
	first := l.name.first()
	asked := l.speculation()
	msgs := []chain.Msg{{To: l.deployment.UniversalResolver, Data: l.contracts.findResolver(l.name.ensName(first))}}
	msgs = append(msgs, l.ownerMsgs()...)
	owners := len(msgs) - 1
	for _, a := range asked {
		msgs = append(msgs, l.universalMsg(a.c, a.items))
	}
	outputs, err := l.callAll(ctx, msgs)
	if err != nil {
		return nil, err
	}
	f := &finding{owners: outputs[1 : 1+owners]}
	if f.resolver, f.at, err = l.found(outputs[0], first); err != nil {
		return nil, err
	}
	u := &universal{lookup: l, finding: f, views: make(map[int]*view), cuts: make(map[int]*view)}
	for i, a := range asked {
		views := u.views
		if a.cut {
			views = u.cuts
		}
		views[a.c] = universalView(outputs[1+owners+i], a.items)
	}
	f.ask, f.askCut = u.view, u.cut
	return f, nil
}

// guess is one ancestor whose view is fetched in the first Call, or the part of it that tells of a zone cut.
type guess struct {
	c     int
	cut   bool
	items []item
}

func (l *lookup) speculation() []guess {
	var list []guess
	full := l.candidates()
	for _, c := range full {
		list = append(list, guess{c: c, items: l.items(c)})
	}
	for c := 1; c < l.name.depth && l.wantCuts; c++ {
		if !slices.Contains(full, c) {
			list = append(list, guess{c: c, cut: true, items: l.cutItems(c)})
		}
	}
	return list
}

// universal answers finding.ask from what the UniversalResolver said.
type universal struct {
	*lookup
	*finding
	views map[int]*view // by ancestor
	cuts  map[int]*view // likewise, with cutItems only
}

func (u *universal) view(ctx context.Context, c int) (*view, error) {
	if u.views[c] == nil {
		items := u.items(c)
		outputs, err := u.call(ctx, []chain.Msg{u.universalMsg(c, items)})
		if err != nil {
			return nil, err
		}
		u.views[c] = universalView(outputs[0], items)
	}
	if !u.views[c].doubt {
		return u.views[c], nil
	}
	v, err := u.recheck(ctx, u.finding, c, u.views[c])
	if err != nil {
		return nil, err
	}
	u.views[c] = v
	return v, nil
}

func (u *universal) cut(ctx context.Context, c int) (*view, error) {
	v := u.views[c]
	if v == nil {
		v = u.cuts[c]
	}
	if v == nil || v.doubtful(cutKeys(c)) {
		if v != nil {
			u.views[c] = v // to be asked again
		}
		return u.view(ctx, c)
	}
	return v, nil
}

// recheck asks the resolver itself. In what a multicall returns, a look-up that failed in the batch gateway
// may look like a revert of the contract (ENSIP-21 has both as Error(string)), and so does a callback that
// refuses a gateway's data. A gateway that is down or lies must not pass for the absence of a record. Asked
// directly, these differ.
func (l *lookup) recheck(ctx context.Context, f *finding, c int, v *view) (*view, error) {
	switch {
	case v.resolver != (common.Address{}):
	case f.at >= c:
		v.resolver = f.resolver
	default: // it is asked about an ancestor, and the name has a resolver of its own
		outputs, err := l.call(ctx, []chain.Msg{{To: l.deployment.UniversalResolver, Data: l.contracts.findResolver(l.name.ensName(c))}})
		if err != nil {
			return nil, err
		}
		if v.resolver, _, err = l.found(outputs[0], c); err != nil {
			return nil, err
		}
	}
	d := &direct{lookup: l, resolvers: make([]common.Address, len(l.name.labels)), asked: make(map[target][]chain.Output)}
	d.resolvers[c] = v.resolver
	all := []target{{how: modeInterface, addr: v.resolver}, {c, modeExtended, v.resolver}, {c, modePlain, v.resolver}}
	if err := d.fetch(ctx, all...); err != nil {
		return nil, err
	}
	v, err := d.view(ctx, c)
	if err != nil {
		return nil, err
	}
	v.doubt = false
	return v, nil
}

// candidates lists the ancestors whose view is fetched in the first Call.
func (l *lookup) candidates() []int {
	var list []int
	if !l.name.star {
		list = append(list, 0)
	}
	offChain := l.offChain()
	for c := 1; c < l.name.depth; c++ {
		if !offChain || c == 1 && l.name.isLink() {
			list = append(list, c)
		}
	}
	if l.name.isLink() && l.name.depth == 1 {
		list = append(list, 1)
	}
	return list
}

// offChain says whether an ancestor is known to answer for the names below it by way of a gateway.
func (l *lookup) offChain() bool {
	for i := 1; i < len(l.name.labels); i++ {
		if l.wildcards.has(l.name.node(i)) {
			return true
		}
	}
	return false
}

// ownerMsgs asks the registry which of the names below the zone are registered.
func (l *lookup) ownerMsgs() []chain.Msg {
	var msgs []chain.Msg
	for i := l.name.first(); i < l.name.depth; i++ {
		msgs = append(msgs, chain.Msg{To: l.deployment.Registry, Data: l.contracts.owner(l.name.node(i))})
	}
	return msgs
}

// universalMsg asks for all the items under an ancestor at once.
func (l *lookup) universalMsg(c int, items []item) chain.Msg {
	calls := make([][]byte, len(items))
	for i, it := range items {
		calls[i] = it.data
	}
	data := l.contracts.resolve(l.name.ensName(c), l.contracts.multicall(calls))
	return chain.Msg{To: l.deployment.UniversalResolver, Data: data}
}

// found reads the output of findResolver for the ancestor from.
func (l *lookup) found(out chain.Output, from int) (common.Address, int, error) {
	if out.Err != nil {
		return common.Address{}, 0, fmt.Errorf("finding the resolver: %w", out.Err)
	}
	if out.Reverted {
		return common.Address{}, 0, malformed("the UniversalResolver finds no resolver and reverts")
	}
	l.use(out.Gateways, out.Signature)
	resolver, err := addressAt(out.Data, 0)
	if err != nil {
		return common.Address{}, 0, fmt.Errorf("finding the resolver: %w", err)
	}
	if resolver == (common.Address{}) {
		return resolver, -1, nil
	}
	offset, err := uintAt(out.Data, 2*wordSize)
	if err != nil {
		return common.Address{}, 0, fmt.Errorf("finding the resolver: %w", err)
	}
	at, ok := l.name.index(from, offset)
	if !ok {
		return common.Address{}, 0, malformed("resolver is at offset %d, within a label", offset)
	}
	return resolver, at, nil
}

// universalView reads the output of the UniversalResolver's resolve with a multicall of items.
func universalView(out chain.Output, items []item) *view {
	if out.Err != nil {
		return failedView(out.Err)
	}
	var by origin
	by.add(out)
	if out.Reverted {
		return revertedView(out.Data, by)
	}
	inner, err := bytesAt(out.Data, 0, 0, chain.MaxOutput)
	if err != nil {
		return failedView(err)
	}
	list, err := bytesArrayAt(inner, 0, len(items))
	if err != nil {
		return failedView(err)
	}
	results := make([]result, len(items))
	for i, data := range list {
		results[i] = itemResult(data)
		if len(out.Gateways) > 0 && results[i].state == stateReverted {
			results[i].doubt = true // before a gateway was asked, or over what it said?
		}
	}
	v := newView(items, results, by)
	v.resolver, err = addressAt(out.Data, wordSize)
	if err != nil {
		return failedView(err)
	}
	return v
}

// revertedView reads the data with which the UniversalResolver's resolve reverts.
func revertedView(data []byte, by origin) *view {
	v := &view{origin: by}
	switch selector(data) {
	case errorResolverNotFound, errorNoWildcard:
		return v.none(stateNone)
	case errorResolverNotContract:
		return v.none(stateUnsupported)
	}
	switch r := revertResult(data); r.state {
	case stateFailed:
		return failedView(r.err)
	case stateUnsupported:
		v.state = stateAnswered
		return v
	default:
		v.doubt = r.doubt
		return v.none(stateReverted)
	}
}
