package validate

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// traceTrust notes a link of the chain of trust: a zone whose keys were looked at.
func (w *walk) traceTrust(p place) {
	if w.trace == nil {
		return
	}
	s := resolver.TrustStep{Zone: p.zone, By: "DS", Status: p.verdict.Status.String(), Text: p.verdict.Text}
	if p.origin.anchor {
		s.By = "anchor"
	}
	for _, ds := range p.origin.trust.DS {
		s.DS = append(s.DS, strings.ReplaceAll(ds.String(), "\t", " "))
	}
	if p.keys != nil && p.keys.Entry != nil {
		s.Key = keyText(p.keys.Entry.KeyTag(), p.keys.Entry.Algorithm)
		s.Sig = sigText(p.keys.Sig)
	}
	w.trace.AddTrust(s)
}

// traceEnd notes where the chain ends for want of something.
func (w *walk) traceEnd(p place, by string) {
	if w.trace == nil {
		return
	}
	if p.verdict.Status != dnssec.Insecure {
		by = "DS"
	}
	w.trace.AddTrust(resolver.TrustStep{Zone: p.zone, By: by, Status: p.verdict.Status.String(), Text: p.verdict.Text})
}

func keyText(tag uint16, alg uint8) string {
	return fmt.Sprintf("%d, algorithm %d (%s)", tag, alg, dns.AlgorithmToString[alg])
}

func sigText(sig *dns.RRSIG) string {
	return fmt.Sprintf("%s by %s %d, expires %s", dns.Type(sig.TypeCovered), sig.SignerName, sig.KeyTag,
		dns.TimeToString(sig.Expiration))
}

// traceVerdict notes what was found about a response.
func (w *walk) traceVerdict(r *Response, v dnssec.Verdict) {
	if w.trace == nil {
		return
	}
	text := v.Text
	if v.Status == dnssec.Secure && w.sig != nil {
		text = sigText(w.sig)
	}
	w.trace.Add(resolver.Step{
		Kind: resolver.StepValidate, Zone: r.Zone, Name: r.Name, Type: dns.Type(r.Type).String(),
		Outcome: text, Status: v.Status.String(),
	})
}

func (w *walk) traceFailure(r *Response, err error) {
	if w.trace == nil {
		return
	}
	w.trace.Add(resolver.Step{
		Kind: resolver.StepValidate, Zone: r.Zone, Name: r.Name, Type: dns.Type(r.Type).String(),
		Outcome: err.Error(), Status: dnssec.Indeterminate.String(),
	})
}
