package onchain

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/names"
	"dens/resolver"
)

// errNoServer means that a zone is delegated to nobody who can be asked.
var errNoServer = errors.New("no usable name server")

// maxText is the greatest length of an extended error's text in octets.
const maxText = 200

// failure turns an error of a look-up into what the client is told. This is the only table of it (RFC
// 8914; the choice of codes is that of the design: conflicting or bad data is 24, nobody there 22, too
// slow 23, not synced 14). The order counts, since one error can wrap several, what each backend said: that
// somebody lies is never covered up by others' timeouts, what is wrong with a name not by what is wrong with
// its backends, and of a light client that is not synced the reason may be that nobody could be reached.
func failure(err error) error {
	class := func(code uint16, text string) error {
		return &resolver.Error{Rcode: dns.RcodeServerFailure, Code: code, Text: describe(text, err), Err: err}
	}
	switch {
	case errors.Is(err, chain.ErrBadProof):
		return class(dns.ExtendedErrorCodeInvalidData, "bad proof")
	case errors.Is(err, chain.ErrConflict):
		return class(dns.ExtendedErrorCodeInvalidData, "backends disagree")
	case errors.Is(err, chain.ErrWrongChain):
		return class(dns.ExtendedErrorCodeInvalidData, "backend of another chain")
	case errors.Is(err, errNoServer):
		return class(dns.ExtendedErrorCodeNoReachableAuthority, "delegation on chain")
	case errors.Is(err, names.ErrTooDeep):
		return class(dns.ExtendedErrorCodeNotSupported, "not looked up")
	case errors.Is(err, names.ErrMalformed):
		return class(dns.ExtendedErrorCodeInvalidData, "malformed on-chain data")
	case errors.Is(err, chain.ErrGateway):
		return class(dns.ExtendedErrorCodeNetworkError, "off-chain gateway")
	case errors.Is(err, chain.ErrNotReady), errors.Is(err, chain.ErrStaleHead):
		return class(dns.ExtendedErrorCodeNotReady, "chain not synced")
	case errors.Is(err, chain.ErrUnavailable) && errors.Is(err, chain.ErrLimit): // answers that nobody reads to the end
		return class(dns.ExtendedErrorCodeNoReachableAuthority, "chain unreachable")
	case errors.Is(err, chain.ErrLimit):
		return class(dns.ExtendedErrorCodeOther, "over a limit")
	case errors.Is(err, chain.ErrUnknownBlock):
		return class(dns.ExtendedErrorCodeNotReady, "chain not synced")
	case errors.Is(err, chain.ErrMalformed):
		return class(dns.ExtendedErrorCodeInvalidData, "malformed answer of a backend")
	case errors.Is(err, chain.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return class(dns.ExtendedErrorCodeNetworkError, "chain timed out")
	case errors.Is(err, chain.ErrUnavailable):
		return class(dns.ExtendedErrorCodeNoReachableAuthority, "chain unreachable")
	case errors.Is(err, context.Canceled):
		return err
	}
	return resolver.Errorf(dns.ExtendedErrorCodeOther, err, "on-chain look-up failed")
}

// describe joins a class and what an error says into a text for the client: one printable line without
// URLs (they may hold keys), of at most maxText octets. What the layers below say has none; should there be
// one all the same, only the names of the backends are left of it.
func describe(class string, err error) string {
	detail := err.Error()
	if strings.Contains(detail, "://") {
		detail = strings.Join(backends(err, nil), ", ")
	}
	if detail == "" || strings.Contains(detail, "://") {
		return class
	}
	detail = strings.Map(func(r rune) rune {
		if r == '\u200e' {
			return -1 // the normaliser puts this left-to-right mark behind each label that it quotes
		}
		if !unicode.IsPrint(r) {
			return '?' // controls, and what turns the direction of text
		}
		return r
	}, strings.ToValidUTF8(class+": "+detail, "?"))
	if len(detail) > maxText {
		detail = strings.ToValidUTF8(detail[:maxText], "") // a character that was cut goes as a whole
	}
	return detail
}

// maxNamed is how many backends a text names where it cannot say what they said.
const maxNamed = 8

// backends appends the names of the backends whose errors are in err.
func backends(err error, list []string) []string {
	if len(list) >= maxNamed {
		return list
	}
	if failed, ok := err.(*chain.BackendError); ok && failed != nil {
		return merge(list, []string{failed.Backend})
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return backends(e.Unwrap(), list)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			list = backends(inner, list)
		}
	}
	return list
}
