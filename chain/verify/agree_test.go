package verify

import (
	"bytes"
	"context"
	"net"
	"slices"
	"testing"

	"dens/chain"
	"dens/chain/ccip"
	"dens/chain/pool"
	"dens/ens"
	"dens/internal/demo"

	"github.com/miekg/dns"
)

// comparing makes each Call twice: over proven state, and by the node itself at the same block.
type comparing struct {
	t      *testing.T
	proven *Verifier
	node   *pool.Pool
	weary  bool // the node may give up on a message
	calls  int
	unlike int
	signed bool
}

func (c *comparing) Call(ctx context.Context, call chain.Call) (chain.Result, error) {
	r, err := c.proven.Call(ctx, call)
	if err != nil {
		return r, err
	}
	want, err := c.node.Call(ctx, chain.Call{Msgs: call.Msgs, At: &r.Head})
	if err != nil {
		if !c.weary {
			c.t.Errorf("node: %v", err)
		}
		return r, nil
	}
	for i, got := range r.Outputs {
		c.calls++
		c.signed = c.signed || got.Signature
		w := want.Outputs[i]
		if (got.Err != nil) != (w.Err != nil) || got.Reverted != w.Reverted || !bytes.Equal(got.Data, w.Data) {
			c.unlike++
			c.t.Errorf("message %d to %s, %x: got %+v, the node says %+v", i, call.Msgs[i].To, call.Msgs[i].Data, got, w)
		}
	}
	return r, nil
}

// TestAgreesWithNode looks up all names of the demo, those with hostile contracts too.
func TestAgreesWithNode(t *testing.T) {
	b := newBackend(t, nil)
	p := newPool(t, b)
	both := &comparing{t: t, proven: newVerifier(t, p), node: p}
	dialer := &net.Dialer{}
	gateways := ccip.New(both, ccip.Config{Dial: dialer.DialContext, AllowHTTP: true, AllowPrivate: true})
	defer gateways.Close()
	universal := ens.Deployment{Chain: "demo", Zone: "eth.", Registry: theChain.Registry, UniversalResolver: theChain.UniversalResolver}
	for _, by := range []struct {
		ens.Deployment
		rrtypes []uint16
	}{
		{universal, []uint16{dns.TypeA}},
		{ens.Deployment{Chain: "demo", Zone: "eth.", Registry: theChain.Registry}, []uint16{dns.TypeTXT}},
	} {
		system := ens.New(gateways, by.Deployment)
		names := []string{"nobody.eth.", "bare.eth.", "person.eth.", "empty.eth."}
		for _, s := range demo.Samples() {
			names = append(names, dns.Fqdn(s.Name))
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			for _, rrtype := range by.rrtypes {
				// What the look-up comes to is for package ens to test; here the calls below it count.
				_, _ = system.LookupCuts(t.Context(), name, rrtype)
			}
		}
	}
	system := ens.New(gateways, universal)
	both.weary = true
	for _, name := range []string{"broken.eth.", "huge.eth.", "loop.eth.", "junk.eth.", "foreign.eth."} {
		_, _ = system.LookupCuts(t.Context(), name, dns.TypeA)
	}
	if both.calls < 200 || both.unlike > 0 || !both.signed {
		t.Errorf("%d messages were compared, %d unlike, signature noticed: %v", both.calls, both.unlike, both.signed)
	}
	t.Logf("%d messages, %+v", both.calls, both.proven.Status())
}
