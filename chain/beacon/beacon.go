// Package beacon follows the head of Ethereum's consensus by a light client over several beacon endpoints,
// none of which has to be trusted.
package beacon

import (
	"context"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/light"
)

// Config is what a Client is made of.
type Config struct {
	Network   *light.Network
	Endpoints []Endpoint // at least one
	// Checkpoint is the root of the finalised beacon block to begin with. It must come from a source that
	// is trusted.
	Checkpoint common.Hash
	// Finalized makes anchors of finalised blocks only.
	Finalized bool
	// MaxCheckpointAge is how old the block to begin with may be (weak subjectivity); negative is off.
	MaxCheckpointAge time.Duration // 336h
	// MaxHeadAge is how old an anchor may be by its slot and the local clock.
	MaxHeadAge time.Duration // 5m; 30m with Finalized
	// State is the path of a file that remembers the newest checkpoint and its committees; "" is none.
	State   string
	Timeout time.Duration // of one request; 10s
	Log     *slog.Logger  // discards
}

// Endpoint is one beacon API.
type Endpoint struct {
	URL  string // http or https; it may hold a key and is never shown
	Name string // what people see; default: the URL's host
	Dial chain.Dialer
}

// Client is a light client. All methods are safe for concurrent use.
//
//	New -> syncing, following -> Close
type Client struct{}

// New checks the configuration, reads the state and begins to follow. It waits for nobody.
func New(cfg Config) (*Client, error) { return &Client{}, nil }

// Close ends the following and waits for it.
func (c *Client) Close() {}

// Anchor returns the newest proven block. Before the first one is known it waits for it, as long as ctx
// allows. Errors wrap chain.ErrNotReady (not synced: with what the endpoints said) or chain.ErrStaleHead.
func (c *Client) Anchor(ctx context.Context) (chain.Anchor, error) {
	return chain.Anchor{}, chain.ErrNotReady
}

// Status is a snapshot of a Client for metrics and people. It holds no URL.
type Status struct {
	Anchor     chain.Anchor // newest; zero: none yet
	Finalized  chain.Anchor // newest finalised one
	Period     uint64       // of the committee in force
	Reason     string       // why there is no anchor now, or why none newer; "" when all is well
	FailingFor time.Duration // since when no endpoint has brought anything new; 0: it works
	ExpiresIn  time.Duration // until Anchor is refused for its age
	Endpoints  []EndpointStatus
}

// EndpointStatus is the state of one beacon endpoint.
type EndpointStatus struct {
	Name      string
	Usable    bool
	Slot      uint64 // newest that it proved
	Requests  uint64
	Errors    uint64
	LastError string // safe to show; "" is none
}

// Status returns a snapshot. It asks nobody.
func (c *Client) Status() Status { return Status{} }

// Ready says whether an anchor is at hand that is young enough.
func (c *Client) Ready() bool { return false }
