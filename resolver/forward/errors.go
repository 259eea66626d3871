package forward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/miekg/dns"

	"dens/resolver"
)

const maxErrorText = 200 // bytes of EXTRA-TEXT

// failure turns what the upstreams said into one error: the cause that one of them gave, or what kept
// them from answering.
func (f *Forwarder) failure(losses []result) error {
	var causes []error
	var texts []string
	seen := make(map[string]bool)
	said, network, busy := -1, false, 0
	for i, l := range losses {
		if verdict := (*resolver.Error)(nil); errors.As(l.err, &verdict) {
			return verdict
		}
		var text string
		var cause error
		if l.err != nil {
			text = describe(l.err)
			if errors.Is(l.err, errBusy) {
				busy++
			} else {
				network = network || text != textTimeout
			}
			cause = fmt.Errorf("%s: %w", l.from.Name, l.err)
		} else {
			text = rcodeText(l.reply.rcode)
			cause = fmt.Errorf("%s: %s", l.from.Name, text)
			if said < 0 || len(losses[said].reply.ede) == 0 && len(l.reply.ede) > 0 {
				said = i
			}
		}
		if text = l.from.Name + ": " + text; !seen[text] {
			seen[text] = true
			texts, causes = append(texts, text), append(causes, cause)
		}
	}
	err := errors.Join(causes...)
	switch {
	case said >= 0 && len(losses[said].reply.ede) > 0:
		e := losses[said].reply.ede[0]
		return resolver.Errorf(e.Code, err, "%s", clip(strings.TrimSuffix(losses[said].from.Name+": "+e.Text, ": ")))
	case said >= 0, busy == len(losses):
		return resolver.Errorf(dns.ExtendedErrorCodeOther, err, "%s", clip(strings.Join(texts, "; ")))
	case network:
		return resolver.Errorf(dns.ExtendedErrorCodeNetworkError, err, "%s", clip(strings.Join(texts, "; ")))
	default:
		return resolver.Errorf(dns.ExtendedErrorCodeNoReachableAuthority, err, "%s", clip(strings.Join(texts, "; ")))
	}
}

// timeout is the error of a race that the clock or the client ended.
func (f *Forwarder) timeout(ctx context.Context, r *race) error {
	if f.ctx.Err() != nil {
		return resolver.Errorf(dns.ExtendedErrorCodeNotReady, errShut, "shutting down")
	}
	losses := r.losses
	for _, u := range r.order[:min(r.next, len(r.order))] {
		if !r.lost(u) {
			losses = append(losses, result{from: u, err: ctx.Err()})
		}
	}
	return f.failure(losses)
}

func (r *race) lost(u *upstream) bool {
	for _, l := range r.losses {
		if l.from == u {
			return true
		}
	}
	return false
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxErrorText)], "") }

const textTimeout = "timeout"

// describe says in a few words what went wrong, with nothing in it that strangers chose, no address and
// no URL.
func describe(err error) string {
	var (
		netErr     net.Error
		unknownCA  x509.UnknownAuthorityError
		wrongName  x509.HostnameError
		invalid    x509.CertificateInvalidError
		notTLS     tls.RecordHeaderError
		handshake  tls.AlertError
		resolution *net.DNSError
		op         *net.OpError
	)
	switch {
	case errors.As(err, &wrongName):
		return "certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate has expired or is not valid yet"
	case errors.As(err, &unknownCA), errors.As(err, &invalid):
		return "certificate is not trusted"
	case errors.As(err, &notTLS), errors.As(err, &handshake),
		errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"):
		return "TLS handshake failed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "unreachable"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &netErr) && netErr.Timeout():
		return textTimeout
	case errors.Is(err, context.Canceled):
		return "called off"
	case errors.As(err, &resolution):
		return "host name does not resolve"
	case errors.Is(err, errClosed):
		return "connection closed"
	}
	for _, known := range []error{ErrCase, ErrForged, errShape, errQuestion, errRecords, errCut, errSenses, errLame, errBusy, errSilent} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if http := httpError(""); errors.As(err, &http) {
		return http.Error()
	}
	return "exchange failed"
}
