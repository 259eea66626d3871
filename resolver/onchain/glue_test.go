package onchain_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/names"
	"dens/resolver"
	"dens/resolver/onchain"
)

// TestGlueIsRemembered: the second question below a cut costs one look-up, until a minute has gone by.
func TestGlueIsRemembered(t *testing.T) {
	sys, now := delegated(t), time.Unix(1_800_000_000, 0)
	cfg := config()
	cfg.Iterator, cfg.Now = &iterator{}, func() time.Time { return now }
	r := onchain.New(sys, cfg)
	cold := []string{"cuts www.alice.eth. A", "ns1.alice.eth. A", "ns1.alice.eth. AAAA", "ns2.alice.eth. A", "ns2.alice.eth. AAAA"}
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{{0, cold}, {0, cold[:1]}, {59 * time.Second, cold[:1]}, {time.Second, cold}} {
		now = now.Add(step.after)
		a, err := r.Resolve(t.Context(), query("www.alice.eth.", dns.TypeA))
		if err != nil || !slices.Contains(a.Tags, "node:glue") {
			t.Fatalf("got %+v, %v", a, err)
		}
		if asked := sys.reset(); !slices.Equal(asked, step.want) {
			t.Errorf("asked %q, want %q", asked, step.want)
		}
	}
}

// TestFailedGlue is not remembered, and one family's failure does not hurt where the other is there.
func TestFailedGlue(t *testing.T) {
	sys, it := delegated(t), &iterator{}
	sys.errs = map[string]error{"ns1.alice.eth. AAAA": chain.ErrTimeout, "ns2.alice.eth.": chain.ErrTimeout}
	r := delegating(sys, it)
	for range 2 {
		if _, err := r.Resolve(t.Context(), query("www.alice.eth.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		if asked := sys.reset(); len(asked) != 5 {
			t.Errorf("asked %q", asked)
		}
	}
	if got := it.at[1].Glue["ns1.alice.eth."]; len(got) != 2 {
		t.Errorf("addresses are %v", got)
	}
}

// stuck is a delegator whose address look-ups wait.
type stuck struct {
	*delegator
	lookups atomic.Int32
	open    chan struct{}
}

func (s *stuck) Lookup(ctx context.Context, name string, rrtype uint16) (names.Records, error) {
	s.lookups.Add(1)
	select {
	case <-s.open:
		return s.delegator.Lookup(ctx, name, rrtype)
	case <-ctx.Done():
		return names.Records{}, errors.Join(chain.ErrTimeout, ctx.Err())
	}
}

// lockedIterator is an iterator for several askers.
type lockedIterator struct {
	mu sync.Mutex
	iterator
}

func (l *lockedIterator) ResolveAt(ctx context.Context, d *resolver.Delegation, q resolver.Query) (*resolver.Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.iterator.ResolveAt(ctx, d, q)
}

// TestGlueFlights: many questions look up addresses once, and who asked first may go away.
func TestGlueFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := &stuck{delegator: delegated(t), open: make(chan struct{})}
		r := delegating(sys, &lockedIterator{})
		first, cancel := context.WithCancel(t.Context())
		var gone error
		var wg sync.WaitGroup
		wg.Go(func() { _, gone = r.Resolve(first, query("www.alice.eth.", dns.TypeA)) })
		synctest.Wait()
		for range 50 {
			wg.Go(func() {
				if a, err := r.Resolve(t.Context(), query("www.alice.eth.", dns.TypeA)); err != nil || !slices.Contains(a.Tags, "node:glue") {
					t.Errorf("got %+v, %v", a, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		if n := sys.lookups.Load(); n != 4 {
			t.Errorf("%d look-ups, want 4", n)
		}
		close(sys.open)
		wg.Wait()
		// The one that left still had a server outside of the zone to go to.
		if gone != nil {
			t.Errorf("who left got %v", gone)
		}
	})
}

// TestStuckGlue: addresses that do not come hold nobody up for ever.
func TestStuckGlue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := &stuck{delegator: delegated(t), open: make(chan struct{})}
		sys.records["alice.eth."] = inAlice(cutAt(t, "alice.eth.", []string{"alice.eth. 60 IN NS ns1.alice.eth."}))
		r := delegating(sys, &iterator{})
		begin := time.Now()
		_, err := r.Resolve(t.Context(), query("alice.eth.", dns.TypeA))
		var e *resolver.Error
		if !errors.As(err, &e) || e.Code != dns.ExtendedErrorCodeNetworkError || time.Since(begin) != 5*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Resolve(ctx, query("alice.eth.", dns.TypeA)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(10 * time.Second) // the look-up ends by itself
	})
}

// router is an Iterator that finds the servers' addresses by asking the zone itself, as deep as it is let.
type router struct {
	ask   resolver.Resolver
	depth int
	max   int
}

func (r *router) ResolveAt(ctx context.Context, d *resolver.Delegation, q resolver.Query) (*resolver.Answer, error) {
	r.depth++
	if r.depth > r.max {
		return nil, errors.New("out of budget")
	}
	return r.ask.Resolve(ctx, query(d.NS[0], dns.TypeA))
}

// TestCircularDelegations: two zones whose servers are in each other. All recursion is the Iterator's, one
// look-up of the name and one of the addresses each.
func TestCircularDelegations(t *testing.T) {
	sys := delegated(t)
	for from, to := range map[string]string{"alice.eth.": "bob.eth.", "bob.eth.": "alice.eth."} {
		cut := cutAt(t, from, []string{from + " 60 IN NS ns." + to})
		sys.records[from] = names.Records{Exists: true, Apex: from, Cuts: []names.Cut{cut}}
		sys.records["ns."+from] = sys.records[from]
	}
	it := &router{max: 20}
	it.ask = delegating(sys, it)
	if a, err := it.ask.Resolve(t.Context(), query("alice.eth.", dns.TypeA)); err == nil {
		t.Errorf("got %+v", a)
	}
	if asked := sys.reset(); it.depth != 21 || len(asked) != 21 {
		t.Errorf("asked %d times at depth %d", len(asked), it.depth)
	}
}
