package pool

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

// Codes of JSON-RPC errors that nodes use (EIP-1474 and custom).
const (
	codeRevert        = 3      // geth, anvil, reth: data is the revert data
	codeVMError       = -32015 // OpenEthereum, Nethermind: data is "Reverted 0x..."
	codeLimitExceeded = -32005 // EIP-1474: limit exceeded, by custom a rate limit
	codeNodeTimeout   = -32002 // geth: request timed out
	codeTooLarge      = -32003 // geth: response too large
)

// Words, in lower case, by which nodes tell apart errors of one and the same code.
var (
	wordsUnknownBlock = []string{
		"header not found", "unknown block", "block not found", "header for hash not found", "missing trie node",
		"unknown header", "could not find block", "cannot find block", "resource not found", "state not available",
		"state is not available", "state is pruned", "missing state", "no state available", "historical state",
		"block is out of range", "blockoutofrange", "pruned history", "world state unavailable", "block does not exist",
		"hash is not currently canonical",
		// Proofs are served for the newest blocks only, of which each client tells in words of its own.
		"proof window", "distance to target block", "for the latest", "for the last", "for the most recent", "too old",
		"too far", "older than", "archive",
	}
	wordsCost = []string{
		"out of gas", "outofgas", "gas required exceeds", "exceeds block gas limit", "intrinsic gas", "gas limit",
		"execution timeout", "execution aborted", "evm timeout", "request timed out", "gas uint64 overflow",
		"response too large", "response size",
	}
	// What the machine refuses to run fails in the same way on every node, like a revert without data.
	// Old contracts (before Solidity 0.4.10) end so for every function that they lack.
	wordsHalt = []string{
		"invalid opcode", "invalid jump", "bad jump", "invalid instruction", "bad instruction", "stack underflow",
		"stack overflow", "stack limit reached", "stackunderflow", "stackoverflow", "write protection", "return data out of bounds",
		"invalidfeopcode", "opcodenotfound", "invalidjump", "statechangeduringstaticcall", "static call violation",
		"max call depth exceeded", "badinstruction", "badjumpdestination", "outofbounds",
	}
	wordsRate = []string{
		"rate limit", "too many requests", "limit exceeded", "request limit", "exceeded its", "capacity limit",
		"compute units", "rate-limit", "ratelimit", "over quota", "throttl",
	}
)

func hasWord(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// errRateLimited means that the backend, or our own limiter, wants fewer requests. To callers it is one
// that cannot be reached.
var errRateLimited error = rateLimited{}

type rateLimited struct{}

func (rateLimited) Error() string { return "rate limited" }

func (rateLimited) Unwrap() error { return chain.ErrUnavailable }

// outputOf turns the error of one eth_call into what it says about that call: an Output (a revert, or
// a cost over the backend's limits), or an error of the backend.
func outputOf(err rpc.Error) (chain.Output, error) {
	text := strings.ToLower(err.Error())
	data, hasData := "", false
	if de, ok := err.(rpc.DataError); ok {
		data, hasData = de.ErrorData().(string)
	}
	code := err.ErrorCode()
	reverted := code == codeRevert || strings.Contains(text, "revert") ||
		code == codeVMError && strings.HasPrefix(strings.ToLower(data), "revert")
	switch {
	case reverted:
		return revertOf(text, data, hasData)
	case hasWord(text, wordsUnknownBlock):
		return chain.Output{}, fmt.Errorf("%w: %w", chain.ErrUnknownBlock, err)
	case code == codeNodeTimeout, code == codeTooLarge, hasWord(text, wordsCost):
		return chain.Output{Err: fmt.Errorf("%w: %s", chain.ErrLimit, cut(err.Error()))}, nil
	case isRate(code, text):
		return chain.Output{}, fmt.Errorf("%w: %w", errRateLimited, err)
	case hasWord(text, wordsHalt), code == codeVMError && hasWord(strings.ToLower(data), wordsHalt):
		return chain.Output{Reverted: true}, nil
	case code == codeVMError && hasWord(strings.ToLower(data), wordsCost):
		return chain.Output{Err: fmt.Errorf("%w: %s", chain.ErrLimit, cut(data))}, nil
	}
	return chain.Output{}, err
}

// refusalOf is the kind of an error that answers a request other than eth_call: the state is not there, or
// costs too much, or the method is not served.
func refusalOf(err rpc.Error) error {
	text := strings.ToLower(err.Error())
	switch code := err.ErrorCode(); {
	case hasWord(text, wordsUnknownBlock), notFound(text):
		return chain.ErrUnknownBlock
	case code == codeNodeTimeout, code == codeTooLarge, hasWord(text, wordsCost):
		return chain.ErrLimit
	case isRate(code, text):
		return errRateLimited
	default:
		return chain.ErrUnavailable
	}
}

// notFound is how geth and erigon tell, with its number or hash between the words, that a block is not there.
func notFound(text string) bool {
	_, rest, is := strings.Cut(text, "block ")
	if !is {
		_, rest, is = strings.Cut(text, "header ")
	}
	return is && (strings.Contains(rest, "not found") || strings.Contains(rest, "not available"))
}

func isRate(code int, text string) bool {
	return code == 429 || code == codeLimitExceeded || hasWord(text, wordsRate)
}

// revertOf reads revert data. A backend that tells a revert's reason in words but keeps its bytes back is
// of no use: off-chain look-ups (EIP-3668) are reverts.
func revertOf(text, data string, hasData bool) (chain.Output, error) {
	if (!hasData || data == "") && !strings.Contains(text, "revert") {
		return chain.Output{Reverted: true}, nil
	}
	if !hasData || data == "" {
		reason := strings.TrimPrefix(text[strings.LastIndex(text, "revert")+len("revert"):], "ed")
		if strings.Trim(reason, " :.") != "" {
			return chain.Output{}, errors.New("revert without its data")
		}
		return chain.Output{Reverted: true}, nil
	}
	if i := strings.IndexByte(data, ' '); i >= 0 && strings.EqualFold(data[:i], "reverted") {
		data = data[i+1:]
	}
	if strings.EqualFold(data, "reverted") {
		return chain.Output{Reverted: true}, nil
	}
	bytes, err := decodeOutput(data)
	if errors.Is(err, chain.ErrLimit) {
		return chain.Output{Err: err}, nil
	}
	if err != nil {
		return chain.Output{}, err
	}
	return chain.Output{Data: bytes, Reverted: true}, nil
}
