package internet

import (
	"strings"
	"sync/atomic"
	"time"
)

// Switch is a fault that can be put on and off while the internet runs. Off, it gives names that begin with
// "long" a TTL above 2^31.
type Switch struct{ down atomic.Bool }

// Set puts the fault on or off.
func (s *Switch) Set(down bool) { s.down.Store(down) }

func (s *Switch) fault(x *Exchange) {
	if s.down.Load() {
		return
	}
	reply := x.Real()
	if reply != nil && strings.HasPrefix(x.Name(), "long.") {
		for _, rr := range reply.Answer {
			rr.Header().Ttl = 1<<31 + 1
		}
	}
	x.Send(reply)
}

// slowBy is how much farther away the second server of far.net is than its first.
const slowBy = 60 * time.Millisecond

// lineZones are for tests of single lines of the specification. moody's servers answer or do not.
func lineZones(moody *Switch) []Zone {
	const g = "lines"
	return []Zone{
		{Name: "far.net", Group: g, Servers: []Server{{Site: "nsd", Fault: healthy}, {Site: "knot", Fault: after(slowBy)}}},
		{Name: "moody.net", Group: g, Servers: []Server{{Site: "nsd", Fault: moody.fault}}, Records: "short 1 A 203.119.6.1\nother 1 A 203.119.6.2\nzero 0 A 203.119.6.3\nlong A 203.119.6.4\n"},
		{Name: "cased.net", Group: g, Servers: []Server{{Site: "nsd", Fault: wrongCase}}},
		{Name: "rebind.com", Group: g, Records: "lan A 192.168.0.10\nloop A 127.0.0.1\nsix AAAA fd00::1\npublic A 203.119.6.5\n"},
	}
}
