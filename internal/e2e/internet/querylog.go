package internet

import (
	"net/netip"
	"sync"
	"time"
)

// Seen is a query that came to a server of the internet.
type Seen struct {
	At   time.Time
	From netip.Addr // the resolver's address; for one that has none of its own, the server's
	To   netip.Addr
	TCP  bool
	Name string // as it was sent, letters and all
	Type uint16
	Port uint16 // the asker's
	ID   uint16
}

// maxSeen bounds the log; what comes after it is counted and not kept.
const maxSeen = 400_000

// queryLog remembers the queries that came to all servers.
type queryLog struct {
	mu   sync.Mutex
	seen []Seen // guarded by mu, as all below
	more int
}

func (l *queryLog) add(s Seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) >= maxSeen {
		l.more++
		return
	}
	l.seen = append(l.seen, s)
}

// Forget empties the log.
func (l *queryLog) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.more = nil, 0
}

// Seen are the queries of the log that match; nil matches all.
func (l *queryLog) Seen(match func(Seen) bool) []Seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Seen
	for _, s := range l.seen {
		if match == nil || match(s) {
			out = append(out, s)
		}
	}
	return out
}

// Lost is how many queries were not kept.
func (l *queryLog) Lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.more
}
