package e2e

import (
	"context"
	"encoding/base64"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
	"dens/internal/wire"
	"dens/server"
	"dens/server/certs"
	"dens/server/intake"
)

// unhurried answers each request with REFUSED, after a moment: streams are open meanwhile.
type unhurried struct{}

func (unhurried) Hit(_ *wire.Query, buf []byte) ([]byte, bool) { return buf[:0], false }

func (unhurried) Miss(ctx context.Context, q *wire.Query, buf []byte) []byte {
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Millisecond):
	}
	return q.AppendStatus(buf[:0], q.Msg, wire.Status{Rcode: wire.RcodeRefused})
}

// TestH2Spec has the HTTP/2 of DNS over HTTPS checked against RFC 9113 and RFC 7541 by somebody else's tests.
func TestH2Spec(t *testing.T) {
	identity, err := certs.NewSelfSigned(certs.SelfSignedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(server.Config{
		Config: intake.Config{Limits: intake.Limits{MaxConnsPerClient: 1000}}, DoH: []string{"127.0.0.1:0"}, Certificate: identity,
	}, unhurried{})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	port := 0
	for _, b := range s.Addrs() {
		if b.Protocol == wire.DoH {
			port = int(b.Addr.Port())
		}
	}
	q, err := new(dns.Msg).SetQuestion("www.example.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, bed.Tool(t, "h2spec"), "generic", "http2", "hpack", "-t", "-k", "-o", "3",
		"-h", "127.0.0.1", "-p", strconv.Itoa(port), "-P", "/dns-query?dns="+base64.RawURLEncoding.EncodeToString(q)).CombinedOutput()
	if summary := string(out); err != nil || !strings.Contains(summary, " 0 skipped, 0 failed") {
		if _, failures, ok := strings.Cut(summary, "Failures:"); ok {
			summary = failures
		}
		t.Errorf("%v\n%s", err, summary)
	}
}
