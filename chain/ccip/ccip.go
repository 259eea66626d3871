// Package ccip is a chain.Caller that follows a contract's request for an off-chain look-up (CCIP-Read,
// EIP-3668) and serves batches of them itself (ENSIP-21).
//
// Gateways are strangers that a contract names. What they say is not believed but handed to the
// contract's callback, which is to verify it, at the block of the first call.
package ccip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"dens/chain"
)

// Bounds of what one Call may cost, whatever contracts and gateways do.
const (
	maxRounds     = 4         // nested look-ups (EIP-3668 recommends 4)
	maxURLs       = 8         // of one look-up
	maxURL        = 2048      // bytes of one URL before it is filled in
	maxFilled     = 512 << 10 // bytes of one URL after
	maxCallData   = 128 << 10 // bytes of one look-up's callData
	maxBody       = 1 << 20   // bytes of one gateway's answer, and of all answers in one batch
	maxRedirects  = 3         // of one request
	maxBatch      = 64        // look-ups in one batch
	maxBatchDepth = 3         // batches within batches
	maxLookups    = 256       // look-ups of one Call, those in batches included
	maxRequests   = 256       // HTTP requests of one Call, redirects not counted
	maxData       = 4 << 20   // bytes that come from gateways and go into callbacks in one Call
	parallel      = 16        // HTTP requests under way for one Call
)

// Config says how gateways are reached.
type Config struct {
	// Dial opens connections to gateways, and carries the address policy: unless AllowPrivate is set, it
	// must refuse any address that is not public, after it resolved the host's name and before it connects
	// (dens/internal/dial does). Without Dial, every look-up fails.
	Dial      chain.Dialer
	AllowHTTP bool // gateways without TLS; false
	// AllowPrivate is the second lock behind Dial: without it, a connection that leads to a loopback,
	// private or link-local address is closed before anything is sent; false.
	AllowPrivate bool
	Timeout      time.Duration // for one gateway's whole answer, redirects included; 5 s
	Total        time.Duration // for all gateways of one Call; 20 s
	InFlight     int           // HTTP requests under way in all; 128
	TLS          *tls.Config   // nil: the system's certificate authorities
}

func (c Config) withDefaults() Config {
	if c.Dial == nil {
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no dialer for gateways was given")
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Total <= 0 {
		c.Total = 20 * time.Second
	}
	if c.InFlight <= 0 {
		c.InFlight = 128
	}
	return c
}

// Caller wraps a chain.Caller. It is safe for concurrent use.
type Caller struct {
	inner  chain.Caller
	cfg    Config
	client *http.Client
	slots  chan struct{} // one for each HTTP request under way
}

// New returns a Caller that follows the off-chain look-ups in inner's results.
func New(inner chain.Caller, cfg Config) *Caller {
	cfg = cfg.withDefaults()
	c := &Caller{inner: inner, cfg: cfg, slots: make(chan struct{}, cfg.InFlight)}
	c.client = &http.Client{
		Transport: &http.Transport{
			// No Proxy: a proxy from the environment would look up host names on its own.
			DialContext:            c.dial,
			TLSClientConfig:        cfg.TLS.Clone(), // the transport changes it
			TLSHandshakeTimeout:    cfg.Timeout,
			ForceAttemptHTTP2:      true,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: cfg.Timeout, PingTimeout: cfg.Timeout / 2},
			DisableCompression:     true,
			MaxIdleConns:           64,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: c.checkRedirect,
	}
	return c
}

func (c *Caller) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.cfg.Dial(ctx, network, address)
	if err != nil || c.cfg.AllowPrivate || isPublic(conn.RemoteAddr()) {
		return conn, err
	}
	conn.Close()
	return nil, errPrivate
}

func isPublic(remote net.Addr) bool {
	a, err := netip.ParseAddrPort(remote.String())
	ip := a.Addr().Unmap()
	return err == nil && ip.IsGlobalUnicast() && !ip.IsPrivate() // loopback and link-local are not global
}

// Close closes idle connections to gateways. It does not close the inner Caller.
func (c *Caller) Close() { c.client.CloseIdleConnections() }

// Call implements chain.Caller. An output that asks for an off-chain look-up becomes what the contract's
// callback returns; when a gateway fails, its Err wraps chain.ErrGateway, and chain.ErrLimit where a
// bound was met. When the callbacks cannot be made, the whole Call fails with the inner Caller's error.
func (c *Caller) Call(ctx context.Context, call chain.Call) (chain.Result, error) {
	result, err := c.inner.Call(ctx, call)
	if err != nil {
		return chain.Result{}, err
	}
	if len(result.Outputs) != len(call.Msgs) {
		return chain.Result{}, fmt.Errorf("%w: %d outputs for %d messages", chain.ErrMalformed, len(result.Outputs), len(call.Msgs))
	}
	asking := make([]*pending, 0, len(call.Msgs))
	for i, out := range result.Outputs {
		if p := newPending(i, call.Msgs[i].To, out); p != nil {
			asking = append(asking, p)
		}
	}
	if len(asking) == 0 {
		return result, nil
	}
	gctx, cancel := context.WithTimeout(ctx, c.patience(ctx))
	defer cancel()
	result.Outputs = slices.Clone(result.Outputs)
	f := &fetcher{caller: c, budget: newBudget(), slots: make(chan struct{}, parallel)}
	for round := 1; len(asking) > 0; round++ {
		f.round(gctx, asking, round)
		if asking, err = c.callbacks(ctx, asking, &result); err != nil {
			return chain.Result{}, err
		}
	}
	return result, nil
}

// patience is how long gateways may take in all. Of the caller's own deadline a quarter is kept for the
// callbacks, so that one slow gateway does not cost the other outputs theirs.
func (c *Caller) patience(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(c.cfg.Total, time.Until(deadline)*3/4)
	}
	return c.cfg.Total
}

// round fetches what all pending outputs ask for, at once.
func (f *fetcher) round(ctx context.Context, asking []*pending, round int) {
	var wg sync.WaitGroup
	for _, p := range asking {
		wg.Go(func() { p.fetch(ctx, f, round) })
	}
	wg.Wait()
}

// callbacks hands the gateways' data to the contracts in one Call, puts the outcomes into result and
// returns those that ask again.
func (c *Caller) callbacks(ctx context.Context, asking []*pending, result *chain.Result) ([]*pending, error) {
	var msgs []chain.Msg
	var ready []*pending
	for _, p := range asking {
		if p.err != nil {
			result.Outputs[p.index] = chain.Output{Err: p.err}
			continue
		}
		msgs, ready = append(msgs, p.callback), append(ready, p)
	}
	if len(msgs) == 0 {
		return nil, nil
	}
	head := result.Head
	again, err := c.inner.Call(ctx, chain.Call{Msgs: msgs, At: &head})
	if err != nil {
		return nil, err
	}
	if len(again.Outputs) != len(msgs) {
		return nil, fmt.Errorf("%w: %d outputs for %d callbacks", chain.ErrMalformed, len(again.Outputs), len(msgs))
	}
	if again.Head.Hash != head.Hash {
		return nil, fmt.Errorf("%w: callbacks were executed at another block", chain.ErrConflict)
	}
	// An answer is as good as the weaker of the calls that it took, and all who answered stand behind it.
	result.Trust = min(result.Trust, again.Trust)
	result.Backends = union(result.Backends, again.Backends)
	result.Proof = result.Proof.Union(again.Proof)
	var next []*pending
	for i, p := range ready {
		out := again.Outputs[i]
		if n := newPending(p.index, p.to, out); n != nil {
			n.hosts, n.signature = p.hosts, p.signature || out.Signature
			next = append(next, n)
			continue
		}
		out.Signature = out.Signature || p.signature
		out.Gateways = union(p.hosts, out.Gateways)
		slices.Sort(out.Gateways)
		result.Outputs[p.index] = out
	}
	return next, nil
}

// union returns a new list of the elements of a, and those of b that are not in a.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
