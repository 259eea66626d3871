package e2e

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"dens/internal/demo"
	"dens/internal/e2e/bed"
)

func TestHelp(t *testing.T) {
	t.Parallel()
	root := runDens(t, nil, "--help")
	for _, command := range []string{"serve", "demo", "lookup", "check", "version", "health"} {
		mustMatch(t, "dens --help", root.stdout, `(?m)^  `+command+` +\w`)
		out := runDens(t, nil, command, "--help")
		if out.code != 0 {
			t.Errorf("dens %s --help: %+v", command, out)
		}
		mustMatch(t, "dens "+command+" --help", out.stdout, `(?m)^Examples:\n  dens `+command)
		mustMatch(t, "dens "+command+" --help", out.stdout, `(?m)^Usage:\n  dens `+command)
	}
	for _, args := range [][]string{{"bogus"}, {"serve", "extra"}, {"serve", "--bogus"}, {"lookup"}, {"check", "extra"}, {"version", "extra"}} {
		out := runDens(t, nil, args...)
		if out.code != 1 || !strings.HasPrefix(out.stderr, "dens: ") || out.stdout != "" {
			t.Errorf("dens %s: %+v, want exit status 1 and a message", strings.Join(args, " "), out)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	out := runDens(t, nil, "version")
	if !regexp.MustCompile(`^dens \S+( \([0-9a-f]{12}\))? go1\.\S+ linux/\w+\n$`).MatchString(out.stdout) || out.code != 0 {
		t.Errorf("dens version: %+v", out)
	}
}

// lookupResult is the JSON form of dens lookup, with all its fields.
type lookupResult struct {
	Name    string
	Answers []struct {
		Type          string
		Status        string
		Authenticated bool
		Records       []struct {
			Name, Type, Data string
			TTL              uint32
		}
		Errors []struct {
			Code          uint16
			Meaning, Text string
		} `json:"extended_errors"`
		Origin       *lookupOrigin
		Milliseconds float64
	}
}

type lookupOrigin struct {
	Name, Chain string
	Block       uint64
	BlockHash   string    `json:"block_hash"`
	BlockTime   time.Time `json:"block_time"`
	Resolver    string
	ContentHash string `json:"content_hash"`
	Trust       string
	Backends    []string
	Gateways    []string
}

// lookupCase is a command line, its exit code, and what must be in its output.
type lookupCase struct {
	args []string
	code int
	want []string // record data, in any order
}

func lookupCases() []lookupCase {
	return []lookupCase{
		{[]string{"alice.eth", "A"}, 0, []string{"192.0.2.10"}},
		{[]string{"alice.eth"}, 0, []string{"192.0.2.10", "2001:db8::10", `"v=spf1 mx -all"`}},
		{[]string{"ALICE.ETH", "a", "mx"}, 0, []string{"192.0.2.10", "10 mail.alice.eth."}},
		{[]string{"alice.eth.", "TYPE1"}, 0, []string{"192.0.2.10"}},
		{[]string{"🚀.eth", "A"}, 0, []string{"192.0.2.70"}},
		{[]string{"xn--158h.eth", "A"}, 0, []string{"192.0.2.70"}},
		{[]string{"wallet.eth", "WALLET"}, 0, []string{`"BTC" "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"`}},
		{[]string{"wallet.eth", "TYPE262"}, 0, nil},
		{[]string{"bob.eth", "TXT"}, 0, []string{`"dnslink=` + ipfsPath + `"`}},
		{[]string{"offchain.eth", "A"}, 0, []string{"192.0.2.60"}},
		{[]string{"shop.alice.eth", "A"}, 0, []string{"www.example.org.", "198.51.100.80"}},
		{[]string{"big.example.org", "TXT"}, 0, []string{`"39 ` + strings.Repeat("x", 200) + `"`}},
		{[]string{"www.alice.eth", "MX"}, 2, nil},
		{[]string{"bare.eth"}, 2, nil},
		{[]string{"www.alice.eth", "MX", "A"}, 0, []string{"192.0.2.11"}},
		{[]string{"nobody.eth"}, 3, nil},
		{[]string{"nothere.example.org", "A"}, 3, nil},
		{[]string{"broken.eth", "A"}, 4, nil},
	}
}

// TestLookup looks names up by a server and by a configuration: the same records and the same evidence.
func TestLookup(t *testing.T) {
	t.Parallel()
	chain := world(t)
	s := bed.Serve(t, worldConfig(chain, worldOptions{}))
	for _, c := range lookupCases() {
		question := strings.Join(c.args, " ")
		byServer := lookupJSON(t, c, "--server", s.DNS)
		byConfig := lookupJSON(t, c, "--config", s.File)
		for _, found := range []lookupResult{byServer, byConfig} {
			checkOrigin(t, question, found, chain)
		}
		if a, b := comparable(byServer), comparable(byConfig); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: the server says\n%+v\nand its configuration\n%+v", question, a, b)
		}
		text := runDens(t, nil, append([]string{"lookup", "--server", s.DNS}, c.args...)...)
		if text.code != c.code || text.stderr != "" {
			t.Errorf("%s: %+v, want exit status %d", question, text, c.code)
		}
		for _, want := range c.want {
			if !strings.Contains(text.stdout, want) {
				t.Errorf("%s: no %s in\n%s", question, want, text.stdout)
			}
		}
	}
	checkLookupText(t, s, chain)
	checkLookupUsage(t, s)
}

// lookupJSON runs a look-up with --json and checks its exit code and records.
func lookupJSON(t *testing.T, c lookupCase, how ...string) lookupResult {
	t.Helper()
	out := runDens(t, nil, append(append([]string{"lookup", "--json"}, how...), c.args...)...)
	question := strings.Join(append(how, c.args...), " ")
	// Without a server in between, lookup itself says on stderr why a question failed, and nothing else.
	tells := how[0] == "--config" && c.code == 4
	if out.code != c.code || (out.stderr != "") != tells {
		t.Errorf("%s: %+v, want exit status %d", question, out, c.code)
	}
	var found lookupResult
	decoder := json.NewDecoder(strings.NewReader(out.stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&found); err != nil {
		t.Fatalf("%s: %v\n%+v", question, err, out)
	}
	var data []string
	for _, a := range found.Answers {
		if a.Milliseconds <= 0 || a.Milliseconds > 20_000 || a.Status == "" {
			t.Errorf("%s: %+v", question, a)
		}
		if len(a.Errors) == 0 && a.Status == "SERVFAIL" {
			t.Errorf("%s: a failure without its cause: %+v", question, a)
		}
		for _, r := range a.Records {
			data = append(data, r.Data)
		}
	}
	for _, want := range c.want {
		if !slices.Contains(data, want) {
			t.Errorf("%s: no %s among %q", question, want, data)
		}
	}
	return found
}

// comparable leaves out what differs from one time to the next.
func comparable(r lookupResult) lookupResult {
	for i := range r.Answers {
		a := &r.Answers[i]
		a.Milliseconds = 0
		for j := range a.Records {
			a.Records[j].TTL = 0
		}
		slices.SortFunc(a.Records, func(x, y struct {
			Name, Type, Data string
			TTL              uint32
		}) int {
			return strings.Compare(x.Data, y.Data)
		})
		if a.Origin != nil {
			a.Origin.Block, a.Origin.BlockHash, a.Origin.BlockTime = 0, "", time.Time{}
		}
	}
	return r
}

// checkOrigin compares the evidence with the chain's own account.
func checkOrigin(t *testing.T, question string, found lookupResult, chain *demo.Chain) {
	t.Helper()
	for _, a := range found.Answers {
		onChain := strings.HasSuffix(strings.TrimSuffix(found.Name, "."), "eth") || strings.HasSuffix(found.Name, "ETH.")
		if !onChain || a.Status == "SERVFAIL" {
			if a.Origin != nil {
				t.Errorf("%s: evidence for what is not on the chain: %+v", question, a.Origin)
			}
			continue
		}
		o := a.Origin
		if o == nil {
			t.Errorf("%s: no evidence", question)
			continue
		}
		if o.Chain != "demo" || o.Trust != "single" || !slices.Equal(o.Backends, []string{"demo"}) {
			t.Errorf("%s: evidence is %+v", question, *o)
		}
		checkBlock(t, question, o, chain)
		name := strings.ToLower(strings.TrimSuffix(found.Name, "."))
		wantResolver, wantContent, gateways := chain.Resolver.Hex(), "", 0
		switch name {
		case "bare.eth", "nobody.eth":
			wantResolver = ""
		case "bob.eth":
			wantContent = ipfsPath
		case "offchain.eth":
			wantResolver, gateways = chain.OffchainResolver.Hex(), 1
		}
		if o.Resolver != wantResolver || o.ContentHash != wantContent || len(o.Gateways) != gateways {
			t.Errorf("%s: evidence is %+v, want resolver %s, content %q, %d gateways", question, *o, wantResolver, wantContent, gateways)
		}
	}
}

// checkBlock asks the chain for the block of the evidence.
func checkBlock(t *testing.T, question string, o *lookupOrigin, chain *demo.Chain) {
	t.Helper()
	client, err := rpc.DialContext(t.Context(), chain.HTTPURL())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var block struct {
		Hash      common.Hash
		Timestamp hexutil.Uint64
	}
	if err := client.CallContext(t.Context(), &block, "eth_getBlockByNumber", hexutil.Uint64(o.Block), false); err != nil {
		t.Fatal(err)
	}
	if o.Block == 0 || o.BlockHash != block.Hash.Hex() || o.BlockTime.Unix() != int64(block.Timestamp) {
		t.Errorf("%s: block %d %s %v, the chain has %s %d", question, o.Block, o.BlockHash, o.BlockTime, block.Hash, block.Timestamp)
	}
}

// checkLookupText looks at what a person reads.
func checkLookupText(t *testing.T, s *bed.Server, chain *demo.Chain) {
	t.Helper()
	text := runDens(t, nil, "lookup", "bob.eth", "TXT", "A", "--server", s.DNS).stdout
	for _, pattern := range []string{
		`(?m)^bob\.eth\.\s+\d+\s+TXT\s+"dnslink=` + ipfsPath + `"$`,
		`(?m)^bob\.eth\.\s+\d+\s+A\s+192\.0\.2\.1$`,
		`(?m)^chain\s+demo, block \d+ of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$`,
		`(?m)^block hash\s+0x[0-9a-f]{64}$`,
		`(?m)^resolver\s+` + chain.Resolver.Hex() + `$`,
		`(?m)^content\s+` + ipfsPath + `$`,
		`(?m)^trust\s+single: demo is believed$`,
		`(?m)^time\s+[\d.]+(µs|ms|s)$`,
	} {
		mustMatch(t, "dens lookup bob.eth", text, pattern)
	}
	mustMatch(t, "offchain.eth", runDens(t, nil, "lookup", "offchain.eth", "A", "--server", s.DNS).stdout, `(?m)^off-chain\s+data from 127\.0\.0\.1.* \(CCIP-Read\)`)
	mustMatch(t, "nobody.eth", runDens(t, nil, "lookup", "nobody.eth", "A", "--server", s.DNS).stdout, `does not exist \(NXDOMAIN\)`)
	mustMatch(t, "bare.eth", runDens(t, nil, "lookup", "bare.eth", "A", "--server", s.DNS).stdout, `no such record \(NODATA\)`)
	mustMatch(t, "broken.eth", runDens(t, nil, "lookup", "broken.eth", "A", "--server", s.DNS).stdout, `(?s)no answer \(SERVFAIL\).*extended error \d+`)
	mustMatch(t, "a name that is not normal", runDens(t, nil, "lookup", "xn--lice-43d.eth", "A", "--server", s.DNS).stdout, `extended error 0 .*no such name`)
}

// checkLookupUsage wants exit status 1 for what is wrong with the command line, and 4 where nobody answers.
func checkLookupUsage(t *testing.T, s *bed.Server) {
	t.Helper()
	long := strings.Repeat("a", 64) + ".eth"
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"alice.eth", "NONSENSE", "--server", s.DNS}, 1, `"NONSENSE" is no record type`},
		{[]string{"a..b", "--server", s.DNS}, 1, "is no name"},
		{[]string{"", "--server", s.DNS}, 1, "is no name"},
		{[]string{long, "--server", s.DNS}, 1, "is no name"},
		{[]string{"alice.eth", "--server", "example.org:53"}, 1, "--server"},
		{[]string{"alice.eth", "--config", "/nowhere.yaml"}, 1, "/nowhere.yaml"},
		{append([]string{"alice.eth", "--server", s.DNS}, slices.Repeat([]string{"A"}, 17)...), 1, "at most 16"},
		{[]string{"alice.eth", "--server", bed.Free(t).String(), "--timeout", "3s"}, 4, "connection refused"},
	} {
		out := runDens(t, nil, append([]string{"lookup"}, c.args...)...)
		if out.code != c.code || !strings.Contains(out.stderr, c.want) || !strings.HasPrefix(out.stderr, "dens: ") || out.stdout != "" {
			t.Errorf("dens lookup %s: %+v, want exit status %d and %q", strings.Join(c.args, " "), out, c.code, c.want)
		}
	}
}

// TestLookupQuorum looks at the evidence where backends have to agree.
func TestLookupQuorum(t *testing.T) {
	t.Parallel()
	chain := world(t)
	file := writeConfig(t, worldConfig(chain, worldOptions{trust: "quorum", rpc: []string{chain.HTTPURL(), chain.WSURL()}}))
	found := lookupJSON(t, lookupCase{[]string{"alice.eth", "A"}, 0, []string{"192.0.2.10"}}, "--config", file)
	o := found.Answers[0].Origin
	if o == nil || o.Trust != "quorum" || !slices.Equal(slices.Sorted(slices.Values(o.Backends)), []string{"operator1", "operator2"}) {
		t.Errorf("evidence is %+v", o)
	}
	text := runDens(t, nil, "lookup", "alice.eth", "A", "--config", file)
	mustMatch(t, "dens lookup", text.stdout, `(?m)^trust\s+quorum: operator\d, operator\d agree$`)
}

// TestPortInUse wants the address, the cause and a hint.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken := startStub(t, addressOf("192.0.2.1")).addr
	free := bed.Free(t).String()
	for key, conf := range map[string]string{
		"dns":  fmt.Sprintf("listen: { dns: [%q], http: %q }\n", taken, free),
		"http": fmt.Sprintf("listen: { dns: [%q], http: %q }\n", free, taken),
	} {
		out := runDens(t, nil, "serve", "--config", writeConfig(t, conf+upstreamOnly("192.0.2.53", "")))
		if out.code != 1 || !strings.Contains(out.stderr, taken) || !strings.Contains(out.stderr, "address already in use") {
			t.Errorf("listen.%s: %+v, want exit status 1 and the address", key, out)
		}
		if !strings.Contains(out.stderr, "another program has the port") {
			t.Errorf("listen.%s: no hint in %s", key, out.stderr)
		}
	}
}

// TestHealth asks servers that are ready, not ready, and not there.
func TestHealth(t *testing.T) {
	t.Parallel()
	ready := bed.Serve(t, worldConfig(world(t), worldOptions{}))
	unready := bed.ServeUnready(t, upstreamOnly(bed.Free(t).String(), ""))
	for url, c := range map[string]struct {
		code int
		want string
	}{
		"http://" + ready.HTTP + "/readyz":       {0, `"status":"ready"`},
		"http://" + unready.HTTP + "/readyz":     {1, `"status":"unready"`},
		"http://" + unready.HTTP + "/healthz":    {0, "ok"},
		"http://" + bed.Free(t).String() + "/":   {1, "not reached"},
		"http://" + ready.HTTP + "/no-such-page": {1, "404"},
	} {
		if out := runDens(t, nil, "health", "--url", url); out.code != c.code || !strings.Contains(out.all(), c.want) {
			t.Errorf("dens health --url %s: %+v, want exit status %d and %s", url, out, c.code, c.want)
		}
	}
}
