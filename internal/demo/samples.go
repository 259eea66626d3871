package demo

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/miekg/dns"
)

// typeWALLET is the type of wallet addresses, by IANA's registry; the DNS library does not know it.
const typeWALLET = "TYPE262"

// Sample is one row of the demo's table: a question, and the answer that dens must give to it.
type Sample struct {
	Name  string // without the final dot, as typed after dig; A-labels where they are needed
	Type  string // A, MX, TYPE262, ...
	Shows string // what it is an example of, in a few words
	Rcode int    // dns.RcodeSuccess, ...
	// Want are the records of the answer section, "TYPE data" in the DNS library's presentation form, in
	// any order. With RcodeSuccess and no Want the answer is NODATA.
	Want []string
	More bool // the answer section may hold others too
	EDE  bool // the reply must hold an extended error (RFC 8914)
}

// Check tells how a reply differs from what the sample wants. The caller asked for the Sample's Name and
// Type, over a transport without truncation.
func (s Sample) Check(reply *dns.Msg) error {
	if reply.Rcode != s.Rcode {
		return fmt.Errorf("%s %s: rcode is %s, want %s", s.Name, s.Type, dns.RcodeToString[reply.Rcode], dns.RcodeToString[s.Rcode])
	}
	var got []string
	for _, rr := range reply.Answer {
		got = append(got, recordText(rr))
	}
	for _, want := range s.Want {
		if !slices.Contains(got, want) {
			return fmt.Errorf("%s %s: no %q among %q", s.Name, s.Type, want, got)
		}
	}
	if !s.More && len(got) != len(s.Want) {
		return fmt.Errorf("%s %s: answer is %q, want %q", s.Name, s.Type, got, s.Want)
	}
	if s.EDE && !hasEDE(reply) {
		return fmt.Errorf("%s %s: no extended error", s.Name, s.Type)
	}
	return nil
}

// recordText is a record without owner, TTL and class.
func recordText(rr dns.RR) string {
	fields := strings.SplitN(rr.String(), "\t", 5) // owner, TTL, class, type, data
	data := strings.TrimSpace(fields[len(fields)-1])
	return dns.Type(rr.Header().Rrtype).String() + " " + data
}

func hasEDE(reply *dns.Msg) bool {
	opt := reply.IsEdns0()
	if opt == nil {
		return false
	}
	return slices.ContainsFunc(opt.Option, func(o dns.EDNS0) bool { return o.Option() == dns.EDNS0EDE })
}

// Samples returns the table, the plainest rows first. It expects that dens has the zone eth with the
// alias eth.limo and the gateways GatewayA and GatewayAAAA, and forwards to Chain.DNS.
func Samples() []Sample {
	return slices.Concat(zoneSamples(), contentSamples(), resolverSamples(), upstreamSamples(), failureSamples())
}

func zoneSamples() []Sample {
	return []Sample{
		{Name: "alice.eth", Type: "A", Shows: "a record kept on the chain (EIP-1185)", Want: []string{"A 192.0.2.10"}},
		{Name: "alice.eth", Type: "AAAA", Shows: "another type of the same name", Want: []string{"AAAA 2001:db8::10"}},
		{Name: "alice.eth", Type: "MX", Shows: "mail for an on-chain name", Want: []string{"MX 10 mail.alice.eth."}},
		{Name: "alice.eth", Type: "TXT", Shows: "stored text, then the wallet address", Want: []string{
			`TXT "v=spf1 mx -all"`, wallet("alice")}},
		{Name: "_https._tcp.alice.eth", Type: "SRV", Shows: "a service below the name", Want: []string{"SRV 0 5 443 www.alice.eth."}},
		{Name: "www.alice.eth", Type: "A", Shows: "a name below, kept at the zone's apex", Want: []string{"A 192.0.2.11"}},
		{Name: "anything.alice.eth", Type: "A", Shows: "a DNS wildcard (RFC 4592)", Want: []string{"A 192.0.2.12"}},
		{Name: "www.alice.eth", Type: "MX", Shows: "no such type: NODATA"},
		{Name: "shop.alice.eth", Type: "A", Shows: "an alias into the ICANN tree", Want: []string{
			"CNAME www.example.org.", "A 198.51.100.80"}},
		{Name: "www.old.alice.eth", Type: "A", Shows: "a DNAME into the ICANN tree", Want: []string{
			"DNAME example.org.", "CNAME www.example.org.", "A 198.51.100.80"}},
		{Name: "alice.eth.limo", Type: "A", Shows: "the same name under an alias of the zone", Want: []string{"A 192.0.2.10"}},
		{Name: emojiALabel, Type: "A", Shows: "an emoji name, " + emojiName, Want: []string{"A 192.0.2.70"}},
		{Name: "carol.eth", Type: "A", Shows: "records in text keys, dns.A", Want: []string{"A 192.0.2.30", "A 192.0.2.31"}},
		{Name: "carol.eth", Type: "AAAA", Shows: "records in text keys, dns.AAAA", Want: []string{"AAAA 2001:db8::30"}},
		{Name: "carol.eth", Type: "MX", Shows: "records in text keys, dns.MX", Want: []string{"MX 10 mail.carol.eth."}},
		{Name: "dave.eth", Type: "DS", Shows: "the DS of a delegated zone", Want: []string{
			"DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"}},
	}
}

func contentSamples() []Sample {
	return []Sample{
		{Name: "bob.eth", Type: "A", Shows: "only a content hash: the web gateway", Want: []string{"A " + GatewayA}},
		{Name: "bob.eth", Type: "AAAA", Shows: "the same by IPv6", Want: []string{"AAAA " + GatewayAAAA}},
		{Name: "bob.eth", Type: "TXT", Shows: "the content hash as text", Want: []string{
			txt("contenthash=" + ipfsHash), txt("dnslink=" + ipfsPath)}},
		{Name: "_dnslink.bob.eth", Type: "TXT", Shows: "DNSLink, as IPFS nodes ask", Want: []string{txt("dnslink=" + ipfsPath)}},
		{Name: "ipns.eth", Type: "TXT", Shows: "an IPNS key", More: true, Want: []string{txt("contenthash=" + ipnsHash)}},
		{Name: "swarm.eth", Type: "TXT", Shows: "content on Swarm", More: true, Want: []string{txt("contenthash=" + swarmHash)}},
		{Name: "arweave.eth", Type: "TXT", Shows: "content on Arweave", More: true, Want: []string{txt("contenthash=" + arweaveHash)}},
		{Name: "onion.eth", Type: "TXT", Shows: "a Tor service", More: true, Want: []string{txt("contenthash=" + onionHash)}},
		{Name: "wallet.eth", Type: typeWALLET, Shows: "wallet addresses (WALLET)", Want: []string{
			walletRecord("ETH", account("wallet").Hex()), walletRecord("BTC", bitcoinAddress)}},
		{Name: "wallet.eth", Type: "TXT", Shows: "the wallet address as text", Want: []string{wallet("wallet")}},
	}
}

func resolverSamples() []Sample {
	return []Sample{
		{Name: "hello.wild.eth", Type: "A", Shows: "a wildcard resolver (ENSIP-10)", Want: []string{"A " + wildA("hello")}},
		{Name: "hello.wild.eth", Type: "TXT", Shows: "made up by the contract", More: true, Want: []string{
			`TXT "hello hello"`, txt("a=" + wildAddr("hello").Hex())}},
		{Name: "offchain.eth", Type: "A", Shows: "kept by a gateway (CCIP-Read)", Want: []string{"A 192.0.2.60"}},
		{Name: "anna.offchain.eth", Type: "TXT", Shows: "a name below it", More: true, Want: []string{
			`TXT "anna lives off the chain"`, wallet("anna")}},
	}
}

func upstreamSamples() []Sample {
	return []Sample{
		{Name: "www.example.org", Type: "A", Shows: "an ICANN name, forwarded", Want: []string{"A 198.51.100.80"}},
		{Name: "onchain.example.org", Type: "A", Shows: "an ICANN alias of an on-chain name", Want: []string{
			"CNAME alice.eth.", "A 192.0.2.10"}},
		{Name: "big.example.org", Type: "TXT", Shows: "too big for UDP: dig goes on by TCP", More: true, Want: []string{
			fmt.Sprintf(`TXT "00 %s"`, strings.Repeat("x", 200))}},
		{Name: "nothere.example.org", Type: "A", Shows: "an ICANN name that does not exist", Rcode: dns.RcodeNameError},
	}
}

func failureSamples() []Sample {
	return []Sample{
		{Name: "empty.eth", Type: "A", Shows: "registered, without records: NODATA"},
		{Name: "bare.eth", Type: "A", Shows: "registered, without a resolver: NODATA"},
		{Name: "nobody.eth", Type: "A", Shows: "not registered: NXDOMAIN", Rcode: dns.RcodeNameError},
		{Name: abnormalName, Type: "A", Shows: "a Cyrillic letter in alice: NXDOMAIN", Rcode: dns.RcodeNameError, EDE: true},
		{Name: "a.ring.eth", Type: "A", Shows: "aliases in a circle: SERVFAIL", Rcode: dns.RcodeServerFailure, EDE: true, More: true},
		{Name: "broken.eth", Type: "A", Shows: "a resolver that returns garbage: SERVFAIL", Rcode: dns.RcodeServerFailure, EDE: true},
	}
}

// Hostile returns names whose resolvers mean harm: each must be answered within a bounded time, with
// nothing in the answer section, and leave the other names as they are.
func Hostile() []string {
	var names []string
	for _, n := range new(Chain).hostileNames() {
		names = append(names, n.name)
	}
	return names
}

func txt(s string) string { return fmt.Sprintf("TXT %q", s) }

func wallet(who string) string { return txt("a=" + account(who).Hex()) }

// walletRecord is a WALLET record in the generic form of RFC 3597: two character strings.
func walletRecord(currency, address string) string {
	data := string(rune(len(currency))) + currency + string(rune(len(address))) + address
	return fmt.Sprintf(`%s \# %d %x`, typeWALLET, len(data), data)
}

// wildAddr and wildA are what the WildcardResolver derives from a label.
func wildAddr(label string) common.Address {
	return common.BytesToAddress(crypto.Keccak256([]byte(label))[12:])
}

func wildA(label string) string {
	hash := labelhash(label).Big()
	return fmt.Sprintf("192.0.2.%d", new(big.Int).Mod(hash, big.NewInt(254)).Int64()+1)
}
