package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/configs"
	"dens/dnssec"
	"dens/resolver"
	"dens/resolver/anchors"
	"dens/resolver/forward"
	"dens/resolver/localroot"
	"dens/resolver/recursive"
)

// engine is what resolves by itself, with all that it has learned: zone cuts, servers, keys, anchors. A
// reload that does not change its configuration keeps it.
type engine struct {
	*recursive.Resolver
	cfg      engineConfig
	anchors  *anchors.Store           // nil: nothing is validated
	broken   error                    // why the anchors could not be read: what is to be validated is not answered
	local    *localroot.Zone          // nil: none
	hosts    lateResolver             // of servers of zones that begin elsewhere than at the root
	upstream lateResolver             // where anchors' keys come from in forward mode
	own      atomic.Pointer[[]string] // zones with servers of their own, which hosts asks
	stream   *forward.Stream
	datagram *forward.Datagram
	cancel   context.CancelFunc // ends what runs in the background
	running  sync.WaitGroup
	users    int // stacks that have it; only serve's goroutine counts
}

// engineConfig is the part of the configuration that an engine is made of.
type engineConfig struct {
	mode, hints, anchor, state, localFile string
	contents                              string // a digest of the files that are read at the start
	localAXFR                             []netip.AddrPort
	localCache                            string
	negative                              []string
	validate, anchored, ipv4, ipv6        bool
	timeout, maxTTL                       time.Duration
}

func newEngineConfig(cfg *configs.Config) engineConfig {
	r := cfg.Resolve
	return engineConfig{
		contents: digestFiles(r.RootHints.Reveal(), r.TrustAnchor.Reveal()),
		mode:     r.Mode, hints: r.RootHints.Reveal(), anchor: r.TrustAnchor.Reveal(), state: r.AnchorState.Reveal(),
		localFile: r.LocalRoot.File.Reveal(), localAXFR: r.LocalRoot.AXFR, localCache: r.LocalRoot.Cache.Reveal(), negative: r.NegativeAnchors,
		validate: r.Validate, anchored: r.UsesAnchors(), ipv4: r.IPv4, ipv6: r.IPv6,
		timeout: r.Timeout, maxTTL: cfg.Cache.MaxTTL,
	}
}

// lateResolver is filled in when what it stands for has been built.
type lateResolver struct {
	at atomic.Pointer[resolver.Resolver]
}

func (l *lateResolver) set(r resolver.Resolver) { l.at.Store(&r) }

// get returns what was set last, nil when that is nothing.
func (l *lateResolver) get() resolver.Resolver {
	if r := l.at.Load(); r != nil {
		return *r
	}
	return nil
}

// Resolve implements resolver.Resolver.
func (l *lateResolver) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	r := l.get()
	if r == nil {
		return nil, fmt.Errorf("%s: %w", q.Name, errNoServers)
	}
	return r.Resolve(ctx, q)
}

// newEngine builds an engine, or takes over an old one that the configuration would not change. An
// onlooker's leaves no traces on disk.
func newEngine(cfg *configs.Config, old *engine, onlooker bool, log *slog.Logger) (*engine, error) {
	conf := newEngineConfig(cfg)
	if old != nil && old.broken == nil && reflect.DeepEqual(old.cfg, conf) {
		old.users++
		return old, nil
	}
	e := &engine{cfg: conf, users: 1}
	// At the start there is nothing better to go back to, and the anchors are not all that dens needs.
	if err := e.build(onlooker, old == nil && !onlooker, log); err != nil {
		e.release()
		return nil, err
	}
	return e, nil
}

// build makes the engine. A forgiving one goes without anchors where these cannot be read.
func (e *engine) build(onlooker, forgiving bool, log *slog.Logger) error {
	hints, err := readHints(e.cfg.hints)
	if err != nil {
		return err
	}
	conf := recursive.Config{
		Hints: hints, NoIPv4: !e.cfg.ipv4, NoIPv6: !e.cfg.ipv6,
		Unchecked: !e.cfg.validate, Negative: e.cfg.negative,
		Hosts: &e.hosts, Timeout: e.cfg.timeout, MaxTTL: e.cfg.maxTTL, Log: log,
	}
	if e.cfg.anchored {
		e.anchors, err = anchors.Load(anchors.Config{
			File: e.cfg.anchor, State: e.cfg.state, ReadOnly: onlooker, Fetch: e.fetchKeys, Log: log,
		})
		switch {
		case err == nil:
			conf.Anchors = e.anchors.Anchors
		case forgiving:
			e.broken = err
			log.Error("without trust anchors, names that are to be validated are not answered", "error", err)
		default:
			return err
		}
	}
	if e.cfg.localFile != "" || len(e.cfg.localAXFR) > 0 {
		local := localroot.Config{File: e.cfg.localFile, Servers: e.cfg.localAXFR, Log: log, Anchors: conf.Anchors}
		if !onlooker {
			local.Cache = e.cfg.localCache
		}
		if e.local, err = localroot.New(local); err != nil {
			return err
		}
		conf.Local = e.local.Answer
	}
	e.stream, e.datagram = forward.NewStream(forward.StreamConfig{}), forward.NewDatagram(nil, nil)
	conf.UDP, conf.TCP = e.datagram, e.stream
	e.Resolver, err = recursive.New(conf)
	return err
}

// fetchKeys gets a zone's DNSKEY RRset for its trust anchor: from the zone's servers, or by way of the
// upstream servers where all goes that way. Below zones with servers of their own these are asked: the root
// may not know of them.
func (e *engine) fetchKeys(ctx context.Context, zone string) (dnssec.RRset, error) {
	via := &e.upstream
	switch own := e.own.Load(); {
	case own != nil && slices.ContainsFunc(*own, func(z string) bool { return dns.IsSubDomain(z, zone) }):
		via = &e.hosts
	case e.cfg.mode == configs.ModeRecursive:
		return e.Keys(ctx, zone)
	}
	answer, err := via.Resolve(ctx, resolver.Query{
		Name: zone, Type: dns.TypeDNSKEY, Class: dns.ClassINET, DO: true, CD: true,
	})
	if err != nil {
		return dnssec.RRset{}, err
	}
	set := dnssec.Find(answer.Answer, zone, dns.TypeDNSKEY)
	if len(set.RRs) == 0 {
		return set, fmt.Errorf("the servers that are configured have no DNSKEY of %s", zone)
	}
	return set, nil
}

// trusted returns the trust anchors, none where they could not be read.
func (e *engine) trusted() *dnssec.Anchors {
	if e.anchors == nil {
		return new(dnssec.Anchors)
	}
	return e.anchors.Anchors()
}

// guarded stands for a zone that is to be validated and cannot be, for want of trust anchors: it answers
// only who does not want validation.
type guarded struct{ resolver.Resolver }

// Resolve implements resolver.Resolver.
func (g *guarded) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	if q.CD {
		return g.Resolver.Resolve(ctx, q)
	}
	return nil, resolver.Errorf(dns.ExtendedErrorCodeDNSKEYMissing, nil, "the trust anchors could not be read, so that nothing can be validated")
}

// start begins what goes on in the background; once is enough.
func (e *engine) start() {
	if e.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	if e.local != nil {
		e.running.Go(func() { e.local.Run(ctx) })
	}
	if e.cfg.mode == configs.ModeRecursive {
		e.running.Go(func() { e.Run(ctx) })
	}
	if e.anchors != nil {
		e.running.Go(func() { e.anchors.Run(ctx) })
	}
}

// loadLocalRoot has an onlooker use a copy of the root zone that is in a file. For a few questions a
// transfer is not worth its while.
func (e *engine) loadLocalRoot(ctx context.Context) {
	if e.local == nil || len(e.cfg.localAXFR) > 0 {
		return
	}
	background, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.running.Go(func() { e.local.Run(background) })
	waitFor(ctx, checkCopyTime, func() bool { s := e.local.Status(); return s.Ready || s.Error != "" })
}

// release ends the engine when no stack has it any more.
func (e *engine) release() {
	if e.users--; e.users > 0 {
		return
	}
	if e.cancel != nil {
		e.cancel()
	}
	if e.stream != nil {
		e.stream.Close()
		e.datagram.Close() //nolint:errcheck // it has none
	}
	e.running.Wait()
}

// digestFiles tells contents of files from others; "" is no file.
func digestFiles(paths ...string) string {
	sum := sha256.New()
	for _, path := range paths {
		if path == "" {
			continue
		}
		f, err := os.Open(path)
		if err == nil {
			_, err = io.Copy(sum, io.LimitReader(f, maxDigested))
			f.Close()
		}
		fmt.Fprintln(sum, path, err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// maxDigested bounds what is read of a file: more than who uses it will take.
const maxDigested = 2 << 20

// readHints reads the file of root hints; "" is the built-in ones.
func readHints(path string) (*recursive.Hints, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	const (
		key      = "resolve.root_hints"
		expected = "expected a zone file with the NS records of the root, and A or AAAA records of their hosts"
	)
	if err != nil {
		return nil, &configs.KeyError{Key: key, Err: fmt.Errorf("%w; %s; without a file the built-in root servers are used", err, expected)}
	}
	defer f.Close()
	hints, err := recursive.ParseHints(f)
	if err != nil {
		return nil, &configs.KeyError{Key: key, Err: fmt.Errorf("%s: %w; %s", path, err, expected)}
	}
	return hints, nil
}

// stubZone answers a zone from its own authoritative servers.
type stubZone struct {
	engine *engine
	at     resolver.Delegation
	parent resolver.Resolver // for the zone's DS, which is the zone above's to know; nil: REFUSED
}

// Resolve implements resolver.Resolver.
func (s *stubZone) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	if q.Type != dns.TypeDS || q.Name != s.at.Zone {
		return s.engine.ResolveAt(ctx, &s.at, q)
	}
	if s.parent == nil {
		return nil, &resolver.Error{
			Rcode: dns.RcodeRefused, Code: dns.ExtendedErrorCodeNotAuthoritative, Text: "no zone here has the DS of " + q.Name,
		}
	}
	return s.parent.Resolve(ctx, q)
}
