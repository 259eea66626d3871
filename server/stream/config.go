package stream

import (
	"crypto/tls"

	"dens/internal/wire"
	"dens/server/intake"
)

// Config is what a Listener serves.
type Config struct {
	Intake   *intake.Intake // what requests are taken to, with the limits that hold
	Protocol wire.Protocol  // what is counted, and what requests are said to have come by
	// TLS is used as it is at New; its functions may have more to say later. nil: no TLS.
	TLS *tls.Config
	// NewSession says what is spoken on a connection, once its handshake is done. alpn is what TLS has agreed
	// on, "" without. When it returns nil, the connection is handed over (Listener.Handed).
	NewSession func(c *Conn, alpn string) Session // DNS messages, each behind its length (RFC 7766)

	Handshakes *Handshakes // those of this Listener alone; shared, it bounds all that share it
}

func (c Config) withDefaults() Config {
	if c.NewSession == nil {
		c.NewSession = newDNSSession
	}
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		c.TLS.DynamicRecordSizingDisabled = true // a burst of replies is one record, and one write
	}
	if c.Handshakes == nil {
		c.Handshakes = NewHandshakes(0, 0)
	}
	return c
}
