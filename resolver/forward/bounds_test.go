package forward

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// What is over the bound of one upstream goes to the other at once.
func TestBoundOfOneUpstream(t *testing.T) {
	t.Parallel()
	mute, ok := serve(t, "udp", silent), serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		if !strings.EqualFold(r.Question[0].Name, "hung.example.org.") {
			good(w, r)
		}
	})
	f := forwarder(t, Config{MaxPerUpstream: 2}, udp(mute.addr, "mute"), udp(ok.addr, "good"))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { f.Resolve(ctx, query("hung.example.org.")) }) //nolint:errcheck // it holds a place
	}
	for mute.count("udp") < 2 {
		time.Sleep(time.Millisecond)
	}
	expect(t, f, "www.example.org.")
	cancel()
	wg.Wait()
	for _, r := range mute.requests() {
		if strings.EqualFold(r.name, "www.example.org.") {
			t.Error("the mute one was asked beyond its bound")
		}
	}
	if s := f.Status()[0]; s.LastError == errBusy.Error() {
		t.Error("to be busy was held against an upstream")
	}
}

// The servers of one zone hang with all the questions under way that there may be, and more are asked all the
// time; the other zone does not notice.
func TestHungZoneHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	const most = 50
	mute, ok := serve(t, "udp", silent), serve(t, "udp", good)
	hung := forwarder(t, Config{MaxOutstanding: most, Timeout: time.Minute}, udp(mute.addr, "mute"))
	fine := forwarder(t, Config{}, udp(ok.addr, "good"))
	router, err := resolver.NewRouter([]resolver.Route{{Zone: "hung.example.", Resolver: hung}, {Zone: ".", Resolver: fine}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting, early sync.WaitGroup
	var shed, ended atomic.Int32
	early.Add(most) // as many as are over the bound
	for i := range 2 * most {
		waiting.Go(func() {
			_, err := router.Resolve(ctx, query(fmt.Sprintf("www%d.hung.example.", i)))
			if e, is := errors.AsType[*resolver.Error](err); is && e.Code == dns.ExtendedErrorCodeOther {
				shed.Add(1)
				early.Done()
				return
			}
			ended.Add(1)
		})
	}
	early.Wait()
	for i := range 100 {
		a, err := router.Resolve(t.Context(), query(fmt.Sprintf("www%d.example.org.", i)))
		if err != nil || len(a.Answer) != 1 {
			t.Fatalf("%v, error %v", a, err)
		}
	}
	if n := ended.Load(); n != 0 {
		t.Errorf("%d questions to servers that hang had ended", n)
	}
	if n := fine.Status()[0]; n.Errors != 0 || n.Queries != 100 {
		t.Errorf("the other zone's upstream: %+v", n)
	}
	cancel()
	waiting.Wait()
	if shed.Load() != most {
		t.Errorf("%d were shed, want %d", shed.Load(), most)
	}
}
