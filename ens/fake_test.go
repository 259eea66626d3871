package ens

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"dens/chain"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/miekg/dns"
)

// The fake chain runs an ENS in memory at the level of the ABI. Its encoding is go-ethereum's and its
// rules are those of the contracts, written down again from ENSIP-10 and ENSIP-23.

var (
	fakeRegistry  = common.HexToAddress("0x1000000000000000000000000000000000000001")
	fakeUniversal = common.HexToAddress("0x2000000000000000000000000000000000000002")
	fakeHead      = chain.Head{Number: 77, Hash: common.HexToHash("0x77"), Time: time.Unix(1_700_000_000, 0)}
)

const fakeABI = `[
{"type":"function","name":"owner","inputs":[{"name":"n","type":"bytes32"}],"outputs":[{"name":"","type":"address"}]},
{"type":"function","name":"resolver","inputs":[{"name":"n","type":"bytes32"}],"outputs":[{"name":"","type":"address"}]},
{"type":"function","name":"supportsInterface","inputs":[{"name":"i","type":"bytes4"}],"outputs":[{"name":"","type":"bool"}]},
{"type":"function","name":"dnsRecord","inputs":[{"name":"n","type":"bytes32"},{"name":"o","type":"bytes32"},{"name":"t","type":"uint16"}],"outputs":[{"name":"","type":"bytes"}]},
{"type":"function","name":"hasDNSRecords","inputs":[{"name":"n","type":"bytes32"},{"name":"o","type":"bytes32"}],"outputs":[{"name":"","type":"bool"}]},
{"type":"function","name":"contenthash","inputs":[{"name":"n","type":"bytes32"}],"outputs":[{"name":"","type":"bytes"}]},
{"type":"function","name":"text","inputs":[{"name":"n","type":"bytes32"},{"name":"k","type":"string"}],"outputs":[{"name":"","type":"string"}]},
{"type":"function","name":"addr","inputs":[{"name":"n","type":"bytes32"}],"outputs":[{"name":"","type":"address"}]},
{"type":"function","name":"addr","inputs":[{"name":"n","type":"bytes32"},{"name":"c","type":"uint256"}],"outputs":[{"name":"","type":"bytes"}]},
{"type":"function","name":"findResolver","inputs":[{"name":"n","type":"bytes"}],"outputs":[{"name":"","type":"address"},{"name":"","type":"bytes32"},{"name":"","type":"uint256"}]},
{"type":"function","name":"resolve","inputs":[{"name":"n","type":"bytes"},{"name":"d","type":"bytes"}],"outputs":[{"name":"","type":"bytes"},{"name":"","type":"address"}]},
{"type":"function","name":"multicall","inputs":[{"name":"d","type":"bytes[]"}],"outputs":[{"name":"","type":"bytes[]"}]},
{"type":"error","name":"ResolverNotFound","inputs":[{"name":"n","type":"bytes"}]},
{"type":"error","name":"ResolverNotContract","inputs":[{"name":"n","type":"bytes"},{"name":"r","type":"address"}]},
{"type":"error","name":"ResolverError","inputs":[{"name":"e","type":"bytes"}]},
{"type":"error","name":"UnsupportedResolverProfile","inputs":[{"name":"s","type":"bytes4"}]},
{"type":"error","name":"HttpError","inputs":[{"name":"s","type":"uint16"},{"name":"m","type":"string"}]},
{"type":"error","name":"OffchainLookup","inputs":[{"name":"s","type":"address"},{"name":"u","type":"string[]"},{"name":"d","type":"bytes"},{"name":"f","type":"bytes4"},{"name":"e","type":"bytes"}]},
{"type":"error","name":"Error","inputs":[{"name":"m","type":"string"}]}
]`

var wired = func() abi.ABI {
	parsed, err := abi.JSON(strings.NewReader(fakeABI))
	if err != nil {
		panic(err)
	}
	return parsed
}()

// reply is what a contract returns.
type reply struct {
	data     []byte
	reverted bool
	err      error
	gateways []string
}

func returns(method string, values ...any) reply {
	data, err := wired.Methods[method].Outputs.Pack(values...)
	if err != nil {
		panic(err)
	}
	return reply{data: data}
}

func reverts(name string, values ...any) reply {
	e := wired.Errors[name]
	data, err := e.Inputs.Pack(values...)
	if err != nil {
		panic(err)
	}
	return reply{data: append(e.ID[:4:4], data...), reverted: true}
}

// world is the fake chain, and the chain.Caller that reads it.
type world struct {
	t         testing.TB
	owners    map[common.Hash]common.Address
	resolvers map[common.Hash]common.Address
	code      map[common.Address]*contract
	override  func(msg chain.Msg) *reply // looked at first
	fail      error
	trust     chain.Trust

	mu    sync.Mutex
	calls []chain.Call
}

func newWorld(t testing.TB) *world {
	return &world{
		t: t, trust: chain.Quorum,
		owners:    make(map[common.Hash]common.Address),
		resolvers: make(map[common.Hash]common.Address),
		code:      make(map[common.Address]*contract),
	}
}

// contract is a resolver.
type contract struct {
	addr     common.Address
	values   map[string][]byte // return data by call data
	supports map[string]bool   // methods it has; nil is all
	extended bool
	says     func(name string, call []byte) reply // of an extended resolver
	all      func(call []byte) *reply             // for misbehaviour
	gateways []string
	lost     string // a method whose look-ups fail on the way: in a batch that is an Error(string)
}

func (w *world) newContract() *contract {
	c := &contract{
		addr:   common.BigToAddress(big.NewInt(int64(0x3000 + len(w.code)))),
		values: make(map[string][]byte),
	}
	w.code[c.addr] = c
	return c
}

// wildcard returns an extended resolver that takes what it says from plain records of the names.
func (w *world) newWildcard() *contract {
	c := w.newContract()
	c.extended = true
	c.says = func(_ string, call []byte) reply { return c.plain(call) }
	return c
}

func testNode(name string) common.Hash {
	name = strings.TrimSuffix(name, ".")
	var node common.Hash
	if name == "" {
		return node
	}
	label, rest, _ := strings.Cut(name, ".")
	parent := testNode(rest)
	return crypto.Keccak256Hash(parent[:], crypto.Keccak256([]byte(label)))
}

func testOwner(name string) common.Hash {
	buf := make([]byte, 255)
	n, err := dns.PackDomainName(dns.Fqdn(name), buf, 0, nil, false)
	if err != nil {
		panic(err)
	}
	return crypto.Keccak256Hash(buf[:n])
}

// register gives a name an owner and, where r is not nil, a resolver.
func (w *world) register(name string, r *contract) {
	w.owners[testNode(name)] = common.HexToAddress("0xbeef")
	if r != nil {
		w.resolvers[testNode(name)] = r.addr
	}
}

func packCall(method string, args ...any) string {
	data, err := wired.Pack(method, args...)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func (c *contract) set(value reply, method string, args ...any) {
	c.values[packCall(method, args...)] = value.data
}

// zone stores RRsets by EIP-1185 in the zone of apex.
func (c *contract) zone(apex string, records ...string) {
	sets := make(map[string][]byte)
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			panic(err)
		}
		buf := make([]byte, 1024)
		n, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			panic(err)
		}
		k := packCall("dnsRecord", testNode(apex), testOwner(rr.Header().Name), rr.Header().Rrtype)
		sets[k] = append(sets[k], buf[:n]...)
		c.set(returns("hasDNSRecords", true), "hasDNSRecords", testNode(apex), testOwner(rr.Header().Name))
	}
	for k, wire := range sets {
		c.values[k] = returns("dnsRecord", wire).data
	}
}

func (c *contract) text(name, k, v string) {
	c.set(returns("text", v), "text", testNode(name), k)
}

func (c *contract) contenthash(name string, hash []byte) {
	c.set(returns("contenthash", hash), "contenthash", testNode(name))
}

func (c *contract) addr60(name, addr string) {
	c.set(returns("addr", common.HexToAddress(addr)), "addr", testNode(name))
}

func (c *contract) coin(name string, kind uint64, addr []byte) {
	c.set(returns("addr0", addr), "addr0", testNode(name), new(big.Int).SetUint64(kind))
}

// call runs the contract.
func (c *contract) call(data []byte) reply {
	if c.all != nil {
		if r := c.all(data); r != nil {
			return *r
		}
	}
	m, err := wired.MethodById(data)
	if err != nil {
		return reply{reverted: true}
	}
	switch m.Name {
	case "supportsInterface":
		id := [4]byte(data[4:8])
		return returns("supportsInterface", c.extended && id == [4]byte{0x90, 0x61, 0xb9, 0x23} || id == [4]byte{1, 0xff, 0xc9, 0xa7})
	case "resolve":
		if !c.extended {
			return reply{reverted: true}
		}
		args, err := m.Inputs.Unpack(data[4:])
		if err != nil {
			return reply{reverted: true}
		}
		if c.lost != "" && isMethod(args[1].([]byte), c.lost) {
			return reply{err: errLost}
		}
		r := c.says(presentation(args[0].([]byte)), args[1].([]byte))
		if !r.reverted && r.err == nil {
			r.data, _ = abi.Arguments{{Type: wired.Methods["contenthash"].Outputs[0].Type}}.Pack(r.data)
		}
		r.gateways = c.gateways
		return r
	}
	return c.plain(data)
}

// forged makes a gateway answer for an extended resolver, whose callback refuses what it says of one method.
func (c *contract) forged(method string, refusal reply) {
	c.gateways = []string{"gateway.example"}
	c.says = func(_ string, call []byte) reply {
		if isMethod(call, method) {
			return refusal
		}
		return c.plain(call)
	}
}

// plain answers from the records, and with the empty value of the type where there is none.
func (c *contract) plain(data []byte) reply {
	m, err := wired.MethodById(data)
	if err != nil || c.supports != nil && !c.supports[m.Name] {
		return reply{reverted: true}
	}
	if v, ok := c.values[string(data)]; ok {
		return reply{data: v}
	}
	switch m.Name {
	case "dnsRecord", "contenthash", "addr0":
		return returns(m.Name, []byte{})
	case "hasDNSRecords":
		return returns(m.Name, false)
	case "text":
		return returns(m.Name, "")
	case "addr":
		return returns(m.Name, common.Address{})
	}
	return reply{reverted: true}
}

func presentation(wire []byte) string {
	var labels []string
	for len(wire) > 1 {
		n := int(wire[0])
		labels = append(labels, string(wire[1:1+n]))
		wire = wire[1+n:]
	}
	return strings.Join(labels, ".")
}

// Call implements chain.Caller.
func (w *world) Call(_ context.Context, c chain.Call) (chain.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
	if w.fail != nil {
		return chain.Result{}, w.fail
	}
	if len(c.Msgs) == 0 || len(c.Msgs) > chain.MaxMsgs {
		w.t.Errorf("%d messages in one Call", len(c.Msgs))
	}
	if len(w.calls) > 1 && c.At != nil && *c.At != fakeHead {
		w.t.Errorf("Call is pinned to %v", *c.At)
	}
	r := chain.Result{Head: fakeHead, Trust: w.trust, Backends: []string{"one", "two"}}
	for _, msg := range c.Msgs {
		out := w.run(msg)
		if out.err != nil {
			r.Outputs = append(r.Outputs, chain.Output{Err: out.err})
			continue
		}
		r.Outputs = append(r.Outputs, chain.Output{Data: out.data, Reverted: out.reverted, Gateways: out.gateways})
	}
	return r, nil
}

func (w *world) run(msg chain.Msg) reply {
	if w.override != nil {
		if r := w.override(msg); r != nil {
			return *r
		}
	}
	switch msg.To {
	case fakeRegistry:
		node := common.Hash(msg.Data[4:36])
		if bytes.HasPrefix(msg.Data, wired.Methods["owner"].ID) {
			return returns("owner", w.owners[node])
		}
		return returns("resolver", w.resolvers[node])
	case fakeUniversal:
		return w.universal(msg.Data)
	}
	if c := w.code[msg.To]; c != nil {
		r := c.call(msg.Data)
		if r.err == errLost {
			r.err = chain.ErrGateway
		}
		return r
	}
	return reply{} // no code there: a call succeeds with nothing
}

func (w *world) find(wire []byte) (common.Address, int) {
	for at := 0; wire[at] != 0; at += int(wire[at]) + 1 {
		if r := w.resolvers[testNode(presentation(wire[at:]))]; r != (common.Address{}) {
			return r, at
		}
	}
	return common.Address{}, 0
}

// universal is the UniversalResolver of ENSIP-23.
func (w *world) universal(data []byte) reply {
	m, err := wired.MethodById(data)
	if err != nil {
		return reply{reverted: true}
	}
	args, err := m.Inputs.Unpack(data[4:])
	if err != nil {
		return reply{reverted: true}
	}
	wire := args[0].([]byte)
	resolver, offset := w.find(wire)
	if m.Name == "findResolver" {
		return returns("findResolver", resolver, testNode(presentation(wire)), big.NewInt(int64(offset)))
	}
	c := w.code[resolver]
	switch {
	case resolver == common.Address{}, offset != 0 && (c == nil || !c.extended):
		return reverts("ResolverNotFound", wire)
	case c == nil:
		return reverts("ResolverNotContract", wire, resolver)
	}
	inner, err := wired.Methods["multicall"].Inputs.Unpack(args[1].([]byte)[4:])
	if err != nil {
		return reply{reverted: true}
	}
	var results [][]byte
	var gateways []string
	for _, call := range inner[0].([][]byte) {
		r := w.item(c, wire, call)
		if r.err == errLost {
			r = reverts("Error", "gateway: no route")
		}
		if r.err != nil {
			return r
		}
		results = append(results, r.data)
		gateways = union(gateways, r.gateways)
	}
	packed := returns("multicall", results).data
	r := returns("resolve", packed, resolver)
	r.gateways = gateways
	return r
}

func (w *world) item(c *contract, wire, call []byte) reply {
	if !c.extended {
		return c.call(call)
	}
	r := c.call([]byte(packCall("resolve", wire, call)))
	if !r.reverted && r.err == nil {
		values, err := wired.Methods["contenthash"].Outputs.Unpack(r.data)
		if err != nil {
			return reply{reverted: true, gateways: r.gateways}
		}
		r.data = values[0].([]byte)
	}
	return r
}

func (w *world) reset() []chain.Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	return calls
}

// systems returns the two ways to look at one world.
func (w *world) systems() map[string]*System {
	d := Deployment{Chain: "testnet", ChainID: 1, Zone: "eth.", Registry: fakeRegistry}
	u := d
	u.UniversalResolver = fakeUniversal
	return map[string]*System{"universal": New(w, u), "registry": New(w, d)}
}

var (
	errFake = errors.New("fake failure")
	errLost = errors.New("gateway: no route")
)
