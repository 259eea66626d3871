package reason

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"syscall"
	"testing"
)

func TestOf(t *testing.T) {
	get := func(err error) error { return &url.Error{Op: "Get", URL: "https://host.example/key", Err: err} }
	tests := []struct {
		err   error
		want  string
		known bool
	}{
		{get(x509.HostnameError{Host: "host.example", Certificate: &x509.Certificate{}}), "certificate is for another name", true},
		{get(x509.UnknownAuthorityError{}), "certificate is not from a known authority", true},
		{get(x509.CertificateInvalidError{Reason: x509.Expired}), "certificate is not valid", true},
		{get(&net.DNSError{Name: "host.example"}), "host name could not be resolved", true},
		{get(context.DeadlineExceeded), "no answer in time", true},
		{context.Canceled, "cancelled", true},
		{get(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), "connection refused", true},
		{get(io.ErrUnexpectedEOF), "connection closed", true},
		{fmt.Errorf("write: broken pipe"), "connection closed", true},
		{get(errors.New("anything else")), "anything else", false},
	}
	for _, tt := range tests {
		if got, known := Of(tt.err); got != tt.want || known != tt.known {
			t.Errorf("%v: got %q, %v", tt.err, got, known)
		}
	}
}

// TestPlainServer asks a server without TLS as if it had it.
func TestPlainServer(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, err := http.Get("https://" + s.Listener.Addr().String())
	if got, known := Of(err); got != "it does not speak TLS" || !known {
		t.Errorf("got %q, %v of %v", got, known, err)
	}
}
