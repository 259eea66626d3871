package reply_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/reply"
	"dens/resolver"
)

func TestLog(t *testing.T) {
	var out bytes.Buffer
	clock := now
	s := reply.New(&answers{err: resolver.Errorf(22, errors.New("the detail"), "chain unreachable")}, reply.Config{
		Log: slog.New(slog.NewTextHandler(&out, nil)), Now: func() time.Time { return clock },
	})
	ask := func() {
		if _, err := s.Reply(t.Context(), request(t, "alice.eth.", dns.TypeA, nil)); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		ask()
	}
	first := out.String()
	if n := strings.Count(first, "\n"); n < 1 || n > 20 {
		t.Errorf("%d lines for 100 failures at once", n)
	}
	for _, want := range []string{"alice.eth.", "type=A", "SERVFAIL", "ede=22", "the detail", "level=WARN"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in %s", want, first)
		}
	}
	out.Reset()
	clock = clock.Add(time.Minute)
	ask()
	if got := out.String(); !strings.Contains(got, "not_logged=90") {
		t.Errorf("what was left out is not told: %s", got)
	}
}

func TestPolicyIsNoWarning(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	for _, err := range []error{&resolver.Error{Rcode: dns.RcodeRefused}, context.Canceled} {
		if _, err := reply.New(&answers{err: err}, reply.Config{Log: log}).Reply(t.Context(), request(t, "a.", dns.TypeA, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() != 0 {
		t.Errorf("logged %s", out.String())
	}
}
