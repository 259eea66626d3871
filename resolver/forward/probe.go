package forward

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// Probe asks upstream i (its place in Config.Upstreams) one real question, the SOA of Config.Zone, and
// returns how long the answer took.
func (f *Forwarder) Probe(ctx context.Context, i int) (time.Duration, error) {
	if i < 0 || i >= len(f.upstreams) {
		return 0, errors.New("no such upstream")
	}
	return f.probe(ctx, f.upstreams[i])
}

func (f *Forwarder) probe(ctx context.Context, u *upstream) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.ProbeTimeout)
	defer cancel()
	stop := context.AfterFunc(f.ctx, cancel)
	defer stop()
	q := resolver.Query{Name: f.cfg.Zone, Type: dns.TypeSOA, Class: dns.ClassINET}
	start := f.cfg.Now()
	r, err := u.probe(ctx, q, f.cfg.ProbeTimeout/2)
	took := f.cfg.Now().Sub(start)
	switch {
	case err != nil:
		return took, errors.New(describe(err))
	case r.answer == nil:
		return took, rcodeError(r.rcode)
	}
	u.answered(f.cfg.Now(), took)
	return took, nil
}

// rcodeError is a reply that is no answer: the server is there, and said why it has none.
type rcodeError int

func (e rcodeError) Error() string { return rcodeText(int(e)) }

// probe asks q; over UDP, where a packet may get lost, twice.
func (u *upstream) probe(ctx context.Context, q resolver.Query, half time.Duration) (reply, error) {
	if u.udp == nil {
		return u.ask(ctx, q, false)
	}
	first, cancel := context.WithTimeout(ctx, half)
	r, err := u.ask(first, q, false)
	cancel()
	if errors.Is(err, context.DeadlineExceeded) {
		return u.ask(ctx, q, true)
	}
	return r, err
}

// probeLoop asks an upstream until it answers, be it here or to a question.
func (f *Forwarder) probeLoop(u *upstream) {
	log := f.cfg.Log.With("upstream", u.Name, "protocol", string(u.Protocol))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := f.cfg.ProbeMin; ; pause = min(2*pause, f.cfg.ProbeMax) {
		select {
		case <-timer.C:
		case <-f.ctx.Done():
			return
		}
		before := u.rank().state
		_, err := f.probe(f.ctx, u)
		if f.ctx.Err() != nil {
			return
		}
		end, changed := u.probed(before, err)
		switch {
		case changed && end:
			log.Info("upstream is up again")
		case changed:
			log.Warn("upstream is down", "cause", err)
		}
		if end {
			return
		}
		timer.Reset(f.chance.jitter(pause))
	}
}
