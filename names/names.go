// Package names is the contract of a name system: a registry of names on a chain, such as ENS.
package names

import (
	"context"
	"errors"

	"dens/chain"
)

// Errors that callers branch on.
var (
	// ErrNotNormal means that the name is not in the system's normal form (ENSIP-15 for ENS), so it
	// cannot exist. The wrapped text says which rule it breaks.
	ErrNotNormal = errors.New("name is not normalised")
	// ErrMalformed means that a contract returned something that its interface does not allow.
	ErrMalformed = errors.New("contract returned malformed data")
	// ErrTooDeep means that the name has more labels below its zone than are looked up.
	ErrTooDeep = errors.New("name has too many labels")
)

// System is a name system. Lookup makes one round trip to the chain where it can.
//
// name is a DNS name below (or at) the system's zone in presentation form: absolute with the final dot,
// lower case, A-labels as they came. rrtype is the DNS RR type in question; a System collects what an
// answer of that type may need and no more.
//
// A name that does not exist is no error: Records.Exists is false. Errors are ErrNotNormal,
// ErrMalformed, ErrTooDeep, or those of package chain. Lookup is safe for concurrent use.
type System interface {
	Lookup(ctx context.Context, name string, rrtype uint16) (Records, error)
}

// Delegator is a System whose names may be zones that others serve. LookupCuts is Lookup, and fills
// Records.Cuts, within the same round trips where the name is not delegated.
type Delegator interface {
	System
	LookupCuts(ctx context.Context, name string, rrtype uint16) (Records, error)
}

// Records is what a name system holds about one name, in the form in which it holds it. Nothing in it
// has been checked against DNS rules: a contract can put any bytes there.
type Records struct {
	// Exists tells NODATA from NXDOMAIN: the name is registered, has a resolver of its own, is answered
	// by a wildcard resolver (ENSIP-10), has DNS records in its zone, or was made by an RFC 4592 wildcard.
	Exists bool
	// Apex is the zone that the name belongs to, in the form of Lookup's name: the nearest ancestor
	// that has a resolver, or the system's own zone when there is none.
	Apex string
	// RRsets are the EIP-1185 (ENSIP-6) RRsets that were found, each as stored: resource records in
	// uncompressed wire form, owner and TTL included. They may be of the type in question, or a CNAME at
	// the name, or a DNAME above it, and Owner says at which owner name the contract keeps them: the
	// name itself, an ancestor (DNAME), or a wildcard ("*.alice.eth.") that the name falls under.
	RRsets []RRset
	// Texts are the values of the text keys dns.<TYPE> of the name: JSON arrays of presentation-form
	// record data, as stored, with the TTL in seconds from dns.<TYPE>.ttl or dns.ttl as stored ("" is
	// none). Of the type in question or CNAME.
	Texts []Text
	// Cuts are the zone cuts at the name and above it, of Delegator.LookupCuts: that of Apex, where NS
	// are stored at it, and then the topmost one below Apex. None is at the system's own zone or above.
	Cuts []Cut
	// ContentHash is the binary content hash (ENSIP-7) of the name, or of the name below "_dnslink.";
	// empty is none.
	ContentHash []byte
	// ContentPath is ContentHash in text form, such as "/ipfs/bafy...", "" when there is none or it
	// cannot be decoded.
	ContentPath string
	// Addresses are the address records (ENSIP-9) in text form, Ethereum first.
	Addresses []Address
	// Source is where all this comes from.
	Source Source
	// Tags name what the data depends on, for dropping it from a cache: "zone:eth", "node:0x...",
	// "chain:ethereum".
	Tags []string
}

// RRset is one stored EIP-1185 RRset.
type RRset struct {
	Owner string // as in Records.RRsets
	Type  uint16
	Wire  []byte
}

// Text is one stored dns.<TYPE> text record.
type Text struct {
	Type uint16
	JSON string
	TTL  string
}

// Cut is what is stored at a name about who serves it: NS, and DS where there are any. Like all of Records
// it is as stored; it is a zone cut if the NS make sense.
type Cut struct {
	Owner  string  // the name itself or an ancestor, up to Records.Apex
	RRsets []RRset // of types NS and DS, all with this Owner
	Texts  []Text  // dns.NS and dns.DS of the Owner; their TTLs are not asked for
}

// Address is one address record: Currency is its upper-case symbol ("ETH"), Text its usual spelling.
type Address struct {
	Currency string
	Text     string
}

// Source is the evidence behind Records.
type Source struct {
	Chain    string // the chain's name in the configuration
	Head     chain.Head
	Trust    chain.Trust
	Resolver string   // the resolver contract's address in EIP-55 spelling; "" is none
	Backends []string // the operators that agreed
	Gateways []string // CCIP-Read gateways whose data, or failure, is in it, as chain.Output.Gateways
	// Signature says, with Gateways and trust chain.Proven, that a contract checked a signature over their
	// data, as chain.Output.Signature.
	Signature bool
	Proof     *chain.Proof // with trust chain.Proven; else nil
}
