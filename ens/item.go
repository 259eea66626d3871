package ens

import "github.com/ethereum/go-ethereum/common"

// kind is what an item asks a resolver for.
type kind uint8

const (
	kindRRset       kind = iota // dnsRecord(node, owner, type)
	kindHas                     // hasDNSRecords(node, owner)
	kindContenthash             // contenthash(node)
	kindText                    // text(node, key)
	kindAddr                    // addr(node)
	kindCoin                    // addr(node, coin)
)

// key names one item of a view.
type key struct {
	kind   kind
	owner  int    // which ancestor of the name is the record's owner (EIP-1185)
	wild   bool   // or the wildcard below it
	rrtype uint16 // of kindRRset
	text   string // key of kindText
	coin   uint64 // coin type of kindCoin
}

// item is one call to a resolver.
type item struct {
	key  key
	data []byte
}

// items lists what is asked under the c-th ancestor: the records that an answer may need if that
// ancestor's resolver turns out to be the one that holds the name. With off-chain resolvers each item
// may cost a request to a gateway, so that it is no more than that.
func (l *lookup) items(c int) []item {
	b := builder{contracts: l.contracts, name: l.name, node: l.name.node(c)}
	// Every resolver has an Ethereum address to give, if only zero: the one that is silent on this too is
	// broken (view.go).
	b.add(key{kind: kindAddr}, l.contracts.addr(b.node))
	b.rrsets(0, false, l.rrtype)
	if c == 0 {
		b.profile(l.rrtype)
	} else {
		b.below(c, l.rrtype)
	}
	if c == 1 && l.name.isLink() {
		b.add(key{kind: kindContenthash}, l.contracts.contenthash(b.node))
	}
	if l.wantCuts {
		b.cuts(c, l.rrtype, l.eager)
	}
	return b.items
}

type builder struct {
	*contracts
	name  *name
	node  common.Hash
	items []item
}

func (b *builder) add(k key, data []byte) { b.items = append(b.items, item{k, data}) }

func (b *builder) hash(owner int, wild bool) common.Hash {
	if wild {
		return b.name.wildcardHash(owner)
	}
	return b.name.ownerHash(owner)
}

func (b *builder) rrset(owner int, wild bool, rrtype uint16) {
	k := key{kind: kindRRset, owner: owner, wild: wild, rrtype: rrtype}
	b.add(k, b.dnsRecord(b.node, b.hash(owner, wild), rrtype))
}

// rrsets asks for an RRset of the type and for the alias in its place.
func (b *builder) rrsets(owner int, wild bool, rrtype uint16) {
	b.rrset(owner, wild, rrtype)
	if rrtype != typeCNAME {
		b.rrset(owner, wild, typeCNAME)
	}
}

func (b *builder) has(owner int, wild bool) {
	b.add(key{kind: kindHas, owner: owner, wild: wild}, b.hasDNSRecords(b.node, b.hash(owner, wild)))
}

// below asks what decides about a name below a zone's apex: whether it exists, a DNAME above it
// (RFC 6672), and the wildcards that may cover it (RFC 4592).
func (b *builder) below(apex int, rrtype uint16) {
	b.has(0, false)
	if !b.name.star {
		b.has(0, true)
	}
	for i := 1; i <= apex; i++ {
		b.rrset(i, false, typeDNAME)
		if i < apex {
			b.has(i, false)
		}
		if b.name.star && i == 1 {
			continue // that wildcard is the name itself
		}
		b.rrsets(i, true, rrtype)
		b.has(i, true)
	}
}

// profile asks for the records that ENS keeps for a name outside of its DNS zone.
func (b *builder) profile(rrtype uint16) {
	if !isSynthetic(rrtype) {
		for _, k := range textKeys(rrtype) {
			b.add(key{kind: kindText, text: k}, b.text(b.node, k))
		}
	}
	switch rrtype {
	case typeA, typeAAAA, typeHTTPS, typeTXT:
		if !b.name.isLink() { // which stands for its parent's
			b.add(key{kind: kindContenthash}, b.contenthash(b.node))
		}
	}
	if rrtype == typeWallet {
		for _, c := range coins() {
			b.add(key{kind: kindCoin, coin: c.kind}, b.coinAddr(b.node, c.kind))
		}
	}
}

// textKeys lists the dns.<TYPE> keys for a type and the alias in its place, with those of their TTLs.
func textKeys(rrtype uint16) []string {
	keys := []string{"dns.ttl"}
	for _, t := range textTypes(rrtype) {
		keys = append(keys, textKey(t), textTTLKey(t))
	}
	return keys
}

func textTypes(rrtype uint16) []uint16 {
	if rrtype == typeCNAME {
		return []uint16{typeCNAME}
	}
	return []uint16{rrtype, typeCNAME}
}

func textKey(rrtype uint16) string { return "dns." + typeName(rrtype) }

func textTTLKey(rrtype uint16) string { return textKey(rrtype) + ".ttl" }
