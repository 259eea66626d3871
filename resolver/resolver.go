// Package resolver is the contract of everything that answers DNS questions, and the Router that picks
// who answers which zone.
package resolver

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// MaxAliases is the greatest number of CNAME and DNAME links followed for one question (RFC 1034
// section 3.6.2 asks for a bound; Unbound and BIND answer 11 and fail at 12).
const MaxAliases = 11

// Query is one question. Name is absolute, lower case, in presentation form (dns.CanonicalName).
type Query struct {
	Name  string
	Type  uint16
	Class uint16
	DO    bool // the client wants DNSSEC records (RFC 3225)
	CD    bool // the client does not want validation (RFC 4035 section 3.2.2)
}

// Answer is the reply to a Query. The receiver owns it and may change it, but not the records in it,
// which may be shared.
type Answer struct {
	Rcode         int // dns.RcodeSuccess, dns.RcodeNameError, ...
	Authoritative bool
	// AuthenticatedData says that all of Answer, or the denial, is authentic (RFC 4035 section 3.2.3): by
	// DNSSEC, or proven to be on chain. A client is told only if it asked by DO or AD.
	AuthenticatedData bool
	Answer            []dns.RR
	Ns                []dns.RR
	Extra             []dns.RR // without OPT
	// Target is the name, in Query.Name's form, at which an alias chain goes on that the resolver did
	// not follow; "" when the answer is complete. The Router follows it.
	Target string
	// EDE are extended errors that go with an answer that is no failure (RFC 8914), such as the reason
	// why a name that is not normalised does not exist.
	EDE []EDE
	// Tags name what the answer depends on, for dropping it from a cache.
	Tags []string
	// Zone is the kind of zone that answered: "onchain", "forward", "special" (later "recursive").
	Zone string
	// Origin is the evidence behind an on-chain answer, of an alias chain that of its weakest on-chain
	// link; nil for others.
	Origin *Origin
	// Uncacheable keeps the answer from being stored.
	Uncacheable bool
}

// EDE is an extended DNS error (RFC 8914): Code is its INFO-CODE, Text its EXTRA-TEXT.
type EDE struct {
	Code uint16
	Text string
}

// Origin says where an on-chain answer comes from. It is what dens lookup shows; its JSON form is part
// of dens's interface.
type Origin struct {
	Name        string    `json:"name"`
	Chain       string    `json:"chain"`
	Block       uint64    `json:"block"`
	BlockHash   string    `json:"block_hash"`
	BlockTime   time.Time `json:"block_time"`
	Resolver    string    `json:"resolver,omitempty"`     // the resolver contract, EIP-55
	ContentHash string    `json:"content_hash,omitempty"` // as text: /ipfs/bafy...
	Trust       string    `json:"trust"`                  // single, quorum, proven
	Backends    []string  `json:"backends"`               // the operators that agreed
	Gateways    []string  `json:"gateways,omitempty"`     // CCIP-Read gateways: data is as good as the contract's check
	Delegation  string    `json:"delegation,omitempty"`   // the zone that the chain delegates, whose servers gave the answer
	NS          []string  `json:"ns,omitempty"`           // of Delegation: the names of its servers
	DS          []string  `json:"ds,omitempty"`           // of Delegation: data in presentation form; none: insecure
	Signature   bool      `json:"signature,omitempty"`    // with Gateways and trust proven: the contract checked a signature over the data
	Proof       *Proof    `json:"proof,omitempty"`        // with trust proven
}

// Proof is the evidence behind an on-chain answer with trust proven: from what is believed down to the
// state that the answer was computed from.
type Proof struct {
	Anchor    string         `json:"anchor"`             // who vouches for the block: beacon, quorum, trusted
	Vouchers  []string       `json:"vouchers"`           // their names: operators, or the beacon endpoint that was asked
	Beacon    *BeaconProof   `json:"beacon,omitempty"`   // with anchor beacon
	StateRoot string         `json:"state_root"`         // of the block
	Accounts  []ProofAccount `json:"accounts"`           // whose state was proven and read
	LeftOut   int            `json:"left_out,omitempty"` // how many there are beyond Accounts, whose length is bounded
	Trips     int            `json:"trips"`              // rounds of requests that the answer waited for
	Bytes     int            `json:"bytes"`              // of the answers to them
}

// ProofAccount is one account of a Proof.
type ProofAccount struct {
	Address string `json:"address"` // EIP-55
	Slots   int    `json:"slots"`   // storage slots that were read
}

// BeaconProof is how the consensus vouches for a block (consensus specifications, altair/light-client).
type BeaconProof struct {
	Network        string `json:"network"`
	Fork           string `json:"fork"`
	Checkpoint     string `json:"checkpoint"` // root of the beacon block that was believed to begin with
	CheckpointSlot uint64 `json:"checkpoint_slot"`
	Period         uint64 `json:"period"` // sync committee period of the signers
	Slot           uint64 `json:"slot"`   // of the beacon block that holds the block
	Root           string `json:"root"`   // of that beacon block
	SignatureSlot  uint64 `json:"signature_slot"`
	Signers        int    `json:"signers"`   // members of the committee that signed
	Committee      int    `json:"committee"` // members in all
	Finalized      bool   `json:"finalized"`
}

// Resolver answers Queries. It is safe for concurrent use and keeps nothing of the Query. An error is
// an *Error where the client is to be told a cause, and ends as SERVFAIL (or Error.Rcode).
type Resolver interface {
	Resolve(ctx context.Context, q Query) (*Answer, error)
}

// Exchanger sends one DNS message to a server and returns its reply. req is not changed. The reply is
// in buf when it fits there, else newly allocated; the caller owns it. It has been matched to req by ID
// and question.
type Exchanger interface {
	Exchange(ctx context.Context, to netip.AddrPort, req, buf []byte) ([]byte, error)
}
