package ens

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/ccip"
	"dens/internal/demo"
	"dens/names"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/miekg/dns"
)

// evmCaller is a chain.Caller on a node: one JSON-RPC batch for each Call.
type evmCaller struct {
	client *rpc.Client
	calls  atomic.Int32
}

func (e *evmCaller) Call(ctx context.Context, c chain.Call) (chain.Result, error) {
	e.calls.Add(1)
	if c.At == nil {
		var header types.Header
		if err := e.client.CallContext(ctx, &header, "eth_getBlockByNumber", "latest", false); err != nil {
			return chain.Result{}, err
		}
		c.At = &chain.Head{Number: header.Number.Uint64(), Hash: header.Hash(), Time: time.Unix(int64(header.Time), 0)}
	}
	batch := make([]rpc.BatchElem, len(c.Msgs))
	for i, m := range c.Msgs {
		batch[i] = rpc.BatchElem{Method: "eth_call", Result: new(hexutil.Bytes), Args: []any{
			map[string]any{"to": m.To, "data": hexutil.Bytes(m.Data), "gas": hexutil.Uint64(2_000_000)}, map[string]any{"blockHash": c.At.Hash}}}
	}
	if err := e.client.BatchCallContext(ctx, batch); err != nil {
		return chain.Result{}, err
	}
	r := chain.Result{Head: *c.At, Trust: chain.Single, Backends: []string{"demo"}}
	for _, el := range batch {
		r.Outputs = append(r.Outputs, output(el))
	}
	return r, nil
}

func output(el rpc.BatchElem) chain.Output {
	var revert rpc.DataError
	switch {
	case el.Error == nil:
		return chain.Output{Data: *el.Result.(*hexutil.Bytes)}
	case errors.As(el.Error, &revert) && revert.ErrorData() != nil:
		return chain.Output{Reverted: true, Data: common.FromHex(revert.ErrorData().(string))}
	case el.Error.Error() == "execution reverted":
		return chain.Output{Reverted: true}
	}
	return chain.Output{Err: errors.Join(chain.ErrLimit, el.Error)}
}

// TestEVM looks names of the demo chain up in real contracts, both ways.
func TestEVM(t *testing.T) {
	demoChain := realChain(t)
	node := &evmCaller{client: demoChain.Client()}
	caller := followed(t, node)
	u, d := deployments(demoChain)
	universal, direct := New(caller, u), New(caller, d)

	bob := "/ipfs/bafybeibj6lixxzqtsb45ysdjnupvqkufgdvzqbnvmhw2kf7cfkesy7r7d4"
	tests := []struct {
		name  string
		kind  uint16
		want  string
		calls int32 // of the UniversalResolver
	}{
		{"alice.eth.", dns.TypeA, "exists in alice.eth. alice.eth./A:1", 1},
		{"alice.eth.", dns.TypeSOA, "exists in alice.eth.", 1},
		{"www.alice.eth.", dns.TypeA, "exists in alice.eth. www.alice.eth./A:1", 1},
		{"www.alice.eth.", dns.TypeMX, "exists in alice.eth.", 1},
		{"anything.alice.eth.", dns.TypeA, "exists in alice.eth. *.alice.eth./A:1", 1},
		{"shop.alice.eth.", dns.TypeA, "exists in alice.eth. shop.alice.eth./CNAME:1", 1},
		{"www.old.alice.eth.", dns.TypeA, "exists in alice.eth. old.alice.eth./DNAME:1", 1},
		{"_https._tcp.alice.eth.", dns.TypeSRV, "exists in alice.eth. _https._tcp.alice.eth./SRV:1", 1},
		{"bob.eth.", dns.TypeA, "exists in bob.eth. " + bob, 1},
		{"_dnslink.bob.eth.", dns.TypeTXT, "exists in bob.eth. " + bob, 1},
		{"www.bob.eth.", dns.TypeA, "nothing in bob.eth.", 1},
		{"carol.eth.", dns.TypeAAAA, `exists in carol.eth. AAAA=["2001:db8::30"](60)`, 1},
		{"carol.eth.", dns.TypeMX, `exists in carol.eth. MX=["10 mail.carol.eth."](120)`, 1},
		{"dave.eth.", dns.TypeNS, "exists in dave.eth. dave.eth./NS:2", 1},
		{"dave.eth.", dns.TypeDS, "exists in dave.eth. dave.eth./DS:1", 1},
		{"xn--158h.eth.", dns.TypeA, "exists in xn--158h.eth. xn--158h.eth./A:1", 1},
		{"empty.eth.", dns.TypeA, "exists in empty.eth.", 1},
		{"bare.eth.", dns.TypeA, "exists in eth.", 1},
		{"person.eth.", dns.TypeA, "exists in person.eth.", 1},
		{"nobody.eth.", dns.TypeA, "nothing in eth.", 1},
		{"www.nobody.eth.", dns.TypeA, "nothing in eth.", 1},
		{"eth.", dns.TypeSOA, "exists in eth.", 1},
		{"offchain.eth.", dns.TypeMX, "exists in offchain.eth.", 2},
		{"offchain.eth.", dns.TypeA, "exists in offchain.eth. offchain.eth./A:1", 2},
		{"anna.offchain.eth.", dns.TypeA, "exists in offchain.eth. anna.offchain.eth./A:1 " + bob, 2},
		{"anna.offchain.eth.", dns.TypeAAAA, "exists in offchain.eth. " + bob, 2},
		{"_dnslink.anna.offchain.eth.", dns.TypeTXT, "exists in offchain.eth. " + bob, 2},
		{"hello.wild.eth.", dns.TypeMX, "exists in wild.eth.", 1},
	}
	for _, tt := range tests {
		node.calls.Store(0)
		u, err := universal.Lookup(t.Context(), tt.name, tt.kind)
		if err != nil || describe(u) != tt.want {
			t.Errorf("%s %s: got  %s, %v\nwant %s", tt.name, typeName(tt.kind), describe(u), err, tt.want)
		}
		if n := node.calls.Load(); n != tt.calls {
			t.Errorf("%s %s: %d calls, want %d", tt.name, typeName(tt.kind), n, tt.calls)
		}
		r, err := direct.Lookup(t.Context(), tt.name, tt.kind)
		if err != nil || !reflect.DeepEqual(r, u) {
			t.Errorf("%s %s: registry says %+v, %v\nthe UniversalResolver %+v", tt.name, typeName(tt.kind), r, err, u)
		}
	}
	// A gateway that cannot be reached is not the absence of a name, nor of a record.
	lost := ccip.New(node, ccip.Config{})
	for _, name := range []string{"offchain.eth.", "anna.offchain.eth.", "nobody.offchain.eth.", "_dnslink.anna.offchain.eth."} {
		for _, deployment := range []Deployment{universal.Deployment(), direct.Deployment()} {
			if r, err := New(lost, deployment).Lookup(t.Context(), name, dns.TypeA); !errors.Is(err, chain.ErrGateway) {
				t.Errorf("%s without a gateway: got %s, %v", name, describe(r), err)
			}
		}
	}
	// Resolvers that mean harm: an error, and bytes that are no records of the name for package onchain to
	// refuse; never an answer that a client would see.
	for _, name := range demo.Hostile() {
		for _, system := range []*System{universal, direct} {
			r, err := system.LookupCuts(t.Context(), name+".", dns.TypeA)
			switch {
			case name == "foreign.eth":
				if want := "exists in foreign.eth. foreign.eth./A:1 foreign.eth./CNAME:1"; err != nil || describe(r) != want {
					t.Errorf("%s: got %s, %v, want %s", name, describe(r), err, want)
				}
			case err == nil:
				t.Errorf("%s: got %s", name, describe(r))
			case !errors.Is(err, names.ErrMalformed) && !errors.Is(err, chain.ErrGateway) && !errors.Is(err, chain.ErrLimit):
				t.Errorf("%s: error is %v", name, err)
			}
		}
	}
}
