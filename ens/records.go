package ens

import (
	"context"
	"errors"
	"strings"

	"dens/names"

	"github.com/ethereum/go-ethereum/common"
)

// records decides which of the views counts, and reads it.
func (l *lookup) records(ctx context.Context, f *finding) (names.Records, error) {
	r := reading{lookup: l, finding: f}
	r.Apex = l.name.owner(l.name.depth)
	r.Exists = l.name.depth == 0
	if err := r.link(ctx); err != nil {
		return names.Records{}, err
	}
	if err := r.read(ctx); err != nil {
		return names.Records{}, err
	}
	if err := r.settle(); err != nil {
		return names.Records{}, err
	}
	if err := r.findCuts(ctx); err != nil {
		return names.Records{}, err
	}
	r.Tags = r.tags()
	r.Source = l.source(l.deployment.Chain, r.Source.Resolver)
	return r.Records, nil
}

// reading is Records in the making.
type reading struct {
	*lookup
	*finding
	names.Records
	zoned bool // the zone of the ancestor finding.at was read
}

// look returns the view under an ancestor when somebody answers there, or else nil. That the ancestor's
// own resolver is silent is an error: it is broken.
func (r *reading) look(ctx context.Context, c int) (*view, error) {
	v, err := r.ask(ctx, c)
	switch {
	case err != nil:
		return nil, err
	case v.state == stateFailed:
		return nil, v.err
	case v.state == stateSilent && c == r.at:
		return nil, malformed("resolver %v has nothing to say to any question", r.resolver)
	case v.state == stateAnswered:
		r.use(v.gateways, v.signature)
		return v, v.broken()
	}
	return nil, nil
}

// link reads the content hash that a DNSLink name stands for: that of the name below "_dnslink.".
func (r *reading) link(ctx context.Context) error {
	if !r.name.isLink() {
		return nil
	}
	v, err := r.look(ctx, 1)
	if v == nil || err != nil {
		return err
	}
	if err := r.content(v); err != nil {
		return err
	}
	r.Exists = r.Exists || len(r.ContentHash) > 0
	return nil
}

// read takes the records from where they are: the resolver of the name itself, a wildcard resolver
// above it (ENSIP-10), or the zone of the nearest ancestor that has a resolver (EIP-1185).
func (r *reading) read(ctx context.Context) error {
	if r.at < 0 {
		return nil
	}
	if !r.name.star {
		v, err := r.look(ctx, 0)
		if r.name.depth == 0 && errors.Is(err, names.ErrMalformed) {
			v, err = nil, nil // a registrar may sit at the zone's own node, and the zone is there all the same
		}
		if err != nil {
			return err
		}
		if v != nil || r.at == 0 {
			r.Exists = true
			r.responsible()
			if r.at > 0 {
				r.remember(v)
			}
			return r.profile(v)
		}
	}
	if !r.name.star { // of which nothing was learned
		r.wildcards.drop(r.name.node(r.at))
	}
	if r.at >= r.name.depth {
		return nil // the zone's own resolver answers for nothing below the zone
	}
	r.responsible()
	v, err := r.look(ctx, r.at)
	if v == nil || err != nil {
		return err
	}
	r.zoned = true
	return r.zone(v)
}

// responsible notes whose resolver answers.
func (r *reading) responsible() {
	r.Apex = r.name.owner(min(r.at, r.name.depth))
	r.Source.Resolver = r.resolver.Hex()
}

// remember keeps in mind that names below this one come from a gateway.
func (r *reading) remember(v *view) {
	if len(v.gateways) > 0 {
		r.wildcards.set(r.name.node(r.at))
	}
}

// settle decides whether a name exists of which no records say so.
func (r *reading) settle() error {
	if r.Exists {
		return nil
	}
	owned, err := r.owned(0)
	r.Exists = owned
	return err
}

// owned says whether an ancestor below the zone is registered.
func (r *reading) owned(i int) (bool, error) {
	if i -= r.name.first(); i < 0 || i >= len(r.owners) {
		return false, nil
	}
	r.use(r.owners[i].Gateways, r.owners[i].Signature)
	owner, err := readAddress(r.owners[i])
	return owner != (common.Address{}), err
}

// profile reads what a resolver holds for the name itself. A nil view holds nothing.
func (r *reading) profile(v *view) error {
	if v == nil {
		return nil
	}
	if err := r.add(v, 0, false); err != nil {
		return err
	}
	// Where the zone has the very RRset, other records add nothing to the answer, and a failure to read
	// them takes nothing from it. A TXT answer has them all.
	settled := r.rrtype != typeTXT && len(r.RRsets) > 0 && r.RRsets[0].Type == r.rrtype
	reads := []func(*view) error{r.texts, r.content}
	if r.rrtype == typeTXT || r.rrtype == typeWallet {
		reads = append(reads, r.wallet)
	}
	for _, read := range reads {
		if err := read(v); err != nil && !settled {
			return err
		}
	}
	return nil
}

func (r *reading) texts(v *view) error {
	for _, t := range textTypes(r.rrtype) {
		json, err := v.text(textKey(t))
		if err != nil {
			return err
		}
		if json == "" {
			continue
		}
		ttl, err := v.text(textTTLKey(t))
		if err == nil && ttl == "" {
			ttl, err = v.text("dns.ttl")
		}
		if err != nil {
			return err
		}
		r.Texts = append(r.Texts, names.Text{Type: t, JSON: json, TTL: ttl})
	}
	return nil
}

func (r *reading) content(v *view) error {
	hash, err := v.contenthash()
	if err != nil || len(hash) == 0 {
		return err
	}
	r.ContentHash = hash
	// A hash of a kind that is not known is data all the same.
	r.ContentPath, _ = DecodeContentHash(hash)
	return nil
}

func (r *reading) wallet(v *view) (err error) {
	r.Addresses, err = v.addresses()
	return err
}

// add appends the RRsets of the type and of an alias at an owner name.
func (r *reading) add(v *view, owner int, wild bool) error {
	for _, t := range textTypes(r.rrtype) {
		if err := r.addType(v, owner, wild, t); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) addType(v *view, owner int, wild bool, rrtype uint16) error {
	wire, err := v.rrset(owner, wild, rrtype)
	if err != nil || len(wire) == 0 {
		return err
	}
	at := r.name.owner(owner)
	if wild {
		at = r.name.wildcard(owner)
	}
	r.RRsets = append(r.RRsets, names.RRset{Owner: at, Type: rrtype, Wire: wire})
	return nil
}

// zone reads a name out of the zone data of the ancestor r.at: the name itself, else a DNAME above it,
// else the wildcard of its closest encloser.
func (r *reading) zone(v *view) error {
	if err := r.add(v, 0, false); err != nil {
		return err
	}
	for i := r.at; i >= 1; i-- { // the DNAME nearest to the apex hides what is below (RFC 6672 section 2.4)
		before := len(r.RRsets)
		if err := r.addType(v, i, false, typeDNAME); err != nil {
			return err
		}
		if len(r.RRsets) > before {
			r.Exists = true
			return nil
		}
	}
	exists, err := r.occurs(v, 0)
	if r.Exists = r.Exists || exists; r.Exists || err != nil {
		return err
	}
	for i := 1; i <= r.at; i++ {
		encloser := i == r.at
		if !encloser {
			if encloser, err = r.occurs(v, i); err != nil {
				return err
			}
		}
		if encloser {
			return r.synthesise(v, i)
		}
	}
	return nil
}

// occurs says whether an owner name has records in the zone, is registered, or is there as an empty
// non-terminal (RFC 4592 section 2.2.2): of the names below it the zone is asked for the wildcard only.
func (r *reading) occurs(v *view, i int) (bool, error) {
	if i == 0 && len(r.RRsets) > 0 {
		return true, nil
	}
	for _, wild := range []bool{false, true} {
		if has, err := v.has(i, wild); has || err != nil {
			return has, err
		}
	}
	return r.owned(i)
}

// synthesise reads the wildcard below the closest encloser (RFC 4592 section 3.3.1).
func (r *reading) synthesise(v *view, encloser int) error {
	if err := r.add(v, encloser, true); err != nil {
		return err
	}
	has, err := v.has(encloser, true)
	r.Exists = has || len(r.RRsets) > 0
	if r.Exists {
		return nil
	}
	return err
}

// tags names the zone, the chain and the nodes that the answer depends on. The zone's own node is one
// of them only where it is asked about or answers: each registration in the zone touches it.
func (r *reading) tags() []string {
	tags := []string{"zone:" + strings.TrimSuffix(r.deployment.Zone, "."), "chain:" + r.deployment.Chain}
	for i := r.name.first(); i < r.name.depth; i++ {
		tags = append(tags, "node:"+r.name.node(i).Hex())
	}
	if r.name.depth == 0 || r.at >= r.name.depth && r.Source.Resolver != "" {
		tags = append(tags, "node:"+r.name.node(max(r.at, r.name.depth)).Hex())
	}
	return tags
}
