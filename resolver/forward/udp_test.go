package forward

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

var (
	_ resolver.Resolver  = (*Forwarder)(nil)
	_ resolver.Exchanger = (*Datagram)(nil)
	_ resolver.Exchanger = (*Stream)(nil)
)

func packed(t testing.TB, name string) []byte {
	t.Helper()
	req, err := request(query(name), true)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint16(req, 4711)
	return req
}

// forge changes a copy of a reply.
func forge(reply []byte, change func([]byte)) []byte {
	c := bytes.Clone(reply)
	change(c)
	return c
}

func answerTo(req []byte, records ...string) []byte {
	var m dns.Msg
	if err := m.Unpack(req); err != nil {
		panic(err)
	}
	b, err := respond(&m, records...).Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// The right reply is taken although forgers were faster.
func TestForgedRepliesArePassedOver(t *testing.T) {
	forgeries := map[string]func([]byte){
		"id":       func(b []byte) { b[1] ^= 1 },
		"question": func(b []byte) { b[13] = 'x' },
		"case":     func(b []byte) { b[13] ^= 0x20 },
		"type":     func(b []byte) { b[bytes.IndexByte(b[12:], 0)+12+2] ^= 1 },
		"request":  func(b []byte) { b[2] &= 0x7f },
		"opcode":   func(b []byte) { b[2] |= 0x28 },
		"no question": func(b []byte) {
			b[5] = 0
		},
	}
	for name, change := range forgeries {
		t.Run(name, func(t *testing.T) {
			addr := rawUDP(t, func(req []byte, send func([]byte)) {
				send(forge(answerTo(req, "@ 60 IN A 6.6.6.6"), change))
				send([]byte("garbage"))
				send(nil)
				send(answerTo(req, "@ 60 IN A 192.0.2.1"))
			})
			req := packed(t, "www.example.org.")
			got, err := NewDatagram(nil, nil).Exchange(t.Context(), netip.MustParseAddrPort(addr), req, make([]byte, 0, 8192))
			if err != nil {
				t.Fatal(err)
			}
			var m dns.Msg
			if err := m.Unpack(got); err != nil {
				t.Fatal(err)
			}
			if m.Id != 4711 || m.Question[0].Name != "www.example.org." || m.Answer[0].(*dns.A).A.String() != "192.0.2.1" {
				t.Error(m.String())
			}
		})
	}
}

func TestOnlyForgedReplies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		n      int
		change func([]byte)
		want   error
	}{
		{"a flood", 100, func(b []byte) { b[0] ^= 1 }, ErrForged},
		{"one with the wrong case", 1, func(b []byte) { b[13] ^= 0x20 }, ErrCase},
		{"one with the wrong id", 1, func(b []byte) { b[0] ^= 1 }, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := rawUDP(t, func(req []byte, send func([]byte)) {
				for range tt.n {
					send(forge(answerTo(req, "@ 60 IN A 6.6.6.6"), tt.change))
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			got, err := NewDatagram(nil, nil).Exchange(ctx, netip.MustParseAddrPort(addr), packed(t, "www.example.org."), nil)
			if !errors.Is(err, tt.want) || got != nil {
				t.Errorf("%v, error %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestIDsPortsAndCaseVary(t *testing.T) {
	s := serve(t, "udp", good)
	f := forwarder(t, Config{}, udp(s.addr, "one"))
	for range 40 {
		expect(t, f, "www.example.org.")
	}
	ids, ports, names := map[uint16]bool{}, map[uint16]bool{}, map[string]bool{}
	for _, r := range s.requests() {
		ids[r.msg.Id], ports[r.from.Port()], names[r.name] = true, true, true
	}
	if len(ids) < 35 || len(ports) < 30 || len(names) < 35 {
		t.Errorf("%d ids, %d ports, %d spellings in 40 requests", len(ids), len(ports), len(names))
	}
}

// mangle answers with the question in lower case.
func mangle(w dns.ResponseWriter, r *dns.Msg) {
	m := respond(r, "@ 60 IN A 192.0.2.1")
	m.Question[0].Name = strings.ToLower(m.Question[0].Name)
	w.WriteMsg(m)
}

func TestServerThatLowersCase(t *testing.T) {
	for _, nets := range []string{"udp,tcp", "udp"} {
		t.Run(nets, func(t *testing.T) {
			s := serve(t, nets, mangle)
			f := forwarder(t, Config{}, udp(s.addr, "one"))
			for i := range 3 {
				expect(t, f, fmt.Sprintf("www%d.a-name-that-is-never-in-lower-case-by-chance.example.org.", i))
			}
			if nets == "udp,tcp" && (s.count("tcp") != 3 || s.count("udp") != 1) {
				t.Errorf("%d by UDP, %d by TCP: it was not remembered", s.count("udp"), s.count("tcp"))
			}
		})
	}
}

func TestFloodLeadsToTCP(t *testing.T) {
	tcp := rawTCP(t, func(c net.Conn, _ int) {
		for m := readMsg(c); m != nil; m = readMsg(c) {
			writeMsg(c, respond(m, "@ 60 IN A 192.0.2.1"))
		}
	})
	flood := rawUDP(t, func(req []byte, send func([]byte)) {
		for range 20 {
			send(forge(answerTo(req, "@ 60 IN A 6.6.6.6"), func(b []byte) { b[1] ^= 1 }))
		}
	})
	f := forwarder(t, Config{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if network == "udp" {
			return dialAddress(ctx, network, flood)
		}
		return dialAddress(ctx, network, tcp)
	}}, udp("resolver.example:53", "one"))
	expect(t, f, "www.example.org.")
}

func TestTruncation(t *testing.T) {
	s := serve(t, "udp,tcp", func(w dns.ResponseWriter, r *dns.Msg) {
		m := respond(r, "@ 60 IN A 192.0.2.1")
		if w.RemoteAddr().Network() == "udp" {
			m = respond(r, "@ 60 IN A 6.6.6.6")
			m.Truncated = true
		}
		w.WriteMsg(m)
	})
	f := forwarder(t, Config{}, udp(s.addr, "one"))
	expect(t, f, "big.example.org.")

	// Half an answer is none, whatever says so.
	s = serve(t, "udp,tcp", func(w dns.ResponseWriter, r *dns.Msg) {
		m := respond(r, "@ 60 IN A 192.0.2.1")
		m.Truncated = true
		w.WriteMsg(m)
	})
	f = forwarder(t, Config{}, udp(s.addr, "one"))
	if a, err := f.Resolve(t.Context(), query("big.example.org.")); err == nil {
		t.Errorf("%v", a)
	}

	// Nor is there one without TCP.
	s = serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		m := respond(r, "@ 60 IN A 192.0.2.1")
		m.Truncated = true
		w.WriteMsg(m)
	})
	f = forwarder(t, Config{}, udp(s.addr, "one"))
	if a, err := f.Resolve(t.Context(), query("big.example.org.")); err == nil {
		t.Errorf("%v", a)
	}
}

func TestRequestFlags(t *testing.T) {
	s := serve(t, "udp", good)
	f := forwarder(t, Config{}, udp(s.addr, "one"))
	for i, q := range []resolver.Query{{}, {DO: true}, {CD: true}, {DO: true, CD: true}} {
		q.Name, q.Type, q.Class = "www.example.org.", dns.TypeA, dns.ClassINET
		if _, err := f.Resolve(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		m := s.requests()[i].msg
		opt := m.IsEdns0()
		if !m.RecursionDesired || !m.AuthenticatedData || m.CheckingDisabled != q.CD || opt == nil {
			t.Fatal(m.String())
		}
		if opt.Do() != q.DO || opt.UDPSize() != 1232 || opt.Version() != 0 || len(opt.Option) != 0 {
			t.Error(m.String())
		}
	}
}

func TestEDNSTrouble(t *testing.T) {
	refuse := func(code int) handler {
		return func(w dns.ResponseWriter, r *dns.Msg) {
			if r.IsEdns0() == nil {
				good(w, r)
				return
			}
			m := new(dns.Msg)
			m.SetRcode(r, code)
			if code == dns.RcodeBadVers {
				m.SetEdns0(1232, false)
			}
			w.WriteMsg(m)
		}
	}
	tests := []struct {
		name  string
		nets  string
		h     handler
		plain int // of two questions, how many requests come without EDNS
	}{
		{"FORMERR", "udp", refuse(dns.RcodeFormatError), 2},
		{"NOTIMP", "udp", refuse(dns.RcodeNotImplemented), 2},
		{"BADVERS", "udp", refuse(dns.RcodeBadVers), 2},
		{"FORMERR without question", "udp,tcp", func(w dns.ResponseWriter, r *dns.Msg) {
			if r.IsEdns0() == nil {
				good(w, r)
				return
			}
			w.WriteMsg(&dns.Msg{MsgHdr: dns.MsgHdr{Id: r.Id, Response: true, Rcode: dns.RcodeFormatError}})
		}, 2},
		{"dropped", "udp", func(w dns.ResponseWriter, r *dns.Msg) {
			if r.IsEdns0() == nil {
				good(w, r)
			}
		}, 2},
		{"stripped", "udp", func(w dns.ResponseWriter, r *dns.Msg) {
			m := respond(r, "@ 60 IN A 192.0.2.1")
			m.Extra = nil
			w.WriteMsg(m)
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.nets, tt.h)
			f := forwarder(t, Config{}, udp(s.addr, "one"))
			expect(t, f, "www.example.org.")
			before := len(s.requests())
			expect(t, f, "ftp.example.org.")
			if n := len(s.requests()) - before; n != 1 {
				t.Errorf("the second question took %d requests", n)
			}
			plain := 0
			for _, r := range s.requests() {
				if r.msg.IsEdns0() == nil {
					plain++
				}
			}
			if plain != tt.plain {
				t.Errorf("%d requests came without EDNS, want %d", plain, tt.plain)
			}
		})
	}
}

// A slow server is not taken for one that drops EDNS where signatures are wanted.
func TestSlowServerKeepsEDNS(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool
	slow.Store(true)
	s := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		if slow.Load() && r.IsEdns0() != nil {
			return
		}
		good(w, r)
	})
	f := forwarder(t, Config{}, udp(s.addr, "one"))
	expect(t, f, "www.example.org.")
	slow.Store(false)
	q := query("www.example.org.")
	q.DO = true
	if _, err := f.Resolve(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	all := s.requests()
	if opt := all[len(all)-1].msg.IsEdns0(); opt == nil || !opt.Do() {
		t.Error("DO was lost")
	}
	expect(t, f, "www.example.org.")
	if all = s.requests(); all[len(all)-1].msg.IsEdns0() == nil {
		t.Error("EDNS was not taken up again")
	}
}

func TestLostPacket(t *testing.T) {
	n := 0
	addr := rawUDP(t, func(req []byte, send func([]byte)) {
		if n++; n > 1 {
			send(answerTo(req, "@ 60 IN A 192.0.2.1"))
		}
	})
	f := forwarder(t, Config{}, udp(addr, "one"))
	expect(t, f, "www.example.org.")
}
