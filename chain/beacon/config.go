package beacon

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/light"
)

// maxEndpoints bounds how many requests one round can cost.
const maxEndpoints = 32

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
	State string
	// ReadOnly has State read and never written: for who looks at what a running server remembers.
	ReadOnly bool
	Timeout  time.Duration // of one request; 10s
	// Patience is how long Anchor waits for the first anchor while nothing is known to fail, from the call on
	// or from what was proven last; three times as long in all.
	Patience time.Duration // 2s
	Log      *slog.Logger  // discards

	now    func() time.Time // time.Now
	chance func() float64   // rand.Float64: the jitter of polling and back-off
	batch  uint64           // maxPeriods: how many periods are asked for in one request
}

// Endpoint is one beacon API.
type Endpoint struct {
	URL  string // http or https; it may hold a key and is never shown
	Name string // what people see; default: the URL's host
	// Dial opens the connections. Without one, only URLs with an IP address can be reached: host names are
	// never given to the system's resolver.
	Dial chain.Dialer
}

func (c Config) withDefaults() Config {
	if c.MaxCheckpointAge == 0 {
		c.MaxCheckpointAge = 336 * time.Hour
	}
	if c.MaxHeadAge <= 0 {
		c.MaxHeadAge = defaultHeadAge(c.Finalized)
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Patience <= 0 {
		c.Patience = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.batch == 0 {
		c.batch = maxPeriods
	}
	if c.chance == nil {
		c.chance = rand.Float64
	}
	return c
}

func defaultHeadAge(finalized bool) time.Duration {
	if finalized {
		return 30 * time.Minute
	}
	return 5 * time.Minute
}

func (c Config) check() error {
	switch {
	case c.Network == nil:
		return errors.New("no consensus network is given")
	case c.Network.SlotTime <= 0 || c.Network.SlotsPerEpoch == 0 || c.Network.EpochsPerPeriod == 0:
		return fmt.Errorf("consensus network %s: the lengths of slot, epoch and period must be greater than zero", clean(c.Network.Name))
	case c.Checkpoint == (common.Hash{}):
		return errors.New("no checkpoint is given: the root of a finalised beacon block from a source that is trusted")
	case len(c.Endpoints) == 0:
		return errors.New("no beacon endpoint is given")
	case len(c.Endpoints) > maxEndpoints:
		return fmt.Errorf("%d beacon endpoints are more than %d", len(c.Endpoints), maxEndpoints)
	}
	return nil
}
