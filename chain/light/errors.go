package light

import "errors"

// What callers branch on. Every error of this package wraps one of them.
var (
	ErrMalformed     = errors.New("malformed")               // not of the form that the specification asks for
	ErrFork          = errors.New("unknown fork")            // the network runs rules that this release does not know
	ErrCheckpoint    = errors.New("not the checkpoint")      // the bootstrap is of another block
	ErrUnknownPeriod = errors.New("committee not known yet") // updates of the periods before are missing
	ErrPastPeriod    = errors.New("committee has retired")   // nothing can be proven by it any more
	ErrFutureSlot    = errors.New("slot in the future")      // by the clock that the caller passed
	ErrSigners       = errors.New("too few signers")         // fewer than a supermajority
	ErrSignature     = errors.New("wrong signature")         // the committee did not sign this
	ErrUnproven      = errors.New("genesis_validators_root or a fork version of the network may be wrong, or the API lies")
	ErrProof         = errors.New("wrong proof")                // a branch does not lead to its root
	ErrConflict      = errors.New("contradicts what is proven") // two finalised blocks at one slot, or two next committees
	ErrState         = errors.New("stored state is unusable")   // damaged, of another version or of another network
)
