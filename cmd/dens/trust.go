package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// printTrust writes the chain of trust of one answer for a person, from what is trusted without a proof
// down: the chain with its block and contract, where there is one, then each zone with what vouches for it.
func printTrust(out io.Writer, question string, a finding) error {
	fmt.Fprintf(out, "%s\n\n", printable(question))
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	row := func(key, value string) {
		if value != "" {
			fmt.Fprintf(table, "  %s\t%s\n", key, printable(value))
		}
	}
	if o := a.Origin; o != nil {
		fmt.Fprintf(table, "chain %s\n", printable(o.Chain))
		evidenceRows(o, time.Duration(a.CheckpointAge)*time.Second, row)
		row("name", o.Name)
		row("resolver", o.Resolver)
		row("off-chain", describeGateways(o))
		fmt.Fprintln(table)
	}
	for _, s := range a.TrustChain {
		fmt.Fprintf(table, "zone %s\n", printable(s.Zone))
		row("status", statusText(s))
		row("by", voucher(s.By))
		for _, ds := range s.DS {
			row("DS", ds)
		}
		row("DNSKEY", s.Key)
		row("RRSIG", s.Sig)
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s\n\n", a.judgement())
	return err
}

// voucher says in words what resolver.TrustStep.By stands for.
func voucher(by string) string {
	switch by {
	case "anchor":
		return "a trust anchor"
	case "chain":
		return "the records on the chain"
	case "DS":
		return "the zone above, which has signed the DS"
	case "negative anchor":
		return "nobody: a negative anchor says not to look (resolve.negative_anchors)"
	case "no DS":
		return "nobody: the zone above proves that there is no DS"
	default:
		return by
	}
}

func statusText(s resolver.TrustStep) string {
	if s.Text == "" {
		return s.Status
	}
	return s.Status + ": " + s.Text
}

// judgement says what the chain of trust comes to.
func (a finding) judgement() string {
	switch {
	case a.rcode != dns.RcodeSuccess && a.rcode != dns.RcodeNameError:
		return "There is no answer that can be trusted."
	case a.Origin != nil && a.Origin.Trust == "proven" && len(a.TrustChain) == 0:
		return a.provenJudgement()
	case a.Authenticated && len(a.TrustChain) > 0:
		return "The answer is secure (AD): every link has been checked."
	case a.Authenticated:
		return "The upstream server says that it has validated the answer (AD); dens has not."
	case len(a.TrustChain) > 0:
		return "The answer is insecure: there is no chain of signatures from an anchor to it, and none is due."
	case a.zone == "onchain":
		return "The answer comes from the chain; DNSSEC has no part in it."
	case a.zone == "forward":
		return "The answer is not validated: the upstream server is trusted (resolve.validate)."
	case a.zone == "special" || a.zone == "local":
		return "The answer is dens's own."
	default:
		return "The answer is not validated (resolve.validate)."
	}
}

// provenJudgement says what the evidence of an answer from the chain comes to.
func (a finding) provenJudgement() string {
	verdict := "The answer is proven"
	beyond := !a.Authenticated && len(a.Origin.Gateways) == 0
	switch {
	case a.Authenticated:
		verdict += " (AD)"
	case beyond:
		verdict = "What the chain says is proven"
	}
	verdict += ": it was computed here, over state that is proven down from the block's hash. "
	switch p := a.Origin.Proof; {
	case p == nil:
	case p.Beacon != nil && p.Beacon.Signers == 0:
		verdict += "The hash is that of the checkpoint, which is believed."
	case p.Beacon != nil:
		verdict += "The chain's consensus has signed that, from the checkpoint on."
	case p.Anchor == "trusted":
		verdict += "For the hash, one node is believed."
	default:
		verdict += "For the hash, backends that agree are believed."
	}
	if len(a.Origin.Gateways) > 0 {
		verdict += " Its off-chain data is as good as the check in the contract."
	}
	if beyond {
		verdict += " The answer holds more than that, such as a zone's alias, the address of a web gateway or what a name elsewhere has: so it has no AD."
	}
	return strings.TrimSpace(verdict)
}
