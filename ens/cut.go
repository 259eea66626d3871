package ens

import (
	"context"

	"dens/names"
)

// eagerDepth is up to how many labels below the zone the DS of a possible zone cut are asked for together
// with its NS. Deeper names have so many ancestors that a Call would be over chain.MaxMsgs, and the gateways
// of a Call over their limit: there it takes another Call, once there are NS. So it does where the parent
// is known to be off the chain, for each item costs a request to its gateway.
const eagerDepth = 4

func (l *lookup) isEager() bool { return l.name.depth <= eagerDepth && !l.offChain() }

// cuts asks under the c-th ancestor for what tells of zone cuts in its zone, from the name to that ancestor
// itself. A wildcard is no zone (RFC 4592 section 4.2), and the system's own zone is not delegated.
func (b *builder) cuts(c int, rrtype uint16, ds bool) {
	types := []uint16{typeNS}
	if ds {
		types = append(types, typeDS)
	}
	for _, t := range types {
		for i := b.name.first(); i <= c && i < b.name.depth; i++ {
			if i > 0 || t != rrtype { // which is asked for anyway
				b.rrset(i, false, t)
			}
		}
		if c < b.name.depth && (c > 0 || t != rrtype) {
			b.cutText(t)
		}
	}
}

func (b *builder) cutText(rrtype uint16) {
	b.add(key{kind: kindText, text: textKey(rrtype)}, b.text(b.node, textKey(rrtype)))
}

// cutItems lists what is asked for under an ancestor of which only a cut at itself is of interest.
func (l *lookup) cutItems(c int) []item {
	b := builder{contracts: l.contracts, name: l.name, node: l.name.node(c)}
	b.rrset(c, false, typeNS)
	b.cutText(typeNS)
	return b.items
}

// cutKeys names the cutItems.
func cutKeys(c int) []key {
	return []key{{kind: kindRRset, owner: c, rrtype: typeNS}, {kind: kindText, text: textKey(typeNS)}}
}

// findCuts looks for NS from the apex down: in the zone at the apex, if that is where the name was looked
// for, and at each name's own node, which a wildcard resolver answers for (ENSIP-10). What cannot be read
// is an error: there may be a cut.
func (r *reading) findCuts(ctx context.Context) error {
	if !r.wantCuts || r.at < 0 {
		return nil
	}
	for i := min(r.at, r.name.depth-1); i >= r.name.first(); i-- {
		cut, err := r.cutAt(ctx, i)
		if err != nil {
			return err
		}
		if cut == nil {
			continue
		}
		r.Cuts = append(r.Cuts, *cut)
		if i < r.at {
			break
		}
	}
	return nil
}

// cutAt returns what is stored at an ancestor, or nil when that is no NS.
func (r *reading) cutAt(ctx context.Context, i int) (*names.Cut, error) {
	if r.zoned && i < r.at {
		v, err := r.ask(ctx, r.at)
		if err != nil {
			return nil, err
		}
		if cut, err := r.readCut(ctx, v, i, false); cut != nil || err != nil {
			return cut, err
		}
	}
	ask := r.askCut
	if i == 0 {
		ask = r.ask
	}
	v, err := ask(ctx, i)
	if err != nil {
		return nil, err
	}
	return r.readCut(ctx, v, i, true)
}

// readCut reads a cut at the i-th ancestor out of a view. own says that the view is that of its own node,
// so that the texts in it are its own.
func (r *reading) readCut(ctx context.Context, v *view, i int, own bool) (*names.Cut, error) {
	switch v.state {
	case stateFailed:
		return nil, v.err
	case stateAnswered:
	default:
		return nil, nil
	}
	cut := &names.Cut{Owner: r.name.owner(i)}
	if err := r.addCut(cut, v, i, typeNS, own); err != nil {
		return nil, err
	}
	r.use(v.gateways, v.signature)
	if len(cut.RRsets) == 0 && len(cut.Texts) == 0 {
		return nil, nil
	}
	if _, asked := v.results[key{kind: kindRRset, owner: i, rrtype: typeDS}]; asked {
		return cut, r.addCut(cut, v, i, typeDS, own)
	}
	return cut, r.fetchDS(ctx, cut, i)
}

func (r *reading) addCut(cut *names.Cut, v *view, i int, rrtype uint16, own bool) error {
	wire, err := v.rrset(i, false, rrtype)
	if err != nil {
		return err
	}
	if len(wire) > 0 {
		cut.RRsets = append(cut.RRsets, names.RRset{Owner: cut.Owner, Type: rrtype, Wire: wire})
	}
	if !own {
		return nil
	}
	json, err := v.text(textKey(rrtype))
	if err != nil {
		return err
	}
	if json != "" {
		cut.Texts = append(cut.Texts, names.Text{Type: rrtype, JSON: json})
	}
	return nil
}

// fetchDS looks the DS of a cut up as if it had been asked for, at the same block.
func (r *reading) fetchDS(ctx context.Context, cut *names.Cut, i int) error {
	l := &lookup{System: r.System, name: r.name.ancestor(i), rrtype: typeDS, evidence: r.evidence}
	found, err := l.run(ctx)
	if err != nil {
		return err
	}
	r.evidence = l.evidence
	for _, set := range found.RRsets {
		if set.Type == typeDS && set.Owner == cut.Owner {
			cut.RRsets = append(cut.RRsets, set)
		}
	}
	for _, text := range found.Texts {
		if text.Type == typeDS {
			cut.Texts = append(cut.Texts, text)
		}
	}
	return nil
}
