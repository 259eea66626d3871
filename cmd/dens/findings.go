package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/miekg/dns"

	"dens/reply"
	"dens/resolver"
)

// findings are what lookup found out about one name. Its JSON form is part of dens's interface.
type findings struct {
	Name    string    `json:"name"`
	Answers []finding `json:"answers"`
}

// finding is the answer to the question for one type.
type finding struct {
	Type          string           `json:"type"`
	Status        string           `json:"status"` // the rcode's name: NOERROR, NXDOMAIN, SERVFAIL, ...
	Authenticated bool             `json:"authenticated"`
	Records       []record         `json:"records"`
	Errors        []extendedError  `json:"extended_errors,omitempty"`
	Origin        *resolver.Origin `json:"origin,omitempty"`
	Milliseconds  float64          `json:"milliseconds"`
	// CheckpointAge is how old the checkpoint is that Origin.Proof begins with, in seconds.
	CheckpointAge int64 `json:"checkpoint_age,omitempty"`
	// Trace and TrustChain are there where they are asked for.
	Trace      []resolver.Step      `json:"trace,omitzero"`
	TrustChain []resolver.TrustStep `json:"trust_chain,omitzero"`

	zone  string // as resolver.Answer.Zone; "" when a server was asked
	rcode int
	found bool // of the type asked: an alias that leads to nothing is none
}

type record struct {
	Name string `json:"name"`
	TTL  uint32 `json:"ttl"` // seconds
	Type string `json:"type"`
	Data string `json:"data"` // presentation form
}

type extendedError struct {
	Code    uint16 `json:"code"` // INFO-CODE of RFC 8914
	Meaning string `json:"meaning"`
	Text    string `json:"text,omitempty"`
}

func (f *findings) add(rrtype uint16, a asked, elapsed time.Duration) {
	answer := finding{
		Type:          reply.TypeName(rrtype),
		Status:        dns.RcodeToString[a.msg.Rcode],
		Authenticated: a.msg.AuthenticatedData,
		Records:       []record{},
		Origin:        a.origin,
		Milliseconds:  float64(elapsed.Microseconds()) / 1000,
		CheckpointAge: int64(a.checkpointAge / time.Second),
		Trace:         a.steps,
		TrustChain:    a.trust,
		zone:          a.zone,
		rcode:         a.msg.Rcode,
	}
	for _, rr := range a.msg.Answer {
		h := rr.Header()
		answer.Records = append(answer.Records, record{
			Name: h.Name,
			TTL:  h.Ttl,
			Type: reply.TypeName(h.Rrtype),
			Data: reply.RecordData(rr),
		})
		answer.found = answer.found || h.Rrtype == rrtype || rrtype == dns.TypeANY
	}
	for _, e := range a.ede {
		answer.Errors = append(answer.Errors, extendedError{e.Code, dns.ExtendedErrorCodeToString[e.Code], e.Text})
	}
	f.Answers = append(f.Answers, answer)
}

// exitCode is the worst outcome that was a failure, else the best of the others.
func (f *findings) exitCode() int {
	code := exitNXDomain
	for _, a := range f.Answers {
		switch {
		case a.rcode == dns.RcodeSuccess && a.found:
			code = exitOK
		case a.rcode == dns.RcodeSuccess && code != exitOK:
			code = exitNoData
		case a.rcode != dns.RcodeSuccess && a.rcode != dns.RcodeNameError:
			return exitServFail
		}
	}
	return code
}

// print writes the findings for a person: the steps and chains of trust where they are wanted, the records of all types, then what is to be said of each
// type that was not found, then where the answers come from.
func (f *findings) print(out io.Writer) error {
	for _, a := range f.Answers {
		question := f.Name + " " + a.Type
		if a.Trace != nil {
			if err := printTrace(out, "Steps for "+question, a.Trace); err != nil {
				return err
			}
		}
		if a.TrustChain != nil {
			if err := printTrust(out, "Chain of trust of "+question, a); err != nil {
				return err
			}
		}
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	seen := map[record]bool{}
	for _, a := range f.Answers {
		for _, r := range a.Records {
			// An alias is in the answer of each type asked, and may have aged by a second in between.
			alike := record{Name: r.Name, Type: r.Type, Data: r.Data}
			if !seen[alike] {
				fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", r.Name, r.TTL, r.Type, r.Data)
			}
			seen[alike] = true
		}
	}
	for _, a := range f.Answers {
		if !a.found || a.rcode != dns.RcodeSuccess {
			fmt.Fprintf(table, "%s\t\t%s\t%s\n", f.Name, a.Type, a.verdict())
		}
		for _, e := range a.Errors {
			fmt.Fprintf(table, "\t\t\t%s\n", e.describe())
		}
	}
	if a := f.bestOrigin(); a != nil {
		fmt.Fprintln(table)
		printOrigin(table, a)
	}
	fmt.Fprintf(table, "\ntime\t%s\n", f.elapsed())
	return table.Flush()
}

func (a finding) verdict() string {
	switch {
	case a.rcode == dns.RcodeNameError:
		return "the name does not exist (NXDOMAIN)"
	case a.rcode == dns.RcodeSuccess:
		return "no such record (NODATA)"
	default:
		return "no answer (" + a.Status + ")"
	}
}

func (e extendedError) describe() string {
	s := fmt.Sprintf("extended error %d", e.Code)
	if e.Meaning != "" {
		s += " (" + e.Meaning + ")"
	}
	if e.Text != "" {
		s += ": " + printable(e.Text)
	}
	return s
}

// printable drops what would steer a terminal: the text comes from a server, or from a contract.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// bestOrigin is the origin that says most: all types are asked of the same name at about the same block.
func (f *findings) bestOrigin() *resolver.Origin {
	var best *resolver.Origin
	for _, a := range f.Answers {
		if o := a.Origin; o != nil && (best == nil || best.ContentHash == "" && o.ContentHash != "") {
			best = o
		}
	}
	return best
}

func (f *findings) elapsed() time.Duration {
	var longest float64
	for _, a := range f.Answers {
		longest = max(longest, a.Milliseconds)
	}
	return time.Duration(longest * float64(time.Millisecond)).Round(10 * time.Microsecond)
}

func printOrigin(out io.Writer, o *resolver.Origin) {
	row := func(key, format string, args ...any) {
		fmt.Fprintf(out, "%s\t%s\n", key, printable(fmt.Sprintf(format, args...)))
	}
	row("name", "%s", o.Name)
	row("chain", "%s, block %d of %s", o.Chain, o.Block, o.BlockTime.UTC().Format(time.DateTime+" UTC"))
	row("block hash", "%s", o.BlockHash)
	if o.Resolver != "" {
		row("resolver", "%s", o.Resolver)
	}
	if o.ContentHash != "" {
		row("content", "%s", o.ContentHash)
	}
	row("trust", "%s", describeTrust(o))
	if g := describeGateways(o); g != "" {
		row("off-chain", "%s", g)
	}
}
