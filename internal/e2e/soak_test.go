package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dens/internal/e2e/bed"
	"dens/internal/e2e/soak"
)

// soakVar is how long the storm of TestSoak lasts, a Go duration. Without it the whole test takes a minute.
const soakVar = "DENS_SOAK"

const (
	soakHost  = "dens.example"
	rehearsal = 3 * time.Second
	// soakPatience is what no answer may take, and soakP999 what one in a thousand may: the machine is busy with
	// those who mean harm, and so are the tests' own clients.
	soakPatience = 5 * time.Second
	soakP999     = time.Second
	// What may be left when all is over. Goroutines and descriptors: sockets to upstream servers and RPC backends
	// are kept for a while, and two may be open that were closed before. Memory: names that were asked for once
	// are in the cache now, and the heap has room that the runtime gives back slowly.
	soakGoroutines  = 12
	soakDescriptors = 12
	soakMemory      = 48 << 20
)

// TestSoak asks over all transports at once while clients mean harm, certificates are renewed, the configuration
// is reloaded, and upstream servers and RPC backends come and go: no answer is wrong, what is in the cache is
// always answered and soon, and at the end nothing is left over.
func TestSoak(t *testing.T) {
	length := 35 * time.Second
	if text := os.Getenv(soakVar); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", soakVar, err)
		}
	}
	s := startSoak(t)
	s.warm(t)
	s.rehearse(t)
	before := s.level(t)
	t.Logf("before: %v", before)
	first := s.scrape(t)

	loads := s.loads()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	s.run(ctx, t, loads)
	for name, load := range loads {
		load.check(t, name)
	}
	t.Logf("abuses: %v", &s.storm)
	if missing := s.storm.Missing(); len(missing) > 0 {
		t.Errorf("these abuses were not had: %v", missing)
	}
	s.checkCertificates(t)
	s.checkLevel(t, before)
	s.checkCounters(t, first)
	s.checkEnd(t)
}

// soaked is a server in the storm, with all that is around it.
type soaked struct {
	*reloading
	target    *soak.Target
	authority *soak.Authority
	relays    []*soak.Relay // to one DNS server
	backends  []*bed.Proxy  // to one chain
	names     *soakNames
	confs     [2]string // without and with a second listener, and with other upstream servers
	second    *soak.Target
	storm     soak.Storm

	upstream, chain soak.Outages
	renewing        sync.Mutex
	log             int // what was logged before the storm
}

func startSoak(t *testing.T) *soaked {
	t.Helper()
	s := &soaked{names: newSoakNames()}
	s.upstream.Grace, s.chain.Grace = 3*time.Second, 3*time.Second
	var err error
	if s.authority, err = soak.NewAuthority(t.TempDir(), soakHost); err != nil {
		t.Fatal(err)
	}
	backend := bed.StartBIND(t, map[string]string{"example.org": s.names.zone()})
	for range 3 {
		r, err := soak.NewRelay(bed.Free(t).String(), backend.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Go)
		s.relays = append(s.relays, r)
		s.backends = append(s.backends, bed.NewProxy(t, world(t).HTTPURL()))
	}
	s.configure(t)
	s.reloading = &reloading{Server: serveWith(t, nil, s.target.DNS, s.target.HTTP, s.confs[0])}
	s.WaitReady(t)
	return s
}

// configure makes the two configurations, which are put into force in turn.
func (s *soaked) configure(t *testing.T) {
	t.Helper()
	target := func() *soak.Target {
		free := func() string { return bed.Free(t).String() }
		return &soak.Target{DNS: free(), DoT: free(), DoH: free(), DoQ: free(), HTTP: free(), Roots: s.authority.Roots, ServerName: soakHost, Path: "/dns-query", Known: s.names.warm}
	}
	s.target, s.second = target(), target()
	s.second.HTTP = s.target.HTTP
	var urls []string
	for _, b := range s.backends {
		urls = append(urls, b.URL)
	}
	text := worldConfig(world(t), worldOptions{rpc: urls, trust: "quorum", rest: "    ttl: 12h\n    negative_ttl: 12h\n"})
	text = text[strings.Index(text, "chains:"):] + fmt.Sprintf("tls: { cert: %q, key: %q }\ncache: { entries: 20000, negative_ttl: 12h }\n", s.authority.Cert, s.authority.Key)
	conf := func(relay int, targets ...*soak.Target) string {
		lists := make([][]string, 4)
		for _, t := range targets {
			for i, addr := range []string{t.DNS, t.DoT, t.DoH, t.DoQ} {
				lists[i] = append(lists[i], fmt.Sprintf("%q", addr))
			}
		}
		listen := fmt.Sprintf("listen:\n  http: %q\n  tcp_idle: 4s\n  max_tcp_clients: 700\n  max_tcp_per_client: 60\n", s.target.HTTP)
		for i, key := range []string{"dns", "dot", "doh", "doq"} {
			listen += fmt.Sprintf("  %s: [%s]\n", key, strings.Join(lists[i], ", "))
		}
		return listen + fmt.Sprintf("resolve: { forward: [%q, %q] }\n", s.relays[0].Addr, s.relays[relay].Addr) + text
	}
	s.confs = [2]string{conf(1, s.target), conf(2, s.target, s.second)}
}

// warm asks all that is to be in the cache.
func (s *soaked) warm(t *testing.T) {
	t.Helper()
	c := soak.NewClient(s.target, "tcp")
	defer c.Close()
	for _, q := range s.names.warm {
		s.once(t, c, "tcp", q)
	}
}

// once asks one question, which has to be answered.
func (s *soaked) once(t *testing.T, c soak.Client, how string, q soak.Question) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soakPatience)
	defer cancel()
	asked := q.Message()
	reply, err := c.Exchange(ctx, asked)
	if err == nil {
		err = q.Check(asked, reply)
	}
	if err != nil {
		t.Fatalf("by %s: %v", how, err)
	}
}

// rehearse has all that comes later for a moment, so that what the server makes once and keeps (buffers, secrets,
// connections to others) is there before it is measured.
func (s *soaked) rehearse(t *testing.T) {
	t.Helper()
	s.storm = soak.Storm{Target: s.target, Pace: 20 * time.Millisecond, Hold: rehearsal, Most: 24}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	loads := s.loads()
	for _, l := range loads {
		wg.Go(func() { l.Run(ctx) })
	}
	s.storm.Once(t.Context())
	for i := range 2 {
		s.reloadTo(t, s.confs[(i+1)%2])
	}
	cancel()
	wg.Wait()
	for name, l := range loads {
		if r := l.Tally.Result(); r.Wrong > 0 {
			t.Errorf("%s, in the rehearsal: %v", name, r)
		}
	}
	s.closeClients(loads)
	s.log = len(s.Log())
}

// run has the storm until ctx ends, and the loads a little longer.
func (s *soaked) run(ctx context.Context, t *testing.T, loads map[string]*soakLoad) {
	t.Helper()
	s.storm = soak.Storm{Target: s.target, Pace: 40 * time.Millisecond, Hold: 7 * time.Second, Most: 48}
	steady, stop := context.WithCancel(t.Context())
	var wg, harm sync.WaitGroup
	for _, l := range loads {
		wg.Go(func() { l.Run(steady) })
	}
	harm.Go(func() { s.storm.Run(ctx) })
	harm.Go(func() { s.renew(ctx, t) })
	harm.Go(func() { s.reloads(ctx, t) })
	harm.Go(func() { s.outages(ctx, t) })
	harm.Go(func() { s.newcomers(ctx, t) })
	harm.Wait()
	time.Sleep(2 * time.Second)
	stop()
	wg.Wait()
	s.closeClients(loads)
}

func (s *soaked) closeClients(loads map[string]*soakLoad) {
	for _, l := range loads {
		l.Client.Close()
	}
}

// renew puts new certificates into the place of the old ones.
func (s *soaked) renew(ctx context.Context, t *testing.T) {
	for wait(ctx, 2500*time.Millisecond) {
		s.renewing.Lock()
		err := s.authority.Renew()
		s.renewing.Unlock()
		if err != nil {
			t.Error(err)
		}
	}
}

// reloads puts the two configurations into force in turn.
func (s *soaked) reloads(ctx context.Context, t *testing.T) {
	n := 0
	for ; wait(ctx, 3*time.Second); n++ {
		if err := os.WriteFile(s.File, []byte(s.confs[(n+1)%2]), 0o600); err != nil {
			t.Error(err)
		}
		if line := s.hangUp(ctx, t); strings.Contains(line, "not reloaded") {
			t.Error(line)
		}
		if n%2 == 0 {
			s.visitSecond(ctx, t)
		}
	}
	if n%2 == 1 { // the level is to be that of before
		s.reloadTo(t, s.confs[0])
	}
	t.Logf("%d reloads", n)
}

// hangUp is reload for a goroutine that must not end the test.
func (s *soaked) hangUp(ctx context.Context, t *testing.T) string {
	before := len(s.Log())
	if err := s.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Error(err)
	}
	line := regexp.MustCompile(`(?m)^.*msg=("not reloaded.*|reloaded)$`)
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if found := line.FindString(s.Log()[before:]); found != "" {
			return found
		}
	}
	t.Error("15 s after SIGHUP the log tells of no reload")
	return ""
}

// visitSecond asks once by each of the listeners that have just come.
func (s *soaked) visitSecond(ctx context.Context, t *testing.T) {
	for _, transport := range soak.Transports() {
		c := soak.NewClient(s.second, transport)
		tally := new(soak.Tally)
		load := soak.Load{Client: c, Next: s.names.known, Patience: soakPatience, Tally: tally}
		load.One()
		c.Close()
		if r := tally.Result(); r.Wrong+r.Failed > 0 {
			t.Errorf("by %s at the second listener: %v", transport, r)
		}
	}
}

// outages takes away what is behind the server, in part and wholly.
func (s *soaked) outages(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		s.away(ctx, nil, 2*time.Second, func() { s.relays[0].SetSilent(true) }, func() { s.relays[0].SetSilent(false) })
		s.away(ctx, &s.upstream, 1500*time.Millisecond, func() { s.eachRelay((*soak.Relay).Go) }, func() { s.returnRelays(t) })
		s.away(ctx, nil, 2*time.Second, func() { s.backends[0].Set(bed.Down) }, func() { s.backends[0].Set(bed.None) })
		s.away(ctx, &s.chain, 1500*time.Millisecond, func() { s.eachBackend(bed.Down) }, func() { s.eachBackend(bed.None) })
		s.away(ctx, &s.upstream, 2*time.Second, func() { s.eachRelay(func(r *soak.Relay) { r.SetSilent(true) }) }, func() { s.eachRelay(func(r *soak.Relay) { r.SetSilent(false) }) })
		s.away(ctx, nil, 2*time.Second, func() { s.backends[1].Set(bed.Garbage) }, func() { s.backends[1].Set(bed.None) })
		s.away(ctx, &s.chain, 2*time.Second, func() { s.eachBackend(bed.Slow) }, func() { s.eachBackend(bed.None) })
	}
}

// away takes something away for some time, and leaves all well for a while after it.
func (s *soaked) away(ctx context.Context, o *soak.Outages, d time.Duration, begin, end func()) {
	if ctx.Err() != nil {
		return
	}
	if o != nil {
		o.Begin()
	}
	begin()
	wait(ctx, d)
	end()
	if o != nil {
		o.End()
	}
	wait(ctx, 1500*time.Millisecond)
}

func (s *soaked) eachRelay(do func(*soak.Relay)) {
	for _, r := range s.relays {
		do(r)
	}
}

func (s *soaked) eachBackend(f bed.Fault) {
	for _, b := range s.backends {
		b.Set(f)
	}
}

// returnRelays opens the relays again. Their ports may be in use for a moment.
func (s *soaked) returnRelays(t *testing.T) {
	for _, r := range s.relays {
		var err error
		for range 100 {
			if err = r.Return(); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// newcomers are clients with a new connection for one question each.
func (s *soaked) newcomers(ctx context.Context, t *testing.T) {
	tally := map[string]*soak.Tally{}
	for i := 0; wait(ctx, 150*time.Millisecond); i++ {
		transport := soak.Transports()[i%len(soak.Transports())]
		if tally[transport] == nil {
			tally[transport] = new(soak.Tally)
		}
		c := soak.NewClient(s.target, transport)
		load := soak.Load{Client: c, Next: s.names.known, Patience: soakPatience, Tally: tally[transport]}
		load.One()
		c.Close()
	}
	for transport, a := range tally {
		r := a.Result()
		t.Logf("newcomers by %s: %v", transport, r)
		if r.Wrong+r.Failed > 0 {
			t.Errorf("newcomers by %s: %d of %d got no or a wrong answer", transport, r.Wrong+r.Failed, r.Asked)
		}
	}
}

// wait is a pause; false when ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// checkCertificates wants the newest certificate at every listener that has one.
func (s *soaked) checkCertificates(t *testing.T) {
	t.Helper()
	want := s.authority.Serial()
	conf := &tls.Config{RootCAs: s.authority.Roots, ServerName: soakHost}
	for _, addr := range []string{s.target.DoT, s.target.DoH} {
		var serial int64
		for deadline := time.Now().Add(12 * time.Second); serial != want && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: soakPatience}, "tcp", addr, conf)
			if err != nil {
				t.Fatal(err)
			}
			serial = conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
			conn.Close()
		}
		if serial != want {
			t.Errorf("certificate %d is served, want %d", serial, want)
		}
	}
}
