package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

const clientCookie = "2464c4abcf10c957"

// dig asks with dig and returns all that it prints.
func dig(t *testing.T, server string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	return bed.Run(t, bed.Tool(t, "dig"), append([]string{"@" + host, "-p", port, "+tries=1", "+time=5"}, args...)...)
}

// dug takes apart what dig prints: the rcode, the cookie, and what dig thinks of it.
func dug(t *testing.T, out string) (rcode, cookie, verdict string) {
	t.Helper()
	status := regexp.MustCompile(`status: (\w+),`).FindStringSubmatch(out)
	if status == nil {
		t.Fatalf("dig got no reply:\n%s", out)
	}
	if m := regexp.MustCompile(`; COOKIE: ([0-9a-f]+)(?: \((\w+)\))?`).FindStringSubmatch(out); m != nil {
		cookie, verdict = m[1], m[2]
	}
	return status[1], cookie, verdict
}

// TestCookies asks with real clients, over all transports: the client cookie comes back with a server cookie,
// which stays the same while it is young, and over a reload.
func TestCookies(t *testing.T) {
	t.Parallel()
	up := startStub(t, addressOf("198.51.100.80"))
	ca, cert, key := bed.Certificate(t, "dens.example")
	dot := bed.Free(t).String()
	config := upstreamOnly(up.addr, fmt.Sprintf("tls: { cert: %q, key: %q }\n", cert, key))
	r := startReloading(t, config, fmt.Sprintf("  dot: [%q]", dot))
	s := r.Server
	rcode, first, verdict := dug(t, dig(t, s.DNS, "www.example.org", "+cookie="+clientCookie))
	if rcode != "NOERROR" || verdict != "good" || len(first) != 48 || first[:16] != clientCookie || first[16:24] != "01000000" {
		t.Fatalf("a first query: %s %s %s", rcode, first, verdict)
	}
	for story, args := range map[string][]string{
		"a hit": {"www.example.org"}, "a miss": {"other.example.org"}, "answered here": {"localhost"}, "NXDOMAIN": {"a.invalid"},
		"a meta type": {"example.org", "MAILA"}, "not implemented": {"example.org", "+opcode=notify"}, "another class": {"version.bind", "CH", "TXT"},
		"TCP": {"www.example.org", "+tcp"}, "another EDNS buffer": {"www.example.org", "+bufsize=512"},
	} {
		if _, cookie, verdict := dug(t, dig(t, s.DNS, append(args, "+cookie="+first)...)); cookie != first || verdict != "good" {
			t.Errorf("%s: cookie %s (%s), want %s", story, cookie, verdict, first)
		}
	}
	host, port, _ := net.SplitHostPort(dot)
	out := bed.Run(t, bed.Tool(t, "kdig"), "@"+host, "-p", port, "+tls-ca="+ca, "+tls-hostname=dens.example", "+cookie="+first, "www.example.org")
	if !strings.Contains(out, "status: NOERROR") || !strings.Contains(strings.ToLower(out), first[16:]) {
		t.Errorf("kdig over TLS:\n%s", out)
	}
	if got := cookieOverHTTPS(t, s, first); got != first {
		t.Errorf("over HTTPS %s, want %s", got, first)
	}
	checkCookieLengths(t, s, first)

	r.reloadTo(t, r.listen+config+"cache: { entries: 1000 }\n")
	if rcode, cookie, _ := dug(t, dig(t, s.DNS, "+header-only", "+cookie="+first)); rcode != "NOERROR" || cookie != first {
		t.Errorf("after a reload: %s %s", rcode, cookie)
	}
	before := metric(t, s, "dens_dns_cookies_total", `state="valid"`)
	dig(t, s.DNS, "www.example.org", "+cookie="+first)
	if n := metric(t, s, "dens_dns_cookies_total", `state="valid"`) - before; n != 1 {
		t.Errorf("%v valid cookies counted, want 1", n)
	}
}

// cookieOverHTTPS sends a cookie to /dns-query and returns that of the reply.
func cookieOverHTTPS(t *testing.T, s *bed.Server, cookie string) string {
	t.Helper()
	q := new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA)
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie}}
	raw, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	status, body := get(t, http.DefaultClient, "http://"+s.HTTP+"/dns-query?dns="+base64.RawURLEncoding.EncodeToString(raw))
	reply := new(dns.Msg)
	if err := reply.Unpack(body); status != http.StatusOK || err != nil {
		t.Fatalf("%d %v %q", status, err, body)
	}
	for _, o := range reply.IsEdns0().Option {
		if c, ok := o.(*dns.EDNS0_COOKIE); ok {
			return c.Cookie
		}
	}
	return ""
}

// checkCookieLengths sends options of lengths that a cookie may have and may not have, and cookies without
// a question (RFC 7873 sections 5.2.2 and 5.4).
func checkCookieLengths(t *testing.T, s *bed.Server, good string) {
	t.Helper()
	for octets, want := range map[int]string{0: "FORMERR", 1: "FORMERR", 7: "FORMERR", 8: "NOERROR", 9: "FORMERR", 15: "FORMERR", 16: "NOERROR", 40: "NOERROR", 41: "FORMERR"} {
		rcode, cookie, _ := dug(t, dig(t, s.DNS, "www.example.org", "+nocookie", "+ednsopt=10:"+strings.Repeat("5a", octets)))
		if rcode != want || (cookie != "") != (want == "NOERROR") || cookie != "" && !strings.HasPrefix(cookie, strings.Repeat("5a", 8)+"01") {
			t.Errorf("%d octets: %s %s, want %s", octets, rcode, cookie, want)
		}
	}
	forged := good[:46] + hex.EncodeToString([]byte{^unhex(t, good[46:])[0]})
	for cookie, want := range map[string]string{clientCookie: "NOERROR", good: "NOERROR", forged: "BADCOOKIE"} {
		rcode, got, _ := dug(t, dig(t, s.DNS, "+header-only", "+nobadcookie", "+cookie="+cookie))
		if rcode != want || !strings.HasPrefix(got, clientCookie) || got == forged {
			t.Errorf("no question, cookie %s: %s %s, want %s", cookie, rcode, got, want)
		}
	}
	if rcode, got, _ := dug(t, dig(t, s.DNS, "www.example.org", "+cookie="+forged)); rcode != "NOERROR" || got == forged {
		t.Errorf("a forged cookie below the rate: %s %s", rcode, got)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCookiesShared has two servers of dens and one of BIND with one secret: what one makes, all take. Then
// the secret is changed, in the steps of RFC 9018 section 5.
func TestCookiesShared(t *testing.T) {
	t.Parallel()
	const old, next = "e5e973e5a6b2a43f48e7dc849e37bfcf", "445536bcd2513298075a5d379663c962"
	up := startStub(t, addressOf("198.51.100.80"))
	config := func(secrets string) string {
		return upstreamOnly(up.addr, "access: { cookie_secrets: ["+secrets+"] }\n")
	}
	one, two, bind := startReloading(t, config(old)), bed.Serve(t, config(old)), startCookieBIND(t, old)
	servers := map[string]string{"one": one.DNS, "two": two.DNS, "BIND": bind}
	// BIND answers a header alone as dens does: with BADCOOKIE when the cookie is not good.
	for maker, address := range servers {
		_, cookie, verdict := dug(t, dig(t, address, "www.example.org", "+cookie="+clientCookie))
		if verdict != "good" || len(cookie) != 48 {
			t.Fatalf("%s made %s (%s)", maker, cookie, verdict)
		}
		for taker, address := range servers {
			if rcode, _, _ := dug(t, dig(t, address, "www.example.org", "+header-only", "+nobadcookie", "+cookie="+cookie)); rcode != "NOERROR" {
				t.Errorf("%s says %s to the cookie of %s", taker, rcode, maker)
			}
		}
	}
	stranger := bed.Serve(t, upstreamOnly(up.addr, ""))
	_, ofOld, _ := dug(t, dig(t, one.DNS, "www.example.org", "+cookie="+clientCookie))
	says := func(s *bed.Server, cookie, want, story string) string {
		t.Helper()
		rcode, got, _ := dug(t, dig(t, s.DNS, "+header-only", "+nobadcookie", "+cookie="+cookie))
		if rcode != want {
			t.Errorf("%s: %s, want %s", story, rcode, want)
		}
		return got
	}
	says(stranger, ofOld, "BADCOOKIE", "a server with a secret of its own")
	one.reloadTo(t, one.listen+config(old+", "+next))
	if got := says(one.Server, ofOld, "NOERROR", "with the new secret behind the old one"); got != ofOld {
		t.Errorf("with the new secret behind the old one, %s became %s", ofOld, got)
	}
	one.reloadTo(t, one.listen+config(next+", "+old))
	ofNext := says(one.Server, ofOld, "NOERROR", "with the new secret before the old one")
	if ofNext == ofOld {
		t.Error("with the new secret before the old one, the cookie stayed")
	}
	says(two, ofNext, "BADCOOKIE", "the other server, which does not know the new secret")
	one.reloadTo(t, one.listen+config(next))
	says(one.Server, ofOld, "BADCOOKIE", "without the old secret")
	says(one.Server, ofNext, "NOERROR", "without the old secret, the new cookie")
	for _, s := range []*bed.Server{one.Server, two} {
		if log := s.Log(); strings.Contains(log, old) || strings.Contains(log, next) {
			t.Errorf("the log shows a secret:\n%s", log)
		}
	}
}

// startCookieBIND starts BIND with a cookie secret.
func startCookieBIND(t *testing.T, secret string) string {
	t.Helper()
	dir, addr := t.TempDir(), bed.Free(t)
	conf := fmt.Sprintf(`options {
	directory %q; pid-file none; session-keyfile none; managed-keys-directory %q;
	listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no;
	cookie-algorithm siphash24; cookie-secret %q; require-server-cookie yes;
};
controls { };
zone "example.org" { type primary; file "example.org.zone"; };
`, dir, dir, addr.Port(), secret)
	zone := "@ 300 IN SOA ns hostmaster 1 3600 600 86400 300\n@ 300 IN NS ns\nns 300 IN A 192.0.2.53\nwww 300 IN A 192.0.2.80\n"
	for name, text := range map[string]string{"named.conf": conf, "example.org.zone": zone} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := bed.Start(t, bed.Tool(t, "named"), "-g", "-c", filepath.Join(dir, "named.conf"), "-n", "1")
	bed.Wait(t, 15*time.Second, "BIND answers", func() bool {
		if p.Exited() {
			t.Fatalf("BIND ended:\n%s", p.Log())
		}
		_, err := bed.TryAsk(addr.String(), "www.example.org", dns.TypeA)
		return err == nil
	})
	return addr.String()
}

// TestCookiesOverRate floods dens with a forged network: those of it who use cookies are answered all the
// same, the rest has to come by TCP.
func TestCookiesOverRate(t *testing.T) {
	t.Parallel()
	const server, web = "192.0.2.10:5353", "192.0.2.10:8053"
	space := newNamespace(t, "cookies", "192.0.2.10", "192.0.2.11", "192.0.2.12")
	file := writeConfig(t, fmt.Sprintf("listen: { dns: [%q], http: %q }\n", server, web)+
		upstreamOnly("192.0.2.10:1", "access: { allow: [any], rate: 0.01, burst: 20, slip: 2 }\n"))
	p := bed.Start(t, bed.Tool(t, "ip"), "netns", "exec", space.name, bed.Dens(t), "serve", "--config", file)
	client := &http.Client{Transport: &http.Transport{DialContext: space.dialContext, DisableKeepAlives: true}}
	bed.Wait(t, 10*time.Second, "dens listens in the namespace", func() bool {
		if p.Exited() {
			t.Fatalf("dens ended:\n%s", p.Log())
		}
		resp, err := client.Get("http://" + web + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	flood(t, space, server, 100)
	inside := func(args ...string) string {
		t.Helper()
		host, port, _ := net.SplitHostPort(server)
		return bed.Run(t, bed.Tool(t, "ip"), append([]string{"netns", "exec", space.name, bed.Tool(t, "dig"), "@" + host, "-p", port, "-b", "192.0.2.11", "+tries=1", "+time=5", "localhost"}, args...)...)
	}
	rcode, cookie, verdict := dug(t, inside("+nobadcookie", "+cookie="+clientCookie))
	if rcode != "BADCOOKIE" || verdict != "good" {
		t.Errorf("a client cookie over the rate: %s %s (%s)", rcode, cookie, verdict)
	}
	out := inside("+cookie=" + clientCookie)
	if rcode, _, _ := dug(t, out); rcode != "NOERROR" || !strings.Contains(out, "BADCOOKIE, retrying") || !strings.Contains(out, "127.0.0.1") || strings.Contains(out, "TCP") {
		t.Errorf("dig was not sent back by BADCOOKIE to be answered by UDP:\n%s", out)
	}
	for range 30 { // more than the burst of its network
		if rcode, got, _ := dug(t, inside("+nobadcookie", "+ignore", "+cookie="+cookie)); rcode != "NOERROR" || got != cookie {
			t.Fatalf("with the cookie: %s %s", rcode, got)
		}
	}
	for range 4 { // silence half of the time, which TCP after TC makes up for
		host, port, _ := net.SplitHostPort(server)
		out := bed.Run(t, bed.Tool(t, "ip"), "netns", "exec", space.name, bed.Tool(t, "dig"), "@"+host, "-p", port, "-b", "192.0.2.11",
			"+nocookie", "+tries=4", "+time=1", "localhost")
		if !strings.Contains(out, "Truncated, retrying in TCP") || !strings.Contains(out, "127.0.0.1") {
			t.Errorf("without a cookie:\n%s", out)
		}
	}
	_, body := get(t, client, "http://"+web+"/metrics")
	for _, want := range []string{"dens_rate_badcookie_total 2\n", `dens_dns_cookies_total{state="client"} 2` + "\n", `dens_dns_cookies_total{state="valid"} 31` + "\n"} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("/metrics has no %q:\n%s", want, regexp.MustCompile(`(?m)^dens_(rate|dns_cookies).*$`).FindAll(body, -1))
		}
	}
}

// flood sends questions without a cookie from one address, and waits until dens has taken them all.
func flood(t *testing.T, space *namespace, server string, n int) {
	t.Helper()
	conn, err := space.dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf, answered := make([]byte, 4096), 0
	for id := range uint16(n) {
		if _, err := conn.Write(question(t, id, "localhost", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) //nolint:errcheck // the read says so
		if read, err := conn.Read(buf); err == nil && buf[2]&2 == 0 && read > 0 {
			answered++
		}
	}
	if answered == 0 || answered > 25 {
		t.Fatalf("%d of %d questions of the flood were answered, want about 20", answered, n)
	}
}
