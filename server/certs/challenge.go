package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/crypto/acme"
)

// challenges are those that an ACME server is to check just now: what it is to find, and where. The zero value
// has none.
type challenges struct {
	mu    sync.RWMutex                // guards what follows
	files map[string]string           // HTTP-01: contents by path
	certs map[string]*tls.Certificate // TLS-ALPN-01: by server name, in lower case
}

var errNoChallenge = errors.New("no ACME challenge is under way for that name")

// isChallenge reports whether an ACME server asks (RFC 8737 section 3).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ChallengeProto
}

// certificate is what TLS-ALPN-01 is to find.
func (c *challenges) certificate(server string) (*tls.Certificate, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	cert := c.certs[strings.ToLower(strings.TrimSuffix(server, "."))]
	if cert == nil {
		return nil, errNoChallenge
	}
	return cert, nil
}

// ServeHTTP is what HTTP-01 is to find.
func (c *challenges) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.RLock()
	content, ok := c.files[r.URL.Path]
	c.mu.RUnlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.Write([]byte(content)) //nolint:errcheck // the server at the other end will say
}

// prepare puts in place what the ACME server is to find for an identifier; withdraw takes it away.
func (c *challenges) prepare(client *acme.Client, challenge *acme.Challenge, identifier string) (withdraw func(), err error) {
	if challenge.Type == kindHTTP {
		content, err := client.HTTP01ChallengeResponse(challenge.Token)
		if err != nil {
			return nil, err
		}
		path := client.HTTP01ChallengePath(challenge.Token)
		c.change(func() { c.files[path] = content })
		return func() { c.change(func() { delete(c.files, path) }) }, nil
	}
	cert, err := client.TLSALPN01ChallengeCert(challenge.Token, identifier)
	if err != nil {
		return nil, err
	}
	name := serverName(identifier)
	c.change(func() { c.certs[name] = &cert })
	return func() { c.change(func() { delete(c.certs, name) }) }, nil
}

func (c *challenges) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files, c.certs = map[string]string{}, map[string]*tls.Certificate{}
	}
	do()
}

// serverName is what the ACME server asks for (SNI) to check an identifier: of an address its name in the
// reverse tree (RFC 8738 section 6).
func serverName(identifier string) string {
	addr, err := netip.ParseAddr(identifier)
	if err != nil {
		return strings.ToLower(identifier)
	}
	var name strings.Builder
	if octets := addr.AsSlice(); addr.Is4() {
		for i := len(octets) - 1; i >= 0; i-- {
			fmt.Fprintf(&name, "%d.", octets[i])
		}
		name.WriteString("in-addr.arpa")
	} else {
		for i := len(octets) - 1; i >= 0; i-- {
			fmt.Fprintf(&name, "%x.%x.", octets[i]&15, octets[i]>>4)
		}
		name.WriteString("ip6.arpa")
	}
	return name.String()
}
