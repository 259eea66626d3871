package ens

import (
	"context"
	"fmt"

	"dens/chain"

	"github.com/ethereum/go-ethereum/common"
)

// registry does without a UniversalResolver what that one does: the first Call finds the resolvers in the
// registry, the second one asks them, both as plain and as extended resolvers (ENSIP-10), and whether
// they are extended. A third Call is rare: for zone data that an extended resolver keeps for a name that
// it refuses to answer for itself.
func (l *lookup) registry(ctx context.Context) (*finding, error) {
	first, all := l.name.first(), len(l.name.labels)
	var msgs []chain.Msg
	for i := first; i < all; i++ {
		msgs = append(msgs, chain.Msg{To: l.deployment.Registry, Data: l.contracts.resolverOf(l.name.node(i))})
	}
	msgs = append(msgs, l.ownerMsgs()...)
	outputs, err := l.callAll(ctx, msgs)
	if err != nil {
		return nil, err
	}
	d := &direct{lookup: l, resolvers: make([]common.Address, all), asked: make(map[target][]chain.Output)}
	for i := first; i < all; i++ {
		l.use(outputs[i-first].Gateways, outputs[i-first].Signature)
		if d.resolvers[i], err = readAddress(outputs[i-first]); err != nil {
			return nil, fmt.Errorf("resolver of %s: %w", l.name.owner(i), err)
		}
	}
	f := &finding{owners: outputs[all-first:], ask: d.view, askCut: d.cut}
	if f.resolver, f.at = d.nearest(first); f.at < 0 {
		f.ask = func(context.Context, int) (*view, error) { return &view{state: stateNone}, nil }
		f.askCut = f.ask
		return f, nil
	}
	return f, d.fetch(ctx, d.speculate(f.at)...)
}

// readAddress reads an output that is one address. A registry always answers so.
func readAddress(out chain.Output) (common.Address, error) {
	switch {
	case out.Err != nil:
		return common.Address{}, out.Err
	case out.Reverted:
		return common.Address{}, malformed("the registry reverts")
	}
	return addressAt(out.Data, 0)
}

// target is one set of calls to a resolver.
type target struct {
	c    int  // items under this ancestor
	how  mode // the form of the calls
	addr common.Address
}

type mode uint8

const (
	modePlain     mode = iota // the items as they are
	modeExtended              // each item within resolve(name, item)
	modeCut                   // likewise, and cutItems only
	modeInterface             // EIP-165: whether it is an extended resolver
)

// direct answers finding.ask from the resolvers themselves.
type direct struct {
	*lookup
	resolvers []common.Address // by ancestor
	asked     map[target][]chain.Output
}

// nearest returns the resolver responsible for the c-th ancestor, and whose it is.
func (d *direct) nearest(c int) (common.Address, int) {
	for i := c; i < len(d.resolvers); i++ {
		if d.resolvers[i] != (common.Address{}) {
			return d.resolvers[i], i
		}
	}
	return common.Address{}, -1
}

// speculate lists all that the answer is likely to need.
func (d *direct) speculate(at int) []target {
	var list []target
	add := func(c int, plain, extended bool) {
		addr, _ := d.nearest(c)
		list = append(list, target{how: modeInterface, addr: addr})
		if plain {
			list = append(list, target{c, modePlain, addr})
		}
		if extended {
			list = append(list, target{c, modeExtended, addr})
		}
	}
	if !d.name.star {
		add(0, at == 0, true)
	}
	if at > 0 && at < d.name.depth {
		add(at, true, d.name.star)
	}
	if d.name.isLink() {
		if _, above := d.nearest(1); above > 0 {
			add(1, above == 1, true)
		}
	}
	for c := 1; d.wantCuts && d.name.depth <= eagerDepth && c <= at && c < d.name.depth; c++ {
		addr, _ := d.nearest(c)
		list = append(list, target{c, modeCut, addr})
	}
	return list
}

func (d *direct) msgs(t target) []chain.Msg {
	if t.how == modeInterface {
		return []chain.Msg{
			{To: t.addr, Data: d.contracts.supports(interfaceExtended)},
			{To: t.addr, Data: d.contracts.supports(interfaceInvalid)},
		}
	}
	var msgs []chain.Msg
	items := d.items
	if t.how == modeCut {
		items = d.cutItems
	}
	for _, it := range items(t.c) {
		data := it.data
		if t.how != modePlain {
			data = d.contracts.resolve(d.name.ensName(t.c), data)
		}
		msgs = append(msgs, chain.Msg{To: t.addr, Data: data})
	}
	return msgs
}

// fetch asks what was not asked yet.
func (d *direct) fetch(ctx context.Context, targets ...target) error {
	var todo []target
	var msgs []chain.Msg
	for _, t := range targets {
		if _, ok := d.asked[t]; !ok {
			d.asked[t] = nil
			todo = append(todo, t)
			msgs = append(msgs, d.msgs(t)...)
		}
	}
	outputs, err := d.callAll(ctx, msgs)
	if err != nil {
		return err
	}
	for _, t := range todo {
		n := len(d.msgs(t))
		d.asked[t], outputs = outputs[:n], outputs[n:]
	}
	return nil
}

// view is what the UniversalResolver's resolve would say of the c-th ancestor.
func (d *direct) view(ctx context.Context, c int) (*view, error) {
	addr, at := d.nearest(c)
	if at < 0 {
		return &view{state: stateNone}, nil
	}
	extended, err := d.extended(ctx, addr)
	t := target{c, modePlain, addr}
	switch {
	case err != nil:
		return nil, err
	case extended:
		t.how = modeExtended
	case at != c:
		return &view{state: stateNone}, nil
	}
	if err := d.fetch(ctx, t); err != nil {
		return nil, err
	}
	return directView(d.asked[t], d.items(c), extended), nil
}

// cut is what an extended resolver says of a zone cut at the c-th ancestor; of others it is the view.
func (d *direct) cut(ctx context.Context, c int) (*view, error) {
	addr, at := d.nearest(c)
	if at < 0 {
		return &view{state: stateNone}, nil
	}
	extended, err := d.extended(ctx, addr)
	if err != nil {
		return nil, err
	}
	if _, known := d.asked[target{c, modeExtended, addr}]; known || !extended {
		return d.view(ctx, c)
	}
	t := target{c, modeCut, addr}
	if err := d.fetch(ctx, t); err != nil {
		return nil, err
	}
	return directView(d.asked[t], d.cutItems(c), true), nil
}

// extended says whether a contract is an extended resolver.
func (d *direct) extended(ctx context.Context, addr common.Address) (bool, error) {
	probe := target{how: modeInterface, addr: addr}
	if err := d.fetch(ctx, probe); err != nil {
		return false, err
	}
	for _, out := range d.asked[probe] {
		d.use(out.Gateways, out.Signature)
	}
	return isExtended(d.asked[probe])
}

// isExtended reads the answers to modeInterface. A contract that says yes to everything is not believed.
func isExtended(outputs []chain.Output) (bool, error) {
	var says [2]bool
	for i, out := range outputs {
		if out.Err != nil {
			return false, fmt.Errorf("resolver's interfaces: %w", out.Err)
		}
		if !out.Reverted {
			says[i], _ = boolAt(out.Data, 0) // what is no answer is a no
		}
	}
	return says[0] && !says[1], nil
}

func directView(outputs []chain.Output, items []item, extended bool) *view {
	results := make([]result, len(items))
	var by origin
	for i, out := range outputs {
		results[i] = directResult(out, extended)
		by.add(out)
	}
	return newView(items, results, by)
}

func directResult(out chain.Output, extended bool) result {
	if out.Err != nil {
		return result{state: stateFailed, err: out.Err}
	}
	if out.Reverted || !extended {
		r := callResult(out.Data, out.Reverted)
		if out.Reverted && len(out.Gateways) > 0 && (r.state == stateReverted || r.state == stateSilent) {
			// The callback's check failed. No gateway may make a record absent by what it cannot prove.
			return result{state: stateFailed, err: errRefused}
		}
		return r
	}
	inner, err := bytesAt(out.Data, 0, 0, chain.MaxOutput)
	if err != nil {
		return result{state: stateFailed, err: err}
	}
	return itemResult(inner)
}
