package wire

// OptionCookie is the EDNS option of DNS cookies (RFC 7873 section 4).
const OptionCookie uint16 = 10

const (
	// ClientCookieLen is the length of a client cookie (RFC 7873 section 4.1).
	ClientCookieLen = 8
	// CookieLen is the length of what a reply's option holds: a client cookie, and a server cookie of
	// 16 octets (RFC 9018 section 4).
	CookieLen = ClientCookieLen + 16

	minServerCookie = 8  // RFC 7873 section 4.2
	maxServerCookie = 32 // likewise
)

// CookieState is what a request's COOKIE option is worth.
type CookieState uint8

const (
	CookieNone   CookieState = iota // there is none, or cookies are not in use
	CookieClient                    // a client cookie alone: nothing is known of the client
	CookieValid                     // also a server cookie made here: the client's address is its own
	CookieBad                       // also a server cookie, which is expired, forged or another client's
)

// String returns the name used in metrics.
func (s CookieState) String() string {
	switch s {
	case CookieNone:
		return "none"
	case CookieClient:
		return "client"
	case CookieValid:
		return "valid"
	case CookieBad:
		return "bad"
	default:
		return "unknown"
	}
}

// Cookie is what a request's COOKIE option is worth, and what the reply's option holds.
type Cookie struct {
	State CookieState
	Value [CookieLen]byte
}

// Option returns the value of the reply's option, nil for none.
func (c *Cookie) Option() []byte {
	if c.State == CookieNone {
		return nil
	}
	return c.Value[:]
}

// Cookie returns the value of the COOKIE option as it stands in req, the message that r was read from:
// 8 octets, or 16 to 40. It is empty when there is none, or none of such a length.
func (r *Request) Cookie(req []byte) []byte { return req[r.cookieOff:r.cookieEnd] }

// cookie notes where the value of a COOKIE option stands, and reports whether it has a length that one may
// have (RFC 7873 section 5.2.2). All but the first are ignored (section 5.2).
func (r *Request) cookie(off, end int) bool {
	if r.cookieEnd != 0 || r.Version != 0 {
		return true
	}
	n := end - off
	if n != ClientCookieLen && (n < ClientCookieLen+minServerCookie || n > ClientCookieLen+maxServerCookie) {
		return false
	}
	r.cookieOff, r.cookieEnd = off, end
	return true
}
