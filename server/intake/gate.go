package intake

import "sync/atomic"

// gate bounds how many are inside at once. The limit is passed in, so that it can change.
type gate struct{ n atomic.Int64 }

func (g *gate) enter(limit int) bool {
	if g.n.Add(1) > int64(limit) {
		g.n.Add(-1)
		return false
	}
	return true
}

func (g *gate) leave() { g.n.Add(-1) }

// EnterUDP takes a place among the UDP requests that wait. Without one the request is to be dropped, and
// is counted as shed. LeaveUDP gives the place back.
func (in *Intake) EnterUDP() bool { return in.enter(&in.udp, in.conf.Load().MaxUDP) }

// LeaveUDP gives a place back.
func (in *Intake) LeaveUDP() { in.udp.leave() }

// EnterStream takes a place among the requests of all other transports that wait.
func (in *Intake) EnterStream() bool { return in.enter(&in.stream, in.conf.Load().MaxStream) }

// LeaveStream gives a place back.
func (in *Intake) LeaveStream() { in.stream.leave() }

// EnterLarge takes a place among the requests that are too long for what is pooled, before their octets
// are read.
func (in *Intake) EnterLarge() bool { return in.enter(&in.large, in.conf.Load().MaxLarge) }

// LeaveLarge gives a place back.
func (in *Intake) LeaveLarge() { in.large.leave() }

func (in *Intake) enter(g *gate, limit int) bool {
	if g.enter(limit) {
		return true
	}
	in.conf.Load().Stats.Shed.Add(1)
	return false
}

// MaxSmall is the length of the requests that need no place among the large ones, in octets. No client sends
// a longer one by UDP: one question and an OPT record with padding stay far below.
const MaxSmall = 4096

// Load is how many requests wait for their replies.
type Load struct{ UDP, Stream, Large int }

// Load returns what is under way now.
func (in *Intake) Load() Load {
	return Load{UDP: int(in.udp.n.Load()), Stream: int(in.stream.n.Load()), Large: int(in.large.n.Load())}
}
