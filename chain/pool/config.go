package pool

import (
	"context"
	"crypto/x509"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"dens/chain"
)

// Config is what a Pool is made of.
type Config struct {
	// Endpoints are the backends; at least one, all of the same chain. Names that are not unique get a
	// number.
	Endpoints []EndpointConfig
	// MaxHeadAge is how old the newest block may be, by its own timestamp and the local clock, before
	// it is refused with chain.ErrStaleHead; 0 is off, for private chains that mint no empty blocks.
	MaxHeadAge time.Duration
	// Timeout bounds a Call whose context has no deadline.
	Timeout time.Duration // 5s
	Log     *slog.Logger  // discards
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// EndpointConfig describes one RPC backend.
type EndpointConfig struct {
	// Name is what people see in place of the URL.
	Name string // host and port of the URL, or the base name of an IPC path
	// Operator is who runs the backend: a quorum counts operators, not endpoints.
	Operator string // registrable domain of the URL's host; the IP address; the base name of an IPC path
	// URL is http, https, ws or wss, or the path of an IPC socket. It may hold secrets and is never shown.
	URL string
	// HideHost says that the URL's host, or the path of the IPC socket, is a secret too: it is in no
	// error, and Name and Operator must be given.
	HideHost bool
	// ChainID is the EIP-155 id that the backend must report. It must be given.
	ChainID uint64
	// NoBatch keeps JSON-RPC batches from being tried.
	NoBatch bool
	// Rate bounds the requests per second (a JSON-RPC batch is one); 0 is unlimited.
	Rate float64
	// Dial opens the TCP connections below HTTP and WebSocket. Without one, only URLs with an IP address
	// can be reached: host names are never given to the system's resolver.
	Dial chain.Dialer
	// RootCAs verify the certificates of https and wss.
	RootCAs *x509.CertPool // the system's
	// Timeout bounds one request, from connecting to the last byte of the answer.
	Timeout time.Duration // 5s
	// MaxBody bounds an answer in bytes, after decompression.
	MaxBody int64 // 4 MiB
	// BlockInterval is about how often the chain grows; heads are polled as often where they cannot be
	// subscribed to.
	BlockInterval time.Duration // 12s
	// IdleAfter is how long after the last call the polling slows down to IdlePoll.
	IdleAfter time.Duration // 5m
	IdlePoll  time.Duration // 10 block intervals
	// Demotion is how long a backend is asked last whose answer to a Fetch was wrong.
	Demotion time.Duration // 5m
	Log      *slog.Logger  // discards

	chance func() float64 // rand.Float64: the jitter of back-off and polling
}

func (c EndpointConfig) withDefaults() EndpointConfig {
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 4 << 20
	}
	if c.BlockInterval <= 0 {
		c.BlockInterval = 12 * time.Second
	}
	if c.IdleAfter <= 0 {
		c.IdleAfter = 5 * time.Minute
	}
	if c.IdlePoll <= 0 {
		c.IdlePoll = 10 * c.BlockInterval
	}
	if c.Demotion <= 0 {
		c.Demotion = 5 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.chance == nil {
		c.chance = rand.Float64
	}
	if c.Dial == nil {
		c.Dial = dialAddress
	}
	return c
}

// dial is Dial within Timeout: net/http lets a dial outlive the request that began it.
func (c EndpointConfig) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return c.Dial(ctx, network, address)
}
