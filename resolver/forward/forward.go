// Package forward asks upstream servers: over UDP, TCP, TLS (RFC 7858) and HTTPS (RFC 8484).
//
// An upstream is believed about nothing but the question that it was asked, and only as far as its
// transport goes: a plain one can be forged by who sits on the path, so its AD bit is not passed on.
package forward

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"

	"dens/resolver"
)

// Kind is the Answer.Zone of the answers of upstream servers.
const Kind = "forward"

var errShut = errors.New("forwarder is closed")

// Forwarder is a resolver.Resolver that asks upstream servers, the fastest first. Its errors are
// *resolver.Error; their texts name hosts, never URLs.
type Forwarder struct {
	cfg         Config
	chance      *chance
	upstreams   []*upstream
	outstanding atomic.Int64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu     sync.Mutex // guards closed against wg
	closed bool
	wg     sync.WaitGroup // attempts and probe loops
}

// New returns a Forwarder. It opens no connection before the first question, Probe or Ready. Close it to
// end what runs in the background.
func New(cfg Config) (*Forwarder, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &Forwarder{cfg: cfg, chance: newChance(cfg.Rand)}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	buffers := sync.Pool{New: func() any { return new([udpBuffer]byte) }}
	for _, u := range cfg.Upstreams {
		up, err := newUpstream(u, &cfg, f.chance, &buffers)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.upstreams = append(f.upstreams, up)
	}
	return f, nil
}

// Resolve implements resolver.Resolver. Answer.Target is set when the upstream did not follow an alias
// to its end. SERVFAIL and REFUSED of one upstream is no answer as long as there are others; when all
// say so, the error carries the cause that they gave (RFC 8914).
func (f *Forwarder) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	if q.Class != dns.ClassINET || !isData(q.Type) {
		return nil, &resolver.Error{
			Rcode: dns.RcodeRefused, Code: dns.ExtendedErrorCodeNotSupported,
			Text: "such questions are not forwarded",
		}
	}
	defer f.outstanding.Add(-1)
	if f.outstanding.Add(1) > int64(f.cfg.MaxOutstanding) {
		return nil, resolver.Errorf(dns.ExtendedErrorCodeOther, nil, "too many questions under way to upstream servers")
	}
	return f.newRace(q).run(ctx)
}

// isData reports whether a type is one that a resolver can be asked for: no transfer and nothing that
// belongs to messages (RFC 6895 section 3.1).
func isData(rrtype uint16) bool {
	return rrtype == dns.TypeANY || rrtype != dns.TypeNone && rrtype != dns.TypeOPT && (rrtype < 128 || rrtype > 255)
}

// attempt asks one upstream, and has it probed when it gives much trouble.
func (f *Forwarder) attempt(ctx context.Context, u *upstream, q resolver.Query, silent bool) result {
	defer u.underway.Add(-1)
	if u.underway.Add(1) > int64(f.cfg.MaxPerUpstream) {
		return result{from: u, err: errBusy, final: true}
	}
	probe := false
	res, err := resolver.Safely(func() (res result, err error) {
		res, probe = u.attempt(ctx, q, silent)
		return res, nil
	})
	if err != nil {
		return result{from: u, err: err, final: true}
	}
	if probe {
		f.spawn(func() { f.probeLoop(u) })
	}
	return res
}

// spawn runs fn in the background, unless the Forwarder is closed.
func (f *Forwarder) spawn(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.wg.Go(fn)
	}
}

// Close ends all that runs and returns when it has ended. Questions under way fail.
func (f *Forwarder) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.wg.Wait()
	for _, u := range f.upstreams {
		u.close()
	}
	return nil
}
