package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/demo/consensus"
	"dens/internal/e2e/bed"
	"dens/internal/wire"
	"dens/reply"
	"dens/resolver"
)

// lightKeys are the keys of a chain whose blocks a beacon chain signs. Without apis it is the chain's own.
func lightKeys(t testing.TB, c *consensus.Chain, apis ...string) string {
	t.Helper()
	if len(apis) == 0 {
		apis = []string{c.URL()}
	}
	root, _ := c.Checkpoint()
	keys := fmt.Sprintf("    checkpoint: %q\n    network: %q\n    beacon:\n", root.Hex(), bed.NetworkFile(t, c))
	for i, api := range apis {
		keys += fmt.Sprintf("      - { url: %q, operator: api%d }\n", api, i+1)
	}
	return keys
}

// provenConfig is a configuration over the world that has a checkpoint and does not say whom to trust.
func provenConfig(t testing.TB, c *demo.Chain, beacon *consensus.Chain, o worldOptions, apis ...string) string {
	t.Helper()
	o.trust = "proven"
	o.chainExt = lightKeys(t, beacon, apis...) + o.chainExt
	return strings.Replace(worldConfig(c, o), "    trust: proven\n", "", 1)
}

// bits are what a client asks for besides the records.
type bits struct{ do, ad, cd bool }

// askFor asks by TCP, and for the evidence too. No reply fails the test.
func askFor(t testing.TB, server, name string, rrtype uint16, with bits) (*dns.Msg, *resolver.Origin) {
	t.Helper()
	got, origin, err := tryFor(server, name, rrtype, with)
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.Type(rrtype), err)
	}
	return got, origin
}

// tryFor is askFor for who cannot end the test.
func tryFor(server, name string, rrtype uint16, with bits) (got *dns.Msg, origin *resolver.Origin, err error) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), rrtype)
	query.SetEdns0(4096, with.do)
	query.AuthenticatedData, query.CheckingDisabled = with.ad, with.cd
	opt := query.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{Code: wire.OptionOrigin})
	if got, _, err = (&dns.Client{Net: "tcp", Timeout: 15 * time.Second}).Exchange(query, server); err != nil {
		return nil, nil, err
	}
	if opt = got.IsEdns0(); opt == nil {
		return got, nil, nil
	}
	for _, o := range opt.Option {
		if local, ok := o.(*dns.EDNS0_LOCAL); ok && local.Code == wire.OptionOrigin {
			origin, err = reply.ParseOrigin(local.Data)
		}
	}
	return got, origin, err
}

// ede is the code of a reply's first extended error, -1 without any.
func ede(reply *dns.Msg) int {
	if e := bed.EDE(reply); e != nil {
		return int(e.InfoCode)
	}
	return -1
}

// answerText is all that a reply says about its question, in an order of no account and without TTLs.
func answerText(reply *dns.Msg) string {
	var lines []string
	for _, rr := range reply.Answer {
		rr = dns.Copy(rr)
		rr.Header().Ttl = 0
		lines = append(lines, rr.String())
	}
	for _, rr := range reply.Ns {
		lines = append(lines, "authority "+rr.Header().Name+" "+dns.Type(rr.Header().Rrtype).String())
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s EDE %d\n%s", dns.RcodeToString[reply.Rcode], ede(reply), strings.Join(lines, "\n"))
}

// checkProof wants evidence that reaches from a checkpoint to the contracts' state.
func checkProof(t testing.TB, what string, o *resolver.Origin) {
	t.Helper()
	switch {
	case o == nil:
		t.Errorf("%s: no evidence", what)
	case o.Trust != "proven" || o.Proof == nil || o.Proof.Beacon == nil || o.Proof.Anchor != "beacon":
		t.Errorf("%s: trust %s by %+v, want proven by a beacon anchor", what, o.Trust, o.Proof)
	default:
		p, b := o.Proof, o.Proof.Beacon
		slots := 0
		for _, a := range p.Accounts {
			slots += a.Slots
		}
		if len(p.Accounts) == 0 || slots == 0 || len(o.Backends) == 0 || len(p.StateRoot) != 66 || len(o.BlockHash) != 66 ||
			len(b.Checkpoint) != 66 || b.Signers < 342 || b.Committee != 512 || b.Slot <= b.CheckpointSlot || b.SignatureSlot <= b.Slot {
			t.Errorf("%s: evidence with gaps: %+v with %+v and %+v", what, o, p, b)
		}
	}
}

// checkAuthentic asks with all combinations of the bits that bear on it: whoever asked by DO or AD is told
// what is authentic, and nobody else.
func checkAuthentic(t testing.TB, server, name string, rrtype uint16, want bool) {
	t.Helper()
	for _, with := range []bits{{}, {do: true}, {ad: true}, {do: true, ad: true}, {cd: true}, {ad: true, cd: true}} {
		got, _ := askFor(t, server, name, rrtype, with)
		if tell := want && (with.do || with.ad) && !with.cd; got.AuthenticatedData != tell {
			t.Errorf("%s %s asked with %+v: AD is %v, want %v", name, dns.Type(rrtype), with, got.AuthenticatedData, tell)
		}
	}
}

// sampleType is the type that a sample asks for.
func sampleType(s demo.Sample) uint16 {
	if s.Type == "TYPE262" {
		return 262
	}
	return dns.StringToType[s.Type]
}

// unproven are the demo's samples that no proof vouches for, or not for all of what is said, with why.
var unproven = map[string]string{
	"bob.eth A": "the web gateway's address is of the configuration", "bob.eth AAAA": "as above",
	"offchain.eth A": "a gateway's key vouches for it", "anna.offchain.eth TXT": "as above",
	"shop.alice.eth A": "it leads to an unsigned name", "www.old.alice.eth A": "as above",
	"alice.eth.limo A":      "that eth.limo stands for eth is of the configuration",
	"xn--lice-43d.eth A":    "what is not normal is not looked up",
	"onchain.example.org A": "an unsigned name leads to it",
	"www.example.org A":     "it is unsigned", "big.example.org TXT": "as above", "nothere.example.org A": "as above",
}

// TestProvenSamples asks the demo's questions of a dens that has a checkpoint and is told nothing of trust:
// all of them are answered as by one that believes the node, and are proven.
func TestProvenSamples(t *testing.T) {
	t.Parallel()
	chain := world(t)
	believing := bed.Serve(t, worldConfig(chain, worldOptions{}))
	for name, o := range map[string]worldOptions{"universal resolver": {}, "registry read directly": {direct: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bed.Serve(t, provenConfig(t, chain, chain.Beacon, o))
			for _, sample := range demo.Samples() {
				checkSample(t, s.DNS, sample)
				what := sample.Name + " " + sample.Type
				got, origin := askFor(t, s.DNS, sample.Name, sampleType(sample), bits{})
				held, _ := askFor(t, believing.DNS, sample.Name, sampleType(sample), bits{})
				if answerText(got) != answerText(held) {
					t.Errorf("%s: proven is\n%s\nthe node says\n%s", what, answerText(got), answerText(held))
				}
				if origin != nil {
					checkProof(t, what, origin)
				} else if unproven[what] == "" && sample.Rcode != dns.RcodeServerFailure {
					t.Errorf("%s: no evidence", what)
				}
				checkAuthentic(t, s.DNS, sample.Name, sampleType(sample), unproven[what] == "" && sample.Rcode != dns.RcodeServerFailure)
			}
			for _, name := range demo.Hostile() {
				if got, _ := askFor(t, s.DNS, name, dns.TypeA, bits{ad: true}); len(got.Answer) > 0 || got.AuthenticatedData {
					t.Errorf("%s: %v", name, got)
				}
			}
		})
	}
}
