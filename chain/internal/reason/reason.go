// Package reason says in few words why a request to a stranger failed. The words hold no address: that of an
// endpoint may be a secret.
package reason

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
)

// Of returns the reason, and false with the error's own text where the error is none of the known kinds.
func Of(err error) (text string, known bool) {
	var wrapped *url.Error
	for errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var (
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		dns     *net.DNSError
		errno   syscall.Errno
		timeout net.Error
	)
	switch {
	case errors.As(err, &host):
		return "certificate is for another name", true
	case errors.As(err, &unknown):
		return "certificate is not from a known authority", true
	case errors.As(err, &invalid):
		return "certificate is not valid", true
	case errors.As(err, &alert):
		return "TLS handshake refused", true
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "it does not speak TLS", true
	case errors.As(err, &dns):
		return "host name could not be resolved", true
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time", true
	case errors.Is(err, context.Canceled):
		return "cancelled", true
	case errors.As(err, &errno):
		return errno.Error(), true // "connection refused", "no such file or directory"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		strings.HasSuffix(err.Error(), "EOF"), strings.HasSuffix(err.Error(), "broken pipe"):
		return "connection closed", true
	}
	return err.Error(), false
}
