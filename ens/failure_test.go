package ens

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"strings"
	"testing"

	"dens/chain"
	"dens/names"

	"github.com/ethereum/go-ethereum/common"
	"github.com/miekg/dns"
)

func isMethod(call []byte, method string) bool {
	return bytes.HasPrefix(call, wired.Methods[method].ID)
}

// on answers one method of a contract in its own way.
func on(method string, r reply) func([]byte) *reply {
	return func(call []byte) *reply {
		if isMethod(call, method) {
			return &r
		}
		return nil
	}
}

func bytesOf(n int) []byte { return bytes.Repeat([]byte{1}, n) }

// TestFailures puts one fault into a world and wants it to come out as an error, or as nothing at all
// where it does not matter; never as the absence of a name. It holds for both ways alike.
func TestFailures(t *testing.T) {
	httpError := reverts("HttpError", uint16(502), "bad gateway")
	lookup := reverts("OffchainLookup", common.Address{}, []string{"https://gateway.example"}, []byte{1}, [4]byte{}, []byte{})
	refused := reverts("Error", "signature")
	garbage := reply{data: bytes.Repeat([]byte{0xff}, 96)}
	tests := []struct {
		what  string
		name  string
		kind  uint16
		spoil func(w *world, alice, wild *contract)
		err   error
		want  string
	}{
		{"no backend", "alice.eth.", dns.TypeA, func(w *world, _, _ *contract) { w.fail = chain.ErrUnavailable }, chain.ErrUnavailable, ""},
		{"gateway error", "x.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) { c.says = func(string, []byte) reply { return httpError } }, chain.ErrGateway, ""},
		{"gateway error within an error", "x.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) {
			c.says = func(string, []byte) reply { return reverts("ResolverError", httpError.data) }
		}, chain.ErrGateway, ""},
		{"look-up that nobody followed", "x.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) { c.says = func(string, []byte) reply { return lookup } }, chain.ErrGateway, ""},
		{"gateway's data refused", "x.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) {
			c.gateways = []string{"gateway.example"}
			c.says = func(string, []byte) reply { return refused }
		}, chain.ErrGateway, ""},
		{"gateway's data refused at the apex", "wild.eth.", dns.TypeA, func(_ *world, _, c *contract) {
			c.gateways = []string{"gateway.example"}
			c.says = func(string, []byte) reply { return refused }
		}, chain.ErrGateway, ""},
		{"refused without a gateway", "x.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) { c.says = func(string, []byte) reply { return refused } }, nil, "nothing in wild.eth."},
		{"refused at the apex without a gateway", "wild.eth.", dns.TypeA, func(_ *world, _, c *contract) { c.says = func(string, []byte) reply { return refused } }, nil, "exists in wild.eth."},
		{"gateway fails for the content hash", "sub.wild.eth.", dns.TypeAAAA, func(_ *world, _, c *contract) {
			c.says = func(_ string, call []byte) reply {
				if isMethod(call, "contenthash") {
					return httpError
				}
				return c.plain(call)
			}
		}, chain.ErrGateway, ""},
		{"gateway fails for the content hash, which does not matter", "sub.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) {
			c.says = func(_ string, call []byte) reply {
				if isMethod(call, "contenthash") || isMethod(call, "text") {
					return httpError
				}
				return c.plain(call)
			}
		}, nil, "exists in wild.eth. sub.wild.eth./A:1"},
		{"gateway fails for the zone", "sub.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) {
			c.says = func(_ string, call []byte) reply {
				if isMethod(call, "dnsRecord") {
					return httpError
				}
				return c.plain(call)
			}
		}, chain.ErrGateway, ""},
		{"gateway whose data the contract refuses for one record", "sub.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) { c.forged("dnsRecord", refused) }, chain.ErrGateway, ""},
		{"gateway whose data the contract refuses with an error of its own", "sub.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) {
			c.forged("dnsRecord", reply{reverted: true, data: []byte{1, 2, 3, 4}})
		}, chain.ErrGateway, ""},
		{"gateway whose data the contract refuses for the content hash", "wild.eth.", dns.TypeAAAA, func(_ *world, _, c *contract) { c.forged("contenthash", refused) }, chain.ErrGateway, ""},
		{"gateway that is lost for one record", "sub.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) { c.lost = "dnsRecord" }, chain.ErrGateway, ""},
		{"gateway that is lost for a record that does not matter", "sub.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) { c.lost = "text" }, nil,
			"exists in wild.eth. sub.wild.eth./A:1 " + ipfsPath},
		{"gateway that is lost for one record at the apex", "wild.eth.", dns.TypeAAAA, func(_ *world, _, c *contract) { c.lost = "contenthash" }, chain.ErrGateway, ""},
		{"gateway that is lost for a DNSLink", "_dnslink.sub.wild.eth.", dns.TypeTXT, func(_ *world, _, c *contract) { c.lost = "contenthash" }, chain.ErrGateway, ""},
		{"output that could not be had", "www.alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) { c.all = on("dnsRecord", reply{err: chain.ErrLimit}) }, chain.ErrLimit, ""},
		{"RRset is garbage", "www.alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) { c.all = on("dnsRecord", garbage) }, names.ErrMalformed, ""},
		{"RRset of 64 KiB", "www.alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) {
			c.all = on("dnsRecord", returns("dnsRecord", bytesOf(maxRRset)))
		}, nil, "exists in alice.eth. www.alice.eth./A:-1 www.alice.eth./CNAME:-1 alice.eth./DNAME:-1"},
		{"RRset over 64 KiB", "www.alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) {
			c.all = on("dnsRecord", returns("dnsRecord", bytesOf(maxRRset+1)))
		}, names.ErrMalformed, ""},
		{"registrar at the zone's own node", "eth.", dns.TypeSOA, func(w *world, _, _ *contract) {
			c := w.newContract()
			c.all = func([]byte) *reply { return &reply{reverted: true} }
			w.register("eth", c)
		}, nil, "exists in eth."},
		{"garbage at the zone's own node, for a name below", "bare.eth.", dns.TypeA, func(w *world, _, _ *contract) {
			c := w.newContract()
			c.all = func([]byte) *reply { return &garbage }
			w.register("eth", c)
		}, nil, "exists in eth."},
		{"wildcard resolver at the zone's own node", "bare.eth.", dns.TypeA, func(w *world, _, _ *contract) {
			c := w.newWildcard()
			c.contenthash("bare.eth", ipfsHash)
			w.register("eth", c)
		}, nil, "exists in eth. " + ipfsPath},
		{"bool is 2", "none.alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) {
			c.all = on("hasDNSRecords", reply{data: common.BigToHash(big.NewInt(2)).Bytes()})
		}, names.ErrMalformed, ""},
		{"bool is 2, which does not matter", "alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) {
			c.all = on("hasDNSRecords", reply{data: common.BigToHash(big.NewInt(2)).Bytes()})
		}, nil, "exists in alice.eth. alice.eth./A:2 " + ipfsPath},
		{"text over 16 KiB", "alice.eth.", dns.TypeMX, func(_ *world, c, _ *contract) {
			c.all = on("text", returns("text", strings.Repeat("x", maxText+1)))
		}, names.ErrMalformed, ""},
		{"content hash over 256 bytes", "alice.eth.", dns.TypeAAAA, func(_ *world, c, _ *contract) {
			c.all = on("contenthash", returns("contenthash", bytesOf(maxContentHash+1)))
		}, names.ErrMalformed, ""},
		{"content hash of no known kind", "alice.eth.", dns.TypeAAAA, func(_ *world, c, _ *contract) {
			c.all = on("contenthash", returns("contenthash", []byte{1, 2, 3}))
		}, nil, "exists in alice.eth. "},
		{"content hash of a DNSLink name is garbage", "_dnslink.alice.eth.", dns.TypeTXT, func(_ *world, c, _ *contract) { c.all = on("contenthash", garbage) }, names.ErrMalformed, ""},
		{"address is garbage", "alice.eth.", typeWallet, func(_ *world, c, _ *contract) { c.all = on("addr", garbage) }, names.ErrMalformed, ""},
		{"address of 1 MB", "www.alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) { c.all = on("addr", reply{data: make([]byte, 1<<20)}) }, names.ErrMalformed, ""},
		{"all of the wrong length", "alice.eth.", typeWallet, func(_ *world, c, _ *contract) { c.all = on("addr0", reply{data: bytesOf(35)}) }, names.ErrMalformed, ""},
		{"coin address is garbage", "alice.eth.", typeWallet, func(_ *world, c, _ *contract) { c.all = on("addr0", garbage) }, names.ErrMalformed, ""},
		{"coin address over 128 bytes", "alice.eth.", typeWallet, func(_ *world, c, _ *contract) {
			c.all = on("addr0", returns("addr0", bytesOf(maxAddress+1)))
		}, names.ErrMalformed, ""},
		{"extended resolver that returns no bytes", "wild.eth.", dns.TypeA, func(_ *world, _, c *contract) {
			c.says = func(string, []byte) reply { return reply{} }
		}, names.ErrMalformed, ""},
		{"resolver that reverts with nothing on all", "alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) {
			c.all = func([]byte) *reply { return &reply{reverted: true} }
		}, names.ErrMalformed, ""},
		{"resolver that reverts with nothing on all, for a name below", "www.alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) {
			c.all = func([]byte) *reply { return &reply{reverted: true} }
		}, names.ErrMalformed, ""},
		{"resolver that reverts with no error on all", "alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) {
			c.all = func([]byte) *reply { return &reply{reverted: true, data: bytesOf(29)} }
		}, names.ErrMalformed, ""},
		{"wildcard resolver that reverts with nothing", "x.wild.eth.", dns.TypeA, func(_ *world, _, c *contract) {
			c.says = func(name string, call []byte) reply {
				if name == "wild.eth" {
					return c.plain(call)
				}
				return reply{reverted: true}
			}
		}, nil, "nothing in wild.eth."},
		{"registry is no contract", "bare.eth.", dns.TypeA, func(w *world, _, _ *contract) {
			w.override = func(m chain.Msg) *reply {
				if m.To == fakeRegistry {
					return &reply{}
				}
				return nil
			}
		}, names.ErrMalformed, ""},
		{"registry reverts", "bare.eth.", dns.TypeA, func(w *world, _, _ *contract) {
			w.override = func(m chain.Msg) *reply {
				if m.To == fakeRegistry {
					return &refused
				}
				return nil
			}
		}, names.ErrMalformed, ""},
		{"owner could not be had", "bare.eth.", dns.TypeA, func(w *world, _, _ *contract) {
			w.override = func(m chain.Msg) *reply {
				if m.To == fakeRegistry && isMethod(m.Data, "owner") {
					return &reply{err: chain.ErrLimit}
				}
				return nil
			}
		}, chain.ErrLimit, ""},
		{"owner could not be had, which does not matter", "www.alice.eth.", dns.TypeA, func(w *world, _, _ *contract) {
			w.override = func(m chain.Msg) *reply {
				if m.To == fakeRegistry && isMethod(m.Data, "owner") {
					return &reply{err: chain.ErrLimit}
				}
				return nil
			}
		}, nil, "exists in alice.eth. www.alice.eth./A:1"},
		{"contract that says yes to every interface", "alice.eth.", dns.TypeA, func(_ *world, c, _ *contract) {
			c.all = on("supportsInterface", returns("supportsInterface", true))
		}, nil, "exists in alice.eth. alice.eth./A:2 " + ipfsPath},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			w := sample(t)
			tt.spoil(w, w.code[w.resolvers[testNode("alice.eth")]], w.code[w.resolvers[testNode("wild.eth")]])
			for how, system := range w.systems() {
				r, err := system.Lookup(context.Background(), tt.name, tt.kind)
				if !errors.Is(err, tt.err) || err != nil && tt.err == nil {
					t.Errorf("%s: error is %v, want %v", how, err, tt.err)
				} else if err == nil && describe(r) != tt.want {
					t.Errorf("%s: got %s, want %s", how, describe(r), tt.want)
				}
			}
		})
	}
}

// TestUniversalResolverFaults has what only a UniversalResolver can do wrong.
func TestUniversalResolverFaults(t *testing.T) {
	alice := common.HexToAddress("0x3000")
	find := func(offset uint64) *reply {
		r := returns("findResolver", alice, common.Hash{}, new(big.Int).SetUint64(offset))
		return &r
	}
	resolve := func(r reply) func(string) *reply {
		return func(method string) *reply {
			if method == "resolve" {
				return &r
			}
			return nil
		}
	}
	multicall := returns("multicall", [][]byte{{}, {}}).data
	tests := []struct {
		what  string
		reply func(method string) *reply
		err   error
		want  string
	}{
		{"no contract", func(string) *reply { return &reply{} }, names.ErrMalformed, ""},
		{"reverts on all", func(string) *reply { return &reply{reverted: true} }, names.ErrMalformed, ""},
		{"could not be had", func(string) *reply { return &reply{err: chain.ErrGateway} }, chain.ErrGateway, ""},
		{"offset within a label", func(m string) *reply {
			if m == "findResolver" {
				return find(3)
			}
			return nil
		}, names.ErrMalformed, ""},
		{"offset behind the name", func(m string) *reply {
			if m == "findResolver" {
				return find(1 << 60)
			}
			return nil
		}, names.ErrMalformed, ""},
		{"answers with nothing", resolve(reply{}), names.ErrMalformed, ""},
		{"answers with too few results", resolve(returns("resolve", multicall, alice)), names.ErrMalformed, ""},
		{"answers with no results", resolve(returns("resolve", []byte{}, alice)), names.ErrMalformed, ""},
		{"could not be had for resolve", resolve(reply{err: chain.ErrGateway}), chain.ErrGateway, ""},
		{"gateway error", resolve(reverts("HttpError", uint16(500), "x")), chain.ErrGateway, ""},
		{"gateway's data refused", resolve(reply{reverted: true, gateways: []string{"gateway.example"}}), chain.ErrGateway, ""},
		{"profile is missing", resolve(reverts("UnsupportedResolverProfile", [4]byte{1})), nil, "exists in www.alice.eth."},
		{"resolver reverts", resolve(reverts("ResolverError", []byte{1, 2, 3, 4})), nil, "exists in www.alice.eth."},
		{"resolver reverts with nothing", resolve(reverts("ResolverError", []byte{})), nil, "exists in www.alice.eth."},
		{"error of itself", resolve(reverts("ResolverError", reverts("ResolverError", []byte{1}).data)), nil, "exists in www.alice.eth."},
		{"gateway failure of an older one", resolve(reverts("Error", "no route")), nil, "exists in www.alice.eth."},
		{"error of an older one", resolve(reply{data: []byte{0x82, 0xc2, 0xc7, 0x28}, reverted: true}), nil, "exists in www.alice.eth."},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			w := newWorld(t)
			w.newContract()
			w.register("alice.eth", nil)
			w.resolvers[testNode("www.alice.eth")] = alice
			w.override = func(m chain.Msg) *reply {
				if m.To != fakeUniversal {
					return nil
				}
				method, err := wired.MethodById(m.Data)
				if err != nil {
					t.Fatal(err)
				}
				return tt.reply(method.Name)
			}
			r, err := w.systems()["universal"].Lookup(context.Background(), "www.alice.eth.", dns.TypeA)
			if !errors.Is(err, tt.err) || err != nil && tt.err == nil {
				t.Errorf("error is %v, want %v", err, tt.err)
			} else if err == nil && describe(r) != tt.want {
				t.Errorf("got %s, want %s", describe(r), tt.want)
			}
		})
	}
}

// TestDoubtAboutAnotherApex: a DNSLink name that has a resolver of its own stands for its parent all the
// same, whose gateway is lost.
func TestDoubtAboutAnotherApex(t *testing.T) {
	w := sample(t)
	w.register("_dnslink.sub.wild.eth", w.code[w.resolvers[testNode("alice.eth")]])
	w.code[w.resolvers[testNode("wild.eth")]].lost = "contenthash"
	parent := []byte("\x03sub\x04wild\x03eth\x00")
	w.override = func(m chain.Msg) *reply {
		if m.To == fakeUniversal && isMethod(m.Data, "resolve") {
			args, err := wired.Methods["resolve"].Inputs.Unpack(m.Data[4:])
			if err == nil && bytes.Equal(args[0].([]byte), parent) {
				r := reverts("ResolverError", reverts("Error", "no route").data)
				return &r
			}
		}
		return nil
	}
	for how, system := range w.systems() {
		r, err := system.Lookup(context.Background(), "_dnslink.sub.wild.eth.", dns.TypeTXT)
		if !errors.Is(err, chain.ErrGateway) {
			t.Errorf("%s: got %s, %v", how, describe(r), err)
		}
	}
}

// TestErrorsOfOtherApexes: what goes wrong under an ancestor that is not the zone's apex is no matter.
func TestErrorsOfOtherApexes(t *testing.T) {
	w := sample(t)
	alice := []byte("\x05alice\x03eth\x00")
	w.override = func(m chain.Msg) *reply {
		if m.To == fakeUniversal && isMethod(m.Data, "resolve") {
			args, err := wired.Methods["resolve"].Inputs.Unpack(m.Data[4:])
			if err == nil && bytes.Equal(args[0].([]byte), alice) {
				return &reply{err: errFake}
			}
		}
		return nil
	}
	system := w.systems()["universal"]
	r, err := system.Lookup(context.Background(), "own.alice.eth.", dns.TypeA)
	if err != nil || describe(r) != "exists in own.alice.eth. own.alice.eth./A:1" {
		t.Errorf("got %s, %v", describe(r), err)
	}
	if _, err := system.Lookup(context.Background(), "www.alice.eth.", dns.TypeA); !errors.Is(err, errFake) {
		t.Errorf("error is %v", err)
	}
}

// short is a Caller that loses outputs.
type short struct{ *world }

func (s short) Call(ctx context.Context, c chain.Call) (chain.Result, error) {
	r, err := s.world.Call(ctx, c)
	r.Outputs = r.Outputs[:len(r.Outputs)-1]
	return r, err
}

func TestMissingOutputs(t *testing.T) {
	w := sample(t)
	for _, d := range w.systems() {
		_, err := New(short{w}, d.Deployment()).Lookup(context.Background(), "alice.eth.", dns.TypeA)
		if !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("error is %v", err)
		}
	}
}

// TestGateways: a name whose resolver is off the chain. After the first look-up its parent is known to
// answer for it, and no zone data is asked of the gateway in vain; when that changes, the answer does too.
func TestGateways(t *testing.T) {
	w := newWorld(t)
	c := w.newWildcard()
	c.gateways = []string{"gateway.example"}
	c.contenthash("x.base.eth", ipfsHash)
	w.register("base.eth", c)
	for how, system := range w.systems() {
		c.extended = true
		for i, want := range map[string][]int{"universal": {9 + 9, 9}, "registry": {9, 9}}[how] {
			asked := 0
			c.all = func(call []byte) *reply {
				if isMethod(call, "resolve") {
					asked++
				}
				return nil
			}
			r, err := system.Lookup(context.Background(), "x.base.eth.", dns.TypeA)
			if err != nil || describe(r) != "exists in base.eth. "+ipfsPath {
				t.Fatalf("%s: got %s, %v", how, describe(r), err)
			}
			if len(r.Source.Gateways) != 1 || r.Source.Gateways[0] != "gateway.example" {
				t.Errorf("%s: gateways are %q", how, r.Source.Gateways)
			}
			if asked != want {
				t.Errorf("%s: look-up %d asked the gateway for %d items, want %d", how, i, asked, want)
			}
		}
		c.all, c.extended = nil, false
		c.zone("base.eth", "x.base.eth. 60 IN A 192.0.2.1")
		for i, want := range map[string][]int{"universal": {2, 1}, "registry": {2, 2}}[how] {
			w.reset()
			r, err := system.Lookup(context.Background(), "x.base.eth.", dns.TypeA)
			if err != nil || describe(r) != "exists in base.eth. x.base.eth./A:1" || len(r.Source.Gateways) != 0 {
				t.Errorf("%s: got %s, %v, gateways %q", how, describe(r), err, r.Source.Gateways)
			}
			if calls := w.reset(); len(calls) != want {
				t.Errorf("%s: look-up %d made %d calls, want %d", how, i, len(calls), want)
			}
		}
		clear(c.values)
		c.contenthash("x.base.eth", ipfsHash)
	}
}

// weakening is a Caller whose trust falls from call to call.
type weakening struct{ *world }

func (s weakening) Call(ctx context.Context, c chain.Call) (chain.Result, error) {
	r, err := s.world.Call(ctx, c)
	s.world.trust = chain.Single
	return r, err
}

func TestTrustIsThatOfTheWeakestCall(t *testing.T) {
	w := sample(t)
	w.trust = chain.Proven
	d := w.systems()["registry"].Deployment()
	r, err := New(weakening{w}, d).Lookup(context.Background(), "alice.eth.", dns.TypeA)
	if err != nil || r.Source.Trust != chain.Single {
		t.Errorf("trust is %v, %v", r.Source.Trust, err)
	}
}
