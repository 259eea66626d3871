package chain

import (
	"errors"
	"fmt"
)

// Errors that callers branch on. All are wrapped with what each backend said.
var (
	// ErrUnavailable means that too few backends could be reached.
	ErrUnavailable = errors.New("no backend could be reached")
	// ErrTimeout means that too few backends answered in time.
	ErrTimeout = errors.New("backends did not answer in time")
	// ErrConflict means that backends disagree about the block or about a result.
	ErrConflict = errors.New("backends disagree")
	// ErrStaleHead means that the newest block known is older than allowed.
	ErrStaleHead = errors.New("newest block is too old")
	// ErrUnknownBlock means that a backend does not have the block that the call is pinned to.
	ErrUnknownBlock = errors.New("block is unknown")
	// ErrMalformed means that a backend's answer was not what the protocol allows.
	ErrMalformed = errors.New("malformed answer")
	// ErrBadProof means that what a backend sent does not prove what it was asked for.
	ErrBadProof = errors.New("proof does not hold")
	// ErrNotReady means that no block can be vouched for yet, or no longer: the light client is not synced.
	ErrNotReady = errors.New("no proven block yet")
	// ErrWrongChain means that a backend serves another chain than the one configured.
	ErrWrongChain = errors.New("wrong chain id")
	// ErrGateway means that an off-chain look-up (EIP-3668) failed. It is found in Output.Err.
	ErrGateway = errors.New("off-chain look-up failed")
	// ErrLimit means that an answer was over a bound: size, gas, count or depth.
	ErrLimit = errors.New("over the limit")
)

// BackendError names the backend that failed; Error never holds a URL.
type BackendError struct {
	Backend string
	Err     error
}

func (e *BackendError) Error() string { return fmt.Sprintf("%s: %v", e.Backend, e.Err) }

func (e *BackendError) Unwrap() error { return e.Err }
