package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/e2e/bed"
)

// sharedWorld is the demo's chain, contracts, gateway and upstream server, in this process. It is shared
// by tests that do not change it, and ends with the process.
var sharedWorld = sync.OnceValues(func() (*demo.Chain, error) {
	return demo.Start(context.Background(), demo.Config{})
})

func world(t testing.TB) *demo.Chain {
	t.Helper()
	chain, err := sharedWorld()
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// worldOptions change what worldConfig writes.
type worldOptions struct {
	rpc      []string // URLs or whole elements of the list; empty: the chain's own by HTTP
	trust    string   // "" is single
	forward  string   // "" is the world's upstream server
	gateway  string   // "" is demo.GatewayA
	aliases  string   // "" is eth.limo
	rest     string   // further sections
	noNames  bool
	direct   bool   // the registry is read directly, without a UniversalResolver
	chainExt string // further keys of the chain, each on a line that begins with 4 spaces
}

// worldConfig is the configuration of a server over the world, without its listen section.
func worldConfig(c *demo.Chain, o worldOptions) string {
	or := func(s, def string) string {
		if s == "" {
			return def
		}
		return s
	}
	rpc := ""
	for i, r := range o.rpc {
		if !strings.HasPrefix(r, "{") {
			r = fmt.Sprintf("{ url: %q, operator: operator%d }", r, i+1)
		}
		rpc += "      - " + r + "\n"
	}
	if rpc == "" {
		rpc = fmt.Sprintf("      - { url: %q, operator: demo }\n", c.HTTPURL())
	}
	names := "names: []\n"
	if !o.noNames {
		universal := c.UniversalResolver.Hex()
		if o.direct {
			universal = ""
		}
		names = fmt.Sprintf(`names:
  - zone: eth
    system: ens
    chain: demo
    registry: %q
    universal_resolver: %q
    aliases: [%s]
    gateways: { a: [%q], aaaa: [%q] }
`, c.Registry.Hex(), universal, or(o.aliases, "eth.limo"), or(o.gateway, demo.GatewayA), demo.GatewayAAAA)
	}
	return fmt.Sprintf(`resolve: { forward: [%q] }
chains:
  demo:
    id: %d
    trust: %s
    ccip: { allow_http: true, allow_private: true }
%s    rpc:
%s%s%s`, or(o.forward, c.DNS), c.ChainID(), or(o.trust, "single"), o.chainExt, rpc, names, o.rest)
}

// writeConfig writes a configuration file and returns its path.
func writeConfig(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dens.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// outcome is what a command line came to.
type outcome struct {
	stdout, stderr string
	code           int
}

func (o outcome) all() string { return o.stdout + o.stderr }

// runDens runs dens to its end, with env added to the environment.
func runDens(t testing.TB, env []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bed.Dens(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), env...)
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("dens %s: %v", strings.Join(args, " "), err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// serveWith starts `dens serve` with an environment of its own, and waits for its http listener. config
// is the whole file.
func serveWith(t testing.TB, env []string, dnsAddr, httpAddr, config string) *bed.Server {
	t.Helper()
	s := &bed.Server{DNS: dnsAddr, HTTP: httpAddr, File: writeConfig(t, config)}
	cmd := exec.Command(bed.Dens(t), "serve", "--config", s.File)
	cmd.Env = append(os.Environ(), env...)
	s.Process = bed.StartCmd(t, cmd)
	bed.Wait(t, 10*time.Second, "dens listens: "+httpAddr, func() bool {
		if s.Exited() {
			t.Fatalf("dens ended:\n%s", s.Log())
		}
		status, _ := s.Get(t, "/healthz")
		return status != 0
	})
	return s
}

// listenSection is a listen section with free ports for dns and http, which it returns too.
func listenSection(t testing.TB, more ...string) (section, dnsAddr, httpAddr string) {
	t.Helper()
	dnsAddr, httpAddr = bed.Free(t).String(), bed.Free(t).String()
	section = fmt.Sprintf("listen:\n  dns: [%q]\n  http: %q\n", dnsAddr, httpAddr)
	for _, line := range more {
		section += line + "\n"
	}
	return section, dnsAddr, httpAddr
}

// metric sums the series of a metric whose labels contain all of the given ones (`rcode="NOERROR"`).
func metric(t testing.TB, s *bed.Server, name string, labels ...string) float64 {
	t.Helper()
	status, body := s.Get(t, "/metrics")
	if status != 200 {
		t.Fatalf("/metrics: %d %s", status, body)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		found = true
		at := strings.LastIndexByte(rest, ' ')
		if !containsAll(rest[:at], labels) {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[at:]), 64)
		if err != nil {
			t.Fatalf("/metrics: %s", line)
		}
		sum += v
	}
	if !found && len(labels) == 0 {
		t.Fatalf("/metrics has no %s", name)
	}
	return sum
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// stub is an upstream DNS server of a test's own: it notes what it is asked.
type stub struct {
	addr string

	mu    sync.Mutex
	asked []string // names, in lower case; guarded by mu
}

// startStub serves answer by UDP and TCP until the test ends. answer fills in the reply.
func startStub(t testing.TB, answer func(reply *dns.Msg, q dns.Question)) *stub {
	t.Helper()
	s := &stub{addr: bed.Free(t).String()}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		q := r.Question[0]
		q.Name = strings.ToLower(q.Name) // dens mixes the case of its questions
		s.mu.Lock()
		s.asked = append(s.asked, q.Name)
		s.mu.Unlock()
		reply := new(dns.Msg).SetReply(r)
		reply.RecursionAvailable = true
		if r.IsEdns0() != nil {
			reply.SetEdns0(1232, false)
		}
		answer(reply, q)
		if w.RemoteAddr().Network() == "udp" {
			reply.Truncate(1232)
		}
		_ = w.WriteMsg(reply) // a client that has gone asks again
	})
	for _, network := range []string{"udp", "tcp"} {
		started := make(chan struct{})
		server := &dns.Server{Addr: s.addr, Net: network, Handler: handler, NotifyStartedFunc: func() { close(started) }}
		failed := make(chan error, 1)
		go func() { failed <- server.ListenAndServe() }()
		select {
		case <-started:
		case err := <-failed:
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = server.ShutdownContext(ctx)
		})
	}
	return s
}

// names is what the stub was asked up to now.
func (s *stub) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// count is how often the stub was asked for a name.
func (s *stub) count(name string) int {
	n := 0
	for _, asked := range s.names() {
		if asked == name {
			n++
		}
	}
	return n
}

// addressOf answers A with one address and everything else with NODATA.
func addressOf(addr string) func(*dns.Msg, dns.Question) {
	return func(reply *dns.Msg, q dns.Question) {
		if q.Qtype == dns.TypeA {
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.ParseIP(addr)}}
			return
		}
		reply.Ns = []dns.RR{stubSOA()}
	}
}

func stubSOA() dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 300},
		Ns:  "ns.example.", Mbox: "hostmaster.example.", Serial: 1, Refresh: 1, Retry: 1, Expire: 1, Minttl: 300,
	}
}

// sigterm ends dens, which must exit with 0.
func sigterm(t testing.TB, p *bed.Process) {
	t.Helper()
	if code := p.Stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("dens exited with %d after SIGTERM, expected 0\n%s", code, p.Log())
	}
}

// mustMatch wants a text to match a regular expression.
func mustMatch(t testing.TB, what, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(text) {
		t.Errorf("%s: nothing matches %s in:\n%s", what, pattern, text)
	}
}
