package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// upstreamOnly is a configuration without chains.
func upstreamOnly(forward, rest string) string {
	return fmt.Sprintf("resolve: { forward: [%q] }\nchains: {}\nnames: []\n%s", forward, rest)
}

// TestAccess asks from an address that is not allowed, over every transport without TLS.
func TestAccess(t *testing.T) {
	t.Parallel()
	up := startStub(t, addressOf("198.51.100.80"))
	s := bed.Serve(t, upstreamOnly(up.addr, "access: { allow: [\"127.0.0.1/32\"] }\n"))
	request := question(t, 5, "www.example.org", dns.TypeA)
	for _, network := range []string{"udp", "tcp"} {
		checkRefused(t, network, exchangeFrom(t, network, s.DNS, "127.0.0.2", request))
		good := new(dns.Msg)
		if err := good.Unpack(exchangeFrom(t, network, s.DNS, "127.0.0.1", request)); err != nil || len(good.Answer) != 1 {
			t.Errorf("by %s from 127.0.0.1: %v %v", network, good, err)
		}
	}
	stranger := httpFrom("127.0.0.2")
	status, body := get(t, stranger, "http://"+s.HTTP+"/dns-query?dns="+base64.RawURLEncoding.EncodeToString(request))
	if status != http.StatusOK {
		t.Errorf("DoH from 127.0.0.2: status %d", status)
	}
	checkRefused(t, "DoH", body)
	for path, want := range map[string]int{"/": 403, "/metrics": 403, "/readyz": 403, "/healthz": 200} {
		if status, body := get(t, stranger, "http://"+s.HTTP+path); status != want {
			t.Errorf("%s from 127.0.0.2: status %d, want %d\n%s", path, status, want, body)
		}
		if status, _ := s.Get(t, path); status != 200 {
			t.Errorf("%s from 127.0.0.1: status %d", path, status)
		}
	}
	if n := metric(t, s, "dens_refused_total"); n != 3 {
		t.Errorf("%v requests counted as refused, want 3", n)
	}
}

func checkRefused(t *testing.T, how string, raw []byte) {
	t.Helper()
	reply := new(dns.Msg)
	if err := reply.Unpack(raw); err != nil {
		t.Errorf("by %s: %v: %x", how, err, raw)
		return
	}
	if ede := bed.EDE(reply); reply.Rcode != dns.RcodeRefused || ede == nil || ede.InfoCode != dns.ExtendedErrorCodeProhibited || len(reply.Answer) > 0 {
		t.Errorf("by %s from 127.0.0.2: %v, want REFUSED with EDE 18", how, reply)
	}
}

// httpFrom is an HTTP client with an address of its own.
func httpFrom(from string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}, Timeout: 10 * time.Second}
}

func get(t *testing.T, client *http.Client, url string) (int, []byte) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// TestRateLimit floods dens from an address that is not loopback's, in a network namespace: as many
// questions as the burst has are answered, every second one above gets TC, and TCP is not limited.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	const server, web = "192.0.2.10:5353", "192.0.2.10:8053"
	space := newNamespace(t, "rate", "192.0.2.10", "192.0.2.11")
	file := writeConfig(t, fmt.Sprintf("listen: { dns: [%q], http: %q }\n", server, web)+
		upstreamOnly("192.0.2.10:1", "access: { allow: [any], rate: 1, burst: 20, slip: 2 }\n"))
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
	conn, err := space.dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const sent = 120
	answered, truncated := 0, 0
	for id := range uint16(sent) {
		if _, err := conn.Write(question(t, id, "localhost", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 4096)
	for {
		conn.SetReadDeadline(time.Now().Add(2 * time.Second)) //nolint:errcheck // the read says so
		n, err := conn.Read(buf)
		if err != nil {
			break
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(buf[:n]); err != nil {
			t.Fatal(err)
		}
		switch {
		case reply.Truncated && len(reply.Answer) == 0:
			truncated++
		case len(reply.Answer) == 1:
			answered++
		default:
			t.Errorf("neither an answer nor truncated: %v", reply)
		}
	}
	if answered < 20 || answered > 23 {
		t.Errorf("%d of %d questions were answered, want the burst of 20 and what a second or two adds", answered, sent)
	}
	if want := (sent - answered) / 2; truncated != want {
		t.Errorf("%d of the others got TC, want every second one: %d", truncated, want)
	}
	checkTCPWhileLimited(t, space, server)
	_, body := get(t, client, "http://"+web+"/metrics")
	for _, want := range []string{fmt.Sprintf("dens_rate_slipped_total %d\n", truncated), fmt.Sprintf("dens_rate_dropped_total %d\n", sent-answered-truncated)} {
		if !strings.Contains(string(body), want) {
			t.Errorf("/metrics has no %q", want)
		}
	}
}

func checkTCPWhileLimited(t *testing.T, space *namespace, server string) {
	t.Helper()
	conn, err := space.dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // the read says so
	for id := range uint16(50) {
		if _, err := conn.Write(framed(question(t, id, "localhost", dns.TypeA))); err != nil {
			t.Fatal(err)
		}
		raw, err := readFramed(conn)
		if err != nil || raw[2]&2 != 0 {
			t.Fatalf("question %d by TCP while UDP is limited: %x %v", id, raw, err)
		}
	}
}

// TestPipelining sends several questions over one connection before the first reply: quick ones are
// answered before a slow one (RFC 7766 section 6.2.1.1), all of them once.
func TestPipelining(t *testing.T) {
	t.Parallel()
	answer := addressOf("198.51.100.80")
	up := startStub(t, func(reply *dns.Msg, q dns.Question) {
		if strings.HasPrefix(q.Name, "slow") {
			time.Sleep(2 * time.Second)
		}
		answer(reply, q)
	})
	s := bed.Serve(t, upstreamOnly(up.addr, ""))
	conn := dialDNS(t, "tcp", s.DNS, "")
	conn.SetDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // the read says so
	batch := framed(question(t, 0, "slow.example.org", dns.TypeA))
	const quick = 60
	for id := uint16(1); id <= quick; id++ {
		batch = append(batch, framed(question(t, id, fmt.Sprintf("q%d.example.org", id), dns.TypeA))...)
	}
	if _, err := conn.Write(batch); err != nil {
		t.Fatal(err)
	}
	seen := map[uint16]bool{}
	last := uint16(0xffff)
	for range quick + 1 {
		raw, err := readFramed(conn)
		if err != nil {
			t.Fatalf("after %d replies: %v", len(seen), err)
		}
		last = binary.BigEndian.Uint16(raw)
		if seen[last] {
			t.Errorf("two replies to %d", last)
		}
		seen[last] = true
	}
	if last != 0 {
		t.Errorf("the last reply is that to question %d, want the slow one's", last)
	}
}

// TestFraming sends messages over TCP that come in pieces, or never come whole.
func TestFraming(t *testing.T) {
	t.Parallel()
	up := startStub(t, addressOf("198.51.100.80"))
	s := bed.Serve(t, upstreamOnly(up.addr, ""))
	whole := framed(question(t, 9, "www.example.org", dns.TypeA))
	t.Run("octet by octet", func(t *testing.T) {
		conn := dialDNS(t, "tcp", s.DNS, "")
		for i := range whole {
			if _, err := conn.Write(whole[i : i+1]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if raw, err := readFramed(conn); err != nil || binary.BigEndian.Uint16(raw) != 9 {
			t.Errorf("got %x, %v", raw, err)
		}
	})
	t.Run("half closed", func(t *testing.T) {
		conn := dialDNS(t, "tcp", s.DNS, "")
		if _, err := conn.Write(whole); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if raw, err := readFramed(conn); err != nil || binary.BigEndian.Uint16(raw) != 9 {
			t.Errorf("the reply is gone, though the client still reads: %x, %v", raw, err)
		}
	})
	for name, sent := range map[string][]byte{
		"length 0":              {0, 0},
		"half a length":         {0},
		"less than the length":  whole[:20],
		"less than 64 KiB":      append([]byte{0xff, 0xff}, whole...),
		"the length of UDP's":   whole[2:],
		"a TLS client's hello":  []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		"an HTTP request's top": []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialDNS(t, "tcp", s.DNS, "")
			if _, err := conn.Write(sent); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // the read says so
			if n, err := io.Copy(io.Discard, conn); n > 0 || isTimeout(err) {
				t.Errorf("%d octets came back (%v), want the connection closed", n, err)
			}
		})
	}
}

// TestIdle wants silent connections closed, ones that wait for a reply kept, and a bound on how many one
// client may have.
func TestIdle(t *testing.T) {
	t.Parallel()
	answer := addressOf("198.51.100.80")
	up := startStub(t, func(reply *dns.Msg, q dns.Question) {
		if strings.HasPrefix(q.Name, "slow") {
			time.Sleep(2 * time.Second)
		}
		answer(reply, q)
	})
	s := bed.Serve(t, upstreamOnly(up.addr, ""), "  tcp_idle: 1s")
	start := time.Now()
	silent := dialDNS(t, "tcp", s.DNS, "")
	waiting := dialDNS(t, "tcp", s.DNS, "")
	if _, err := waiting.Write(framed(question(t, 1, "slow.example.org", dns.TypeA))); err != nil {
		t.Fatal(err)
	}
	silent.SetReadDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // the read says so
	if n, err := silent.Read(make([]byte, 1)); n > 0 || isTimeout(err) {
		t.Errorf("a silent connection: %d octets, %v; want it closed", n, err)
	}
	if took := time.Since(start); took < 700*time.Millisecond {
		t.Errorf("a silent connection was closed after %v, want 1 s", took)
	}
	waiting.SetReadDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // as above
	if raw, err := readFramed(waiting); err != nil || binary.BigEndian.Uint16(raw) != 1 {
		t.Errorf("a connection that waits for its reply: %x, %v", raw, err)
	}
}

// TestConnections opens as many connections as are allowed, asks over all, and sees the next one closed.
func TestConnections(t *testing.T) {
	t.Parallel()
	up := startStub(t, addressOf("198.51.100.80"))
	s := bed.Serve(t, upstreamOnly(up.addr, ""), "  max_tcp_per_client: 100")
	const most = 100
	conns := make([]net.Conn, most)
	for i := range conns {
		conns[i] = dialDNS(t, "tcp", s.DNS, "")
	}
	var wg sync.WaitGroup
	for i, conn := range conns {
		request := framed(question(t, uint16(i), fmt.Sprintf("c%d.example.org", i), dns.TypeA))
		wg.Go(func() {
			conn.SetDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // the read says so
			_, err := conn.Write(request)
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			if raw, err := readFramed(conn); err != nil || binary.BigEndian.Uint16(raw) != uint16(i) {
				t.Errorf("connection %d: %x, %v", i, raw, err)
			}
		})
	}
	wg.Wait()
	over := dialDNS(t, "tcp", s.DNS, "")
	over.SetReadDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // as above
	if n, err := over.Read(make([]byte, 1)); n > 0 || isTimeout(err) {
		t.Errorf("connection %d of one client: %d octets, %v; want it closed", most+1, n, err)
	}
	other := dialDNS(t, "tcp", s.DNS, "127.0.0.3")
	if _, err := other.Write(framed(question(t, 7, "other.example.org", dns.TypeA))); err != nil {
		t.Fatal(err)
	}
	other.SetReadDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // as above
	if _, err := readFramed(other); err != nil {
		t.Errorf("another client: %v", err)
	}
	if n := metric(t, s, "dens_connections_open", `protocol="tcp"`); n != most+1 {
		t.Errorf("%v connections counted as open, want %d", n, most+1)
	}
	if n := metric(t, s, "dens_connections_refused_total", `protocol="tcp"`); n != 1 {
		t.Errorf("%v connections counted as refused, want 1", n)
	}
}

// TestNoRightToBind runs dens as a user who may not bind port 53.
func TestNoRightToBind(t *testing.T) {
	t.Parallel()
	space := newNamespace(t, "bind")
	file := writeConfig(t, "listen: { dns: [\"127.0.0.1:53\"], http: \"\" }\n"+upstreamOnly("192.0.2.1", ""))
	binary := shared(t, bed.Dens(t), file)
	cmd := exec.CommandContext(t.Context(), bed.Tool(t, "ip"), "netns", "exec", space.name,
		bed.Tool(t, "setpriv"), "--reuid", "65534", "--regid", "65534", "--clear-groups", binary, "serve", "--config", file)
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	for _, want := range []string{"127.0.0.1:53", "permission denied", "cap_net_bind_service"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// TestNoIPv6 runs the default addresses on a machine that has no IPv6: [::1] is left out, with a warning.
func TestNoIPv6(t *testing.T) {
	t.Parallel()
	space := newNamespace(t, "ipv4")
	ip := bed.Tool(t, "ip")
	bed.Run(t, ip, "netns", "exec", space.name, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
	p := bed.Start(t, ip, "netns", "exec", space.name, bed.Dens(t), "serve", "--config", writeConfig(t, upstreamOnly("192.0.2.1", "")))
	for _, want := range []string{"protocol=udp address=127.0.0.1:53", "protocol=tcp address=127.0.0.1:53", "this machine has no IPv6"} {
		bed.Wait(t, 10*time.Second, want, func() bool { return strings.Contains(p.Log(), want) })
	}
	if code := p.Stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}
