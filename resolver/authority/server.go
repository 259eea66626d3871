package authority

import (
	"time"
)

const (
	firstRTO = 400 * time.Millisecond // how long to wait for a server that was not measured
	// leastSlack is more than the transport waits for the right reply behind one with the wrong case.
	leastSlack = 180 * time.Millisecond
	hurry      = 200 * time.Millisecond // likewise, when several such did not answer
	lostFor    = 3 * time.Second        // how long one message that a good server did not answer counts against it
	deadAfter  = 3                      // messages in a row without a reply, each sent after the one before was given up
	deadPause  = time.Second            // first pause between two probes of a dead server
	deadPauses = 3                      // how often it doubles: 8 s
	aged       = 10 * time.Second       // a round-trip time this old counts no more than a new one
	refusedFor = 10 * time.Minute       // how long a server that answers EDNS with errors is asked without
	silentFor  = time.Minute            // how long one that seems to drop it is, or that is known to know it
	oddFor     = 10 * time.Minute       // how long it is remembered that a server changes the case of names
	goneAfter  = time.Minute            // a server that answered since was there, and may just not like a question
	coldLimit  = 8                      // messages at a time to a server that never answered
	lateLimit  = 4                      // to one that is late
	deadLimit  = 1                      // to a dead one
	slowLimit  = 256                    // to one that takes slowRTT: it must not use up Config.Messages
	mostLimit  = 2048                   // to any
	waitLimit  = 1024                   // questions that wait until there are fewer messages to one
	slowRTT    = 500 * time.Millisecond
)

// spelling is how the names in questions to a server are spelled, and what that entails.
type spelling uint8

const (
	mixed spelling = iota // in random case
	byTCP                 // it changes the case of names, or does not like it mixed: asked by TCP
	asIs                  // likewise, and it has no TCP: asked twice as the name is
)

// server is what is remembered of one address. Its fields are guarded by memory.mu.
//
//	unknown --reply--> alive --late, late, late--> dead --reply--> alive
//	      \--------silent for the whole Timeout----^
type server struct {
	rtt       time.Duration // smoothed (RFC 6298); 0 when not measured
	variation time.Duration
	sampled   time.Time // when rtt was brought up to date
	answered  time.Time // when it last replied; zero: never

	timeouts int       // messages in a row that were late, as far as they were not under way at the same time
	lastLate time.Time // when that was last counted
	dead     bool
	pauses   int       // how often a dead one was found so again
	until    time.Time // when a dead one is to be probed

	probes int // messages sent to a dead one

	inflight int
	changed  chan struct{} // closed when it might be asked again; nil when nobody waits for that
	waiting  int           // how many asked for changed

	knowsEDNS  bool      // it has sent an OPT record with an answer
	plainUntil time.Time // it has trouble with EDNS: asked without until then
	copes      bool      // it has answered a name in random case
	spelling   spelling
	oddUntil   time.Time // how long spelling counts
}

// rto is how long to wait for a reply before it is late (RFC 6298 section 2, with a smaller minimum).
func (s *server) rto(most time.Duration) time.Duration {
	rto := firstRTO
	if s.rtt > 0 {
		rto = s.rtt + max(4*s.variation, leastSlack)
	}
	return min(rto<<min(s.timeouts, deadAfter), most)
}

// sample takes a measured round-trip time into account.
func (s *server) sample(now time.Time, took time.Duration) {
	took = max(took, 1)
	weight := time.Duration(8)
	if now.Sub(s.sampled) > aged {
		weight = 2
	}
	s.sampled = now
	if s.rtt == 0 {
		s.rtt, s.variation = took, took/2
		return
	}
	s.variation += ((s.rtt - took).Abs() - s.variation) / 4
	s.rtt = max(s.rtt+(took-s.rtt)/weight, 1)
}

// limit is how many messages may be on their way to it.
func (s *server) limit() int {
	switch {
	case s.dead:
		return deadLimit
	case s.timeouts > 0:
		return lateLimit
	case s.answered.IsZero():
		return coldLimit
	case s.rtt >= slowRTT:
		return slowLimit
	default:
		return mostLimit
	}
}

// blocked says that the server is dead, and that it is too soon to find out again. One that answered
// lately is not: somebody may have asked what it does not like, and others must not suffer from that.
func (s *server) blocked(now time.Time) bool {
	return s.dead && now.Sub(s.lastLate) < blockFor && (s.answered.IsZero() || now.Sub(s.answered) > goneAfter)
}

// bury notes that the server is dead, or still is.
func (s *server) bury(now time.Time) {
	if !s.dead {
		s.dead, s.pauses = true, 0
	}
	s.knowsEDNS = false // this is more than a lost packet: it may have come to drop EDNS
	s.lastLate = now
	s.until = now.Add(deadPause << s.pauses)
	s.pauses = min(s.pauses+1, deadPauses)
	s.timeouts = max(s.timeouts, deadAfter)
	s.notify()
}

// alive notes a reply of any kind.
func (s *server) alive(now time.Time) {
	s.answered, s.timeouts, s.dead = now, 0, false
	s.notify()
}

// late notes that no reply has come to a message that was sent at began. whole says that nothing came
// for as long as anybody waits. It reports whether this was the first sign of trouble with a server that
// never answered, or one that did is dead now.
func (s *server) late(now, began time.Time, whole bool) (first bool) {
	never := s.answered.IsZero()
	if !s.answered.Before(began) && !never {
		return false // it is there; the message got lost, or was not liked
	}
	if began.Before(s.lastLate) { // counted already, by this message or others sent at that time
		if whole && never && !s.dead {
			s.bury(now)
		}
		return false
	}
	first = never && s.timeouts == 0
	s.timeouts = min(s.timeouts+1, deadAfter)
	s.lastLate = now
	if s.timeouts == deadAfter || whole && never {
		first = first || !never && !s.dead
		s.bury(now)
	}
	return first
}

// notify wakes those that wait for the server.
func (s *server) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed, s.waiting = nil, 0
	}
}

// wait returns what is closed when the server might be asked again.
func (s *server) wait() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	s.waiting++
	return s.changed
}
