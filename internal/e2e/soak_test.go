package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptest"
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
	// soakPatience is what no answer from the cache may take, and soakP999 what one in a thousand may; or soakFactor
	// times what another server takes meanwhile that nobody means harm: the machine may be busy with other things.
	soakPatience = 5 * time.Second
	soakP999     = time.Second
	soakFactor   = 4
	// What may be left when all is over. Connections to the CCIP-Read gateway, at most 4, and to each of 3 RPC
	// backends that has just been asked for its health, may be open that were not before, with two goroutines
	// each. Memory: names that were asked for once are in the cache now, and the heap has room that the runtime
	// gives back slowly.
	soakGoroutines  = 16
	soakDescriptors = 8
	soakMemory      = 48 << 20
	// soakSpare is how many UDP sockets without a port may be kept for two upstream servers, and some closing ones.
	soakSpare = 2*256 + 4
)

// TestSoak asks over all transports at once while clients mean harm, certificates are renewed, the configuration
// is reloaded, and upstream servers and RPC backends come and go: no answer is wrong, what is in the cache is
// always answered and soon, and at the end nothing is left over.
func TestSoak(t *testing.T) {
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") // of the clients' sockets
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
	t.Logf("descriptors then:\n%s", soak.Descriptors(s.Cmd.Process.Pid))
	first := s.scrape(t)

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	s.run(ctx, t)
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
	bind      string             // a DNS server
	relays    []*soak.Relay      // to it
	backends  []*bed.Proxy       // to one chain
	fronts    []*httptest.Server // theirs
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
	s.bind = bed.StartBIND(t, map[string]string{"example.org": s.names.zone()}).String()
	for range 3 {
		r, err := soak.NewRelay(bed.Free(t).String(), s.bind)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Go)
		proxy := bed.NewProxy(t, world(t).HTTPURL())
		front := httptest.NewServer(proxy)
		t.Cleanup(front.Close)
		s.relays, s.backends, s.fronts = append(s.relays, r), append(s.backends, proxy), append(s.fronts, front)
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
	for _, f := range s.fronts {
		urls = append(urls, f.URL)
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
	ctx, cancel := context.WithTimeout(t.Context(), 4*soakPatience)
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
	loads := newSoakLoads(s)
	for _, l := range loads.all {
		wg.Go(func() { l.Run(ctx) })
	}
	s.storm.Once(t.Context())
	s.put(t, s.confs[1])
	s.put(t, s.confs[0])
	cancel()
	wg.Wait()
	loads.close()
	for name, l := range loads.all {
		if r := l.Tally.Result(); r.Wrong > 0 {
			t.Errorf("%s, in the rehearsal: %v", name, r)
		}
	}
	s.log = len(s.Log())
}

// run has the storm until ctx ends, and the loads a little longer.
func (s *soaked) run(ctx context.Context, t *testing.T) {
	t.Helper()
	start, used, own := time.Now(), s.cpu(t, s.Cmd.Process.Pid), s.cpu(t, os.Getpid())
	loads := newSoakLoads(s)
	s.storm = soak.Storm{Target: s.target, Pace: 40 * time.Millisecond, Hold: 7 * time.Second, Most: 48}
	steady, stop := context.WithCancel(t.Context())
	var wg, harm sync.WaitGroup
	for _, l := range loads.all {
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
	loads.close()
	took := time.Since(start).Seconds()
	t.Logf("processors in use: %.2f by dens, %.2f by this process", (s.cpu(t, s.Cmd.Process.Pid)-used).Seconds()/took, (s.cpu(t, os.Getpid())-own).Seconds()/took)
	loads.check(t)
}

func (s *soaked) cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	used, err := soak.CPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	return used
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

// reloads puts the two configurations into force in turn, and ends with the first.
func (s *soaked) reloads(ctx context.Context, t *testing.T) {
	n := 0
	for wait(ctx, 3*time.Second) || n%2 == 1 {
		n++
		s.put(t, s.confs[n%2])
		if n%2 == 1 {
			s.visitSecond(t)
			continue
		}
		deadline := time.Now().Add(4 * soakPatience)
		for !refused("tcp", s.second.DNS) || !refused("tcp", s.second.DoT) || !refused("tcp", s.second.DoH) {
			if time.Sleep(50 * time.Millisecond); time.Now().After(deadline) {
				t.Errorf("a listener that was taken away is still there after %v", 4*soakPatience)
				break
			}
		}
	}
	t.Logf("%d reloads", n)
}

// put takes a configuration into force. The certificate is not renewed meanwhile: its files would not fit each
// other, which a reload refuses.
func (s *soaked) put(t *testing.T, conf string) {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	if err := os.WriteFile(s.File, []byte(conf), 0o600); err != nil {
		t.Error(err)
	}
	if line := s.hangUp(t); strings.Contains(line, "not reloaded") {
		t.Error(line)
	}
}

// hangUp is reload for a goroutine that must not end the test.
func (s *soaked) hangUp(t *testing.T) string {
	before := len(s.Log())
	if err := s.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Error(err)
	}
	line := regexp.MustCompile(`(?m)^.*msg=("not reloaded.*|reloaded)$`)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if found := line.FindString(s.Log()[before:]); found != "" {
			return found
		}
	}
	t.Error("a minute after SIGHUP the log tells of no reload")
	return ""
}

// visitSecond asks once by each of the listeners that have just come.
func (s *soaked) visitSecond(t *testing.T) {
	for _, transport := range soak.Transports() {
		c := soak.NewClient(s.second, transport)
		tally := new(soak.Tally)
		load := soak.Load{Client: c, Next: s.names.known, Patience: 3 * soakPatience, Tally: tally}
		load.One()
		c.Close()
		if r := tally.Result(); r.Wrong+r.Failed > 0 {
			t.Errorf("by %s at the second listener: %v", transport, r)
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
		load := soak.Load{Client: c, Next: s.names.known, Patience: 3 * soakPatience, Tally: tally[transport]}
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
		for deadline := time.Now().Add(40 * time.Second); serial != want && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 4 * soakPatience}, "tcp", addr, conf)
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
