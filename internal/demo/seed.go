package demo

import (
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
)

// Sample data that the table of Samples repeats.
const (
	// GatewayA and GatewayAAAA are the web gateways that the samples expect to be configured for names
	// with a content hash (RFC 5737, RFC 3849).
	GatewayA    = "192.0.2.1"
	GatewayAAAA = "2001:db8::1"

	// Content hashes (ENSIP-7) and their text form.
	ipfsHash    = "0xe3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f"
	ipfsPath    = "/ipfs/bafybeibj6lixxzqtsb45ysdjnupvqkufgdvzqbnvmhw2kf7cfkesy7r7d4"
	ipnsHash    = "0xe5010172002408011220b5f4e1f0f0f5fb4d1e1c2c2a3f4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f"
	swarmHash   = "0xe40101fa011b20d1de9994b4d039f6548d191eb26786769f580809256b4685ef316805265ea162"
	arweaveHash = "0x90b2ca05cafebabecafebabecafebabecafebabecafebabecafebabecafebabecafebabe"
	onionHash   = "0xbd037035336c663537716f7679757776736336786e72707079706c79337661716d376c3670636f626b6d797173696f6679657a6e667535757164"

	// bitcoinScript pays to bitcoinAddress (BIP-173).
	bitcoinScript  = "0x0014751e76e8199196d454941c45d1b3a323f1433bd6"
	bitcoinAddress = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"

	emojiName    = "🚀.eth"
	emojiALabel  = "xn--158h.eth"
	abnormalName = "xn--lice-43d.eth" // alice.eth, its first letter from the Cyrillic script
)

// seedName is one registered name with what its resolver holds.
type seedName struct {
	name        string
	resolver    common.Address
	rrs         []string
	texts       [][2]string
	contenthash string
	addrs       []seedAddr
	primary     string // the primary name, of a name below addr.reverse
}

type seedAddr struct {
	coin    int64
	address []byte
}

// account is the address of somebody in the samples.
func account(who string) common.Address {
	return common.BytesToAddress(crypto.Keccak256([]byte("dens demo " + who))[12:])
}

func ethAddr(who string) []seedAddr { return []seedAddr{{60, account(who).Bytes()}} }

// seedNames are the names of the demo, parents first.
func (c *Chain) seedNames() []seedName {
	names := []seedName{
		{name: "eth"},
		{name: "reverse"},
		{name: "addr.reverse"},
		{
			name:     strings.ToLower(account("alice").Hex()[2:]) + ".addr.reverse",
			resolver: c.Resolver, primary: "alice.eth",
		},
		{name: "alice.eth", resolver: c.Resolver, rrs: aliceZone(), addrs: ethAddr("alice")},
		{name: "bob.eth", resolver: c.Resolver, contenthash: ipfsHash},
		{name: "carol.eth", resolver: c.Resolver, texts: [][2]string{
			{"dns.A", `["192.0.2.30","192.0.2.31"]`},
			{"dns.AAAA", `["2001:db8::30"]`},
			{"dns.MX", `["10 mail.carol.eth."]`},
			{"dns.ttl", "120"},
			{"dns.AAAA.ttl", "60"},
		}},
		{name: "dave.eth", resolver: c.Resolver, rrs: []string{
			"dave.eth. 3600 NS ns1.example.net.",
			"dave.eth. 3600 NS ns2.example.net.",
			"dave.eth. 3600 DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
		}},
		{
			name: "wallet.eth", resolver: c.Resolver,
			addrs: append(ethAddr("wallet"), seedAddr{0, hexutil.MustDecode(bitcoinScript)}),
			texts: [][2]string{{"url", "https://www.example.org/"}},
		},
		{name: "ipns.eth", resolver: c.Resolver, contenthash: ipnsHash},
		{name: "swarm.eth", resolver: c.Resolver, contenthash: swarmHash},
		{name: "arweave.eth", resolver: c.Resolver, contenthash: arweaveHash},
		{name: "onion.eth", resolver: c.Resolver, contenthash: onionHash},
		{name: emojiName, resolver: c.Resolver, rrs: []string{emojiALabel + ". 300 A 192.0.2.70"}},
		{name: "wild.eth", resolver: c.WildcardResolver},
		{name: "offchain.eth", resolver: c.OffchainResolver},
		{name: "ring.eth", resolver: c.Resolver, rrs: []string{
			"a.ring.eth. 300 CNAME b.ring.eth.",
			"b.ring.eth. 300 CNAME a.ring.eth.",
		}},
		{name: "empty.eth", resolver: c.Resolver},
		{name: "bare.eth"},
		{name: "person.eth", resolver: account("nobody")}, // no contract there
	}
	return append(names, c.hostileNames()...)
}

// aliceZone is a whole zone at one name.
func aliceZone() []string {
	return []string{
		"alice.eth. 300 A 192.0.2.10",
		"alice.eth. 300 AAAA 2001:db8::10",
		"alice.eth. 300 MX 10 mail.alice.eth.",
		"alice.eth. 300 TXT \"v=spf1 mx -all\"",
		"mail.alice.eth. 300 A 192.0.2.13",
		"www.alice.eth. 300 A 192.0.2.11",
		"www.alice.eth. 300 AAAA 2001:db8::11",
		"*.alice.eth. 300 A 192.0.2.12",
		"shop.alice.eth. 300 CNAME www.example.org.",
		"old.alice.eth. 300 DNAME example.org.",
		"_https._tcp.alice.eth. 300 SRV 0 5 443 www.alice.eth.",
	}
}

// hostileNames have resolvers that mean harm, each in another way.
func (c *Chain) hostileNames() []seedName {
	return []seedName{
		{name: "broken.eth", resolver: c.Garbage[Noise]},
		{name: "huge.eth", resolver: c.Garbage[Huge]},
		{name: "burn.eth", resolver: c.Garbage[Burn]},
		{name: "loop.eth", resolver: c.Garbage[Loop]},
		{name: "junk.eth", resolver: c.Garbage[Junk]},
		{name: "foreign.eth", resolver: c.Garbage[Foreign]},
	}
}

// offchainNames are what the CCIP-Read gateway knows.
func offchainNames() map[string]offchainName {
	return map[string]offchainName{
		"offchain.eth": {
			addr:  account("offchain"),
			texts: map[string]string{"description": "kept by a gateway"},
			rrs:   []string{"offchain.eth. 60 A 192.0.2.60"},
		},
		"anna.offchain.eth": {
			addr:        account("anna"),
			contenthash: hexutil.MustDecode(ipfsHash),
			rrs:         []string{"anna.offchain.eth. 60 A 192.0.2.61", "anna.offchain.eth. 60 TXT \"anna lives off the chain\""},
		},
	}
}

// seed are the transactions that register all names and write their records.
func (c *Chain) seed() ([]Tx, error) {
	var txs []Tx
	for _, n := range c.seedNames() {
		tx, err := c.register(n.name, n.resolver)
		if err != nil {
			return nil, err
		}
		txs = append(txs, tx)
		calls, err := n.writes()
		if err != nil {
			return nil, err
		}
		if len(calls) == 0 {
			continue
		}
		data, err := Pack(Resolver, "multicall(bytes[])", calls)
		if err != nil {
			return nil, err
		}
		txs = append(txs, Tx{To: &c.Resolver, Data: data})
	}
	return txs, nil
}

// writes are the calls that store a name's records.
func (n seedName) writes() ([][]byte, error) {
	var calls [][]byte
	var failed error
	node := Namehash(n.name)
	add := func(signature string, args ...any) {
		call, err := Pack(Resolver, signature, args...)
		if err != nil {
			failed = err
		}
		calls = append(calls, call)
	}
	if len(n.rrs) > 0 {
		wire, err := packRRs(n.rrs)
		if err != nil {
			return nil, err
		}
		add("setDNSRecords(bytes32,bytes)", node, wire)
	}
	if n.contenthash != "" {
		add("setContenthash(bytes32,bytes)", node, hexutil.MustDecode(n.contenthash))
	}
	for _, t := range n.texts {
		add("setText(bytes32,string,string)", node, t[0], t[1])
	}
	for _, a := range n.addrs {
		add("setAddr(bytes32,uint256,bytes)", node, big.NewInt(a.coin), a.address)
	}
	if n.primary != "" {
		add("setName(bytes32,string)", node, n.primary)
	}
	return calls, failed
}
