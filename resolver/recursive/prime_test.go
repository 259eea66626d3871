package recursive

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// network answers every question as a root server that has no TLDs, unless it is down.
type network struct {
	down   atomic.Bool
	primed atomic.Int32 // priming queries
}

func (n *network) Exchange(_ context.Context, _ netip.AddrPort, req, _ []byte) ([]byte, error) {
	if n.down.Load() {
		return nil, syscall.ENETUNREACH
	}
	var m dns.Msg
	if err := m.Unpack(req); err != nil {
		return nil, err
	}
	m.Response, m.Authoritative = true, true
	add := func(to *[]dns.RR, line string) {
		rr, _ := dns.NewRR(line)
		*to = append(*to, rr)
	}
	if q := m.Question[0]; q.Name == "." && q.Qtype == dns.TypeNS {
		n.primed.Add(1)
		add(&m.Answer, ". 518400 IN NS a.root-servers.net.")
		add(&m.Extra, "a.root-servers.net. 518400 IN A 198.41.0.4")
	} else {
		m.Rcode = dns.RcodeNameError
		add(&m.Ns, ". 5 IN SOA a. b. 1 2 3 4 5")
	}
	return m.Pack()
}

// TestNoticesThatTheNetworkChanged: a network that is lost between two primings is noticed by the
// questions that fail, and so is its return.
func TestNoticesThatTheNetworkChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(network)
		r, err := New(Config{UDP: net, TCP: net})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go r.Run(ctx)
		time.Sleep(time.Hour)
		if h := r.Health(); !h.Primed || h.Blocked {
			t.Fatalf("at first: %+v", h)
		}
		before := net.primed.Load()
		ask := func() error {
			_, err := r.Resolve(ctx, resolver.Query{Name: "www.nothing.", Type: dns.TypeA, Class: dns.ClassINET})
			time.Sleep(10 * time.Second)
			return err
		}
		for range 2 * manyFailures {
			if err := ask(); err != nil {
				t.Fatal(err)
			}
		}
		if n := net.primed.Load() - before; n > 0 {
			t.Errorf("primed %d times though questions are answered", n)
		}
		net.down.Store(true)
		for range manyFailures + 4 {
			if ask() == nil {
				t.Fatal("an answer without a network")
			}
		}
		if h := r.Health(); !h.Blocked {
			t.Errorf("without network: %+v", h)
		}
		net.down.Store(false)
		time.Sleep(time.Minute)
		if h := r.Health(); h.Blocked || !h.Primed {
			t.Errorf("with network: %+v", h)
		}
		before = net.primed.Load()
		for range manyFailures - 1 {
			r.health.ended(errors.New("a zone's own trouble"))
		}
		ask()
		r.health.ended(errors.New("another's"))
		time.Sleep(time.Hour)
		if n := net.primed.Load() - before; n > 0 {
			t.Errorf("primed %d times though other questions are answered", n)
		}
		stop()
	})
}
