package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// Where the name servers of the delegation test are: of the root, of org, and of the delegated zones.
const (
	soleRoot    = "198.41.0.4"
	orgServer   = "199.19.56.1"
	zoneServer  = "185.49.140.60"
	otherServer = "185.49.141.60"
	malformedDS = `12345 13 2 abcdef`
	badDigest   = "e2d3c916f6deeac73294e8268fb5885044a833fc5459588f4a9184cfc41a5766" // of no key
)

// delegatedZone is the content of a zone that the chain delegates.
func delegatedZone(servers ...string) string {
	text := "@ 300 SOA ns1 hostmaster 1 3600 900 86400 300\n@ 300 A 203.0.113.1\nwww 300 A 203.0.113.80\n" +
		"*.wild 300 TXT \"any\"\nalias 300 CNAME www\naway 300 CNAME www.plain.eth.\na_b 300 A 203.0.113.7\n" +
		"1.2.3.4.5.6.7.8.9 300 A 203.0.113.9\n"
	for _, ns := range servers {
		text += "@ 300 NS " + ns + "\n"
	}
	if slices.Contains(servers, "ns1") {
		text += "ns1 300 A " + zoneServer + "\n"
	}
	return text
}

// delegatedNames puts names on the chain that name servers of their own answer for, and starts those. ds
// are the DS records of the zones.
func delegatedNames(t *testing.T, e *bed.ENS, here *namespace) (ds map[string]string) {
	t.Helper()
	zones := map[string]string{
		"alice.eth.": delegatedZone("ns1", "ns.host.org."), "wrong.eth.": delegatedZone("ns1"), "plain.eth.": delegatedZone("ns1"),
		"sub.carol.eth.": delegatedZone("ns.host.org."), "texts.eth.": delegatedZone("ns.host.org."), "mutual.eth.": delegatedZone("ns.circle.eth."),
	}
	ds, dir := map[string]string{}, t.TempDir()
	for zone := range zones {
		ds[zone] = strings.TrimSpace(signZone(t, dir, zone, zones))
	}
	startAuthority(t, here, zones, zoneServer, otherServer)

	for _, name := range []string{"alice.eth", "wrong.eth", "plain.eth", "carol.eth", "texts.eth", "bad.eth", "lost.eth", "mutual.eth", "circle.eth"} {
		e.Register(t, name, bed.PublicResolverAddress)
	}
	e.SetDNS(t, "alice.eth",
		"alice.eth. 300 IN NS ns1.alice.eth.", "alice.eth. 300 IN NS ns.host.org.", ds["alice.eth."],
		"ns1.alice.eth. 300 IN A "+zoneServer,
		"www.alice.eth. 300 IN A 192.0.2.66") // hidden: it is for the servers to say
	e.SetDNS(t, "wrong.eth", "wrong.eth. 300 IN NS ns1.wrong.eth.", "wrong.eth. 300 IN DS 12345 13 2 "+badDigest, "ns1.wrong.eth. 300 IN A "+zoneServer)
	e.SetDNS(t, "plain.eth", "plain.eth. 300 IN NS ns1.plain.eth.", "ns1.plain.eth. 300 IN A "+zoneServer)
	e.SetDNS(t, "carol.eth", "carol.eth. 300 IN A 192.0.2.3",
		"sub.carol.eth. 300 IN NS ns.host.org.", ds["sub.carol.eth."])
	e.Set(t, "texts.eth", "setText", "dns.NS", `["ns.host.org."]`)
	e.Set(t, "texts.eth", "setText", "dns.DS", fmt.Sprintf("[%q]", dsData(t, ds["texts.eth."])))
	e.SetDNS(t, "bad.eth", "bad.eth. 300 IN NS ns.host.org.", "bad.eth. 300 IN DS "+malformedDS)
	e.SetDNS(t, "lost.eth", "lost.eth. 300 IN NS ns1.lost.eth.")
	e.SetDNS(t, "mutual.eth", "mutual.eth. 300 IN NS ns.circle.eth.")
	e.SetDNS(t, "circle.eth", "circle.eth. 300 IN NS ns.mutual.eth.")
	return ds
}

func dsData(t *testing.T, record string) string {
	t.Helper()
	rr, err := dns.NewRR(record)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}

// delegationConfig is a configuration in recursive mode, from a root of the test's own.
func delegationConfig(t *testing.T, anchor, rpc string, universal bool) string {
	t.Helper()
	dir := t.TempDir()
	hints, anchors := filepath.Join(dir, "hints"), filepath.Join(dir, "anchors")
	for file, text := range map[string]string{
		hints: ". 3600000 NS a.root-servers.net.\na.root-servers.net. 3600000 A " + soleRoot + "\n", anchors: anchor,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := config("unused", universal, rpc)
	conf = conf[strings.Index(conf, "\n")+1:]
	conf = strings.Replace(conf, "trust: quorum\n    quorum: 2\n", "trust: single\n    block_time: 1s\n", 1)
	return fmt.Sprintf("resolve: { mode: recursive, root_hints: %q, trust_anchor: %q }\n", hints, anchors) + conf
}

// askFlags asks with DO and AD, and CD if wanted, by TCP.
func askFlags(t *testing.T, server, name string, rrtype uint16, cd bool) *dns.Msg {
	t.Helper()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), rrtype)
	query.SetEdns0(1232, true)
	query.AuthenticatedData, query.CheckingDisabled = true, cd
	client := &dns.Client{Net: "tcp", Timeout: 12 * time.Second}
	reply, _, err := client.Exchange(query, server)
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.Type(rrtype), err)
	}
	return reply
}

// TestOnchainDelegation has the real contracts delegate names to NSD, and dens follow: from the chain, by
// the DS on it, to what the servers say.
func TestOnchainDelegation(t *testing.T) {
	if !isolated(t) {
		return
	}
	ip := bed.Tool(t, "ip")
	outside := newNamespace(t, "servers")
	bed.Run(t, ip, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", outside.name)
	bed.Run(t, ip, "-n", outside.name, "address", "add", lanRouter+"/24", "dev", "far")
	bed.Run(t, ip, "-n", outside.name, "link", "set", "far", "up")
	bed.Run(t, ip, "address", "add", "192.168.1.2/24", "dev", "near")
	bed.Run(t, ip, "link", "set", "near", "up")
	bed.Run(t, ip, "route", "add", "default", "via", lanRouter)

	const soa = "@ 300 SOA ns hostmaster 1 3600 900 86400 300\n"
	org := map[string]string{"org.": soa + "@ 300 NS a.nic\na.nic 300 A " + orgServer + "\nns.host 300 A " + otherServer + "\n"}
	orgDS := signZone(t, t.TempDir(), "org.", org)
	root := map[string]string{".": soa + ". 300 NS a.root-servers.net.\na.root-servers.net. 300 A " + soleRoot +
		"\norg. 300 NS a.nic.org.\na.nic.org. 300 A " + orgServer + "\n" + orgDS}
	anchor := signZone(t, t.TempDir(), ".", root)
	startAuthority(t, outside, root, soleRoot)
	startAuthority(t, outside, org, orgServer)

	e := bed.DeployENS(t, bed.StartAnvil(t, "--block-time", "1", "--mixed-mining"))
	e.PlaceUniversalResolver(t)
	ds := delegatedNames(t, e, outside)
	t.Run("registry read directly", func(t *testing.T) {
		checkDelegations(t, bed.Serve(t, delegationConfig(t, anchor, e.HTTP, false)).DNS)
	})
	server := bed.Serve(t, delegationConfig(t, anchor, e.HTTP, true))
	checkDelegations(t, server.DNS)
	t.Run("the chain answers for DS", func(t *testing.T) {
		for name, want := range map[string][]string{"alice.eth": {dsData(t, ds["alice.eth."])}, "sub.carol.eth": {dsData(t, ds["sub.carol.eth."])}, "plain.eth": nil} {
			reply := askFlags(t, server.DNS, name, dns.TypeDS, false)
			if got := bed.Data(reply); reply.Rcode != 0 || !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	})
	t.Run("with CD there is data", func(t *testing.T) {
		reply := askFlags(t, server.DNS, "www.wrong.eth", dns.TypeA, true)
		if reply.Rcode != 0 || len(reply.Answer) < 2 || reply.AuthenticatedData {
			t.Errorf("got %v", reply)
		}
	})
	t.Run("the trust is shown", func(t *testing.T) {
		out := runDens(t, nil, "lookup", "www.alice.eth", "A", "--trust", "--config", server.File)
		if out.code != 0 {
			t.Fatalf("exit code %d: %s", out.code, out.all())
		}
		for _, want := range []string{"chain ethereum", bed.PublicResolverAddress.Hex(), "zone alice.eth.", dsData(t, ds["alice.eth."]), "DNSKEY", "RRSIG", "secure"} {
			if !strings.Contains(out.stdout, want) {
				t.Errorf("no %q in\n%s", want, out.stdout)
			}
		}
		out = runDens(t, nil, "lookup", "www.alice.eth", "A", "--json", "--config", server.File)
		for _, want := range []string{`"delegation": "alice.eth."`, `"ns1.alice.eth."`, `"` + dsData(t, ds["alice.eth."]) + `"`} {
			if !strings.Contains(out.stdout, want) {
				t.Errorf("no %s in\n%s", want, out.stdout)
			}
		}
	})
	t.Run("a new DS on chain counts for what is not in the cache", func(t *testing.T) {
		e.SetDNS(t, "wrong.eth", ds["wrong.eth."])
		bed.Wait(t, 20*time.Second, "wrong.eth is right", func() bool {
			reply := askFlags(t, server.DNS, "www.wrong.eth", dns.TypeA, false)
			return reply.Rcode == 0 && len(reply.Answer) > 0
		})
		e.SetDNS(t, "alice.eth", "alice.eth. 300 IN DS 12345 13 2 "+badDigest)
		i := 0
		bed.Wait(t, 20*time.Second, "alice.eth is wrong", func() bool {
			i++
			return askFlags(t, server.DNS, fmt.Sprintf("x%d.wild.alice.eth", i), dns.TypeTXT, false).Rcode == dns.RcodeServerFailure
		})
	})
}

// checkDelegations asks about the names of delegatedNames. The servers' signatures are good, or there is no
// answer, but the DS that they are good by are a single backend's word: nothing is called authentic.
func checkDelegations(t *testing.T, server string) {
	www := []string{"203.0.113.80"}
	for _, tt := range []struct {
		name     string
		rrtype   uint16
		rcode    int
		signed   bool     // the answer, if there are records
		data     []string // without signatures
		low, top uint16   // of the extended error's code
	}{
		{"www.alice.eth", dns.TypeA, 0, true, www, 0, 0},
		{"alice.eth", dns.TypeA, 0, true, []string{"203.0.113.1"}, 0, 0},
		{"alice.eth", dns.TypeNS, 0, true, []string{"ns.host.org.", "ns1.alice.eth."}, 0, 0},
		{"alice.eth", dns.TypeMX, 0, true, nil, 0, 0},
		{"nothing.alice.eth", dns.TypeA, dns.RcodeNameError, true, nil, 0, 0},
		{"alias.alice.eth", dns.TypeA, 0, true, []string{"203.0.113.80", "www.alice.eth."}, 0, 0},
		{"x.y.wild.alice.eth", dns.TypeTXT, 0, true, []string{`"any"`}, 0, 0},
		{"a_b.alice.eth", dns.TypeA, 0, true, []string{"203.0.113.7"}, 0, 0},               // no name of ENSIP-15
		{"1.2.3.4.5.6.7.8.9.alice.eth", dns.TypeA, 0, true, []string{"203.0.113.9"}, 0, 0}, // deeper than ENS is looked at
		{"away.alice.eth", dns.TypeA, 0, false, []string{"203.0.113.80", "www.plain.eth."}, 0, 0},
		{"www.alice.eth.limo", dns.TypeA, 0, false, []string{"203.0.113.80", "www.alice.eth."}, 0, 0},
		{"www.wrong.eth", dns.TypeA, dns.RcodeServerFailure, false, nil, 6, 12},
		{"nothing.wrong.eth", dns.TypeA, dns.RcodeServerFailure, false, nil, 6, 12},
		{"www.plain.eth", dns.TypeA, 0, false, www, 0, 0},
		{"nothing.plain.eth", dns.TypeA, dns.RcodeNameError, false, nil, 0, 0},
		{"carol.eth", dns.TypeA, 0, false, []string{"192.0.2.3"}, 0, 0},
		{"www.sub.carol.eth", dns.TypeA, 0, true, www, 0, 0},
		{"nothing.carol.eth", dns.TypeA, dns.RcodeNameError, false, nil, 0, 0},
		{"www.texts.eth", dns.TypeA, 0, true, www, 0, 0},
		{"www.bad.eth", dns.TypeA, dns.RcodeServerFailure, false, nil, 24, 24},
		{"www.lost.eth", dns.TypeA, dns.RcodeServerFailure, false, nil, 22, 22},
		{"www.mutual.eth", dns.TypeA, dns.RcodeServerFailure, false, nil, 0, 23},
		{"nobody.eth", dns.TypeA, dns.RcodeNameError, false, nil, 0, 0},
	} {
		t.Run(tt.name+" "+dns.Type(tt.rrtype).String(), func(t *testing.T) {
			begin := time.Now()
			reply := askFlags(t, server, tt.name, tt.rrtype, false)
			var data []string
			signed := 0
			for _, rr := range reply.Answer {
				if rr.Header().Rrtype == dns.TypeRRSIG {
					signed++
				}
			}
			reply.Answer = slices.DeleteFunc(reply.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
			data = bed.Data(reply)
			slices.Sort(data)
			if reply.Rcode != tt.rcode || reply.AuthenticatedData || !slices.Equal(data, tt.data) {
				t.Errorf("got %v after %v", reply, time.Since(begin))
			}
			if tt.signed && len(data) > 0 && signed == 0 {
				t.Errorf("no signatures for DO: %v", reply)
			}
			ede := bed.EDE(reply)
			if tt.rcode == dns.RcodeServerFailure && (ede == nil || ede.InfoCode < tt.low || ede.InfoCode > tt.top) {
				t.Errorf("extended error is %v, want a code from %d to %d", ede, tt.low, tt.top)
			}
		})
	}
}
