package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// curl fetches with a limit of time.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	return bed.Run(t, bed.Tool(t, "curl"), append([]string{"-sS", "--max-time", "20"}, args...)...)
}

// checkCurlDoH fetches pages by names that only dens knows.
func checkCurlDoH(t *testing.T, _ *interop) {
	doh := []string{"--doh-url", "https://" + interopAddress + "/dns-query"}
	for _, name := range []string{"alice.eth", "www.example.org", "bob.eth"} {
		if out := curl(t, append(slices.Clone(doh), "http://"+name+"/")...); !strings.Contains(out, page("http", name)) {
			t.Errorf("http://%s/: %s", name, out)
		}
	}
	const noSuchHost = 6
	for _, args := range [][]string{{"http://alice.eth/"}, append(slices.Clone(doh), "http://nobody.eth/")} {
		if out, code := bed.RunCode(t, bed.Tool(t, "curl"), append([]string{"-sS"}, args...)...); code != noSuchHost {
			t.Errorf("curl %s: exit status %d\n%s", strings.Join(args, " "), code, out)
		}
	}
}

// checkCurl makes requests by curl in each version of HTTP that this one speaks.
func checkCurl(t *testing.T, _ *interop) {
	query, err := new(dns.Msg).SetQuestion("alice.eth.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	query[0], query[1] = 0, 0
	body := filepath.Join(t.TempDir(), "query")
	if err := os.WriteFile(body, query, 0o600); err != nil {
		t.Fatal(err)
	}
	type variant struct{ option, url, version string }
	encrypted, plain := "https://"+interopAddress+"/dns-query", "http://"+interopAddress+":8053/dns-query"
	variants := []variant{
		{"--http1.1", encrypted, "1.1"}, {"--http2", encrypted, "2"}, {"--tls-max=1.2", encrypted, "2"},
		{"--http1.1", plain, "1.1"}, {"--http2-prior-knowledge", plain, "2"},
	}
	if strings.Contains(bed.Run(t, bed.Tool(t, "curl"), "--version"), "HTTP3") {
		variants = append(variants, variant{"--http3-only", encrypted, "3"})
	}
	for _, v := range variants {
		option := strings.Split(v.option, "=")
		checkCurlReply(t, v.version, append(slices.Clone(option), v.url+"?dns="+base64.RawURLEncoding.EncodeToString(query)))
		checkCurlReply(t, v.version, append(slices.Clone(option), "--data-binary", "@"+body, "-H", "content-type: application/dns-message", v.url))
		out := curl(t, append(option, "-H", "accept: application/dns-json", "-w", `\n%{http_version} %{http_code} %{content_type}`, v.url+"?name=alice.eth&type=A")...)
		text, rest, _ := cutLast(out, "\n")
		var answer struct {
			Status int
			Answer []struct {
				Name string `json:"name"`
				Type int    `json:"type"`
				TTL  int
				Data string `json:"data"`
			}
		}
		err := json.Unmarshal([]byte(text), &answer)
		if err != nil || answer.Status != 0 || len(answer.Answer) != 1 || answer.Answer[0].Data != "192.0.2.10" || answer.Answer[0].Type != 1 || rest != v.version+" 200 application/dns-json" {
			t.Errorf("curl %s with JSON: %v\n%s", v.option, err, out)
		}
	}
}

// checkCurlReply wants the address of alice.eth, to be kept no longer than its record.
func checkCurlReply(t *testing.T, version string, args []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "reply")
	out := curl(t, append([]string{"-o", file, "-w", "%{http_version} %{http_code} %{content_type} %header{cache-control}"}, args...)...)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("curl %s: %v\n%s", strings.Join(args, " "), err, out)
		return
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(data); err != nil || len(reply.Answer) != 1 || bed.Data(reply)[0] != "192.0.2.10" {
		t.Errorf("curl %s: %v %v\n%s", strings.Join(args, " "), err, reply, out)
		return
	}
	want := fmt.Sprintf("%s 200 application/dns-message max-age=%d", version, reply.Answer[0].Header().Ttl)
	if out != want {
		t.Errorf("curl %s: %q, want %q", strings.Join(args, " "), out, want)
	}
}

// checkClaims asks as a client that may not, and says that it passes on what another asks: no proxy is trusted here.
func checkClaims(t *testing.T, w *interop) {
	before := metric(t, w.dens, "dens_refused_total")
	encrypted, plain := "https://"+interopAddress+"/dns-query", "http://"+interopAddress+":8053/dns-query"
	for _, request := range [][]string{{"--http2", encrypted}, {"--http1.1", encrypted}, {"--http2-prior-knowledge", plain}, {"--http1.1", plain}} {
		ask := func(more ...string) string {
			return curl(t, append(more, request[0], "-H", "X-Forwarded-For: "+interopAddress, "-H", "Forwarded: for="+interopAddress, request[1]+"?name=alice.eth")...)
		}
		if out := ask(); !strings.Contains(out, `"data":"192.0.2.10"`) {
			t.Errorf("curl %q: %s", request, out)
		}
		if out := ask("--interface", interopOutside); !strings.Contains(out, `"Status":5`) || strings.Contains(out, "192.0.2.10") {
			t.Errorf("curl %q from %s: %s", request, interopOutside, out)
		}
	}
	if n := metric(t, w.dens, "dens_refused_total") - before; n != 4 {
		t.Errorf("%v requests counted as refused, want 4", n)
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	at := strings.LastIndex(s, sep)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(sep):], true
}
