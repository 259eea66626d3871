package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/demo/consensus"
	"dens/internal/e2e/bed"
)

// notAuthentic are the rows of realRows that no proof vouches for, or not for all of what is said, besides
// those under an alias of the zone and those that fail.
var notAuthentic = map[string]bool{
	"alias.alice.eth A": true, "www.old.alice.eth A": true, // they lead to unsigned names
	"to-chain.example.org A": true,                                              // an unsigned name leads there
	"bob.eth A":              true, "bob.eth AAAA": true, "bob.eth HTTPS": true, // the web gateway is of the configuration
	"not_normal.eth A":  true, // what is not normal is not looked up
	"www.example.org A": true, "nothing.example.org A": true, "eth.limo A": true, "nobody.eth.limo A": true,
}

func (r row) isAuthentic() bool {
	return r.rcode != dns.RcodeServerFailure && !notAuthentic[r.name+" "+dns.Type(r.rrtype).String()] &&
		!strings.HasSuffix(r.name, ".limo") && !strings.HasSuffix(r.name, ".link")
}

// believe has a configuration with trust in one backend.
func believe(conf string) string {
	return strings.Replace(conf, "    trust: quorum\n    quorum: 2\n", "    trust: single\n", 1)
}

// prove has a configuration say nothing of trust, and gives it a checkpoint.
func prove(t testing.TB, conf string, c *consensus.Chain) string {
	t.Helper()
	return strings.Replace(conf, "    trust: quorum\n    quorum: 2\n", lightKeys(t, c), 1)
}

// TestProvenENS asks about names of the real ENS contracts, on two makes of nodes whose blocks a beacon chain
// signs: with default trust every row of the table is answered, proven, and what the node itself, viem and
// ethers say.
func TestProvenENS(t *testing.T) {
	e := bed.DeployENS(t, bed.StartAnvil(t))
	e.PlaceUniversalResolver(t)
	populate(t, e)
	upstream := bed.StartBIND(t, map[string]string{"example.org": exampleOrg, "limo": exampleLimo}).String()
	onAnvil := bed.StartBeacon(t, consensus.Config{Head: e.Head(t), Auto: true})

	node, err := demo.StartNode(t.Context(), demo.NodeConfig{ChainID: 1, Alloc: e.Dump(t), HTTP: true, Period: 2 * time.Second})
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
	onGeth := bed.StartBeacon(t, consensus.Config{Head: node.Head, Auto: true})

	for name, s := range map[string]struct {
		rpc       string
		universal bool
		beacon    *consensus.Chain
	}{
		"anvil":                               {e.HTTP, true, onAnvil},
		"go-ethereum":                         {node.HTTPURL(), true, onGeth},
		"go-ethereum, registry read directly": {node.HTTPURL(), false, onGeth},
	} {
		t.Run(name, func(t *testing.T) {
			conf := config(upstream, s.universal, s.rpc)
			proven, believing := bed.Serve(t, prove(t, conf, s.beacon)), bed.Serve(t, believe(conf))
			for _, r := range realRows {
				checkProvenRow(t, r, proven.DNS, believing.DNS)
			}
			for label, hash := range contentHashes {
				txt := []string{`"contenthash=0x` + hash.stored + `"`, `"dnslink=` + hash.text + `"`}
				checkProvenRow(t, row{label + ".eth", dns.TypeTXT, 0, txt, ""}, proven.DNS, believing.DNS)
			}
			checkTTLs(t, proven.DNS)
			if name == "anvil" {
				compareWithViem(t, proven.DNS, e.HTTP)
			}
		})
	}
}

// checkProvenRow wants the row's answer, the same of a dens that believes the node, its evidence, and AD as
// is due.
func checkProvenRow(t *testing.T, r row, proven, believing string) {
	t.Helper()
	r.check(t, proven)
	what := r.name + " " + dns.Type(r.rrtype).String()
	got, origin := askFor(t, proven, r.name, r.rrtype, bits{ad: true})
	if held, _ := askFor(t, believing, r.name, r.rrtype, bits{ad: true}); answerText(got) != answerText(held) {
		t.Errorf("%s: proven is\n%s\nthe node says\n%s", what, answerText(got), answerText(held))
	}
	if got.AuthenticatedData != r.isAuthentic() {
		t.Errorf("%s: AD is %v, want %v", what, got.AuthenticatedData, r.isAuthentic())
	}
	if origin != nil {
		checkProof(t, what, origin)
	} else if r.isAuthentic() {
		t.Errorf("%s: no evidence", what)
	}
}
