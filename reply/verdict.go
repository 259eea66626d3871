package reply

import (
	"context"
	"errors"

	"github.com/miekg/dns"

	"dens/resolver"
)

// verdict is a reply without records: what a request gets that is not, or could not be, answered.
type verdict struct {
	rcode    int
	hasEDE   bool
	ede      resolver.EDE
	failure  bool   // of the resolver, not of the request
	fleeting bool   // says nothing about the next try
	zone     string // the kind of zone that the resolver failed in
}

// judge returns what a question gets that is not for the resolver, or nil.
//
//	type                                        gets
//	AXFR, IXFR                                  REFUSED (there is no zone to transfer)
//	0, OPT, NXNAME, TSIG, TKEY, 65535           FORMERR (no types for a question: RFC 6895, RFC 9824)
//	MAILA, MAILB, the rest of the meta range    NOTIMP  (RFC 6895 section 3.1)
//	ANY                                         HINFO   (RFC 8482)
//
//	class                                       gets
//	IN                                          an answer
//	CH                                          version.bind and the like, or REFUSED
//	HS, NONE, ANY, any other                    REFUSED
func judge(q resolver.Query) *verdict {
	with := func(rcode int, code uint16, text string) *verdict {
		return &verdict{rcode: rcode, hasEDE: true, ede: resolver.EDE{Code: code, Text: text}}
	}
	switch t := q.Type; {
	case t == dns.TypeAXFR || t == dns.TypeIXFR:
		return with(dns.RcodeRefused, dns.ExtendedErrorCodeNotSupported, "no zone transfers")
	case t == dns.TypeNone || t == dns.TypeOPT || t == dns.TypeNXNAME || t == dns.TypeTSIG || t == dns.TypeTKEY || t == dns.TypeReserved:
		return with(dns.RcodeFormatError, dns.ExtendedErrorCodeInvalidQueryType, "")
	case t >= 128 && t < dns.TypeANY:
		return with(dns.RcodeNotImplemented, dns.ExtendedErrorCodeInvalidQueryType, "")
	case q.Class != dns.ClassINET && q.Class != dns.ClassCHAOS:
		return with(dns.RcodeRefused, dns.ExtendedErrorCodeNotSupported, "class")
	}
	return nil
}

// diagnose turns an error of the resolver into what the client is told. The detail is for the log.
//
//	error                  rcode      EDE
//	*resolver.Error        its own    its own (SERVFAIL unless it says otherwise)
//	deadline exceeded      SERVFAIL   23 Network Error
//	cancelled              SERVFAIL   none, and it is kept for a second
//	any other              SERVFAIL   0 Other
func diagnose(err error) verdict {
	v := verdict{rcode: dns.RcodeServerFailure, failure: true, hasEDE: true}
	if in, ok := errors.AsType[*resolver.ZoneError](err); ok {
		v.zone = in.Zone
	}
	var e *resolver.Error
	switch {
	case errors.As(err, &e):
		v.ede = resolver.EDE{Code: e.Code, Text: e.Text}
		if e.Rcode > 0 && e.Rcode <= 0xf {
			v.rcode = e.Rcode
		}
	case errors.Is(err, context.DeadlineExceeded):
		v.ede = resolver.EDE{Code: dns.ExtendedErrorCodeNetworkError, Text: "timed out"}
	case errors.Is(err, context.Canceled):
		v.hasEDE, v.fleeting = false, true
	default:
		v.ede = resolver.EDE{Code: dns.ExtendedErrorCodeOther, Text: "internal error"}
	}
	return v
}
