package authority

import (
	"context"
	crand "crypto/rand"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"dens/resolver"
)

// AsIs is what an Exchanger over UDP has that can do without random case (draft-vixie-dnsext-dns0x20),
// for servers that do not repeat names letter by letter.
type AsIs interface {
	ExchangeAsIs(ctx context.Context, to netip.AddrPort, req, buf []byte) ([]byte, error)
}

// Config is what New needs.
type Config struct {
	// UDP carries most messages; when it is an AsIs too, servers that change the case of names and have
	// no TCP can be asked. TCP carries what does not fit, or may be forged. Both are required.
	UDP, TCP resolver.Exchanger
	Timeout  time.Duration    // 2 s: the longest wait for one reply by UDP; one by TCP takes twice as long at most
	NoIPv4   bool             // no server is asked at an IPv4 address
	NoIPv6   bool             // no server is asked at an IPv6 address
	Servers  int              // 20000: how many servers, and how many failures of a server with a zone, are remembered
	Messages int              // 3072: how many are under way at a time, each with a socket of its own
	Now      func() time.Time // time.Now
	Rand     rand.Source      // ChaCha8 with a random seed; used under a lock
	Log      *slog.Logger     // discards
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Servers <= 0 {
		c.Servers = 20000
	}
	if c.Messages <= 0 {
		c.Messages = 3072
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		var seed [32]byte
		crand.Read(seed[:]) // never fails (Go 1.24)
		c.Rand = rand.NewChaCha8(seed)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
