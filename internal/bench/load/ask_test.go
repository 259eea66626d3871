package load_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/bench/load"
	"dens/internal/bench/zone"
)

// servers starts a server of the zone for each transport, and returns where they are, and what trusts them.
func servers(t *testing.T) (map[load.Transport]netip.AddrPort, *tls.Config) {
	t.Helper()
	plain, err := zone.Serve(netip.MustParseAddrPort("127.0.0.1:0"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plain.Close)
	web := httptest.NewUnstartedServer(http.HandlerFunc(serveHTTP))
	web.EnableHTTP2 = true
	web.StartTLS()
	t.Cleanup(web.Close)
	trust := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	trust.RootCAs.AddCert(web.Certificate())
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	secure := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		reply, _ := zone.Reply(m)
		w.WriteMsg(reply) //nolint:errcheck // the client says what it missed
	})}
	done := make(chan struct{})
	go func() { defer close(done); secure.ActivateAndServe() }() //nolint:errcheck // it ends with the listener
	t.Cleanup(func() { listener.Close(); <-done })
	at := func(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }
	return map[load.Transport]netip.AddrPort{
		load.UDP: plain.Addr(), load.UDPBurst: plain.Addr(), load.TCP: plain.Addr(),
		load.DoT: at(listener.Addr()), load.DoH: at(web.Listener.Addr()),
	}, trust
}

func serveHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("dns"))
	request := new(dns.Msg)
	if err != nil || request.Unpack(data) != nil || request.Id != 0 || r.URL.Path != "/dns-query" {
		http.Error(w, "no question", http.StatusBadRequest)
		return
	}
	reply, _ := zone.Reply(request)
	if reply.Rcode != dns.RcodeSuccess {
		http.Error(w, "no such name", http.StatusNotFound)
		return
	}
	if data, err = reply.Pack(); err == nil {
		w.Write(data) //nolint:errcheck // the client says what it missed
	}
}

func TestAsk(t *testing.T) {
	at, trust := servers(t)
	for _, transport := range load.Transports {
		asker := load.NewAsker(at[transport], transport, 30*time.Second, trust)
		for i := range 3 {
			m, err := asker.Ask(t.Context(), zone.Name(i))
			if err != nil {
				t.Fatalf("%s: %v", transport, err)
			}
			if err := zone.Check(m, i, 0); err != nil {
				t.Errorf("%s: %v", transport, err)
			}
		}
		asker.Close()
	}
}

func TestAskSaysWhatFails(t *testing.T) {
	at, trust := servers(t)
	distrust := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	tests := []struct {
		name      string
		transport load.Transport
		trust     *tls.Config
		of        string
		reason    string
	}{
		{"a status", load.DoH, trust, "x." + zone.Apex, "404"},
		{"HTTPS with a stranger", load.DoH, distrust, zone.Name(1), "certificate"},
		{"TLS with a stranger", load.DoT, distrust, zone.Name(1), "certificate"},
		{"a name that is too long", load.DoH, trust, strings.Repeat("x", 64) + ".", "question"},
	}
	for _, tt := range tests {
		asker := load.NewAsker(at[tt.transport], tt.transport, 30*time.Second, tt.trust)
		if _, err := asker.Ask(t.Context(), tt.of); err == nil || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %v", tt.name, err)
		}
		asker.Close()
	}
}

func TestProbe(t *testing.T) {
	at, _ := servers(t)
	asker := load.NewAsker(at[load.UDP], load.UDP, 30*time.Second, nil)
	defer asker.Close()
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	timings := load.Probe{
		Asker: asker, Interval: time.Microsecond,
		Name: func() string {
			if asked++; asked == 20 {
				cancel()
			}
			return zone.Name(asked)
		},
		// Every fourth answer is called wrong.
		Check: func(_ string, m *dns.Msg) bool { return zone.Check(m, asked, 0) == nil && asked%4 != 0 },
	}.Run(ctx)
	if timings.Asked != asked || asked < 20 || timings.Lost != 0 || timings.Wrong != asked/4 {
		t.Errorf("%d asked: %+v", asked, timings)
	}
	if low, high := timings.Quantile(0), timings.Quantile(1); low <= 0 || high < timings.Quantile(0.5) || timings.Quantile(0.5) < low {
		t.Errorf("from %v to %v", low, high)
	}
	if got := (load.Timings{}).Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestURL(t *testing.T) {
	for at, want := range map[string]string{"127.0.1.1:443": "https://127.0.1.1/dns-query?dns=AAAB", "[::1]:8443": "https://[::1]:8443/dns-query?dns=AAAB"} {
		if got, err := load.URL(netip.MustParseAddrPort(at), zone.Name(1)); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, %v, want %s...", at, got, err, want)
		}
	}
}
