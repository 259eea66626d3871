package main

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dens/cache"
	"dens/configs"
	"dens/reply"
	"dens/server"
	"dens/server/intake"
	"dens/web"
)

// warmUpTime is how long a reload waits for what was ready before it.
const warmUpTime = 5 * time.Second

// daemonState is the running server. What outlives a reload is here, the rest is a generation.
//
//	startDaemon -> running --reload--> running --shutdown--> ended
//
// reload and shutdown are called by serve's goroutine alone.
type daemonState struct {
	log       *slog.Logger
	started   time.Time
	store     *cache.Memory
	stats     *intake.Stats
	cookies   *intake.Cookies // of a secret that is drawn here
	registry  *prometheus.Registry
	metrics   *web.Metrics
	server    *server.Server
	web       *web.Server
	challenge *web.Server   // of an ACME server, by HTTP
	selfKey   crypto.Signer // of self-signed certificates: their pin stays
	failed    chan error    // a listener has ended by itself
	current   atomic.Pointer[generation]
}

// generation is what one configuration made.
type generation struct {
	cfg      *configs.Config
	stack    *stack
	cache    *cache.Cache
	access   *intake.Access
	rate     *intake.RateLimit
	identity *identity // nil: nothing is encrypted
}

func startDaemon(cfg *configs.Config, log *slog.Logger) (*daemonState, error) {
	d := &daemonState{
		log:     log,
		started: time.Now(),
		store:   cache.NewMemory(memoryConfig(cfg)),
		stats:   new(intake.Stats),
		cookies: intake.NewCookies(),
		failed:  make(chan error, 1),
	}
	if err := d.addMetrics(); err != nil {
		return nil, err
	}
	gen, conf, err := d.newGeneration(cfg)
	if err != nil {
		return nil, err
	}
	d.current.Store(gen)
	gen.stack.announceChains(nil)
	gen.parts() // whoever was never asked is probed from now on
	d.server = server.New(conf, gen.cache, gen.rate, gen.access)
	if err := d.listen(cfg); err != nil {
		gen.stack.close()
		return nil, err
	}
	trimImage()
	for _, b := range d.server.Addrs() {
		log.Info("listening", "protocol", b.Protocol.String(), "address", b.Addr.String())
	}
	gen.identity.announce(cfg, log)
	d.rememberKey(gen)
	gen.identity.start()
	return d, nil
}

func (d *daemonState) listen(cfg *configs.Config) error {
	if err := d.server.Start(); err != nil {
		return err
	}
	w, err := d.listenWeb(cfg.Listen.HTTP)
	if err == nil {
		d.web = w
		d.challenge, err = d.listenChallenge(cfg.TLS.ACME.HTTP)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		return errors.Join(err, d.endListeners(ctx))
	}
	return nil
}

func memoryConfig(cfg *configs.Config) cache.MemoryConfig {
	return cache.MemoryConfig{Entries: cfg.Cache.Entries, MaxBytes: cfg.Cache.Size}
}

// newGeneration builds what a configuration asks for, without putting it into force.
func (d *daemonState) newGeneration(cfg *configs.Config) (*generation, server.Config, error) {
	warnUnlimited(cfg, d.log)
	gen := &generation{cfg: cfg}
	var old *stack
	var was *identity
	if running := d.current.Load(); running != nil {
		old, was = running.stack, running.identity
	}
	var err error
	if gen.identity, err = newIdentity(cfg, was, d.selfKey, false, d.log); err != nil {
		return nil, server.Config{}, err
	}
	conf := d.serverConfig(gen)
	if gen.stack, err = newStack(cfg, old, false, d.log); err != nil {
		return nil, conf, err
	}
	gen.meet()
	gen.cache = cache.New(d.store, gen.stack.source, cache.Config{
		MaxTTL:      cfg.Cache.MaxTTL,
		NegativeTTL: cfg.Cache.NegativeTTL,
		FailureTTL:  cfg.Cache.FailureTTL,
		Stale:       cfg.Cache.Stale,
		NoPrefetch:  !cfg.Cache.Prefetch,
		MaxFlights:  cfg.Listen.MaxInFlight,
		Observe:     observer(d.metrics),
		Log:         d.log,
	})
	gen.access = intake.NewAccess(cfg.Access.Allow, d.stats)
	gen.rate = intake.NewRateLimit(intake.RateConfig{
		Rate:   cfg.Access.Rate,
		Burst:  cfg.Access.Burst,
		Slip:   slip(cfg.Access.Slip),
		Octets: cfg.Access.Octets,
	}, d.stats)
	return gen, conf, nil
}

// slip translates "none" from the configuration's 0 to the server's -1.
func slip(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

func (d *daemonState) serverConfig(gen *generation) server.Config {
	cfg := gen.cfg
	conf := server.Config{
		DNS:    addresses(d.present(cfg.Listen.DNS)),
		DoT:    addresses(d.present(cfg.Listen.DoT)),
		DoH:    addresses(d.present(cfg.Listen.DoH)),
		DoQ:    addresses(d.present(cfg.Listen.DoQ)),
		JSON:   reply.JSON{},
		Config: intake.Config{Limits: limits(cfg), Cookies: d.cookies, Log: d.log, Stats: d.stats},
	}
	if len(cfg.Access.CookieSecrets) > 0 {
		conf.Cookies = intake.NewCookies(cookieSecrets(cfg)...)
	}
	conf.Certificate, conf.Path, conf.TrustedProxies = gen.identity.source(), cfg.DoH.Path, cfg.DoH.TrustedProxies
	return conf
}

func limits(cfg *configs.Config) intake.Limits {
	return intake.Limits{
		IdleTimeout:       cfg.Listen.TCPIdle,
		UDPSize:           cfg.Listen.UDPSize,
		MaxUnproven:       cfg.Access.UnprovenSize,
		MaxPipeline:       cfg.Listen.MaxQueriesPerClient,
		MaxConns:          cfg.Listen.MaxTCPClients,
		MaxConnsPerClient: cfg.Listen.MaxTCPPerClient,
		MaxUDP:            cfg.Listen.MaxInFlight,
		MaxStream:         cfg.Listen.MaxInFlight,
	}
}

// cookieSecrets are 16 octets each: the configuration's check has seen to that.
func cookieSecrets(cfg *configs.Config) []intake.CookieSecret {
	list := make([]intake.CookieSecret, len(cfg.Access.CookieSecrets))
	for i, s := range cfg.Access.CookieSecrets {
		hex.Decode(list[i][:], []byte(s.Reveal())) //nolint:errcheck // as above
	}
	return list
}

// present leaves out [::1] where the machine has no IPv6, since nobody there could ask it, unless nothing
// would be left. The defaults name it, and have to work on such a machine too.
func (d *daemonState) present(list []netip.AddrPort) []netip.AddrPort {
	isLoopback := func(a netip.AddrPort) bool { return a.Addr() == netip.IPv6Loopback() }
	rest := slices.DeleteFunc(slices.Clone(list), isLoopback)
	if len(rest) == 0 || len(rest) == len(list) || hasAddress(netip.IPv6Loopback()) {
		return list
	}
	d.log.Warn("not listening on [::1]: this machine has no IPv6")
	return rest
}

// hasAddress tells whether an interface of the machine has an address, as far as can be known.
func hasAddress(want netip.Addr) bool {
	interfaces, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr() == want
	})
}

// addresses writes addresses as the server takes them. ":53" in a file is [::]:53 here, and means both
// families, unless the file has an IPv4 address with that port too.
func addresses(list []netip.AddrPort) []string {
	var out []string
	for _, a := range list {
		if a.Addr() == netip.IPv6Unspecified() && !slices.ContainsFunc(list, func(b netip.AddrPort) bool { return b.Addr().Is4() && b.Port() == a.Port() }) {
			out = append(out, fmt.Sprintf(":%d", a.Port()))
			continue
		}
		out = append(out, a.String())
	}
	return out
}

// listenWeb starts the plain HTTP listener; the zero address is none.
func (d *daemonState) listenWeb(addr netip.AddrPort) (*web.Server, error) {
	if !addr.IsValid() {
		return nil, nil
	}
	return d.listenPlain("http", addr, web.New(web.Config{
		Version:  version,
		Started:  d.started,
		Gatherer: d.registry,
		DoH:      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.server.DoH().ServeHTTP(w, r) }),
		DoHPath:  func() string { return d.current.Load().cfg.DoH.Path },
		Ready:    func() []web.Part { return d.current.Load().parts() },
		Status:   d.status,
		Metrics:  d.metrics,
		Allow:    func(a netip.Addr) bool { return d.current.Load().access.Allows(a) },
	}))
}

// listenPlain starts an HTTP listener without TLS.
func (d *daemonState) listenPlain(name string, addr netip.AddrPort, handler http.Handler) (*web.Server, error) {
	w, err := web.Listen(web.ServerConfig{Address: addr.String(), Log: d.log}, handler)
	if err != nil {
		return nil, server.Advise(err, strconv.Itoa(int(addr.Port())))
	}
	d.log.Info("listening", "protocol", name, "address", w.Addr().String())
	go func() {
		if err := w.Serve(); err != nil {
			select {
			case d.failed <- err:
			default:
			}
		}
	}()
	return w, nil
}

// shutdown answers what was read and ends. Clients that take longer than patience are cut off, which is
// no failure: anyone can be that slow.
func (d *daemonState) shutdown(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	gen := d.current.Load()
	err := errors.Join(d.endListeners(ctx), gen.cache.Close(ctx))
	gen.identity.close()
	gen.stack.close()
	if errors.Is(err, context.DeadlineExceeded) {
		d.log.Warn("what was under way too long was cut off", "after", patience)
		return nil
	}
	return err
}

// endListeners ends all servers at once: a slow client of one takes no time from the clients of the others.
func (d *daemonState) endListeners(ctx context.Context) error {
	var errs [3]error
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = d.server.Shutdown(ctx) })
	for i, w := range []*web.Server{d.web, d.challenge} {
		if w != nil {
			wg.Go(func() { errs[i+1] = w.Shutdown(ctx) })
		}
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}
