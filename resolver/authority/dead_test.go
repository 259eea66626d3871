package authority

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// TestDeadZone: that no server of a zone is there costs its time once. Questions that follow end sooner,
// those right behind at once, and one server that comes back is found.
func TestDeadZone(t *testing.T) {
	for _, n := range []int{1, 2, 4, 13} {
		synctest.Test(t, func(t *testing.T) {
			var sent atomic.Int64
			var back atomic.Value
			back.Store(netip.AddrPort{})
			network := exchanger(func(ctx context.Context, to netip.AddrPort, req []byte) ([]byte, error) {
				if sent.Add(1); to == back.Load() {
					return answerTo(req, record), nil
				}
				<-ctx.Done()
				return nil, ctx.Err()
			})
			s := New(Config{UDP: network, TCP: network, Rand: source(1)})
			var zone []netip.AddrPort
			for i := range n {
				zone = append(zone, at(fmt.Sprintf("192.0.2.%d:53", i+1)))
			}
			cost := func(name string) (time.Duration, int64) {
				before, began := sent.Load(), time.Now()
				expectError(t, s, name, zone...)
				return time.Since(began), sent.Load() - before
			}
			if took, sent := cost("a.example.org."); took > 6*time.Second || sent > maxMessages {
				t.Errorf("%d servers, at first: %v, %d messages", n, took, sent)
			}
			for i := range 4 {
				time.Sleep(5 * time.Second)
				if took, sent := cost(fmt.Sprintf("b%d.example.org.", i)); took > 4*time.Second || sent > maxWeak+2 {
					t.Errorf("%d servers, 5 s later: %v, %d messages", n, took, sent)
				}
			}
			if took, sent := cost("c.example.org."); n <= maxWeak && (took > 0 || sent > 0) {
				t.Errorf("%d servers, at once: %v, %d messages", n, took, sent)
			}
			back.Store(zone[0])
			found := false
			for range 13 {
				time.Sleep(5 * time.Second)
				_, err := s.Ask(t.Context(), zone, question("www.example.org."))
				found = found || err == nil
			}
			if !found {
				t.Errorf("%d servers: the one that came back was not found", n)
			}
			time.Sleep(time.Minute) // for what goes on
		})
	}
}

// TestSift: what is no data of the Internet is left out, and nothing else.
func TestSift(t *testing.T) {
	hdr := func(rrtype, class, length uint16) dns.RR_Header {
		return dns.RR_Header{Name: "a.", Rrtype: rrtype, Class: class, Ttl: 60, Rdlength: length}
	}
	for _, rr := range []dns.RR{
		&dns.A{Hdr: hdr(dns.TypeA, dns.ClassINET, 4)},
		&dns.NULL{Hdr: hdr(dns.TypeNULL, dns.ClassINET, 0)},
		&dns.APL{Hdr: hdr(dns.TypeAPL, dns.ClassINET, 0)},
		&dns.RFC3597{Hdr: hdr(65280, dns.ClassINET, 0)},
		&dns.OPT{Hdr: hdr(dns.TypeOPT, 1232, 0)},
		&dns.RFC3597{Hdr: hdr(248, dns.ClassINET, 1)},
		&dns.TA{Hdr: hdr(dns.TypeTA, dns.ClassINET, 4)},
	} {
		if out := sift([]dns.RR{rr}); !slices.Contains(out, rr) {
			t.Errorf("left out: %v", rr)
		}
	}
	for _, rr := range []dns.RR{
		&dns.A{Hdr: hdr(dns.TypeA, dns.ClassCHAOS, 4)},
		&dns.A{Hdr: hdr(dns.TypeA, dns.ClassANY, 0)},
		&dns.A{Hdr: hdr(dns.TypeA, dns.ClassINET, 0)},
		&dns.CNAME{Hdr: hdr(dns.TypeCNAME, dns.ClassINET, 0)},
		&dns.RFC3597{Hdr: hdr(0, dns.ClassINET, 1)},
		&dns.TSIG{Hdr: hdr(dns.TypeTSIG, dns.ClassINET, 9)},
		&dns.TKEY{Hdr: hdr(dns.TypeTKEY, dns.ClassINET, 9)},
		&dns.RFC3597{Hdr: hdr(dns.TypeAXFR, dns.ClassINET, 9)},
		&dns.RFC3597{Hdr: hdr(dns.TypeANY, dns.ClassINET, 9)},
	} {
		if out := sift([]dns.RR{rr}); len(out) != 0 {
			t.Errorf("taken for data: %v", rr)
		}
	}
}

// TestMessageBound: what is under way in all is bounded, and that is held against no server.
func TestMessageBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := exchanger(func(ctx context.Context, _ netip.AddrPort, req []byte) ([]byte, error) {
			time.Sleep(100 * time.Millisecond)
			return answerTo(req, record), nil
		})
		s := New(Config{UDP: network, TCP: network, Messages: 4})
		var failed atomic.Int64
		for i := range 10 {
			go func() {
				_, err := s.Ask(t.Context(), []netip.AddrPort{at(fmt.Sprintf("192.0.2.%d:53", i))}, question("www.example.org."))
				if e, ok := err.(*Error); ok && !e.Unreachable() && strings.Contains(e.Text(), errHere.Error()) {
					failed.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			}()
		}
		time.Sleep(time.Second)
		if st := s.Stats(); failed.Load() != 6 || st.Busy != 6 || st.Penalties != 0 {
			t.Errorf("%d failed, %+v", failed.Load(), st)
		}
		for i := range 10 {
			expect(t, s, at(fmt.Sprintf("192.0.2.%d:53", i)))
		}
	})
}
