// Package wire reads and patches DNS messages (RFC 1035 section 4) as bytes, without unpacking them.
package wire

// Status is a reply without records: what AppendStatus makes of a request that is not to be resolved.
type Status struct {
	Rcode   uint16 // extended rcodes (RFC 6891 section 6.1.3) need a request with OPT
	TC      bool   // truncated: the client is to come back by TCP
	HasEDE  bool   // EDECode and EDEText are to go out (RFC 8914) when the request has an OPT record
	EDECode uint16
	EDEText string
	Cookie  []byte // value of the COOKIE option, when not nil and the request has an OPT record
}

// AppendStatus appends to dst a reply to req, from which r was read, that has no records: ID, opcode, RD and
// CD as in req, QR and RA set, the question when there is one and it parses, and an OPT record if req has one.
// A req that is too short for a header, or itself a reply, gets none: dst comes back as it was. The reply is
// never longer than 512 octets.
func (r *Request) AppendStatus(dst, req []byte, s Status) []byte {
	o := s.opt(r)
	return r.appendStatus(dst, req, &s, &o)
}

// opt is the OPT record for a request that has one.
func (s *Status) opt(r *Request) OPT {
	return OPT{Rcode: s.Rcode, DO: r.DO, HasEDE: s.HasEDE, EDECode: s.EDECode, EDEText: s.EDEText, Cookie: s.Cookie}
}

// statusLen is the length of a reply without records, before the OPT record.
func (r *Request) statusLen() int {
	if r.HasQuestion {
		return r.QuestionEnd
	}
	return headerLen
}

func (r *Request) appendStatus(dst, req []byte, s *Status, o *OPT) []byte {
	if r.Kind == Silent {
		return dst
	}
	flags := r.Flags&(opcodeMask|flagRD|flagCD) | flagQR | flagRA | s.Rcode&rcodeMask
	if s.Rcode > rcodeMask && !r.EDNS {
		// The header alone cannot say it.
		flags = flags&^rcodeMask | RcodeServerFailure
	}
	if s.TC {
		flags |= flagTC
	}
	var qd, ar uint16
	if r.HasQuestion {
		qd = 1
	}
	if r.EDNS {
		ar = 1
	}
	dst = appendHeader(dst, r.ID, flags, qd, ar)
	if r.HasQuestion {
		dst = append(dst, r.Question(req)...)
	}
	if r.EDNS {
		dst = AppendOPT(dst, o)
	}
	return dst
}
