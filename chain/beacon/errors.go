package beacon

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"dens/chain"
)

// ErrOldCheckpoint means that the block to begin with is older than Config.MaxCheckpointAge: whoever signed
// for it may have left since, and could sign another history for free. It comes with chain.ErrNotReady.
var ErrOldCheckpoint = errors.New("checkpoint is too old")

// errNoCheckpoint means that no endpoint has the block to begin with.
var errNoCheckpoint = errors.New("no endpoint has the checkpoint")

// newerCheckpoint says what to do about a checkpoint that is of no use.
const newerCheckpoint = "take the root of a newer finalised block from a beacon node of your own " +
	"(/eth/v1/beacon/headers/finalized) or from several checkpoint providers that agree, and configure it as the checkpoint"

// oldCheckpoint is the refusal of a block at slot which is age old.
func oldCheckpoint(what string, slot uint64, age, bound time.Duration) error {
	return fmt.Errorf("%w: %w: the %s at slot %d is %s old, over the bound of %s; %s",
		chain.ErrNotReady, ErrOldCheckpoint, what, slot, rounded(age), rounded(bound), newerCheckpoint)
}

// failure is an error in this package's own words about a foreign one, which is not wrapped since it may
// hold the URL.
type failure struct {
	kind    kind
	text    string
	suspect bool // it may be the fault of the network's configuration
}

func (f *failure) Error() string { return f.text }

// kind says what an endpoint's answer means for its rank.
type kind uint8

const (
	broken  kind = iota // it did not do what the API asks for, or lied: it loses rank and rests
	absent              // it does not have what was asked for, as it may
	behind              // nothing proves that it is at fault, but it brought nothing of use
	stopped             // the Client is closing
)

// isKind says whether err is a failure of kind k.
func isKind(err error, k kind) bool {
	var f *failure
	return errors.As(err, &f) && f.kind == k
}

// said joins what the endpoints have said, each by its name.
func said(peers []*peer) string {
	return some(peers, func(p *peer) string {
		if text := p.health.lastError(); text != "" {
			return p.name + ": " + text
		}
		return ""
	}, "; ")
}

// some joins what is to be said of each, as far as there is room.
func some(peers []*peer, say func(*peer) string, between string) string {
	var list []string
	for _, p := range peers {
		if text := say(p); text != "" {
			list = append(list, text)
		}
	}
	const most = 6
	if len(list) > most {
		list = append(list[:most], fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(list, between)
}

// rounded makes a duration short to read.
func rounded(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Minute:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	default:
		return d.Round(time.Second).String()
	}
}
