package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// The secrets that the tests below hide: none of these may ever show.
const (
	secretKey  = "k3y-of-a-provider-0815"
	secretUser = "u5er-of-a-provider"
	secretPass = "p4ss-of-a-provider"
)

func secretEnv() []string {
	return []string{"DENS_TEST_KEY=" + secretKey, "DENS_TEST_USER=" + secretUser, "DENS_TEST_PASS=" + secretPass}
}

// newTattler is a provider that repeats the URL, and so the key, in its errors, as real ones do.
func newTattler(t *testing.T, how string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		told := fmt.Sprintf("%s %s %s", r.URL, user, pass)
		switch how {
		case "status":
			http.Error(w, "unknown key in "+told, http.StatusUnauthorized)
		case "redirect":
			http.Redirect(w, r, "http://"+bed.Free(t).String()+r.URL.String(), http.StatusTemporaryRedirect)
		case "json":
			body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			requests, batch := rpcIDs(body)
			w.Header().Set("Content-Type", "application/json")
			var replies []string
			for _, id := range requests {
				replies = append(replies, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":%q}}`, id, "unknown key in "+told))
			}
			text := strings.Join(replies, ",")
			if batch {
				text = "[" + text + "]"
			}
			io.WriteString(w, text) //nolint:errcheck // the client may be gone
		default:
			io.WriteString(w, told) //nolint:errcheck // as above
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// rpcIDs are the ids of the calls in a JSON-RPC body.
func rpcIDs(body []byte) (ids []string, batch bool) {
	type call struct{ ID json.RawMessage }
	var calls []call
	if batch = json.Unmarshal(body, &calls) == nil; !batch {
		calls = make([]call, 1)
		_ = json.Unmarshal(body, &calls[0]) // what is no JSON has no id either
	}
	for _, c := range calls {
		ids = append(ids, string(c.ID))
	}
	return ids, batch
}

// checkNoSecret looks for the secrets, and for their forms in a URL, in a text.
func checkNoSecret(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{secretKey, secretUser, secretPass} {
		for _, form := range []string{secret, url.QueryEscape(secret), strings.ToUpper(secret)} {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("%s shows a secret: ...%s...", what, text[max(at-200, 0):min(at+100, len(text))])
				return
			}
		}
	}
}

// TestSecrets runs dens, at debug level, over backends and upstream servers whose URLs hold secrets and
// that fail in every way, and looks for the secrets in all that comes out.
func TestSecrets(t *testing.T) {
	t.Parallel()
	chain := world(t)
	var rpc []string
	add := func(base string) {
		withUser := strings.Replace(base, "://", "://${DENS_TEST_USER}:${DENS_TEST_PASS}@", 1)
		rpc = append(rpc, base+"/v2/${DENS_TEST_KEY}", withUser+"/?key=${DENS_TEST_KEY}")
	}
	for _, fault := range []bed.Fault{bed.Down, bed.TooMany, bed.WrongChain, bed.Garbage, bed.Huge, bed.CloseMid, bed.Drip} {
		proxy := bed.NewProxy(t, chain.HTTPURL())
		proxy.Set(fault)
		add(proxy.URL)
	}
	for _, how := range []string{"status", "redirect", "json", "text"} {
		base := newTattler(t, how)
		add(base)
		add("ws" + strings.TrimPrefix(base, "http"))
	}
	add("http://" + bed.Free(t).String())
	add("ws://" + bed.Free(t).String())
	add("wss://" + bed.Free(t).String())
	add("http://nowhere.invalid")
	rpc = append(rpc, "/${DENS_TEST_KEY}/geth.ipc")

	tattler := strings.Replace(newTattler(t, "status"), "http://", "https://", 1)
	conf := worldConfig(chain, worldOptions{trust: "single", rpc: rpc, forward: tattler + "/${DENS_TEST_KEY}/dns-query?key=${DENS_TEST_KEY}",
		rest: "log: { level: debug }\n", chainExt: "    timeout: 2s\n"})
	listen, dnsAddr, httpAddr := listenSection(t)
	s := serveWith(t, secretEnv(), dnsAddr, httpAddr, listen+conf)
	for i := range 3 {
		for _, name := range []string{fmt.Sprintf("n%d.alice.eth", i), fmt.Sprintf("n%d.example.org", i)} {
			reply := bed.Ask(t, s.DNS, name, dns.TypeA)
			if reply.Rcode != dns.RcodeServerFailure {
				t.Errorf("%s: %v, want SERVFAIL", name, reply)
			}
			checkNoSecret(t, "the reply to "+name, reply.String())
		}
	}
	s.Cmd.Process.Signal(syscall.SIGHUP) //nolint:errcheck // the log is looked at below
	bed.Wait(t, 20*time.Second, "dens has reloaded", func() bool { return strings.Contains(s.Log(), "reload") })
	for _, path := range []string{"/", "/metrics", "/readyz", "/healthz"} {
		_, body := s.Get(t, path)
		checkNoSecret(t, path, body)
	}
	_, page := s.Get(t, "/")
	if !strings.Contains(page, "127.0.0.1:") || !strings.Contains(page, "operator1") {
		t.Errorf("the page names no backend, so that nothing is proven:\n%s", page)
	}
	checkSecretCommands(t, s)
	sigterm(t, s.Process)
	log := s.Log()
	checkNoSecret(t, "the log", log)
	if !strings.Contains(log, "operator1") {
		t.Errorf("the log names no backend, so that nothing is proven:\n%s", log)
	}
}

// checkSecretCommands runs the other commands over the same configuration, and over broken ones.
func checkSecretCommands(t *testing.T, s *bed.Server) {
	t.Helper()
	env := secretEnv()
	check := runDens(t, env, "check", "--config", s.File, "--timeout", "8s")
	if check.code != 1 || !strings.Contains(check.stdout, "operator1") {
		t.Errorf("dens check: %+v", check)
	}
	checkNoSecret(t, "dens check", check.all())
	for _, args := range [][]string{{"alice.eth", "A"}, {"alice.eth", "A", "--json"}, {"www.example.org", "A"}} {
		out := runDens(t, env, append([]string{"lookup", "--config", s.File}, args...)...)
		if out.code != 4 {
			t.Errorf("dens lookup %v: %+v", args, out)
		}
		checkNoSecret(t, "dens lookup", out.all())
	}
	for name, conf := range map[string]string{
		"a bad URL":             "chains: { ethereum: { id: 1, trust: single, rpc: [\"htps://example.org/${DENS_TEST_KEY}\"] } }\n",
		"a bad port":            "chains: { ethereum: { id: 1, trust: single, rpc: [\"https://example.org:99999/${DENS_TEST_KEY}\"] } }\n",
		"a URL that is all key": "chains: { ethereum: { id: 1, trust: single, rpc: [\"${DENS_TEST_KEY}\"] } }\n",
		"twice the same":        "chains: { ethereum: { id: 1, trust: single, rpc: [\"https://example.org/${DENS_TEST_KEY}\", \"https://example.org/${DENS_TEST_KEY}\"] } }\n",
		"a key for a number":    "cache: { entries: \"${DENS_TEST_KEY}\" }\n",
		"a key for an address":  "listen: { dns: [\"${DENS_TEST_KEY}\"] }\n",
		"a key for an upstream": "resolve: { forward: [\"https://${DENS_TEST_KEY}@x y/\"] }\n",
		"a key for a path":      "listen: { dot: [\"127.0.0.1:0\"] }\ntls: { cert: \"/run/${DENS_TEST_KEY}/a.pem\", key: \"/run/${DENS_TEST_KEY}/b.pem\" }\n",
	} {
		for _, command := range []string{"serve", "check"} {
			args := []string{command, "--config", writeConfig(t, conf)}
			if command == "check" {
				args = append(args, "--timeout", "1s")
			}
			out := runDens(t, env, args...)
			if out.code != 1 {
				t.Errorf("%s: dens %s: %+v, want exit status 1", name, command, out)
			}
			checkNoSecret(t, name+": dens "+command, out.all())
		}
	}
}
