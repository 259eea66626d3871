package authority

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// differing answers in lower case, and never the same.
func differing() handler {
	var n atomic.Uint32
	return func(w dns.ResponseWriter, r *dns.Msg) {
		m := respond(r, record)
		m.Question[0].Name = strings.ToLower(m.Question[0].Name)
		m.Answer[0].(*dns.A).A = net.IPv4(192, 0, 2, byte(n.Add(1)))
		w.WriteMsg(m)
	}
}

func TestServerThatLowersCase(t *testing.T) {
	t.Parallel()
	for nets, want := range map[string][2]string{
		"udp,tcp": {"udp+edns tcp+edns", "tcp+edns"},
		"udp":     {"udp+edns udp+edns udp+edns", "udp+edns udp+edns"},
	} {
		t.Run(nets, func(t *testing.T) {
			t.Parallel()
			var c clock
			f := serve(t, nets, lowering)
			s := servers(t, Config{Now: c.now})
			expectName(t, s, long, f.addr)
			if got := f.story(); got != want[0] {
				t.Errorf("%s, want %s", got, want[0])
			}
			for _, name := range []string{"ftp." + long, "ntp." + long} {
				f.forget()
				expectName(t, s, name, f.addr)
				if got := f.story(); got != want[1] {
					t.Errorf("%s, want %s: it was not remembered", got, want[1])
				}
			}
			f.forget()
			c.advance(oddFor + time.Minute)
			expectName(t, s, "later."+long, f.addr)
			if got := f.story(); got != want[0] {
				t.Errorf("later: %s, want %s", got, want[0])
			}
			if s.Stats().Case != 2 {
				t.Errorf("%+v", s.Stats())
			}
		})
	}
}

// A server that refuses names in mixed case, or is silent to them, is asked again as a last resort.
func TestServerThatDislikesMixedCase(t *testing.T) {
	t.Parallel()
	for name, dislike := range map[string]handler{"refuses": rcode(dns.RcodeRefused), "drops": func(dns.ResponseWriter, *dns.Msg) {}} {
		for _, nets := range []string{"udp", "udp,tcp"} {
			t.Run(name+" "+nets, func(t *testing.T) {
				t.Parallel()
				f := serve(t, nets, func(w dns.ResponseWriter, r *dns.Msg) {
					if asked := r.Question[0].Name; asked != strings.ToLower(asked) {
						dislike(w, r)
						return
					}
					w.WriteMsg(respond(r, record))
				})
				s := servers(t, Config{Timeout: 4 * time.Second})
				expectName(t, s, long, f.addr)
				f.forget()
				expectName(t, s, "another-"+long, f.addr)
				for _, r := range f.requests() {
					if asked := r.msg.Question[0].Name; asked != strings.ToLower(asked) {
						t.Errorf("asked for %s again", asked)
					}
				}
			})
		}
	}
}

// One that has answered such a name does not dislike them: its refusals are believed.
func TestRefusalIsBelieved(t *testing.T) {
	t.Parallel()
	var refusing atomic.Bool
	f := serve(t, "udp,tcp", func(w dns.ResponseWriter, r *dns.Msg) {
		if refusing.Load() {
			rcode(dns.RcodeRefused)(w, r)
			return
		}
		w.WriteMsg(respond(r, record))
	})
	s := servers(t, Config{})
	expectName(t, s, "www.example.org.", f.addr)
	refusing.Store(true)
	f.forget()
	if _, err := s.Ask(t.Context(), []netip.AddrPort{f.addr}, Question{Zone: "example.org.", Name: "ftp.example.org.", Type: dns.TypeA}); err == nil {
		t.Error("an answer out of a refusal")
	}
	if got := f.story(); strings.Contains(got, "tcp") {
		t.Errorf("%s", got)
	}
}

// Two replies that differ are not believed: one may be forged.
func TestDifferingRepliesAreNotBelieved(t *testing.T) {
	t.Parallel()
	f := serve(t, "udp", differing())
	s := servers(t, Config{})
	e := expectError(t, s, long, f.addr)
	if len(e.Failures) != 1 || describe(e.Failures[0].Err) != errDiffer.Error() {
		t.Error(e)
	}
}

// Without a way to ask as is, a server that changes case needs TCP.
func TestWithoutAsIs(t *testing.T) {
	f := serve(t, "udp", lowering)
	s := servers(t, Config{UDP: exchanger(func(context.Context, netip.AddrPort, []byte) ([]byte, error) {
		return nil, resolver.ErrCase
	})})
	expectError(t, s, "www.example.org.", f.addr)
}

// The right reply is taken although forgers were faster; a flood leads to TCP.
func TestForgedReplies(t *testing.T) {
	addr := rawUDP(t, func(req []byte, send func([]byte)) {
		wrong := answerTo(req, "@ 60 IN A 6.6.6.6")
		wrong[1] ^= 1
		send(wrong)
		send([]byte("garbage"))
		other := bytes.Clone(answerTo(req, "@ 60 IN A 6.6.6.6"))
		other[14] ^= 0x20 // a letter in another case
		send(other)
		send(answerTo(req, record))
	})
	s := servers(t, Config{})
	expect(t, s, addr)

	flooded := flood(t)
	if r := expect(t, s, flooded.addr); r.Transport != "tcp" || s.Stats().Forged != 1 {
		t.Errorf("%s, %+v", r.Transport, s.Stats())
	}
}

// flood is a good server by TCP, for which others answer by UDP.
func flood(t *testing.T) *fake {
	t.Helper()
	for range 20 { // the port may be taken for UDP
		f := serve(t, "tcp", good)
		pc, err := net.ListenPacket("udp", f.addr.String())
		if err != nil {
			continue
		}
		hand(t, pc, func(req []byte, send func([]byte)) {
			for range 40 {
				forged := answerTo(req, "@ 60 IN A 6.6.6.6")
				forged[0] ^= 1
				send(forged)
			}
		})
		return f
	}
	t.Fatal("no port")
	return nil
}
