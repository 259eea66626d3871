package recursive

import (
	"context"
	"errors"
	"maps"
	"sync"

	"dens/dnssec"
	"dens/resolver/authority"
)

// Stats is a snapshot of what was done since the start, for metrics.
type Stats struct {
	Servers     authority.Stats
	Limits      map[string]uint64 // questions that ended by a limit: queries, lookups, depth, signatures, hashes, flights, time
	Validations map[string]uint64 // responses judged, by status
	Answers     int               // responses remembered
	Cuts        int               // zone cuts remembered
	Memory      int               // bytes that both take, about
	Flights     int               // exchanges under way that others may share
}

// stats counts. What it counts is rare beside the exchanges that lead to it.
type stats struct {
	mu          sync.Mutex
	limits      map[string]uint64
	validations map[string]uint64
}

// ended counts the limit that ended a client's question, if one did.
func (s *stats) ended(err error) {
	var limit *limitError
	switch {
	case errors.As(err, &limit):
		s.limit(limit.limit)
	case errors.Is(err, context.DeadlineExceeded):
		s.limit("time")
	}
}

func (s *stats) limit(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limits == nil {
		s.limits = make(map[string]uint64)
	}
	s.limits[name]++
}

func (s *stats) validation(status dnssec.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.validations == nil {
		s.validations = make(map[string]uint64)
	}
	s.validations[status.String()]++
}

// Stats returns a snapshot.
func (r *Resolver) Stats() Stats {
	out := Stats{Servers: r.servers.Stats()}
	var answers, cuts int
	out.Answers, answers = r.answers.len()
	out.Cuts, cuts = r.cuts.len()
	out.Memory = answers + cuts
	r.flights.mu.Lock()
	out.Flights = len(r.flights.by)
	r.flights.mu.Unlock()
	r.stats.mu.Lock()
	defer r.stats.mu.Unlock()
	out.Limits, out.Validations = maps.Clone(r.stats.limits), maps.Clone(r.stats.validations)
	return out
}
