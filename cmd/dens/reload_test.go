package main

import (
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/configs"
	"dens/internal/wire"
)

func parseConfig(t *testing.T, text string) *configs.Config {
	t.Helper()
	cfg, err := configs.Parse("test", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const reloadBase = `
chains:
  ethereum:
    id: 1
    trust: quorum
    quorum: 2
    rpc:
      - { url: "https://192.0.2.1/a", operator: a }
      - { url: "https://192.0.2.2/b", operator: b }
      - { url: "https://192.0.2.3/c", operator: c }
names:
  - { zone: eth, system: ens, chain: ethereum, registry: "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e" }
resolve: { forward: ["192.0.2.53"] }
`

// TestReloadDrops: what a new configuration answers in another way, or believes for other reasons, does
// not come from the old one's cache.
func TestReloadDrops(t *testing.T) {
	const single, quorum3 = "trust: single", "trust: quorum\n    quorum: 3"
	tests := []struct {
		story, old, new string
		tags, zones     []string
	}{
		{"nothing changes", "", "", nil, nil},
		{"a backend's rate", "operator: c", "operator: c, rate: 5", nil, nil},
		{"another chain", "id: 1", "id: 11155111", []string{"zone:eth"}, nil},
		{"another registry", "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e", "0x0000000000000000000000000000000000000001", []string{"zone:eth"}, nil},
		{"less trust", "trust: quorum\n    quorum: 2", single, []string{"zone:eth"}, nil},
		{"proofs", "trust: quorum", "trust: proven", []string{"zone:eth"}, nil},
		{"a greater quorum", "trust: quorum\n    quorum: 2", quorum3, []string{"zone:eth"}, nil},
		{"a zone forwarded", `forward: ["192.0.2.53"] }`, `forward: ["192.0.2.53"], zones: [{ zone: corp.example, forward: ["192.0.2.54"] }] }`, nil, []string{"corp.example."}},
		{"a stub zone", `forward: ["192.0.2.53"] }`, `forward: ["192.0.2.53"], zones: [{ zone: corp.example, stub: ["192.0.2.54"] }] }`, nil, []string{"corp.example."}},
		{"recursion", `forward: ["192.0.2.53"] }`, `mode: recursive }`, nil, []string{"."}},
		{"nobody", `forward: ["192.0.2.53"] }`, `forward: [] }`, nil, []string{"."}},
		{"validation", `forward: ["192.0.2.53"] }`, `forward: ["192.0.2.53"], validate: true }`, nil, []string{"."}},
		{"private addresses", `forward: ["192.0.2.53"] }`, `forward: ["192.0.2.53"], private: { refuse: true } }`, nil, []string{"."}},
		{"a negative anchor", `forward: ["192.0.2.53"] }`, `forward: ["192.0.2.53"], negative_anchors: [broken.example] }`, nil, []string{"broken.example."}},
		{"a negative anchor for a forwarded zone", `forward: ["192.0.2.53"] }`, `forward: ["192.0.2.53"], negative_anchors: [eth.limo] }`, nil, []string{"eth.limo."}},
		{"other forwarders", `forward: ["192.0.2.53"] }`, `forward: ["192.0.2.54"], timeout: 3s }`, nil, nil},
		{"an alias", "zone: eth,", "zone: eth, aliases: [eth.limo],", []string{"zone:eth"}, []string{"eth.limo."}},
	}
	before := parseConfig(t, reloadBase)
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			after := parseConfig(t, strings.Replace(reloadBase, tt.old, tt.new, 1))
			if got := changed(zoneTags(before, nil), zoneTags(after, nil)); !slices.Equal(got, tt.tags) {
				t.Errorf("tags %q, want %q", got, tt.tags)
			}
			if got := changed(routeKinds(before), routeKinds(after)); !slices.Equal(got, tt.zones) {
				t.Errorf("zones %q, want %q", got, tt.zones)
			}
		})
	}
}

// TestReloadLateRequest: a request that was handed to the old generation just before the reload took its
// place away is answered all the same.
func TestReloadLateRequest(t *testing.T) {
	upstream, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: upstream, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
		_ = w.WriteMsg(m)
	})}
	go srv.ActivateAndServe() //nolint:errcheck // ends with Shutdown
	t.Cleanup(func() { _ = srv.Shutdown() })
	cfg := parseConfig(t, `
listen: { dns: ["127.0.0.1:0"] }
chains: { none: { id: 1, trust: single, rpc: ["http://127.0.0.1:1"] } }
names: []
resolve: { forward: ["`+upstream.LocalAddr().String()+`"] }
`)
	cfg.Listen.HTTP = netip.AddrPort{}
	d, err := startDaemon(cfg, quietLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.shutdown(time.Second) })
	old := d.current.Load()
	reloaded := make(chan error)
	go func() { reloaded <- d.reload(t.Context(), cfg) }()
	for d.current.Load() == old {
		runtime.Gosched()
	}
	time.Sleep(10 * time.Millisecond) // as a goroutine that was not scheduled for a while
	req, err := new(dns.Msg).SetQuestion("late.example.org.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	from := wire.Peer{Addr: netip.MustParseAddrPort("127.0.0.1:53")}
	m := new(dns.Msg)
	if err := m.Unpack(answer(t, old.cache, req, from)); err != nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
		t.Errorf("%v, %v", err, m)
	}
	if err := <-reloaded; err != nil {
		t.Error(err)
	}
}
