package doh

import (
	"net/http"
	"strconv"
)

const (
	typeMessage = "application/dns-message"
	typeJSON    = "application/dns-json"
	typeText    = "text/plain; charset=utf-8"
)

// response is what goes back, whatever the HTTP version.
type response struct {
	status      int
	contentType string // "": there is no body
	body        []byte
	maxAge      int64 // of Cache-Control, in seconds; -1: none
	extra       []pair
	common      bool // it is a DNS message as most are, with fieldsCORS
}

// pair is a field of a response, its name in small letters.
type pair struct{ name, value string }

// The fields of all responses, and those that come with some.
var (
	fieldsAll  = []pair{{"x-content-type-options", "nosniff"}, {"content-security-policy", "default-src 'none'; frame-ancestors 'none'"}}
	fieldsCORS = []pair{{"access-control-allow-origin", "*"}}
	// A page's POST of a DNS message asks first (Fetch standard, CORS preflight).
	fieldsPreflight = []pair{
		{"access-control-allow-origin", "*"},
		{"access-control-allow-methods", "GET, HEAD, POST"},
		{"access-control-allow-headers", "content-type, accept"},
		{"access-control-max-age", "86400"},
	}
	fieldsNamed = []pair{{"access-control-allow-origin", "*"}, {"vary", "accept"}}
	fieldsAllow = []pair{{"access-control-allow-origin", "*"}, {"allow", "GET, HEAD, POST, OPTIONS"}}
	fieldsRetry = []pair{{"access-control-allow-origin", "*"}, {"retry-after", "1"}}
)

// refusal is a request that is not answered.
type refusal struct {
	status int
	text   string
}

// Error is the text for the client.
func (e *refusal) Error() string { return e.text }

var (
	errPath     = &refusal{http.StatusNotFound, "not found"}
	errMethod   = &refusal{http.StatusMethodNotAllowed, "use GET or POST"}
	errType     = &refusal{http.StatusUnsupportedMediaType, "the content type must be " + typeMessage}
	errTooLong  = &refusal{http.StatusRequestEntityTooLarge, "a DNS message has at most 65535 octets"}
	errBusy     = &refusal{http.StatusServiceUnavailable, "too many requests under way"}
	errSlow     = &refusal{http.StatusRequestTimeout, "the body took too long"}
	errHeader   = &refusal{http.StatusRequestHeaderFieldsTooLarge, "the header has more than " + strconv.Itoa(maxHeader) + " octets"}
	errNoQuery  = &refusal{http.StatusBadRequest, "this is no DNS query"}
	errSilence  = &refusal{http.StatusBadRequest, "the message deserves no reply"}
	errNoParam  = &refusal{http.StatusBadRequest, "the dns parameter is missing"}
	errTwice    = &refusal{http.StatusBadRequest, "more than one dns parameter"}
	errBase64   = &refusal{http.StatusBadRequest, "the dns parameter is no base64url"}
	errString   = &refusal{http.StatusBadRequest, "the query string does not parse"}
	errBody     = &refusal{http.StatusBadRequest, "the body did not come whole"}
	errProxies  = &refusal{http.StatusBadRequest, "Forwarded and X-Forwarded-For name different clients"}
	errNoJSON   = &refusal{http.StatusUnsupportedMediaType, typeJSON + " is not offered here"}
	errForm     = &refusal{http.StatusUnsupportedMediaType, "ct must be " + typeJSON + " or " + typeMessage}
	errInternal = &refusal{http.StatusInternalServerError, "this has no JSON form"}
)

// response is the refusal as it goes out.
func (e *refusal) response() response {
	out := response{status: e.status, contentType: typeText, body: []byte(e.text + "\n"), maxAge: -1, extra: fieldsCORS}
	switch e.status {
	case http.StatusNotFound:
		out.extra = nil
	case http.StatusMethodNotAllowed:
		out.extra = fieldsAllow
	case http.StatusServiceUnavailable:
		out.extra = fieldsRetry
	}
	return out
}
