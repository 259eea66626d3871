package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// upstream is one server, with the transports that its protocol needs.
type upstream struct {
	Upstream
	health
	zone   string
	target target
	now    func() time.Time

	underway atomic.Int64 // attempts
	buffers  *sync.Pool   // of *[udpBuffer]byte

	udp    *Datagram // for UDP
	stream *Stream   // for UDP, TCP and TLS
	web    *web      // for HTTPS
}

func newUpstream(u Upstream, cfg *Config, src *chance, buffers *sync.Pool) (*upstream, error) {
	u, err := u.withDefaults()
	if err != nil {
		return nil, err
	}
	up := &upstream{Upstream: u, zone: cfg.Zone, target: newTarget(u.Addr), now: cfg.Now, buffers: buffers}
	up.state = Unknown
	sc := StreamConfig{Dial: cfg.Dial, ConnectTimeout: cfg.ConnectTimeout, IdleTimeout: cfg.IdleTimeout}
	tc := &tls.Config{
		ServerName:         u.ServerName,
		RootCAs:            cfg.RootCAs,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
	switch u.Protocol {
	case HTTPS:
		up.web, err = newWeb(u, cfg.Dial, cfg.ConnectTimeout, cfg.IdleTimeout, tc)
		return up, err
	case UDP:
		// Where the address is known there is nothing to resolve, and so nothing for Dial to do.
		up.udp = &Datagram{dial: cfg.Dial, own: true, sockets: new(sockets), chance: src}
	case TLS:
		tc.NextProtos = []string{"dot"}
		sc.TLS = tc
	}
	up.stream = NewStream(sc)
	up.stream.chance = src
	return up, nil
}

func (u *upstream) close() {
	if u.udp != nil {
		u.udp.Close()
	}
	if u.stream != nil {
		u.stream.Close()
	}
	if u.web != nil {
		u.web.close()
	}
}

// authentic reports whether the transport proves that the server is the one configured.
func (u *upstream) authentic() bool { return u.Protocol == TLS || u.Protocol == HTTPS }

// exchange sends req, with the reply in buf where it fits, and takes every way that the protocol has to a reply that is whole.
func (u *upstream) exchange(ctx context.Context, req, buf []byte) ([]byte, error) {
	switch {
	case u.web != nil:
		return u.web.exchange(ctx, req, buf)
	case u.udp == nil || u.byTCP(u.now()):
		return u.byStream(ctx, req, buf)
	}
	reply, err := u.udp.exchange(ctx, u.target, req, buf, true)
	switch {
	case errors.Is(err, ErrCase):
		u.noteTCP(u.now())
		return u.byStream(ctx, req, buf)
	case errors.Is(err, ErrForged), err == nil && truncated(reply):
		return u.stream.exchange(ctx, u.Addr, req, buf)
	}
	return reply, err
}

// byStream asks by TCP, and where UDP is the protocol and there is no TCP, by UDP without the mixed
// case that the server did not keep.
func (u *upstream) byStream(ctx context.Context, req, buf []byte) ([]byte, error) {
	reply, err := u.stream.exchange(ctx, u.Addr, req, buf)
	if err == nil || u.udp == nil || ctx.Err() != nil {
		return reply, err
	}
	plain, plainErr := u.udp.exchange(ctx, u.target, req, buf, false)
	if plainErr != nil || truncated(plain) {
		return nil, err
	}
	return plain, nil
}

// ask asks q. silent says that questions with EDNS were sent before and stayed without a reply. The
// reply may be one that has no answer; its rcode says why.
func (u *upstream) ask(ctx context.Context, q resolver.Query, silent bool) (reply, error) {
	silent = silent && u.udp != nil // elsewhere, what is lost is sent again
	edns := u.edns(u.now(), q.DO, silent)
	r, err := u.askOnce(ctx, q, edns)
	if err != nil {
		return r, err
	}
	if edns && refusesEDNS(r.rcode) {
		plain, err := u.askOnce(ctx, q, false)
		if err == nil && !refusesEDNS(plain.rcode) {
			u.noteRefusal(u.now())
			return plain, nil
		}
		return r, nil
	}
	u.noteEDNS(u.now(), edns, r.edns, silent)
	return r, nil
}

func (u *upstream) askOnce(ctx context.Context, q resolver.Query, edns bool) (reply, error) {
	req, err := request(q, edns)
	if err != nil {
		return reply{}, &resolver.Error{Rcode: dns.RcodeFormatError, Text: "question cannot be sent", Err: err}
	}
	buf := u.buffers.Get().(*[udpBuffer]byte)
	defer u.buffers.Put(buf) // what is read out of a reply is a copy
	wire, err := u.exchange(ctx, req, buf[:])
	if err != nil {
		return reply{}, err
	}
	return readReply(q, u.zone, wire, u.authentic())
}

// refusesEDNS reports whether an rcode may be about the OPT record (RFC 6891 section 7).
func refusesEDNS(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
}

// result is what one upstream made of one question.
type result struct {
	from   *upstream
	answer *resolver.Answer
	reply  reply
	err    error
	final  bool // asking it again is of no use
}

// attempt asks q, notes how it went, and tells whether to start a probe loop.
func (u *upstream) attempt(ctx context.Context, q resolver.Query, silent bool) (res result, probe bool) {
	ended := u.trace(ctx, q)
	start := u.now()
	r, err := u.ask(ctx, q, silent)
	now := u.now()
	took := now.Sub(start)
	ended(took, r, err)
	res = result{from: u, reply: r, answer: r.answer, err: err}
	var verdict *resolver.Error
	switch {
	case errors.As(err, &verdict):
		res.final = true
		u.answered(now, took)
	case errors.Is(err, context.Canceled):
		probe = u.overtaken(now, took)
	case err != nil:
		probe = u.failed(now, took, troubleHard, describe(err), false)
	case r.answer != nil:
		u.answered(now, took)
	case r.rcode == dns.RcodeServerFailure:
		res.final = true
		probe = u.failed(now, took, troubleServ, "SERVFAIL", false)
	default:
		res.final = true
		probe = u.failed(now, took, troubleHard, rcodeText(r.rcode), true)
	}
	return res, probe
}

func rcodeText(rcode int) string {
	if s, ok := dns.RcodeToString[rcode]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", rcode)
}
