package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	// Spaces at the ends of lines come from the table, and nobody sees them.
	if got = trimLines(got); got != string(want) {
		t.Errorf("got:\n%s\nand testdata/%s is:\n%s", got, name, want)
	}
}

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// someSteps are those of a cold iteration, with a side look-up, a dead server and a validation.
func someSteps() []resolver.Step {
	const ms = time.Millisecond
	return []resolver.Step{
		{At: 0, Kind: resolver.StepCached, Name: ".", Type: "NS", Zone: ".", Outcome: "13 root servers"},
		{At: 100 * time.Microsecond, Kind: resolver.StepQuery, Zone: ".", Name: "org.", Type: "A", Server: "198.41.0.4:53", Host: "a.root-servers.net.", Transport: "udp", RTT: 20*ms + 340*time.Microsecond, Outcome: "referral to org."},
		{At: 21 * ms, Kind: resolver.StepValidate, Name: "org.", Type: "DS", Zone: ".", Status: "secure"},
		{At: 21 * ms, Kind: resolver.StepNote, Name: "example.org.", Outcome: "its servers have no glue"},
		{At: 22 * ms, Depth: 1, Kind: resolver.StepQuery, Zone: "net.", Name: "ns.example.net.", Type: "A", Server: "[2001:503:a83e::2:30]:53", Host: "a.gtld-servers.net.", Transport: "udp", RTT: 400 * ms, Outcome: "timed out"},
		{At: 423 * ms, Depth: 1, Kind: resolver.StepQuery, Zone: "net.", Name: "ns.example.net.", Type: "A", Server: "192.5.6.30:53", Transport: "tcp", RTT: 30 * ms, Outcome: "answer", Status: "insecure"},
		{At: 1455 * ms, Kind: resolver.StepQuery, Zone: "example.org.", Name: "www.example.org.", Type: "A", Server: "192.0.2.1:5353", Transport: "udp", RTT: 9 * ms, Rcode: "SERVFAIL", Outcome: "next server"},
		{At: 1500 * ms, Kind: resolver.StepValidate, Name: "www.example.org.", Type: "A", Zone: "example.org.", Status: "bogus", Outcome: "signature expired \x1b[31m"},
		{At: 1501 * ms, Depth: 99, Kind: resolver.StepQuery, Name: "x.", Type: "A", Host: "ns.x."},
	}
}

func TestPrintTrace(t *testing.T) {
	var out strings.Builder
	if err := printTrace(&out, "Steps for www.example.org. A", someSteps()); err != nil {
		t.Fatal(err)
	}
	golden(t, "trace.txt", out.String())
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a control character of a server reaches the terminal")
	}
}

// TestPrintTraceBounds: no step, and as many as are kept.
func TestPrintTraceBounds(t *testing.T) {
	for n, want := range map[int]string{0: "nobody was asked", 1: "org.", resolver.MaxSteps: "only the first 1024 steps"} {
		steps := make([]resolver.Step, n)
		for i := range steps {
			steps[i] = resolver.Step{Kind: resolver.StepQuery, Name: "org."}
		}
		var out strings.Builder
		if err := printTrace(&out, "x", steps); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) || n != resolver.MaxSteps && strings.Contains(out.String(), "only the first") {
			t.Errorf("%d steps: no %q in\n%.500s", n, want, out.String())
		}
	}
}

const someDS = "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"

func TestPrintTrust(t *testing.T) {
	root := resolver.TrustStep{Zone: ".", By: "anchor", DS: []string{someDS}, Key: "20326, RSASHA256", Sig: "DNSKEY by . 20326, until 2026-12-12 00:00:00 UTC", Status: "secure"}
	tests := map[string]finding{
		"secure.txt": {Type: "A", Authenticated: true, zone: "recursive", TrustChain: []resolver.TrustStep{
			root, {Zone: "org.", By: "DS", DS: []string{"26974 8 2 4FEDE2", "26974 8 4 AA"}, Key: "26974, RSASHA256", Sig: "DNSKEY by org. 26974, until 2026-12-10 00:00:00 UTC", Status: "secure"},
		}},
		"insecure.txt": {Type: "A", zone: "recursive", TrustChain: []resolver.TrustStep{
			root, {Zone: "example.org.", By: "no DS", Status: "insecure", Text: "proven by NSEC3"},
		}},
		"bogus.txt": {Type: "A", zone: "recursive", rcode: dns.RcodeServerFailure, TrustChain: []resolver.TrustStep{
			root, {Zone: "example.org.", By: "DS", DS: []string{"1 13 2 AA"}, Status: "bogus", Text: "no DNSKEY fits the DS\x1b[2J"},
		}},
		"onchain.txt": {Type: "A", Authenticated: true, zone: "onchain", Origin: &resolver.Origin{
			Name: "alice.eth", Chain: "ethereum", Block: 21000000, BlockHash: "0xabcd", BlockTime: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC),
			Resolver: "0x231b0Ee14048e9dCcD1d247744d114a4EB5E8E63", Trust: "quorum", Backends: []string{"a.example", "b.example"}, Gateways: []string{"gw.example"},
		}, TrustChain: []resolver.TrustStep{
			{Zone: "alice.eth.", By: "chain", DS: []string{"4711 13 2 AABB"}, Key: "4711, ECDSAP256SHA256", Sig: "DNSKEY by alice.eth. 4711, until 2026-12-01 00:00:00 UTC", Status: "secure"},
		}},
	}
	for file, a := range tests {
		t.Run(file, func(t *testing.T) {
			var out strings.Builder
			if err := printTrust(&out, "Chain of trust of www.example.org. A", a); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("trust", file), out.String())
		})
	}
}

// TestJudgement: what is said of an answer without a chain of trust.
func TestJudgement(t *testing.T) {
	for want, a := range map[string]finding{
		"The upstream server says that it has validated": {Authenticated: true, zone: "forward"},
		"not validated: the upstream server is trusted":  {zone: "forward"},
		"not validated (resolve.validate)":               {zone: "recursive"},
		"comes from the chain; DNSSEC has no part in it": {zone: "onchain", rcode: dns.RcodeNameError},
		"dens's own":                                      {zone: "special"},
		"no answer that can be trusted":                   {zone: "recursive", rcode: dns.RcodeServerFailure},
		"every link has been checked":                     {Authenticated: true, TrustChain: []resolver.TrustStep{{}}},
		"insecure: there is no chain of signatures":       {TrustChain: []resolver.TrustStep{{}}},
		"There is no answer that can be trusted.":         {Authenticated: true, rcode: dns.RcodeRefused, TrustChain: []resolver.TrustStep{{}}},
		"validated the answer (AD); dens has not":         {Authenticated: true, zone: ""},
		"The answer is dens's own.":                       {zone: "local"},
		"The answer comes from the chain; DNSSEC has no ": {zone: "onchain"},
	} {
		if got := a.judgement(); !strings.Contains(got, want) {
			t.Errorf("%+v: %q, want %q in it", a, got, want)
		}
	}
}

// tracing is an asker that leaves steps in the trace, if there is one.
func tracing(ctx context.Context, req []byte) (asked, error) {
	q := new(dns.Msg)
	if err := q.Unpack(req); err != nil {
		return asked{}, err
	}
	trace := resolver.TraceOf(ctx)
	name, rrtype := q.Question[0].Name, dns.Type(q.Question[0].Qtype).String()
	trace.Add(resolver.Step{Kind: resolver.StepQuery, Zone: ".", Name: name, Type: rrtype, Server: "192.0.2.1:53", RTT: 2 * time.Millisecond, Outcome: "answer"})
	trace.AddTrust(resolver.TrustStep{Zone: ".", By: "anchor", Key: rrtype, Status: "secure"})
	m := new(dns.Msg).SetReply(q)
	m.AuthenticatedData = q.AuthenticatedData
	m.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET, Ttl: 60}, Target: "b."}}
	return asked{msg: m}, nil
}

// TestLookupTraced: each type has the steps of its own, in text and JSON, and only where they are wanted.
func TestLookupTraced(t *testing.T) {
	for _, tt := range []struct{ trace, trust bool }{{true, false}, {false, true}, {true, true}} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			found, err := lookupInTurn(t.Context(), asker(tracing).traced(tt.trace, tt.trust), "a.example.", []uint16{dns.TypeCNAME, dns.TypeNS})
			if err != nil || len(found.Answers) != 2 {
				t.Fatal(found, err)
			}
			data, err := json.Marshal(found)
			if err != nil {
				t.Fatal(err)
			}
			var back struct {
				Answers []struct {
					Type          string
					Authenticated bool
					Trace         []map[string]any
					TrustChain    []map[string]any `json:"trust_chain"`
				}
			}
			if err := json.Unmarshal(data, &back); err != nil {
				t.Fatal(err)
			}
			for _, a := range back.Answers {
				if (len(a.Trace) == 1) != tt.trace || (len(a.TrustChain) == 1) != tt.trust || !a.Authenticated {
					t.Fatalf("%s", data)
				}
				if tt.trace && (a.Trace[0]["type"] != a.Type || a.Trace[0]["rtt_ns"] != 2e6 || a.Trace[0]["kind"] != "query") {
					t.Errorf("steps %v", a.Trace)
				}
				if tt.trust && (a.TrustChain[0]["dnskey"] != a.Type || a.TrustChain[0]["by"] != "anchor") {
					t.Errorf("trust %v", a.TrustChain)
				}
			}
			var out strings.Builder
			if err := found.print(&out); err != nil {
				t.Fatal(err)
			}
			for want, there := range map[string]bool{
				"Steps for a.example. NS": tt.trace, "Chain of trust of a.example. CNAME": tt.trust, "zone .": tt.trust, "192.0.2.1": tt.trace,
				"b.": true,
			} {
				if strings.Contains(out.String(), want) != there {
					t.Errorf("%q in the text: want %v\n%s", want, there, out.String())
				}
			}
		})
	}
}

// TestLookupUntraced: without --trace the JSON form has neither key.
func TestLookupUntraced(t *testing.T) {
	found, err := lookup(t.Context(), tracing, "a.example.", []uint16{dns.TypeNS})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(found)
	if err != nil || bytes.Contains(data, []byte("trace")) || bytes.Contains(data, []byte("trust_chain")) {
		t.Errorf("%s, %v", data, err)
	}
}

// TestLookupTraceByServer: who asks a server for its steps is told why there are none.
func TestLookupTraceByServer(t *testing.T) {
	for _, flag := range []string{"--trace", "--trust"} {
		var out, errs strings.Builder
		code := run(t.Context(), []string{"lookup", "a.example", flag, "--server", "127.0.0.1:1"}, &out, &errs)
		if code != exitFailure || out.Len() > 0 || !strings.Contains(errs.String(), "leave out --server") {
			t.Errorf("%s: exit code %d, %q, %q", flag, code, out.String(), errs.String())
		}
	}
}
