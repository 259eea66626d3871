package cache_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/internal/wire"
)

func padded(m *dns.Msg) {
	m.SetEdns0(4096, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, 7)})
}

// keepalive adds the option as clients do, or with a value.
func keepalive(value ...byte) func(*dns.Msg) {
	return func(m *dns.Msg) {
		if m.IsEdns0() == nil {
			m.SetEdns0(4096, false)
		}
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: dns.EDNS0TCPKEEPALIVE, Data: value})
	}
}

// options are what a reply's OPT record says, by the code of the option.
func options(m *dns.Msg) map[uint16]string {
	out := map[uint16]string{}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			out[o.Option()] = o.String()
		}
	}
	return out
}

func has(m *dns.Msg, option uint16) bool {
	_, ok := options(m)[option]
	return ok
}

// TestPadding: replies hide how long they are from who sees the encrypted connection, when the client padded
// (RFC 8467 section 4.1), and are what they were where that hides nothing.
func TestPadding(t *testing.T) {
	b := newBench(t, cache.Config{Stale: time.Hour}, func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
		var rrs []string
		name := req.Question[0].Name
		switch {
		case name == "large.eth.":
			for i := range 100 {
				rrs = append(rrs, fmt.Sprintf("large.eth. 300 IN A 192.0.2.%d", i))
			}
		case name == "vast.eth.":
			for i := range 250 {
				rrs = append(rrs, fmt.Sprintf("vast.eth. 300 IN TXT %0248d", i))
			}
			rrs = append(rrs, fmt.Sprintf("vast.eth. 300 IN TXT %0205d", 0)) // 65494 octets in all
		default:
			rrs = append(rrs, name+" 300 IN A 192.0.2.1")
		}
		e := entry(req, time.Hour, dns.RcodeSuccess, rrs...)
		e.HasEDE, e.EDEText = true, "some text"
		return e, nil
	})
	notify := func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }
	for _, tt := range []struct {
		story, name string
		by          wire.Protocol
		change      []func(*dns.Msg)
		want        int // octets, or 0 for any number without padding
	}{
		{"by DoT", "alice.eth.", wire.DoT, []func(*dns.Msg){padded}, 468},
		{"by DoH", "alice.eth.", wire.DoH, []func(*dns.Msg){padded}, 468},
		{"by DoH over HTTP/3", "alice.eth.", wire.DoH3, []func(*dns.Msg){padded}, 468},
		{"by DoQ", "alice.eth.", wire.DoQ, []func(*dns.Msg){padded}, 468},
		{"a long reply", "large.eth.", wire.DoT, []func(*dns.Msg){padded}, 4 * 468},
		{"a reply that leaves little room", "vast.eth.", wire.DoT, []func(*dns.Msg){padded}, 65535},
		{"a broken request", "alice.eth.", wire.DoT, []func(*dns.Msg){padded, notify}, 468},
		{"not asked for", "alice.eth.", wire.DoT, []func(*dns.Msg){edns(4096)}, 0},
		{"without EDNS", "alice.eth.", wire.DoT, nil, 0},
		{"by UDP", "alice.eth.", wire.UDP, []func(*dns.Msg){padded}, 0},
		{"by TCP", "alice.eth.", wire.TCP, []func(*dns.Msg){padded}, 0},
	} {
		for _, outcome := range []string{"miss", "hit"} {
			reply := b.raw(t.Context(), tt.by, request(t, tt.name, dns.TypeA, tt.change...))
			m := unpack(t, reply)
			padding := options(m)[dns.EDNS0PADDING]
			if has(m, dns.EDNS0PADDING) != (tt.want != 0) || tt.want != 0 && len(reply) != tt.want || strings.Trim(padding, "0") != "" {
				t.Errorf("%s, %s: %d octets, want %d; %d of padding", tt.story, outcome, len(reply), tt.want, len(padding)/2)
			}
			if m.Truncated || tt.name == "alice.eth." && m.Rcode == 0 && len(m.Answer) != 1 {
				t.Errorf("%s: %v", tt.story, m)
			}
		}
	}
}

// TestKeepalive: how long a connection stays open is told who asks, on a connection (RFC 7828).
func TestKeepalive(t *testing.T) {
	b := newBench(t, cache.Config{}, always(time.Hour, aliceA))
	notify := func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }
	for _, tt := range []struct {
		story   string
		by      wire.Protocol
		idle    uint16
		change  []func(*dns.Msg)
		rcode   int
		told    bool
		padding bool
	}{
		{story: "by TCP", by: wire.TCP, idle: 100, change: []func(*dns.Msg){keepalive()}, told: true},
		{story: "by DoT, with padding", by: wire.DoT, idle: 100, change: []func(*dns.Msg){padded, keepalive()}, told: true, padding: true},
		{story: "with a cookie", by: wire.DoT, idle: 100, change: []func(*dns.Msg){withCookie(1232), keepalive()}, told: true},
		{story: "a broken request", by: wire.TCP, idle: 100, change: []func(*dns.Msg){keepalive(), notify}, rcode: dns.RcodeNotImplemented, told: true},
		{story: "not asked", by: wire.TCP, idle: 100, change: []func(*dns.Msg){edns(1232)}},
		{story: "asked where nothing is to be told", by: wire.TCP, change: []func(*dns.Msg){keepalive()}},
		{story: "with a value", by: wire.TCP, idle: 100, change: []func(*dns.Msg){keepalive(0, 100)}, rcode: dns.RcodeFormatError, told: true},
		{story: "twice, once with a value", by: wire.DoT, idle: 100, change: []func(*dns.Msg){keepalive(), keepalive(1)}, rcode: dns.RcodeFormatError, told: true},
		{story: "with a value, for another class", by: wire.TCP, idle: 100, rcode: dns.RcodeFormatError, told: true,
			change: []func(*dns.Msg){keepalive(1), func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }}},
		{story: "by UDP", by: wire.UDP, change: []func(*dns.Msg){keepalive()}},
		{story: "with a value by UDP", by: wire.UDP, change: []func(*dns.Msg){keepalive(0, 100)}},
		{story: "with a value by DoH", by: wire.DoH, change: []func(*dns.Msg){keepalive(0, 100)}},
	} {
		for range 2 { // a miss, or a hit
			q := wire.Query{
				Msg: request(t, "alice.eth.", dns.TypeA, tt.change...), From: cookied(tt.by, wire.CookieNone), Start: time.Now(),
				Limit: 1232, Keepalive: tt.idle,
			}
			q.Peek()
			reply, ok := b.Hit(&q, nil)
			if !ok {
				reply = b.Miss(t.Context(), &q, nil)
			}
			m := unpack(t, reply)
			told := options(m)[dns.EDNS0TCPKEEPALIVE]
			if m.Rcode != tt.rcode || has(m, dns.EDNS0TCPKEEPALIVE) != tt.told || tt.told && !strings.Contains(told, "10000ms") || has(m, dns.EDNS0PADDING) != tt.padding {
				t.Errorf("%s: keepalive %q: %v", tt.story, told, m)
			}
		}
	}
}
