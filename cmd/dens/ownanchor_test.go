package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// TestAnchorOfOwnZone: the keys of a zone that only its own servers know are fetched there, whoever they are.
func TestAnchorOfOwnZone(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dnssec.NewKey("corp.example.", 300, dns.ZONE|dns.SEP, dns.ED25519, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	signer := &dnssec.Signer{Key: key, Private: private}
	sig, err := signer.Sign([]dns.RR{key}, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		if q.Question[0].Qtype == dns.TypeDNSKEY {
			m.Answer = []dns.RR{key, sig}
		}
		_ = w.WriteMsg(m)
	})}
	go srv.ActivateAndServe() //nolint:errcheck // ends with Shutdown
	t.Cleanup(func() { _ = srv.Shutdown() })
	file := filepath.Join(t.TempDir(), "anchors")
	if err := os.WriteFile(file, []byte(dnssec.NewDS(key, dns.SHA256).String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := conn.LocalAddr().String()
	for _, keys := range []string{
		"mode: recursive, zones: [{ zone: corp.example, stub: [" + at + "] }]",
		"mode: recursive, zones: [{ zone: corp.example, forward: [" + at + "] }]",
		"mode: forward, forward: [127.0.0.1:1], zones: [{ zone: corp.example, stub: [" + at + "] }]",
		"mode: forward, forward: [" + at + "]",
	} {
		t.Run(keys, func(t *testing.T) {
			cfg := parseConfig(t, "chains: {}\nnames: []\nresolve: { trust_anchor: "+file+", "+keys+" }\n")
			s, err := newStack(cfg, nil, true, quietLogger())
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			if err := s.engine.anchors.Refresh(t.Context(), "corp.example."); err != nil {
				t.Error(err)
			}
		})
	}
}
