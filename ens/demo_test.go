package ens

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/ccip"
	"dens/internal/demo"
)

// started is the demo chain that the tests with real contracts share, one after the other; nil until the
// first of them asks for it.
var (
	started *demo.Chain
	begin   sync.Once
	failure error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		if err := started.Close(); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// realChain returns the demo chain, with zone cuts besides its own names.
func realChain(t *testing.T) *demo.Chain {
	t.Helper()
	begin.Do(func() {
		if started, failure = demo.Start(context.Background(), demo.Config{Period: -1}); failure != nil {
			return
		}
		ds := " 60 DS 1 13 2 " + strings.Repeat("ab", 32)
		failure = started.SetDNSRecords(t.Context(), "alice.eth",
			"cut.alice.eth. 60 NS ns.example.org.", "cut.alice.eth."+ds,
			"c.b.a.cut.alice.eth. 60 NS ns.example.org.",
			"e.d.c.b.a.alice.eth. 60 NS ns.example.org.", "e.d.c.b.a.alice.eth."+ds)
		for key, value := range map[string]string{"dns.NS": `["ns.example.org"]`, "dns.DS": `["1 13 2 00"]`} {
			if failure == nil {
				failure = started.SetText(t.Context(), "carol.eth", key, value)
			}
		}
	})
	if failure != nil {
		t.Fatal(failure)
	}
	return started
}

// deployments are the two ways to look at a demo chain.
func deployments(c *demo.Chain) (universal, direct Deployment) {
	direct = Deployment{Chain: "demo", ChainID: c.ChainID(), Zone: "eth.", Registry: c.Registry}
	universal = direct
	universal.UniversalResolver = c.UniversalResolver
	return universal, direct
}

// followed returns a Caller that follows CCIP-Read to gateways on this machine.
func followed(t *testing.T, inner chain.Caller) chain.Caller {
	dialer := net.Dialer{Timeout: time.Second}
	caller := ccip.New(inner, ccip.Config{Dial: dialer.DialContext, AllowHTTP: true, AllowPrivate: true})
	t.Cleanup(caller.Close)
	return caller
}
