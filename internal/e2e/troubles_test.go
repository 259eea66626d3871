package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/e2e/bed"
)

// The addresses of what goes wrong.
const (
	deadAddress  = "192.5.5.1"   // of no machine
	thiefAddress = "192.5.5.2"   // of a resolver that answers in everybody's place
	fallbackIP   = "203.0.113.9" // of a resolver with DNS over TLS
)

// rootedConfig is a configuration over the world that resolves from the root, with further keys.
func rootedConfig(c *demo.Chain, keys string) string {
	text := worldConfig(c, worldOptions{})
	return "resolve: { mode: recursive, " + keys + " }\n" + text[strings.Index(text, "chains:"):]
}

// hintsFile names one root server.
func hintsFile(t *testing.T, address string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hints")
	if err := os.WriteFile(path, []byte(". 300 NS ns.root.\nns.root. 300 A "+address+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRootTroubles resolves from the root where that works, and where it does not: each time check, the
// readiness page and the extended error say why, and on-chain names are unharmed.
func TestRootTroubles(t *testing.T) {
	if !isolated(t) {
		return
	}
	outside := makeHome(t, thiefAddress, fallbackIP)
	anchor := filepath.Join(t.TempDir(), "root.ds")
	if err := os.WriteFile(anchor, []byte(makeRoot(t, outside)), 0o600); err != nil {
		t.Fatal(err)
	}
	makeThief(t, outside)
	makeFallback(t, outside)
	chain := world(t)
	dead, stolen := hintsFile(t, deadAddress), hintsFile(t, thiefAddress)
	for name, c := range map[string]struct {
		keys    string
		rcode   int
		secure  bool
		problem string // of check and /readyz
	}{
		"all is well":             {fmt.Sprintf("trust_anchor: %q", anchor), dns.RcodeSuccess, true, ""},
		"no validation":           {"validate: false", dns.RcodeSuccess, false, ""},
		"broken, and known to be": {fmt.Sprintf("trust_anchor: %q, negative_anchors: [example.org]", anchor), dns.RcodeSuccess, false, ""},
		"no anchors":              {fmt.Sprintf("trust_anchor: %q", anchor+".none"), dns.RcodeServerFailure, false, `no such file or directory; expected DS or DNSKEY records`},
		"another's root":          {"", dns.RcodeServerFailure, false, `anchors are of keys 20326, 38696, the zone shows \d+`},
		"nobody answers":          {fmt.Sprintf("root_hints: %q", dead), dns.RcodeServerFailure, false, `no root server answers: this network blocks DNS on port 53`},
		"another answers":         {fmt.Sprintf("root_hints: %q", stolen), dns.RcodeServerFailure, false, `somebody else answers in the place of the root servers`},
	} {
		t.Run(name, func(t *testing.T) {
			s := bed.ServeUnready(t, rootedConfig(chain, c.keys))
			bed.Wait(t, 20*time.Second, "the root's part of /readyz", func() bool {
				_, body := s.Get(t, "/readyz")
				return regexp.MustCompile(`"recursive \.","ready":` + map[bool]string{true: "true", false: `false,"reason":"[^"]*` + c.problem}[c.problem == ""]).MatchString(body)
			})
			reply := askSecurely(t, s.DNS, "www.example.org")
			if reply.Rcode != c.rcode || reply.AuthenticatedData != c.secure || (bed.EDE(reply) == nil) != (c.rcode == dns.RcodeSuccess) {
				t.Errorf("www.example.org: %v", reply)
			}
			row{"alice.eth", dns.TypeMX, 0, []string{"10 mail.alice.eth."}, ""}.check(t, s.DNS)
			out := runDens(t, nil, "check", "--config", s.File)
			if (out.code != 0) != (c.problem != "") {
				t.Errorf("check: exit status %d", out.code)
			}
			mustMatch(t, "check", out.all(), c.problem)
		})
	}
	t.Run("fallback", func(t *testing.T) {
		s := bed.Serve(t, rootedConfig(chain, fmt.Sprintf("root_hints: %q, validate: false, fallback: [\"tls://%s#dns.example\"]", dead, fallbackIP)))
		bed.Wait(t, 20*time.Second, "an answer by the fallback server", func() bool {
			reply, err := bed.TryAsk(s.DNS, "www.example.org", dns.TypeA)
			return err == nil && len(reply.Answer) == 1 && bed.Data(reply)[0] == "192.0.2.80"
		})
		out := runDens(t, nil, "lookup", "www.example.org", "A", "--config", s.File)
		if out.code != 0 || !strings.Contains(out.stdout, "192.0.2.80") {
			t.Errorf("lookup: %+v", out)
		}
	})
}

// askSecurely asks for A, and whether the answer is secure.
func askSecurely(t *testing.T, server, name string) *dns.Msg {
	t.Helper()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	query.SetEdns0(1232, false)
	query.AuthenticatedData = true
	reply, _, err := (&dns.Client{Timeout: 12 * time.Second}).Exchange(query, server)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// makeThief answers as a resolver does, whatever it is asked.
func makeThief(t *testing.T, outside *namespace) {
	t.Helper()
	var conn net.PacketConn
	outside.within(t, func() (err error) {
		conn, err = net.ListenPacket("udp", thiefAddress+":53")
		return err
	})
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, req *dns.Msg) {
		reply := new(dns.Msg).SetReply(req)
		reply.RecursionAvailable = true
		w.WriteMsg(reply) //nolint:errcheck // the asker notices
	})}
	go server.ActivateAndServe()            //nolint:errcheck // it ends with the test
	t.Cleanup(func() { server.Shutdown() }) //nolint:errcheck // as above
}

// makeFallback serves DNS over TLS, with a certificate that programs trust which are started from here on.
func makeFallback(t *testing.T, outside *namespace) {
	t.Helper()
	ca, cert, key := bed.Certificate(t, "dns.example")
	t.Setenv("SSL_CERT_FILE", ca)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	outside.within(t, func() (err error) {
		l, err = tls.Listen("tcp", fallbackIP+":853", &tls.Config{Certificates: []tls.Certificate{pair}})
		return err
	})
	serveDNS(t, &dns.Server{Listener: l})
}

// TestRootFiles wants the file, the place and what was expected from every command that reads a file for
// resolving from the root.
func TestRootFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	none := filepath.Join(dir, "none", "file")
	for name, c := range map[string]struct{ keys, path, want string }{
		"no anchors":            {"trust_anchor: %q", none, `no such file.*expected DS or DNSKEY records`},
		"broken anchors":        {"trust_anchor: %q", write("a", "; a comment\n. IN DS x\n"), `line: 2.*expected DS or DNSKEY records`},
		"half an anchor":        {"trust_anchor: %q", write("e", ". IN DS 20326 8 2 E06D\n"), `digest has 4 hex digits, not 64`},
		"anchors of no kind":    {"trust_anchor: %q", write("b", ". IN A 192.0.2.1\n"), `expected DS or DNSKEY records`},
		"no hints":              {"root_hints: %q", none, `no such file`},
		"broken hints":          {"root_hints: %q", write("c", ". 300 IN NS a.root.\na.root. 300 IN A x\n"), `line: 2`},
		"hints without address": {"root_hints: %q", write("d", ". 300 IN NS a.root.\n"), `found no root server with an address`},
		"no root zone":          {"local_root: { file: %q }", none, `no such file.*expected the root zone`},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeConfig(t, "chains: {}\nnames: []\nlisten: { dns: ['127.0.0.1:0'], http: '' }\nresolve: { "+fmt.Sprintf(c.keys, c.path)+" }\n")
			for _, args := range [][]string{{"serve"}, {"check"}, {"lookup", "www.example.org"}} {
				if args[0] == "serve" && strings.HasPrefix(c.keys, "trust_anchor") {
					continue // what needs no anchors is answered: see TestRootTroubles
				}
				out := runDens(t, nil, append(args, "--config", file)...)
				if out.code != 1 || out.stdout != "" || !strings.Contains(out.stderr, c.path) {
					t.Errorf("%s: %+v, want exit status 1 and %s", args[0], out, c.path)
				}
				mustMatch(t, args[0], out.stderr, c.want)
			}
		})
	}
	file := writeConfig(t, "chains: {}\nnames: []\nlisten: { dns: ['127.0.0.1:0'], http: '' }\nresolve: { anchor_state: "+none+" }\n")
	out := runDens(t, nil, "check", "--config", file)
	if out.code != 1 || !strings.Contains(out.all(), none) || !strings.Contains(out.all(), "dens must be able to write to the directory") {
		t.Errorf("a state file without a directory: %+v", out)
	}
}
