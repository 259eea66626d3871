// Package cache keeps packed DNS replies: a hit is copy and patch, a miss is one flight to the Source.
package cache

import (
	"context"
	"time"
)

// Source answers what the cache does not hold. req is a whole DNS request message with exactly one
// question, opcode QUERY and no other EDNS version than 0, which the Source must not keep or change. For
// a question whose reply may be kept it is made anew from the question, DO and CD; any other comes as the
// client sent it. An error means that no reply at all is to be sent.
type Source interface {
	Reply(ctx context.Context, req []byte) (Entry, error)
}

// Store holds what was packed, by key (wire.Request.AppendKey). Implementations are safe for concurrent use,
// and do not wait for the network: a store that many servers share is a Source before the others.
type Store interface {
	// Get returns what has the key, fresh or not. It keeps nothing of the key.
	Get(key []byte) (*Packed, bool)
	// Set keeps p, which is not in a Store yet, in place of what has the same key.
	Set(p *Packed)
	// Drop removes all that carries at least one of the tags and returns how many there were.
	Drop(tags ...string) int
}

// Entry is one reply as the Source gives it. The cache keeps a copy of what it needs of it.
type Entry struct {
	// Wire is a whole DNS reply without an OPT record: QR set, ID zero, the question in lower case.
	// AD is set when the data is authentic; the cache clears it for clients that did not ask
	// (RFC 6840 section 5.8). Without a question it stands for a reply without records.
	Wire []byte
	// TTL is how long the entry is fresh, counted from Stored. Zero is not reused.
	TTL time.Duration
	// Stored is when the reply was made; zero is when the cache got it.
	Stored time.Time
	// Failure marks a reply that tells of a failure (SERVFAIL): it never replaces a stale good entry,
	// and is kept for seconds only (RFC 9520).
	Failure bool
	// EDECode and EDEText are the extended error that goes out with Wire to clients that use EDNS
	// (RFC 8914), when HasEDE.
	HasEDE  bool
	EDECode uint16
	EDEText string
	// Rcode is the extended rcode in full: BADVERS does not fit the header. Below 16 the header counts.
	Rcode uint16
	// Origin is the evidence behind an on-chain answer (resolver.Origin as JSON), or nil.
	Origin []byte
	// Zone is the kind of zone that answered, for the metrics: one of Zones. Any other counts as ZoneOther.
	Zone string
	// Tags name what the entry depends on, for Drop. An entry with more than MaxTags is not kept.
	Tags []string
}

// MaxTags is the greatest number of tags of an entry that is kept.
const MaxTags = 64
