package pool

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

// failure is an error of this package's own words about a foreign error: the text is safe to show, the
// kind is what callers branch on. The foreign error itself is not wrapped, since it may hold the URL.
type failure struct {
	kind error // one of package chain's, or errRateLimited
	text string
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.kind }

// explain turns any error of a request into one that may be shown. It never returns an error that
// wraps what net/http or the RPC client made.
func (a address) explain(err error) error {
	var status *statusError
	if errors.As(err, &status) {
		if status.code == 429 || status.code == 503 && status.retryAfter > 0 {
			return &failure{kind: errRateLimited, text: a.clean(status.Error())}
		}
		return &failure{kind: chain.ErrUnavailable, text: a.clean(status.Error())}
	}
	var answered rpc.Error
	if errors.As(err, &answered) && isRate(answered.ErrorCode(), strings.ToLower(answered.Error())) {
		return &failure{kind: errRateLimited, text: a.clean("rate limited: " + answered.Error())}
	}
	for _, kind := range []error{chain.ErrWrongChain, chain.ErrUnknownBlock, chain.ErrLimit, chain.ErrMalformed, errRateLimited} {
		if errors.Is(err, kind) {
			return &failure{kind: kind, text: a.clean(a.plain(err))}
		}
	}
	return &failure{kind: kindOf(err), text: a.clean(a.plain(err))}
}

// kindOf sorts transport errors.
func kindOf(err error) error {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return chain.ErrTimeout
	}
	return chain.ErrUnavailable
}

// plain says in few words what went wrong, without addresses.
func (a address) plain(err error) string {
	var wrapped *url.Error
	for errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var (
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		alert   tls.AlertError
		dns     *net.DNSError
		errno   syscall.Errno
		timeout net.Error
	)
	switch {
	case errors.As(err, &host):
		return "certificate is for another name"
	case errors.As(err, &unknown):
		return "certificate is not from a known authority"
	case errors.As(err, &invalid):
		return "certificate is not valid"
	case errors.As(err, &alert):
		return "TLS handshake refused"
	case errors.As(err, &dns):
		return "host name could not be resolved"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.As(err, &errno):
		return errno.Error() // "connection refused", "no such file or directory"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, rpc.ErrClientQuit),
		errors.Is(err, net.ErrClosed), strings.HasSuffix(err.Error(), "EOF"), strings.HasSuffix(err.Error(), "broken pipe"):
		return "connection closed"
	}
	return err.Error()
}

// clean makes a text safe: secrets out first, since cutting could leave half of one.
func (a address) clean(text string) string { return cut(a.redact(text)) }

func wrongChain(got, want uint64) error {
	return fmt.Errorf("%w: %d, not %d", chain.ErrWrongChain, got, want)
}
