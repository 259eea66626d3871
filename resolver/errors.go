package resolver

import (
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// Errors of an Exchanger over UDP that say that somebody may be forging replies, so that the question
// should be asked again by TCP (RFC 5452).
var (
	// ErrCase means that the only reply that came did not repeat the question letter by letter, or had none.
	ErrCase = errors.New("reply does not repeat the question as it was sent")
	// ErrForged means that many replies came that were not to the question.
	ErrForged = errors.New("too many replies to something else")
)

// ErrBusy is the error of an Exchanger that has as much under way as it may have: no fault of the server.
var ErrBusy = errors.New("too many connections or questions under way")

// Error is a failure whose cause the client is told: an extended DNS error (RFC 8914) and an rcode.
type Error struct {
	Rcode int    // 0 is dns.RcodeServerFailure
	Code  uint16 // INFO-CODE, such as dns.ExtendedErrorCodeNetworkError
	Text  string // EXTRA-TEXT for the client: short, no secrets, no URLs
	Err   error  // for the log; may be nil
}

// ZoneError tells in which kind of zone an error arose, in the words of Answer.Zone.
type ZoneError struct {
	Zone string
	Err  error
}

func (e *ZoneError) Error() string { return e.Err.Error() }

func (e *ZoneError) Unwrap() error { return e.Err }

// Errorf returns an Error with SERVFAIL, wrapping err.
func Errorf(code uint16, err error, format string, args ...any) *Error {
	return &Error{Rcode: dns.RcodeServerFailure, Code: code, Text: fmt.Sprintf(format, args...), Err: err}
}

// Error is Text and Err. What Text says of Err, or begins to say where it is cut, is not said twice.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	cause := e.Err.Error()
	if strings.Contains(e.Text, cause) {
		return e.Text
	}
	const least = 16 // octets: less may be alike by chance
	for at := 0; at+least <= len(e.Text); at++ {
		if strings.HasPrefix(cause, e.Text[at:]) {
			return e.Text[:at] + cause
		}
	}
	return e.Text + ": " + cause
}

func (e *Error) Unwrap() error { return e.Err }
