package bed

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Server is a running dens.
type Server struct {
	*Process
	DNS  string // address of its DNS listener
	HTTP string // address of its http listener
	File string // its configuration file
}

// Serve starts dens with a configuration, to which it adds a `listen` section with free ports (dns and
// http), and waits until it is ready. more are further lines of the listen section, such as
// "  dot: [...]". At the end of the test dens gets SIGTERM and must exit with 0.
func Serve(t testing.TB, config string, more ...string) *Server {
	t.Helper()
	s := ServeUnready(t, config, more...)
	s.WaitReady(t)
	return s
}

// ServeUnready is Serve without the wait for readiness: it waits for the listeners only.
func ServeUnready(t testing.TB, config string, more ...string) *Server {
	t.Helper()
	s := &Server{DNS: Free(t).String(), HTTP: Free(t).String(), File: filepath.Join(t.TempDir(), "dens.yaml")}
	listen := fmt.Sprintf("listen:\n  dns: [%q]\n  http: %q\n", s.DNS, s.HTTP)
	for _, line := range more {
		listen += line + "\n"
	}
	if err := os.WriteFile(s.File, []byte(listen+config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Process = Start(t, Dens(t), "serve", "--config", s.File)
	t.Cleanup(func() {
		if code := s.Stop(t, syscall.SIGTERM); code != 0 {
			t.Errorf("dens exited with %d after SIGTERM, expected 0", code)
		}
	})
	Wait(t, 20*time.Second, "dens listens: "+s.HTTP, func() bool {
		if s.Exited() {
			t.Fatalf("dens ended:\n%s", s.Log())
		}
		status, _ := s.Get(t, "/healthz")
		return status == http.StatusOK
	})
	return s
}

// WaitReady waits until /readyz says yes.
func (s *Server) WaitReady(t testing.TB) {
	t.Helper()
	Wait(t, 20*time.Second, "dens is ready", func() bool {
		status, _ := s.Get(t, "/readyz")
		return status == http.StatusOK
	})
}

// Get fetches a path of the http listener; status 0 is no answer.
func (s *Server) Get(t testing.TB, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + s.HTTP + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// Ask asks a server by UDP with EDNS, and by TCP when the reply is truncated. No reply fails the test.
func Ask(t testing.TB, server, name string, rrtype uint16) *dns.Msg {
	t.Helper()
	reply, err := TryAsk(server, name, rrtype)
	if err != nil {
		t.Fatalf("%s %s @%s: %v", name, dns.Type(rrtype), server, err)
	}
	return reply
}

// TryAsk is Ask for a question that may get no reply.
func TryAsk(server, name string, rrtype uint16) (*dns.Msg, error) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), rrtype)
	query.SetEdns0(1232, false)
	client := &dns.Client{Timeout: 12 * time.Second, UDPSize: 1232}
	reply, _, err := client.Exchange(query, server)
	if err == nil && reply.Truncated {
		client.Net = "tcp"
		reply, _, err = client.Exchange(query, server)
	}
	return reply, err
}

// EDE is the first extended DNS error of a reply, or nil.
func EDE(reply *dns.Msg) *dns.EDNS0_EDE {
	if opt := reply.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				return ede
			}
		}
	}
	return nil
}

// Data is the presentation form of the record data of a reply's answer section, in order.
func Data(reply *dns.Msg) []string {
	var data []string
	for _, rr := range reply.Answer {
		data = append(data, rr.String()[len(rr.Header().String()):])
	}
	return data
}
