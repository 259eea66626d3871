package e2e

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/e2e/bed"
)

func TestMain(m *testing.M) { bed.Main(m) }

const (
	aliceOwner = "0x00000000000000000000000000000000000A11cE"
	ipfsHash   = "e3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f" // of ENSIP-7
	ipfsPath   = "/ipfs/bafybeibj6lixxzqtsb45ysdjnupvqkufgdvzqbnvmhw2kf7cfkesy7r7d4"
)

// populate registers the names that the rows of realRows ask for.
func populate(t testing.TB, e *bed.ENS) {
	public := bed.PublicResolverAddress
	for _, name := range []string{"alice.eth", "bob.eth", "carol.eth", "shop.eth", "bare.eth", "hash.eth", "xn.eth"} {
		e.Register(t, name, public)
	}
	e.Register(t, "owned.eth", common.Address{})
	e.Register(t, "🦊.eth", public)
	e.Register(t, "sub.alice.eth", public) // a zone of its own
	e.SetDNS(t, "sub.alice.eth", "sub.alice.eth. 120 IN A 192.0.2.33")
	e.SetDNS(t, "alice.eth",
		"alice.eth. 300 IN A 192.0.2.10", "alice.eth. 300 IN A 192.0.2.11",
		"alice.eth. 300 IN AAAA 2001:db8::10",
		"alice.eth. 600 IN MX 10 mail.alice.eth.",
		`alice.eth. 60 IN TXT "v=spf1 -all"`,
		"alice.eth. 60 IN CAA 0 issue \"ca.example\"",
		"www.alice.eth. 200 IN A 192.0.2.20",
		"*.alice.eth. 100 IN A 192.0.2.99",
		"_sip._tcp.alice.eth. 90 IN SRV 1 2 5060 www.alice.eth.",
		"alias.alice.eth. 90 IN CNAME www.example.org.",
		"inner.alice.eth. 90 IN CNAME www.alice.eth.",
		"old.alice.eth. 90 IN DNAME example.org.",
		"cut.alice.eth. 90 IN NS ns1.example.org.",
		"cut.alice.eth. 90 IN DS 12345 13 2 e2d3c916f6deeac73294e8268fb5885044a833fc5459588f4a9184cfc41a5766")
	e.Set(t, "alice.eth", "setAddr0", common.HexToAddress(aliceOwner))
	e.Set(t, "bob.eth", "setContenthash", common.FromHex(ipfsHash))
	e.Set(t, "bob.eth", "setAddr0", common.HexToAddress(aliceOwner))
	e.Set(t, "carol.eth", "setText", "dns.A", `["192.0.2.40","192.0.2.41"]`)
	e.Set(t, "carol.eth", "setText", "dns.ttl", "77")
	e.SetDNS(t, "shop.eth", "shop.eth. 50 IN CNAME alice.eth.")
	for label, hash := range contentHashes {
		e.Register(t, label+".eth", public)
		e.Set(t, label+".eth", "setContenthash", common.FromHex(hash.stored))
	}
	e.Register(t, "wild.eth", e.Deploy(t, "WildcardResolver"))
	e.Set(t, "bob.eth", "setAddr", big.NewInt(0), common.FromHex("0014751e76e8199196d454941c45d1b3a323f1433bd6")) // of BIP-173
	e.SetDNS(t, "🦊.eth", "xn--9s9h.eth. 300 IN A 192.0.2.66")
}

// contentHashes are the kinds of ENSIP-7 besides ipfs, by the label that has them, with their text forms.
var contentHashes = map[string]struct{ stored, text string }{
	"ipns": {"e5010172002408011220b5f4e1f0f0f5fb4d1e1c2c2a3f4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f",
		"/ipns/k51qzi5uqu5dkpuo316a46wo5dokeaw1qa4y8d4iqd7e9kkzy9r2j0pzh6lg1b"},
	"swarm": {"e40101fa011b20d1de9994b4d039f6548d191eb26786769f580809256b4685ef316805265ea162",
		"/bzz/d1de9994b4d039f6548d191eb26786769f580809256b4685ef316805265ea162"},
	"arweave": {"90b2ca05cafebabecafebabecafebabecafebabecafebabecafebabecafebabecafebabe",
		"ar://yv66vsr-ur7K_rq-yv66vsr-ur7K_rq-yv66vsr-ur4"},
	"onion": {"bd037035336c663537716f7679757776736336786e72707079706c79337661716d376c3670636f626b6d797173696f6679657a6e667535757164",
		"onion3://p53lf57qovyuwvsc6xnrppyply3vaqm7l6pcobkmyqsiofyeznfu5uqd"},
}

// row is one question and what DNS sees of it (the table "What DNS sees").
type row struct {
	name   string
	rrtype uint16
	rcode  int
	data   []string // record data of the answer section, sorted; nil is NODATA or a negative answer
	soa    string   // owner of the SOA in the authority section of a negative answer
}

var realRows = []row{
	{"alice.eth", dns.TypeA, 0, []string{"192.0.2.10", "192.0.2.11"}, ""},
	{"ALICE.eth", dns.TypeAAAA, 0, []string{"2001:db8::10"}, ""},
	{"alice.eth", dns.TypeMX, 0, []string{"10 mail.alice.eth."}, ""},
	{"alice.eth", dns.TypeCAA, 0, []string{`0 issue "ca.example"`}, ""},
	{"alice.eth", dns.TypeTXT, 0, []string{`"a=` + aliceOwner + `"`, `"v=spf1 -all"`}, ""},
	{"www.alice.eth", dns.TypeA, 0, []string{"192.0.2.20"}, ""},
	{"any.thing.alice.eth", dns.TypeA, 0, []string{"192.0.2.99"}, ""},
	{"www.alice.eth", dns.TypeTXT, 0, nil, "alice.eth."}, // it exists, so no wildcard covers it
	{"sub.alice.eth", dns.TypeA, 0, []string{"192.0.2.33"}, ""},
	{"_sip._tcp.alice.eth", dns.TypeSRV, 0, []string{"1 2 5060 www.alice.eth."}, ""},
	{"alias.alice.eth", dns.TypeA, 0, []string{"192.0.2.80", "www.example.org."}, ""},
	{"inner.alice.eth", dns.TypeA, 0, []string{"192.0.2.20", "www.alice.eth."}, ""},
	{"www.old.alice.eth", dns.TypeA, 0, []string{"192.0.2.80", "example.org.", "www.example.org."}, ""},
	{"shop.eth", dns.TypeMX, 0, []string{"10 mail.alice.eth.", "alice.eth."}, ""},
	{"to-chain.example.org", dns.TypeA, 0, []string{"192.0.2.10", "192.0.2.11", "alice.eth."}, ""},
	{"cut.alice.eth", dns.TypeNS, dns.RcodeServerFailure, nil, ""}, // its server is to be asked, and has no address
	{"cut.alice.eth", dns.TypeDS, 0, []string{"12345 13 2 E2D3C916F6DEEAC73294E8268FB5885044A833FC5459588F4A9184CFC41A5766"}, ""},
	{"bob.eth", dns.TypeA, 0, []string{"192.0.2.200"}, ""},
	{"bob.eth", dns.TypeAAAA, 0, []string{"2001:db8::200"}, ""},
	{"bob.eth", dns.TypeHTTPS, 0, []string{`1 . alpn="h2,http/1.1" ipv4hint="192.0.2.200" ipv6hint="2001:db8::200"`}, ""},
	{"alice.eth", dns.TypeHTTPS, 0, nil, "alice.eth."}, // no content hash, no gateway
	{"_dnslink.bob.eth", dns.TypeTXT, 0, []string{`"dnslink=` + ipfsPath + `"`}, ""},
	{"bob.eth", dns.TypeTXT, 0, []string{`"a=` + aliceOwner + `"`, `"contenthash=0x` + ipfsHash + `"`, `"dnslink=` + ipfsPath + `"`}, ""},
	{"carol.eth", dns.TypeA, 0, []string{"192.0.2.40", "192.0.2.41"}, ""},
	{"xn--9s9h.eth", dns.TypeA, 0, []string{"192.0.2.66"}, ""},
	{"bare.eth", dns.TypeA, 0, nil, "bare.eth."},
	{"owned.eth", dns.TypeA, 0, nil, "eth."},
	{"hello.wild.eth", dns.TypeA, 0, []string{"192.0.2.163"}, ""}, // ENSIP-10
	{"bob.eth", 262, 0, []string{wallet("BTC", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), wallet("ETH", aliceOwner)}, ""},
	{"nobody.eth", dns.TypeA, dns.RcodeNameError, nil, "eth."},
	{"www.nobody.eth", dns.TypeA, dns.RcodeNameError, nil, "eth."},
	{"nothing.bob.eth", dns.TypeA, dns.RcodeNameError, nil, "bob.eth."},
	{"not_normal.eth", dns.TypeA, dns.RcodeNameError, nil, "eth."},
	{"alice.eth.limo", dns.TypeA, 0, []string{"192.0.2.10", "192.0.2.11"}, ""},
	{"eth.limo", dns.TypeA, 0, []string{"192.0.2.88"}, ""}, // the suffix itself is no name of the chain
	{"nobody.eth.limo", dns.TypeA, dns.RcodeNameError, nil, "eth.limo."},
	{"_dnslink.bob.eth.link", dns.TypeTXT, 0, []string{`"dnslink=` + ipfsPath + `"`}, ""},
	{"www.example.org", dns.TypeA, 0, []string{"192.0.2.80"}, ""},
	{"nothing.example.org", dns.TypeA, dns.RcodeNameError, nil, "example.org."},
}

// wallet is the data of a WALLET record (type 262), two character-strings, as a library prints it that does
// not know the type (RFC 3597).
func wallet(currency, address string) string {
	data := string(rune(len(currency))) + currency + string(rune(len(address))) + address
	return fmt.Sprintf("262\t\\# %d %x", len(data), data)
}

const exampleOrg = `$ORIGIN example.org.
$TTL 300
@ SOA ns hostmaster 1 3600 900 604800 300
@ NS ns
ns A 192.0.2.1
www A 192.0.2.80
to-chain CNAME alice.eth.
`

const exampleLimo = `$ORIGIN limo.
$TTL 300
@ SOA ns hostmaster 1 3600 900 604800 300
@ NS ns
ns A 192.0.2.1
eth A 192.0.2.88
*.eth A 192.0.2.89
`

// TestRealENS asks dens, with the defaults but for the RPC URLs, about names of the real ENS contracts.
func TestRealENS(t *testing.T) {
	e := bed.DeployENS(t, bed.StartAnvil(t))
	e.PlaceUniversalResolver(t)
	populate(t, e)
	upstream := bed.StartBIND(t, map[string]string{"example.org": exampleOrg, "limo": exampleLimo}).String()

	geth := startGeth(t, e.Dump(t))
	stacks := map[string]string{
		"anvil over HTTP, WebSocket and IPC": config(upstream, true, e.HTTP, e.WS, e.IPC),
		"go-ethereum":                        config(upstream, true, geth, bed.NewProxy(t, geth).URL),
		"anvil, registry read directly":      config(upstream, false, e.HTTP, e.WS),
	}
	for name, conf := range stacks {
		t.Run(name, func(t *testing.T) {
			server := bed.Serve(t, conf)
			for _, r := range realRows {
				r.check(t, server.DNS)
			}
			for label, hash := range contentHashes {
				txt := []string{`"contenthash=0x` + hash.stored + `"`, `"dnslink=` + hash.text + `"`}
				row{label + ".eth", dns.TypeTXT, 0, txt, ""}.check(t, server.DNS)
			}
			checkTTLs(t, server.DNS)
			compareWithViem(t, server.DNS, e.HTTP)
		})
	}
}

// startGeth runs go-ethereum in this process on a state that anvil dumped, and returns its URL.
func startGeth(t *testing.T, alloc types.GenesisAlloc) string {
	t.Helper()
	node, err := demo.StartNode(t.Context(), demo.NodeConfig{ChainID: 1, Alloc: alloc, HTTP: true, Period: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := node.Mine(); err != nil { // serials are block numbers, and 0 is none
		t.Fatal(err)
	}
	return node.HTTPURL()
}

// config is the default configuration but for the backends, the gateways and the upstream server.
func config(upstream string, universal bool, rpc ...string) string {
	conf := fmt.Sprintf("resolve: { forward: [%q] }\nchains:\n  ethereum:\n    id: 1\n    trust: quorum\n    quorum: 2\n    max_head_age: 1h\n    rpc:\n", upstream)
	for i, url := range rpc {
		conf += fmt.Sprintf("      - { url: %q, operator: operator%d }\n", url, i+1)
	}
	conf += `names:
  - zone: eth
    system: ens
    chain: ethereum
    registry: "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e"
    aliases: [eth.limo, eth.link]
    gateways: { a: ["192.0.2.200"], aaaa: ["2001:db8::200"] }
`
	if universal {
		conf += "    universal_resolver: \"0xeEeEEEeE14D718C2B47D9923Deab1335E144EeEe\"\n"
	}
	return conf
}

func (r row) check(t *testing.T, server string) {
	t.Helper()
	reply := bed.Ask(t, server, r.name, r.rrtype)
	question := fmt.Sprintf("%s %s", r.name, dns.Type(r.rrtype))
	data := bed.Data(reply)
	slices.Sort(data)
	want := slices.Clone(r.data)
	slices.Sort(want)
	if reply.Rcode != r.rcode || !slices.Equal(data, want) {
		t.Errorf("%s: %s %q, want %s %q (%v)", question, dns.RcodeToString[reply.Rcode], data, dns.RcodeToString[r.rcode], want, bed.EDE(reply))
	}
	if r.soa != "" && (len(reply.Ns) != 1 || reply.Ns[0].Header().Rrtype != dns.TypeSOA || reply.Ns[0].Header().Name != r.soa) {
		t.Errorf("%s: authority section %v, want the SOA of %s", question, reply.Ns, r.soa)
	}
	if reply.AuthenticatedData {
		t.Errorf("%s: AD is set, and nobody has earned it", question)
	}
	if len(reply.Answer) > 0 && !strings.EqualFold(reply.Answer[0].Header().Name, dns.Fqdn(r.name)) && r.rrtype != dns.TypeA {
		t.Errorf("%s: first owner is %s", question, reply.Answer[0].Header().Name)
	}
}

// checkTTLs tells stored TTLs from the configured one, and the serial of a SOA from a made-up one.
func checkTTLs(t *testing.T, server string) {
	t.Helper()
	for name, most := range map[string]uint32{"www.alice.eth": 200, "carol.eth": 77} {
		ttl := bed.Ask(t, server, name, dns.TypeA).Answer[0].Header().Ttl
		if ttl > most || ttl < most-60 {
			t.Errorf("%s has TTL %d, want at most %d", name, ttl, most)
		}
	}
	soa, ok := bed.Ask(t, server, "alice.eth", dns.TypeSOA).Answer[0].(*dns.SOA)
	if !ok || soa.Serial == 0 {
		t.Errorf("SOA of alice.eth: %v, want the block's number as serial", soa)
	}
	if ns := bed.Ask(t, server, "alice.eth", dns.TypeNS); len(ns.Answer) == 0 {
		t.Error("alice.eth has no NS")
	}
}

// compareWithViem compares what dens says with what viem and ethers read of the same names.
func compareWithViem(t *testing.T, server, rpc string) {
	t.Helper()
	for _, name := range []string{"alice.eth", "bob.eth", "carol.eth", "bare.eth"} {
		cmd := exec.CommandContext(t.Context(), "node", "../internal/e2e/js/read.mjs", rpc, name)
		cmd.Dir = bed.Path(t)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("viem: %v", err)
		}
		var seen struct {
			Resolver, Address, Contenthash, EthersAddress string
			Texts                                         map[string]string
		}
		if err := json.Unmarshal(out, &seen); err != nil {
			t.Fatal(err)
		}
		if seen.Resolver == "" {
			t.Errorf("viem finds no resolver of %s", name)
		}
		txt := bed.Data(bed.Ask(t, server, name, dns.TypeTXT))
		for key, value := range map[string]string{"a": seen.Address, "contenthash": seen.Contenthash} {
			want := `"` + key + "=" + value + `"`
			if has := value != "" && value != "0x"; slices.Contains(txt, want) != has {
				t.Errorf("%s: viem reads %s, dens says %q", name, want, txt)
			}
		}
		if seen.Address != seen.EthersAddress {
			t.Errorf("%s: viem reads %s, ethers %s", name, seen.Address, seen.EthersAddress)
		}
		if seen.Texts["dns.A"] != "" {
			var want []string
			if err := json.Unmarshal([]byte(seen.Texts["dns.A"]), &want); err != nil {
				t.Fatal(err)
			}
			if got := bed.Data(bed.Ask(t, server, name, dns.TypeA)); !slices.Equal(got, want) {
				t.Errorf("%s: viem reads %q, dens says %q", name, want, got)
			}
		}
	}
}
