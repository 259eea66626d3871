package server

import (
	"crypto/tls"

	"dens/server/certs"
)

// tlsConfig is that of one kind of listener. The certificate is the one in force at each handshake.
func (s *Server) tlsConfig(protocols ...string) *tls.Config {
	return certs.Config(func() certs.Source { return s.conf.Load().Certificate }, s.tickets, protocols...)
}
