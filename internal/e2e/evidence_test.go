package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
	"dens/resolver"
)

// TestEvidence runs `dens demo` as its help says, and looks at the chain beside it with `dens lookup --trust`
// and `dens check`.
func TestEvidence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := startDemo(t, "--dir", dir)
	conf := filepath.Join(dir, "dens.yaml")
	const hash, address = `0x[0-9a-f]{64}`, `0x[0-9a-fA-F]{40}`

	trust := runDens(t, nil, "lookup", "alice.eth", "--trust", "--config", conf)
	if trust.code != 0 || !strings.Contains(trust.stdout, "192.0.2.10") {
		t.Errorf("lookup --trust: %+v", trust)
	}
	for _, row := range []string{
		`trust +proven, beacon anchor \(optimistic\): 500 of 512 validators of the sync committee signed`,
		`checkpoint +` + hash + ` at slot \d+, \d+ (hours|minutes|days) old: this is believed`,
		`network +demo, by the rules of fulu`,
		`committee +of period \d+: 500 of 512 members signed, in slot \d+`,
		`beacon block +` + hash + ` at slot \d+, not final yet`,
		`brought by +\S+`,
		`block +\d+ of 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC`,
		`block hash +` + hash,
		`state root +` + hash,
		`account +` + address + `, \d+ slots? read`,
		`proofs from +demo`,
		`cost +[12] trips?, \d+ bytes`,
	} {
		mustMatch(t, "lookup --trust", trust.stdout, `(?m)^  `+row+`$`)
	}
	mustMatch(t, "lookup --trust", trust.stdout, `(?m)^The answer is proven \(AD\): .*consensus has signed that, from the checkpoint on\.$`)

	check := runDens(t, nil, "check", "--config", conf)
	if check.code != 0 {
		// The demo has the ports of its own configuration: nothing else may be wrong.
		mustMatch(t, "check", check.all(), `address already in use|another program has the port`)
	}
	for _, row := range []string{
		`CHAIN +BACKEND +OPERATOR .* PROOFS +LISTS +BATCHES +VERDICT`,
		`demo .* (all|\d+ blocks) +yes +yes +ok`,
		`demo +proven +beacon \(optimistic\) +\d+ +\S+ +ok`,
	} {
		mustMatch(t, "check", check.all(), `(?m)^`+row+`$`)
	}

	var found struct {
		Answers []struct {
			Authenticated bool
			Origin        *resolver.Origin
			Age           int64 `json:"checkpoint_age"`
		}
	}
	out := runDens(t, nil, "lookup", "alice.eth", "AAAA", "--trust", "--json", "--config", conf)
	if err := json.Unmarshal([]byte(out.stdout), &found); err != nil || len(found.Answers) != 1 {
		t.Fatalf("lookup --json: %v\n%+v", err, out)
	}
	checkProof(t, "lookup --json", found.Answers[0].Origin)
	if a := found.Answers[0]; !a.Authenticated || a.Age <= 0 || a.Origin.Proof.Trips < 1 || a.Origin.Proof.Bytes == 0 {
		t.Errorf("lookup --json: %s", out.stdout)
	}
	checkOffchain(t, s, conf)
}

// checkOffchain looks at names that a gateway keeps: the check of them is proven, their data is as good as the
// gateway's key.
func checkOffchain(t *testing.T, s *bed.Server, conf string) {
	t.Helper()
	for name, rrtype := range map[string]uint16{"offchain.eth": dns.TypeA, "anna.offchain.eth": dns.TypeTXT, "nobody.offchain.eth": dns.TypeA} {
		got, o := askFor(t, s.DNS, name, rrtype, bits{do: true, ad: true})
		if got.Rcode == dns.RcodeServerFailure || got.AuthenticatedData {
			t.Errorf("%s: %v", name, got)
		}
		if checkProof(t, name, o); o != nil && (!o.Signature || len(o.Gateways) != 1) {
			t.Errorf("%s: signature %v by the gateways %v", name, o.Signature, o.Gateways)
		}
	}
	out := runDens(t, nil, "lookup", "offchain.eth", "--trust", "--config", conf)
	mustMatch(t, "lookup --trust", out.stdout, `(?m)^  off-chain +data from 127\.0\.0\.1 \(CCIP-Read\): the contract's check of it was executed over proven state, and verified a signature`)
	mustMatch(t, "lookup --trust", out.stdout, `(?m)^The answer is proven: .* Its off-chain data is as good as the check in the contract\.$`)
	if strings.Contains(out.stdout, "(AD)") || out.code != 0 {
		t.Errorf("lookup --trust: %+v", out)
	}
}
