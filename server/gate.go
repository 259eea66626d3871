package server

import "sync/atomic"

// gate bounds how many are inside at once. The limit is passed in, so that it can change.
type gate struct{ n atomic.Int64 }

// enter reports whether there was room. If so, leave must follow.
func (g *gate) enter(limit int) bool {
	if g.n.Add(1) > int64(limit) {
		g.n.Add(-1)
		return false
	}
	return true
}

func (g *gate) leave() { g.n.Add(-1) }
