package pool

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"dens/chain"
)

// hintDemotion is how long a backend is asked last whose guesses were of no use.
const hintDemotion = 30 * time.Second

// Blame tells that what a backend guessed turned out to be of no use after its answer was taken: it is asked
// last for 30 seconds. That is all, since guesses are not proven and cost no more than trips, and since a
// contract can be made about which an honest backend guesses wrong.
func (p *Pool) Blame(backend string, err error) {
	for _, e := range p.endpoints {
		if e.cfg.Name != backend {
			continue
		}
		d := min(hintDemotion, e.cfg.Demotion)
		if noted := e.noted(err); e.health.doubt(noted, d, time.Now()) {
			e.logDemotion("backend guesses wrong and is asked last for a while", d, noted)
		}
	}
}

func (e *Endpoint) logDemotion(what string, d time.Duration, err error) {
	e.cfg.Log.Warn(what, slog.String("backend", e.cfg.Name), slog.String("operator", e.cfg.Operator),
		slog.Duration("for", d), slog.Any("error", err))
}

// noted is an error of those who judge answers, as it is remembered: of one kind, and safe to show.
func (e *Endpoint) noted(err error) *failure {
	out := &failure{kind: chain.ErrUnavailable, text: e.addr.clean(err.Error())}
	for _, kind := range []error{chain.ErrBadProof, chain.ErrMalformed, chain.ErrUnknownBlock, chain.ErrLimit} {
		if errors.Is(err, kind) {
			out.kind = kind
			break
		}
	}
	return out
}

// blamed says whether an error of accept is the backend's fault.
func blamed(err error) bool {
	return errors.Is(err, chain.ErrBadProof) || errors.Is(err, chain.ErrMalformed)
}

// rejected keeps the books about a Reply that accept did not take, and makes its error safe: there may be
// something of the backend's words in it.
func (e *Endpoint) rejected(err error) error {
	if own, ok := err.(*chain.BackendError); ok && own.Backend == e.cfg.Name {
		err = own.Err
	}
	noted := e.noted(err)
	out := &chain.BackendError{Backend: e.cfg.Name, Err: &failure{kind: err, text: noted.text}}
	if !blamed(err) {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			e.health.passed(noted, noted.kind != chain.ErrUnknownBlock)
		}
		return out
	}
	first, opened := e.health.blame(noted, noted.kind == chain.ErrBadProof, e.cfg.Demotion, time.Now())
	if first {
		e.logDemotion("backend sent what is not proven and is asked last for a while", e.cfg.Demotion, noted)
	}
	if opened {
		e.broke()
	}
	return out
}
