package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// TestDrain sends many questions whose answers take a while, then SIGTERM: all are answered, and dens
// exits with 0.
func TestDrain(t *testing.T) {
	t.Parallel()
	answer := addressOf("198.51.100.80")
	up := startStub(t, func(reply *dns.Msg, q dns.Question) {
		time.Sleep(500 * time.Millisecond)
		answer(reply, q)
	})
	s := bed.ServeUnready(t, upstreamOnly(up.addr, ""))
	s.WaitReady(t)
	udp, tcp := dialDNS(t, "udp", s.DNS, ""), dialDNS(t, "tcp", s.DNS, "")
	const each = 40
	for id := range uint16(each) {
		if _, err := udp.Write(question(t, id, fmt.Sprintf("u%d.example.org", id), dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		if _, err := tcp.Write(framed(question(t, id, fmt.Sprintf("t%d.example.org", id), dns.TypeA))); err != nil {
			t.Fatal(err)
		}
	}
	web := make(chan error, 1)
	go func() {
		resp, err := http.Get("http://" + s.HTTP + "/dns-query?name=h.example.org")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %s", resp.Status)
			}
		}
		web <- err
	}()
	bed.Wait(t, 5*time.Second, "the question by HTTP is on its way", func() bool { return up.count("h.example.org.") > 0 })
	if err := s.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	udp.SetReadDeadline(deadline) //nolint:errcheck // the reads say so
	tcp.SetReadDeadline(deadline) //nolint:errcheck // as above
	gotUDP, gotTCP := map[uint16]bool{}, map[uint16]bool{}
	buf := make([]byte, 4096)
	for len(gotUDP) < each {
		n, err := udp.Read(buf)
		if err != nil {
			t.Fatalf("by UDP %d of %d replies, then %v", len(gotUDP), each, err)
		}
		noteReply(t, buf[:n], gotUDP)
	}
	for len(gotTCP) < each {
		raw, err := readFramed(tcp)
		if err != nil {
			t.Fatalf("by TCP %d of %d replies, then %v", len(gotTCP), each, err)
		}
		noteReply(t, raw, gotTCP)
	}
	if err := <-web; err != nil {
		t.Errorf("by HTTP: %v", err)
	}
	sigterm(t, s.Process)
}

func noteReply(t *testing.T, raw []byte, got map[uint16]bool) {
	t.Helper()
	reply := new(dns.Msg)
	if err := reply.Unpack(raw); err != nil || len(reply.Answer) != 1 || got[reply.Id] {
		t.Errorf("reply %v %v", reply, err)
	}
	got[reply.Id] = true
}

// TestSystemd listens to what dens tells systemd (sd_notify(3)).
func TestSystemd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	next := func() string {
		buf := make([]byte, 4096)
		socket.SetReadDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // the read says so
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatalf("nothing is told: %v", err)
		}
		return string(buf[:n])
	}
	listen, dnsAddr, httpAddr := listenSection(t)
	file := writeConfig(t, listen+worldConfig(world(t), worldOptions{}))
	cmd := exec.Command(bed.Dens(t), "serve", "--config", file)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	p := bed.StartCmd(t, cmd)
	if told := next(); told != "READY=1" {
		t.Errorf("after the start: %q", told)
	}
	if refused("tcp", dnsAddr) || refused("tcp", httpAddr) {
		t.Error("systemd is told that dens is ready, and it does not listen")
	}
	for range 2 {
		if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		mustMatch(t, "at SIGHUP", next(), `^RELOADING=1\nMONOTONIC_USEC=\d+\n?$`) // both are needed by Type=notify-reload
		if told := next(); told != "READY=1" {
			t.Errorf("after the reload: %q", told)
		}
	}
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if told := next(); told != "STOPPING=1" {
		t.Errorf("at the end: %q", told)
	}
	sigterm(t, p)
}
