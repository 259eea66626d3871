package beacon

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

	"dens/chain/light"
)

var errNoDialer = errors.New("no dialer was given that resolves host names")

// plain says in few words what went wrong with a request, without addresses.
func plain(err error) string {
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
	case errors.Is(err, errNoDialer):
		return errNoDialer.Error()
	case errors.As(err, &host):
		return "certificate is for another name"
	case errors.As(err, &unknown):
		return "certificate is not from a known authority"
	case errors.As(err, &invalid):
		return "certificate is not valid"
	case errors.As(err, &alert):
		return "TLS handshake refused"
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "it does not speak TLS"
	case errors.As(err, &dns):
		return "host name could not be resolved"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &errno):
		return errno.Error() // "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "connection closed"
	}
	return err.Error()
}

// judge turns an error of the proof's core into a failure.
func (c *client) judge(err error) error {
	if err == nil {
		return nil
	}
	text := c.addr.safe(err.Error())
	switch {
	case errors.Is(err, light.ErrSigners), errors.Is(err, light.ErrUnknownPeriod), errors.Is(err, light.ErrPastPeriod),
		errors.Is(err, ErrOldCheckpoint):
		// An honest endpoint sends these too: while part of the committee is away, across a period's end, and
		// when it is this client that has slept for weeks.
		return &failure{kind: behind, text: text}
	case errors.Is(err, light.ErrFutureSlot):
		return &failure{kind: broken, text: text + "; if other endpoints do so too, the local clock is behind"}
	case errors.Is(err, light.ErrFork):
		return &failure{kind: broken, text: text + "; if other endpoints do so too, this release is too old for the network"}
	case errors.Is(err, light.ErrUnproven):
		return &failure{kind: broken, text: light.ErrUnproven.Error() + ": " + light.ErrSignature.Error(), suspect: true}
	}
	return &failure{kind: broken, text: text}
}
