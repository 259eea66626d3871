package authority

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/miekg/dns"

	"dens/resolver"
)

var (
	// ErrLame is wrapped by the errors of Question.Accept that say that a server does not serve the zone.
	ErrLame = errors.New("lame server")
	// ErrTimeout is the Failure of a server from which nothing came.
	ErrTimeout = errors.New("timed out")
	// ErrUnreachable is wrapped by the Failure of a server to which there is no way, or where nobody listens.
	ErrUnreachable = errors.New("unreachable")

	errGarbled   = errors.New("garbled reply")
	errQuestion  = errors.New("reply is to another question")
	errTruncated = errors.New("truncated reply")
	errNoTCP     = errors.New("no whole reply by TCP")
	errDiffer    = errors.New("replies that could be forged differ")
	errTooMuch   = errors.New("too many messages")
	errHere      = errors.New("cannot send")
	errNoServer  = errors.New("no server to ask")
)

const (
	maxText  = 200 // bytes of Error.Text
	maxShown = 4   // servers in it
)

// Rcode is the Failure of a server that answered with a failure rcode, such as REFUSED.
type Rcode int

func (r Rcode) Error() string {
	if s, ok := dns.RcodeToString[int(r)]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", int(r))
}

// Failure is what one server did not do.
type Failure struct {
	Server netip.AddrPort
	// Err is or wraps ErrTimeout, ErrUnreachable, Rcode, ErrLame, the error of Question.Accept, or what was
	// wrong with the reply.
	Err error
	// Recent says that it failed a moment ago in the same way, and was not asked again (RFC 9520).
	Recent bool
}

// Error is Ask's error when no server gave a reply that is of use.
type Error struct {
	Zone     string
	Failures []Failure // of the servers that were asked, or spared; maybe none
	Err      error     // why Ask ended before all was tried: that of the context, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "servers of %s", e.Zone)
	for i, f := range e.Failures {
		sep := ": "
		if i > 0 {
			sep = "; "
		}
		if i == maxShown {
			fmt.Fprintf(&b, "%sand %d more", sep, len(e.Failures)-i)
			break
		}
		fmt.Fprintf(&b, "%s%s: %v", sep, f.Server, f.Err)
	}
	switch {
	case e.Err != nil:
		fmt.Fprintf(&b, ": %v", e.Err)
	case len(e.Failures) == 0:
		fmt.Fprintf(&b, ": %v", errNoServer)
	}
	return b.String()
}

// Unwrap returns the causes.
func (e *Error) Unwrap() []error {
	out := make([]error, 0, len(e.Failures)+1)
	for _, f := range e.Failures {
		out = append(out, f.Err)
	}
	if e.Err != nil {
		out = append(out, e.Err)
	}
	return out
}

// Unreachable says that nothing came from any server that was asked.
func (e *Error) Unreachable() bool {
	return e.all(func(err error) bool { return isNetwork(err) && !errors.Is(err, errNoTCP) })
}

// Refused says that all servers answered REFUSED.
func (e *Error) Refused() bool {
	return e.all(func(err error) bool { return errors.Is(err, Rcode(dns.RcodeRefused)) })
}

// Lame says that all servers are lame: they do not serve the zone, or refuse to.
func (e *Error) Lame() bool {
	return e.all(func(err error) bool {
		return errors.Is(err, ErrLame) || errors.Is(err, Rcode(dns.RcodeRefused))
	})
}

// all says that there are Failures and that is is true of all of them.
func (e *Error) all(is func(error) bool) bool {
	for _, f := range e.Failures {
		if !is(f.Err) {
			return false
		}
	}
	return len(e.Failures) > 0
}

// Code is the INFO-CODE (RFC 8914) that fits: No Reachable Authority when no server is there or serves
// the zone, Network Error when the network had a part in it, else Other.
func (e *Error) Code() uint16 {
	if len(e.Failures) == 0 || e.Unreachable() || e.Lame() {
		return dns.ExtendedErrorCodeNoReachableAuthority
	}
	for _, f := range e.Failures {
		if isNetwork(f.Err) {
			return dns.ExtendedErrorCodeNetworkError
		}
	}
	return dns.ExtendedErrorCodeOther
}

// Text says in a few words what was wrong, for a client. There is nothing in it that strangers chose.
func (e *Error) Text() string {
	if len(e.Failures) == 0 {
		return errNoServer.Error()
	}
	var parts []string
	for i, f := range e.Failures {
		if i == maxShown {
			parts = append(parts, fmt.Sprintf("and %d more", len(e.Failures)-i))
			break
		}
		parts = append(parts, f.Server.Addr().String()+" "+describe(f.Err))
	}
	text := strings.Join(parts, ", ")
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}

// describe says in a few words what was wrong.
func describe(err error) string {
	if rcode, ok := errors.AsType[Rcode](err); ok {
		return rcode.Error()
	}
	for _, known := range []error{
		ErrTimeout, ErrUnreachable, ErrLame, errNoTCP, errTruncated, errGarbled, errQuestion, errDiffer, errTooMuch, errHere,
		resolver.ErrCase, resolver.ErrForged, context.Canceled,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "reply of no use"
}

// classify puts an error of an Exchanger into one of the words that this package knows.
func classify(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return ErrTimeout
	case errors.Is(err, context.Canceled), errors.Is(err, resolver.ErrCase), errors.Is(err, resolver.ErrForged):
		return err
	case isAny(err, resolver.ErrBusy, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN):
		return fmt.Errorf("%w: %w", errHere, err)
	case isAny(err, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.EACCES, syscall.EPERM,
		syscall.EINVAL, syscall.EHOSTDOWN), noRoute(err):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return ErrTimeout
	default:
		return err
	}
}

func isNetwork(err error) bool { return isAny(err, ErrTimeout, ErrUnreachable) }

// noRoute reports whether an error says that there is no way to a whole family of addresses.
func noRoute(err error) bool {
	return isAny(err, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.ENETDOWN)
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}
