// Package doq serves what runs over QUIC (RFC 9000): DNS over dedicated QUIC connections (RFC 9250) and
// HTTP/3 (RFC 9114), on one UDP socket if need be.
package doq

import (
	"crypto/tls"
	"net/http"

	"github.com/quic-go/quic-go"

	"dens/internal/wire"
	"dens/server/intake"
)

// ALPN protocols.
const (
	ProtoDoQ   = "doq" // RFC 9250 section 8.1
	ProtoHTTP3 = "h3"  // RFC 9114 section 11.1
)

// Config is what a Listener is made with.
type Config struct {
	TLS     *tls.Config  // the certificate and the keys of session tickets; ALPN protocols and versions are set here
	Handler http.Handler // of HTTP/3
	// Serves reports whether a protocol, DoQ or DoH3, is served now. It is asked at each handshake and by
	// Listener.Refresh.
	Serves func(wire.Protocol) bool
}

const (
	// Windows bound what a client may send that is not read yet: a query that needs no place among the large
	// ones fits in one flight, a longer one comes as it is read.
	streamWindow    = 8 << 10
	maxStreamWindow = 16 << 10
	connWindow      = 32 << 10
	maxConnWindow   = 64 << 10
	// uniStreams are what a client of HTTP/3 needs: one for control, two for QPACK (RFC 9114 section 6.2), and
	// some of reserved types.
	uniStreams = 8
	// fewStreams is what a connection gets at least, however many there are.
	fewStreams = 8
	// maxHeader bounds the header of an HTTP request, and by that the length of a GET: more than ten times what
	// a query with padding has. Longer messages come by POST.
	maxHeader = 16 << 10
	// connIDLength keeps the identifiers of connections from being guessed.
	connIDLength = 8
)

// quicConfig is for the next connection, while open of them are there.
func quicConfig(c *intake.Config, open int) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout: c.ReadTimeout / 2, // the handshake may take twice as long in all
		// A client is silent while its last query is under way. Idle connections end before (conn.watch).
		MaxIdleTimeout:                 c.IdleTimeout + c.QueryTimeout,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         maxStreamWindow,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     maxConnWindow,
		MaxIncomingStreams:             int64(streamsOf(c, open)),
		MaxIncomingUniStreams:          uniStreams,
		Allow0RTT:                      true,
	}
}

// streamsOf is how many streams a connection may have open at once. The more connections there are, the fewer
// a new one gets, so that streams which are opened and left cannot be many times MaxStream.
func streamsOf(c *intake.Config, open int) int {
	return min(c.MaxPipeline, max(fewStreams, c.MaxStream/(open+1)))
}

// tlsConfig offers the protocols that are served at the time of the handshake.
func (c *Config) tlsConfig() *tls.Config {
	only := func(protocols ...string) *tls.Config {
		conf := c.TLS.Clone()
		conf.MinVersion = tls.VersionTLS13 // RFC 9001 section 4.2
		conf.NextProtos = protocols
		return conf
	}
	both, doq, h3 := only(ProtoDoQ, ProtoHTTP3), only(ProtoDoQ), only(ProtoHTTP3)
	both.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		switch {
		case !c.Serves(wire.DoH3):
			return doq, nil
		case !c.Serves(wire.DoQ):
			return h3, nil
		}
		return nil, nil
	}
	return both
}

// protocolOf names the protocol that a handshake has agreed on.
func protocolOf(state *tls.ConnectionState) wire.Protocol {
	if state.NegotiatedProtocol == ProtoHTTP3 {
		return wire.DoH3
	}
	return wire.DoQ
}
