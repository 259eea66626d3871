package beacon

import (
	"errors"

	"dens/chain/internal/reason"
	"dens/chain/light"
)

var errNoDialer = errors.New("no dialer was given that resolves host names")

// plain says in few words what went wrong with a request, without addresses.
func plain(err error) string {
	if errors.Is(err, errNoDialer) {
		return errNoDialer.Error()
	}
	text, _ := reason.Of(err)
	return text
}

// judge turns an error of the proof's core into a failure.
func (c *client) judge(err error) error {
	if err == nil {
		return nil
	}
	text := c.addr.safe(err.Error())
	switch {
	case errors.Is(err, light.ErrSigners), errors.Is(err, light.ErrUnknownPeriod), errors.Is(err, light.ErrPastPeriod),
		errors.Is(err, ErrOldCheckpoint):
		// An honest endpoint sends these too: while part of the committee is away, across a period's end, and
		// when it is this client that has slept for weeks.
		return &failure{kind: behind, text: text}
	case errors.Is(err, light.ErrFutureSlot):
		return &failure{kind: broken, text: text + "; if other endpoints do so too, the local clock is behind"}
	case errors.Is(err, light.ErrFork):
		return &failure{kind: broken, text: text + "; if other endpoints do so too, this release is too old for the network"}
	case errors.Is(err, light.ErrUnproven):
		return &failure{kind: broken, text: light.ErrUnproven.Error() + ": " + light.ErrSignature.Error(), suspect: true}
	}
	return &failure{kind: broken, text: text}
}
