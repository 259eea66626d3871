package resolver

import (
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// Link is one alias: a CNAME, or a DNAME with the CNAME that follows from it.
type Link struct {
	Owner   string   // the name that is an alias, in Query.Name's form
	Target  string   // what it is an alias of, in Query.Name's form
	Records []dns.RR // CNAME; or DNAME, then CNAME; and their signatures
}

// Chain is what an answer section says about one question, put in order. Records that are not part of
// it say nothing about the question, and are not to be believed.
type Chain struct {
	Links   []Link
	End     string   // the name that the links lead to; the question's own without links
	Records []dns.RR // the RRset asked for at End, with its signatures; empty when there is none
	// Overlong is a DNAME at which the chain breaks off, since its result would be over 255 bytes (RFC
	// 6672 section 2.2: YXDOMAIN); with its signatures, nil otherwise.
	Overlong []dns.RR
}

// All returns the records of the whole chain in order.
func (c *Chain) All() []dns.RR {
	if len(c.Links) == 0 && len(c.Overlong) == 0 {
		return c.Records
	}
	var all []dns.RR
	for _, l := range c.Links {
		all = append(all, l.Records...)
	}
	all = append(all, c.Overlong...)
	return append(all, c.Records...)
}

// Follow walks the alias chain of a question through an answer section (RFC 1034 section 4.3.2, RFC
// 6672 section 3.2). A CNAME below a DNAME that says something else than the DNAME is replaced by what
// follows from the DNAME. DNAMEs above zone are not taken into account: who answers for zone has no say
// there. A loop and a chain of more than MaxAliases links are an *Error.
func Follow(q Query, zone string, answer []dns.RR) (Chain, error) {
	w := walker{zone: zone, answer: answer, owners: make([]string, len(answer))}
	for i, rr := range answer {
		w.owners[i] = dns.CanonicalName(rr.Header().Name)
	}
	chain := Chain{End: q.Name}
	for !w.isData(chain.End, q.Type) {
		link, overlong, ok := w.link(chain.End)
		if !ok {
			break
		}
		if overlong {
			chain.Overlong = link.Records
			return chain, nil
		}
		if link.Target == q.Name || chain.has(link.Target) {
			return Chain{}, errLoop(link.Target)
		}
		chain.Links = append(chain.Links, link)
		chain.End = link.Target
		if len(chain.Links) > MaxAliases {
			return Chain{}, errTooLong(q.Name)
		}
	}
	chain.Records = w.rrset(chain.End, q.Type)
	if !follows(q.Type) {
		if d, ok := w.dname(chain.End); ok {
			chain.Records = append(w.signed(d), chain.Records...)
		}
	}
	return chain, nil
}

func (c *Chain) has(name string) bool {
	for _, l := range c.Links {
		if l.Owner == name {
			return true
		}
	}
	return false
}

func errLoop(name string) *Error {
	return Errorf(dns.ExtendedErrorCodeOther, nil, "alias loop at %s", name)
}

func errTooLong(name string) *Error {
	return Errorf(dns.ExtendedErrorCodeOther, errTooManyLinks, "alias chain too long: more than %d links from %s", MaxAliases, name)
}

// errTooManyLinks is in all errors by which an alias chain ends at MaxAliases.
var errTooManyLinks = errors.New("more links than are followed")

// follows reports whether aliases are followed for questions of this type: a CNAME is what such a
// question asks for (RFC 1034 section 3.6.2), and ANY asks for what is there (RFC 8482).
func follows(rrtype uint16) bool { return rrtype != dns.TypeCNAME && rrtype != dns.TypeANY }

type walker struct {
	zone   string
	answer []dns.RR
	owners []string
}

// isData reports whether name is where a chain ends although there may be an alias.
func (w *walker) isData(name string, rrtype uint16) bool {
	if !follows(rrtype) {
		return true
	}
	// These stand beside a CNAME (RFC 4034 sections 3 and 4).
	if rrtype == dns.TypeRRSIG || rrtype == dns.TypeNSEC {
		return len(w.rrset(name, rrtype)) > 0
	}
	return false
}

// link returns the alias at name. overlong says that it is a DNAME whose result is too long.
func (w *walker) link(name string) (link Link, overlong, ok bool) {
	cname := w.find(name, dns.TypeCNAME)
	d, ok := w.dname(name)
	if !ok {
		if cname < 0 {
			return Link{}, false, false
		}
		target := dns.CanonicalName(w.answer[cname].(*dns.CNAME).Target)
		return Link{Owner: name, Target: target, Records: w.signed(cname)}, false, true
	}
	dname := w.answer[d].(*dns.DNAME)
	target, fits := substitute(name, w.owners[d], dns.CanonicalName(dname.Target))
	if !fits {
		return Link{Records: w.signed(d)}, true, true
	}
	link = Link{Owner: name, Target: target, Records: w.signed(d)}
	if cname >= 0 {
		if c := w.answer[cname].(*dns.CNAME); dns.CanonicalName(c.Target) == target {
			link.Records = append(link.Records, c)
			return link, false, true
		}
	}
	link.Records = append(link.Records, &dns.CNAME{
		Hdr:    dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl},
		Target: target,
	})
	return link, false, true
}

// find returns the first record of a type at name, or -1. Several CNAMEs at a name are an error (RFC
// 2181 section 10.1), of which the first is taken.
func (w *walker) find(name string, rrtype uint16) int {
	for i, rr := range w.answer {
		if rr.Header().Rrtype == rrtype && w.owners[i] == name && isType(rr, rrtype) {
			return i
		}
	}
	return -1
}

// isType keeps what merely calls itself a CNAME or DNAME (an RFC 3597 form) from being taken for one.
func isType(rr dns.RR, rrtype uint16) bool {
	switch rr.(type) {
	case *dns.CNAME:
		return rrtype == dns.TypeCNAME
	case *dns.DNAME:
		return rrtype == dns.TypeDNAME
	default:
		return rrtype != dns.TypeCNAME && rrtype != dns.TypeDNAME
	}
}

// dname finds the DNAME that name is below.
func (w *walker) dname(name string) (int, bool) {
	for i, rr := range w.answer {
		owner := w.owners[i]
		if rr.Header().Rrtype == dns.TypeDNAME && isType(rr, dns.TypeDNAME) && owner != name &&
			dns.IsSubDomain(owner, name) && dns.IsSubDomain(w.zone, owner) {
			return i, true
		}
	}
	return 0, false
}

// signed returns record i and the signatures over its RRset.
func (w *walker) signed(i int) []dns.RR {
	out := []dns.RR{w.answer[i]}
	rrtype := w.answer[i].Header().Rrtype
	for j, rr := range w.answer {
		if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == rrtype && w.owners[j] == w.owners[i] {
			out = append(out, rr)
		}
	}
	return out
}

// rrset returns the records of a type (or of ANY) at name, and the signatures over them.
func (w *walker) rrset(name string, rrtype uint16) []dns.RR {
	var out []dns.RR
	for i, rr := range w.answer {
		if w.owners[i] != name {
			continue
		}
		sig, isSig := rr.(*dns.RRSIG)
		if rrtype == dns.TypeANY || rr.Header().Rrtype == rrtype || isSig && sig.TypeCovered == rrtype {
			out = append(out, rr)
		}
	}
	return out
}

// substitute puts target in the place of owner at the end of name (RFC 6672 section 2.2). It reports
// false when the result is over 255 bytes.
func substitute(name, owner, target string) (string, bool) {
	prefix := name
	if owner != "." {
		prefix = name[:len(name)-len(owner)]
	}
	out := prefix + target
	if target == "." {
		out = prefix
	}
	var buf [512]byte
	n, err := dns.PackDomainName(out, buf[:], 0, nil, false)
	return out, err == nil && n <= 255
}

// CheckName returns the form of name that Query.Name has, or says why it is no domain name.
func CheckName(name string) (string, error) {
	var buf [512]byte
	name = dns.CanonicalName(name)
	n, err := dns.PackDomainName(name, buf[:], 0, nil, false)
	if err != nil {
		return "", fmt.Errorf("%q is no domain name: %w", name, err)
	}
	if n > 255 {
		return "", fmt.Errorf("%q is no domain name: longer than 255 bytes", name)
	}
	// The way back turns needless escapes such as \097 into what they mean.
	name, _, err = dns.UnpackDomainName(buf[:n], 0)
	if err != nil {
		return "", fmt.Errorf("%q is no domain name: %w", name, err)
	}
	return dns.CanonicalName(name), nil
}
