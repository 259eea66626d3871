package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain/light"
)

// checkpoint is set by the linker, so that a release has a block to begin with where the configuration has
// none: -X main.checkpoint=mainnet:0x<64 hex digits>:<slot>. It is the network, the root of a finalised
// block of the beacon chain, and its slot, by which an old release knows that it is too old. dens version
// prints it. Whoever builds in one vouches for it: take it from several nodes that agree.
var checkpoint = ""

// builtIn is the checkpoint of a release.
type builtIn struct {
	network string
	root    common.Hash
	slot    uint64
}

// parseBuiltIn reads what the linker has set; nil is that there is none.
func parseBuiltIn(s string) (*builtIn, error) {
	if s == "" {
		return nil, nil
	}
	wrong := fmt.Errorf("the checkpoint that is built in: found %q, expected NETWORK:0x and 64 hex digits:SLOT", s)
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return nil, wrong
	}
	b := &builtIn{network: parts[0]}
	if _, known := light.Named(b.network); !known {
		return nil, wrong
	}
	digits, ok := strings.CutPrefix(parts[1], "0x")
	if !ok || len(digits) != 2*len(b.root) {
		return nil, wrong
	}
	if _, err := hex.Decode(b.root[:], []byte(digits)); err != nil || b.root == (common.Hash{}) {
		return nil, wrong
	}
	var err error
	if b.slot, err = strconv.ParseUint(parts[2], 10, 40); err != nil {
		return nil, wrong
	}
	return b, nil
}

// String describes the checkpoint for a person.
func (b *builtIn) String() string {
	n, _ := light.Named(b.network)
	age := slotAge(n, b.slot, time.Now())
	return fmt.Sprintf("%s %s slot %d (%s old)", b.network, b.root.Hex(), b.slot, days(age))
}

// slotAge is how long ago a slot of a network began; never less than nothing.
func slotAge(n *light.Network, slot uint64, now time.Time) time.Duration {
	return max(now.Sub(n.SlotStart(slot)), 0)
}

// days writes an age for a person.
func days(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	default:
		return d.Round(time.Second).String()
	}
}
