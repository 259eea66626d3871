package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/e2e/bed"
)

// startDemo runs `dens demo` on free ports, with more arguments, and returns how long it took until the first
// right answer.
func startDemo(t *testing.T, more ...string) (*bed.Server, time.Duration) {
	t.Helper()
	s := &bed.Server{DNS: bed.Free(t).String(), HTTP: bed.Free(t).String()}
	binary := bed.Dens(t)
	start := time.Now()
	s.Process = bed.Start(t, binary, append([]string{"demo", "--listen", s.DNS, "--http", s.HTTP}, more...)...)
	client := &dns.Client{Timeout: time.Second}
	bed.Wait(t, 10*time.Second, "the demo answers alice.eth", func() bool {
		if s.Exited() {
			t.Fatalf("the demo ended:\n%s", s.Log())
		}
		reply, _, err := client.Exchange(new(dns.Msg).SetQuestion("alice.eth.", dns.TypeA), s.DNS)
		return err == nil && len(reply.Answer) == 1 && bed.Data(reply)[0] == "192.0.2.10"
	})
	return s, time.Since(start)
}

// TestDemo starts the demo and does what its table says.
func TestDemo(t *testing.T) {
	s, took := startDemo(t)
	t.Logf("from the start to the first right answer: %v (aim: below 3 s)", took.Round(10*time.Millisecond))
	for _, sample := range demo.Samples() {
		checkSample(t, s.DNS, sample)
	}
	bed.Wait(t, 10*time.Second, "the table is printed", func() bool { return strings.Contains(s.Log(), "where from") })
	checkDemoTable(t, s)
	checkJSON(t, s)
	checkWireDoH(t, s)
	s.Cmd.Process.Signal(syscall.SIGHUP) //nolint:errcheck // seen below
	time.Sleep(100 * time.Millisecond)
	checkSample(t, s.DNS, demo.Samples()[0])
	sigterm(t, s.Process)
}

// TestSamples asks the demo's questions of dens over other ways to the same chain.
func TestSamples(t *testing.T) {
	t.Parallel()
	chain := world(t)
	for name, o := range map[string]worldOptions{
		"registry read directly":         {direct: true},
		"WebSocket":                      {rpc: []string{chain.WSURL()}},
		"quorum":                         {trust: "quorum", rpc: []string{chain.HTTPURL(), chain.WSURL()}},
		"quorum, registry read directly": {trust: "quorum", rpc: []string{chain.HTTPURL(), chain.WSURL()}, direct: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := bed.Serve(t, worldConfig(chain, o))
			for _, sample := range demo.Samples() {
				checkSample(t, s.DNS, sample)
			}
		})
	}
}

// checkSample asks by UDP, and by TCP in any case.
func checkSample(t *testing.T, server string, sample demo.Sample) {
	t.Helper()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(sample.Name), dns.StringToType[sample.Type])
	if sample.Type == "TYPE262" {
		query.Question[0].Qtype = 262
	}
	query.SetEdns0(1232, false)
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, Timeout: 10 * time.Second, UDPSize: 1232}
		reply, _, err := client.Exchange(query, server)
		if err != nil {
			t.Errorf("%s %s by %s: %v", sample.Name, sample.Type, network, err)
			continue
		}
		if reply.Truncated && network == "udp" {
			continue
		}
		if err := sample.Check(reply); err != nil {
			t.Errorf("by %s: %v\n%v", network, err, reply)
		}
	}
}

// checkDemoTable runs every dig line of the table, and the look-up below it, as they are printed.
func checkDemoTable(t *testing.T, s *bed.Server) {
	t.Helper()
	table := s.Log()
	lines := regexp.MustCompile(`dig @.*`).FindAllString(table, -1)
	samples := demo.Samples()
	if len(lines) != len(samples) {
		t.Fatalf("the table has %d dig lines, want %d:\n%s", len(lines), len(samples), table)
	}
	for i, sample := range samples {
		if !strings.HasSuffix(strings.TrimSpace(lines[i]), " "+sample.Name+" "+sample.Type) {
			t.Errorf("line %d is %q, want it to ask %s %s", i, lines[i], sample.Name, sample.Type)
		}
		words := strings.Fields(lines[i])
		out := bed.Run(t, bed.Tool(t, words[0]), words[1:]...)
		if status := "status: " + dns.RcodeToString[sample.Rcode]; !strings.Contains(out, status) {
			t.Errorf("%s: no %q in\n%s", lines[i], status, out)
		}
	}
	lookup := regexp.MustCompile(`dens (lookup .*)`).FindStringSubmatch(table)
	if lookup == nil {
		t.Fatalf("the table has no look-up:\n%s", table)
	}
	if out := runDens(t, nil, strings.Fields(lookup[1])...); out.code != 0 || !strings.Contains(out.stdout, "192.0.2.10") || !strings.Contains(out.stdout, "proven, beacon anchor") {
		t.Errorf("%s: %+v", lookup[0], out)
	}
	mustMatch(t, "the table", table, `ready after \d+\.\d s`)
}

// checkJSON asks the plain DoH resource in the JSON form.
func checkJSON(t *testing.T, s *bed.Server) {
	t.Helper()
	for query, want := range map[string]struct {
		status int
		data   string
	}{
		"name=alice.eth&type=A":      {0, "192.0.2.10"},
		"name=alice.eth&type=28":     {0, "2001:db8::10"},
		"name=🚀.eth&type=A":          {0, "192.0.2.70"},
		"name=nobody.eth&type=A":     {dns.RcodeNameError, ""},
		"name=broken.eth&type=A":     {dns.RcodeServerFailure, ""},
		"name=www.example.org":       {0, "198.51.100.80"},
		"name=ALICE.eth.limo&do=1":   {0, "192.0.2.10"},
		"name=bob.eth&type=TXT":      {0, `"dnslink=` + ipfsPath + `"`},
		"name=wallet.eth&type=262":   {0, ""},
		"name=carol.eth&type=MX&cd=": {0, "10 mail.carol.eth."},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTP+"/dns-query?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/dns-json")
		body, header := fetch(t, req, http.StatusOK)
		if kind := header.Get("Content-Type"); kind != "application/dns-json" {
			t.Errorf("%s: content type %q", query, kind)
		}
		var reply struct {
			Status   int
			Question []struct {
				Name string
				Type int
			}
			Answer []struct {
				Name string
				Type int
				TTL  int
				Data string
			}
			Errors []struct {
				InfoCode int `json:"info_code"`
			} `json:"extended_dns_errors"`
		}
		if err := json.Unmarshal(body, &reply); err != nil {
			t.Errorf("%s: %v\n%s", query, err, body)
			continue
		}
		found := want.data == ""
		for _, rr := range reply.Answer {
			found = found || rr.Data == want.data || strings.Trim(rr.Data, `"`) == strings.Trim(want.data, `"`)
		}
		if reply.Status != want.status || !found || len(reply.Question) != 1 {
			t.Errorf("%s: %s, want status %d and %q", query, body, want.status, want.data)
		}
	}
	for _, bad := range []string{"name=", "name=alice.eth&type=NONSENSE", "name=a..b&type=A", "type=A", "dns=!", "dns=AAAA", ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTP+"/dns-query?"+bad, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/dns-json")
		fetch(t, req, http.StatusBadRequest)
	}
}

// checkWireDoH asks the plain DoH resource in the wire form (RFC 8484) by GET and POST.
func checkWireDoH(t *testing.T, s *bed.Server) {
	t.Helper()
	query := new(dns.Msg).SetQuestion("carol.eth.", dns.TypeAAAA)
	query.Id = 0
	packed, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + s.HTTP + "/dns-query"
	get, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"?dns="+base64.RawURLEncoding.EncodeToString(packed), nil)
	if err != nil {
		t.Fatal(err)
	}
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/dns-message")
	for _, req := range []*http.Request{get, post} {
		body, header := fetch(t, req, http.StatusOK)
		reply := new(dns.Msg)
		if err := reply.Unpack(body); err != nil {
			t.Fatal(err)
		}
		if len(reply.Answer) != 1 || bed.Data(reply)[0] != "2001:db8::30" || reply.Id != 0 {
			t.Errorf("%s: %v", req.Method, reply)
			continue
		}
		if got, want := header.Get("Cache-Control"), fmt.Sprintf("max-age=%d", reply.Answer[0].Header().Ttl); got != want {
			t.Errorf("%s: Cache-Control is %q, want %q", req.Method, got, want)
		}
		if kind := header.Get("Content-Type"); kind != "application/dns-message" {
			t.Errorf("%s: content type %q", req.Method, kind)
		}
	}
	wrong := post.Clone(t.Context())
	wrong.Body = io.NopCloser(bytes.NewReader(packed))
	wrong.Header.Set("Content-Type", "text/plain")
	fetch(t, wrong, http.StatusUnsupportedMediaType)
}

// fetch makes a request, whose status must be as wanted.
func fetch(t *testing.T, req *http.Request, status int) ([]byte, http.Header) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Errorf("%s %s: status %d, want %d: %s", req.Method, req.URL, resp.StatusCode, status, body)
	}
	return body, resp.Header
}

func TestDemoEndsOnInterrupt(t *testing.T) {
	s, _ := startDemo(t)
	if code := s.Stop(t, os.Interrupt); code != 0 {
		t.Errorf("the demo exited with %d after SIGINT, expected 0", code)
	}
}

// TestDemoPortTaken wants the demo to say what is wrong, and not to hang.
func TestDemoPortTaken(t *testing.T) {
	taken := holdPort(t)
	out := runDens(t, nil, "demo", "--listen", taken.String(), "--http", bed.Free(t).String())
	if out.code != 1 || !strings.Contains(out.stderr, taken.String()) || !strings.Contains(out.stderr, "another program has the port") {
		t.Errorf("port %d in use: %+v", taken.Port(), out)
	}
}

// holdPort listens on a port until the test ends.
func holdPort(t *testing.T) netip.AddrPort {
	t.Helper()
	s := startStub(t, addressOf("192.0.2.1"))
	return netip.MustParseAddrPort(s.addr)
}

// TestContractsMatchTheirSources compiles the demo's contracts anew and compares.
func TestContractsMatchTheirSources(t *testing.T) {
	bed.Run(t, bed.Tool(t, "node"), "internal/demo/contracts/compile.mjs", "--check", bed.Path(t, "node_modules"))
}
