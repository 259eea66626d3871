package internet

import (
	"github.com/miekg/dns"
)

// Servers that deny wrongly what their zone has, or rightly but without showing it (RFC 4035 section 5.4,
// RFC 5155 section 8).

func isDenial(rr dns.RR) bool {
	t := rr.Header().Rrtype
	if sig, ok := rr.(*dns.RRSIG); ok {
		t = sig.TypeCovered
	}
	return t == dns.TypeNSEC || t == dns.TypeNSEC3
}

func without(rrs []dns.RR, drop func(dns.RR) bool) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		if !drop(rr) {
			out = append(out, rr)
		}
	}
	return out
}

// noDenial leaves NSEC and NSEC3 out of every authority section.
var noDenial = changed(func(x *Exchange, reply *dns.Msg) {
	if x.Type() != dns.TypeDNSKEY && x.Type() != dns.TypeDS {
		reply.Ns = without(reply.Ns, isDenial)
	}
})

// firstDenial leaves only the first of the NSEC or NSEC3 records in; lastDenial the last.
var (
	firstDenial = changed(func(_ *Exchange, reply *dns.Msg) { keepDenial(reply, true) })
	lastDenial  = changed(func(_ *Exchange, reply *dns.Msg) { keepDenial(reply, false) })
)

func keepDenial(reply *dns.Msg, first bool) {
	owner := ""
	for _, rr := range reply.Ns {
		if isDenial(rr) && (owner == "" || !first) {
			owner = rr.Header().Name
		}
	}
	reply.Ns = without(reply.Ns, func(rr dns.RR) bool { return isDenial(rr) && rr.Header().Name != owner })
}

// denialOf denies every name below the zone with what denies another name.
func denialOf(other string) Fault {
	return changed(func(x *Exchange, reply *dns.Msg) {
		if len(reply.Answer) > 0 {
			return
		}
		q := x.Query.Copy()
		q.Question[0].Name = other
		if lie := x.Ask(q); lie != nil {
			reply.Ns = lie.Ns
		}
	})
}

// deny says that a name does not exist, or has not the type, with what denies another.
func deny(name, other string, code int) Fault {
	return changed(func(x *Exchange, reply *dns.Msg) {
		if x.Name() != name {
			return
		}
		q := x.Query.Copy()
		q.Question[0].Name = other
		if lie := x.Ask(q); lie != nil {
			reply.Answer, reply.Ns, reply.Rcode = nil, lie.Ns, code
		}
	})
}

// badDenialSig breaks the signatures of NSEC and NSEC3 records.
var badDenialSig = changed(func(_ *Exchange, reply *dns.Msg) {
	for _, rr := range reply.Ns {
		if sig, ok := rr.(*dns.RRSIG); ok && isDenial(rr) {
			sig.Signature = corrupt(sig.Signature)
		}
	}
})

// noSOA leaves SOA out of negative answers, and so the zone they are from.
var noSOA = changed(func(_ *Exchange, reply *dns.Msg) {
	if len(reply.Answer) == 0 {
		reply.Ns = without(reply.Ns, func(rr dns.RR) bool {
			sig, ok := rr.(*dns.RRSIG)
			return rr.Header().Rrtype == dns.TypeSOA || ok && sig.TypeCovered == dns.TypeSOA
		})
	}
})

// replay answers for one name with what a wildcard makes of another, under the asked name. The signature
// is good for any name below the wildcard's parent; proof that no closer name exists is missing or false.
func replay(name, from string) Fault {
	return changed(func(x *Exchange, reply *dns.Msg) {
		if x.Name() != name {
			return
		}
		q := x.Query.Copy()
		q.Question[0].Name = from
		lie := x.Ask(q)
		if lie == nil {
			return
		}
		for _, rr := range lie.Answer {
			rr.Header().Name = x.Query.Question[0].Name
		}
		reply.Rcode, reply.Answer, reply.Ns = lie.Rcode, lie.Answer, lie.Ns
	})
}

// labels changes the label count of the signatures in answers.
func labels(by int) Fault {
	return changed(func(x *Exchange, reply *dns.Msg) {
		for _, rr := range reply.Answer {
			if sig, ok := rr.(*dns.RRSIG); ok && x.Type() != dns.TypeDNSKEY {
				sig.Labels = uint8(int(sig.Labels) + by)
			}
		}
	})
}

// wrongAnswer changes the data of answers of type A.
var wrongAnswer = changed(func(_ *Exchange, reply *dns.Msg) {
	for i, rr := range reply.Answer {
		if a, ok := rr.(*dns.A); ok {
			reply.Answer[i] = mustRR(a.Hdr.Name + " 3600 A " + forged)
		}
	}
})

// noSigs leaves signatures out of answers.
var noSigs = changed(func(_ *Exchange, reply *dns.Msg) {
	drop := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }
	reply.Answer, reply.Ns = without(reply.Answer, drop), without(reply.Ns, drop)
})

// corrupt changes a signature in its middle.
func corrupt(signature string) string {
	b := []byte(signature)
	at := len(b) / 2
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}
