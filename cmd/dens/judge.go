package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dens/dnssec"
	"dens/resolver/validate"
)

// judge is the validation of what the upstream servers of a zone say.
type judge struct {
	zone    string
	chain   *validate.Chain
	trusted func() *dnssec.Anchors
	problem atomic.Pointer[string] // why nothing validates, "" when all is well; nil: not known yet
}

// Pauses between two looks at the keys that all validation begins with. A look costs nothing as long as the
// keys are remembered.
const (
	judgeEvery = 30 * time.Second
	judgeRetry = time.Second // doubles with each failure
)

// watch looks at the keys that the zone is validated from, as the upstream servers give them, until ctx ends.
func (j *judge) watch(ctx context.Context, log *slog.Logger) {
	pause := judgeRetry
	for {
		problem := j.look(ctx)
		if ctx.Err() != nil {
			return
		}
		before := j.problem.Swap(&problem)
		switch {
		case problem != "" && (before == nil || *before != problem):
			log.Warn("what upstream servers say cannot be validated", "zone", j.zone, "problem", problem)
		case problem == "" && before != nil && *before != "":
			log.Info("what upstream servers say can be validated again", "zone", j.zone)
		}
		wait := judgeEvery
		if problem == "" {
			pause = judgeRetry
		} else {
			wait, pause = pause, min(2*pause, judgeEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (j *judge) look(ctx context.Context) (problem string) {
	zone, trust, ok := j.trusted().For(j.zone)
	if !ok {
		return "" // the anchors are of zones below
	}
	ctx, cancel := context.WithTimeout(ctx, judgeEvery)
	defer cancel()
	v := j.chain.Probe(ctx, new(dnssec.Anchors).With(zone, trust))
	if v.Status == dnssec.Secure {
		return ""
	}
	return fmt.Sprintf("nothing validates that comes from the upstream servers: %s", v)
}

// watchJudges keeps looking whether what upstream servers say can be validated, until the stack is closed.
func (s *stack) watchJudges() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, j := range s.judges {
		if s.forwardName(j.zone) != fallbackName && s.engine.broken == nil {
			running.Go(func() { j.watch(ctx, s.log) })
		}
	}
	s.closers = append(s.closers, func() {
		cancel()
		running.Wait()
	})
}

// validationProblem says why nothing that the upstream servers of a zone say validates; "" is that it does,
// or need not.
func (s *stack) validationProblem(zone string) string {
	if slices.Contains(s.guards, zone) {
		return s.engine.broken.Error()
	}
	for _, j := range s.judges {
		if j.zone != zone {
			continue
		}
		if p := j.problem.Load(); p != nil {
			return *p
		}
		return "the keys of the trust anchors have not been looked at yet"
	}
	return ""
}
