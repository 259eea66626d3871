package dnssec

import (
	"fmt"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Limits bound the work that one client question may cause, against KeyTrap (CVE-2023-50387: many keys
// of one tag times many signatures) and the exhaustion by NSEC3 hashes (CVE-2023-50868).
type Limits struct {
	Checks     int // 256; verifications of a signature by a key
	Failures   int // 16; verifications that failed
	KeysPerTag int // 8; keys of one tag and algorithm tried for one signature, or matched to one DS
	Hashes     int // 150; names hashed for NSEC3, each of at most Config.MaxIterations + 1 rounds
}

func (l Limits) withDefaults() Limits {
	if l.Checks == 0 {
		l.Checks = 256
	}
	if l.Failures == 0 {
		l.Failures = 16
	}
	if l.KeysPerTag == 0 {
		l.KeysPerTag = 8
	}
	if l.Hashes == 0 {
		l.Hashes = 150
	}
	return l
}

// Budget counts the work done for one question. It is safe for concurrent use.
type Budget struct {
	limits                   Limits
	checks, failures, hashes atomic.Int64
}

// NewBudget returns a full budget.
func NewBudget(l Limits) *Budget {
	return &Budget{limits: l.withDefaults()}
}

// Spent is what a Budget has counted: work that was done, never work that was refused.
type Spent struct {
	Checks, Failures, Hashes int
}

// Spent returns the counts so far, for metrics.
func (b *Budget) Spent() Spent {
	return Spent{int(b.checks.Load()), int(b.failures.Load()), int(b.hashes.Load())}
}

// takeCheck pays for one signature check. The Verdict says which part of the budget is empty when it
// cannot.
func (b *Budget) takeCheck() (Verdict, bool) {
	if b.failures.Load() >= int64(b.limits.Failures) {
		return exhausted("%d failed signatures", b.limits.Failures), false
	}
	if !take(&b.checks, b.limits.Checks) {
		return exhausted("%d signature checks", b.limits.Checks), false
	}
	return Verdict{}, true
}

// takeHash pays for one name hashed.
func (b *Budget) takeHash() (Verdict, bool) {
	if !take(&b.hashes, b.limits.Hashes) {
		return exhausted("%d NSEC3 hashes", b.limits.Hashes), false
	}
	return Verdict{}, true
}

// OutOfHashes says that the budget ended by its hashes.
func (b *Budget) OutOfHashes() bool { return b.hashes.Load() >= int64(b.limits.Hashes) }

func (b *Budget) failed() { b.failures.Add(1) }

func (b *Budget) tooManyKeys(tag uint16) Verdict {
	return exhausted("%d keys of one tag (%d)", b.limits.KeysPerTag, tag)
}

func take(n *atomic.Int64, limit int) bool {
	for {
		v := n.Load()
		if v >= int64(limit) {
			return false
		}
		if n.CompareAndSwap(v, v+1) {
			return true
		}
	}
}

func exhausted(format string, args ...any) Verdict {
	return Verdict{
		Status: Exhausted,
		Code:   dns.ExtendedErrorCodeDNSBogus,
		Text:   "validation budget spent: " + fmt.Sprintf(format, args...),
	}
}
