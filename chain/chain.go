// Package chain is the contract with a blockchain: read-only calls, the block that they were made at,
// and how far the result can be trusted.
//
// The parts below it (pool, quorum, verify and ccip) are Callers that wrap one another. Which trust a
// Result has is decided by the stack that was built, never by a flag inside it.
package chain

import (
	"context"
	"net"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Limits that every Caller keeps, whatever a backend or a contract sends.
const (
	// MaxMsgs is the greatest number of messages in one Call.
	MaxMsgs = 64
	// MaxOutput is the greatest length of one Output's Data in bytes; longer is an error of that Output.
	MaxOutput = 1 << 20
	// MaxRequests is the greatest number of Requests that go out together.
	MaxRequests = 128
)

// Trust says what must be true for a wrong answer to be served. Greater is better.
type Trust uint8

const (
	// Unknown is the zero value: nothing was established.
	Unknown Trust = iota
	// Single means one RPC backend was believed.
	Single
	// Quorum means k independent operators returned the same bytes at the same block hash.
	Quorum
	// Proven means the call was executed locally over state proven against a block hash.
	Proven
)

// String returns the word that the configuration, the log and people use.
func (t Trust) String() string {
	switch t {
	case Single:
		return "single"
	case Quorum:
		return "quorum"
	case Proven:
		return "proven"
	default:
		return "unknown"
	}
}

// Head identifies one block.
type Head struct {
	Number uint64
	Hash   common.Hash
	Time   time.Time // the block's own timestamp
}

// Msg is one read-only message to a contract.
type Msg struct {
	To   common.Address
	Data []byte
}

// Call is a set of messages that are all executed at one and the same block. Callers must not change
// it while a Call is under way. With several messages it costs one round trip (a JSON-RPC batch) where
// the backend allows batches.
type Call struct {
	Msgs []Msg // 1 to MaxMsgs
	At   *Head // the block to execute at; nil is the newest that the Caller vouches for
}

// Output is what one Msg came to.
type Output struct {
	// Data is what the contract returned or, when Reverted, the revert data.
	Data     []byte
	Reverted bool
	// Err says why this one output could not be had although the Call as a whole was answered: an
	// off-chain look-up that failed, an output over MaxOutput, or a cost over the backend's gas limit.
	// Data is then nil.
	Err error
	// Gateways are the host names of the CCIP-Read gateways (EIP-3668) whose data, or whose failure in a
	// batch (ENSIP-21), went into Data. It is empty for data that comes from the chain alone, and only then.
	Gateways []string
	// Signature says, under trust Proven, that the execution checked a signature by a precompiled contract
	// (ecrecover, P256VERIFY). Of a CCIP-Read callback that means: a key vouches for the gateway's data.
	Signature bool
}

// Result is the answer to a Call. Outputs has one element for each Msg, in order.
type Result struct {
	Outputs []Output
	Head    Head
	Trust   Trust
	// Backends names the operators whose answers this is, in the configuration's words; never a URL.
	Backends []string
	Proof    *Proof // the evidence, with trust Proven; else nil
}

// Caller executes Calls. Implementations are safe for concurrent use, keep nothing of the Call, and
// give the Result to the caller for good. Errors are those of this package, wrapped; a contract's
// revert is not an error but an Output.
type Caller interface {
	Call(ctx context.Context, call Call) (Result, error)
}

// Dialer opens connections for RPC backends and gateways. dens may be the system's resolver, so host
// names are never resolved by the system: cmd passes a Dialer that asks dens's own upstreams.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)
