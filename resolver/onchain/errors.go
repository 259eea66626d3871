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
// slow 23, not synced 14). The order counts, since one error can wrap several: a conflict is never
// covered up by a timeout.
func failure(err error) error {
	class := func(code uint16, text string) error {
		return &resolver.Error{Rcode: dns.RcodeServerFailure, Code: code, Text: describe(text, err), Err: err}
	}
	switch {
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
	case errors.Is(err, chain.ErrLimit):
		return class(dns.ExtendedErrorCodeOther, "over a limit")
	case errors.Is(err, chain.ErrStaleHead), errors.Is(err, chain.ErrUnknownBlock):
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
// URLs (they may hold keys), of at most maxText octets.
func describe(class string, err error) string {
	detail := err.Error()
	if strings.Contains(detail, "://") {
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
