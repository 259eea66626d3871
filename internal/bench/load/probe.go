package load

import (
	"context"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// Probe asks one question after the other at a steady pace, to see how a server treats one client while
// others load it.
type Probe struct {
	Asker    *Asker
	Interval time.Duration                      // from one question to the next; 2ms
	Name     func() string                      // the next question
	Check    func(name string, m *dns.Msg) bool // whether an answer is right
}

// Timings is how long answers took.
type Timings struct {
	Asked, Lost, Wrong int
	sorted             []time.Duration
}

// Run asks until the context ends.
func (p Probe) Run(ctx context.Context) Timings {
	if p.Interval == 0 {
		p.Interval = 2 * time.Millisecond
	}
	pace := time.NewTicker(p.Interval)
	defer pace.Stop()
	var t Timings
	for {
		select {
		case <-ctx.Done():
			slices.Sort(t.sorted)
			return t
		case <-pace.C:
		}
		name, began := p.Name(), time.Now()
		// The end of the run breaks no question off: it is answered or lost within the asker's timeout.
		reply, err := p.Asker.Ask(context.WithoutCancel(ctx), name)
		took := time.Since(began)
		t.Asked++
		switch {
		case err != nil:
			t.Lost++
		case !p.Check(name, reply):
			t.Wrong++
		default:
			t.sorted = append(t.sorted, took)
		}
	}
}

// Quantile returns how long the given share of the right answers took at most; 0 without any.
func (t Timings) Quantile(share float64) time.Duration {
	if len(t.sorted) == 0 {
		return 0
	}
	return t.sorted[min(len(t.sorted)-1, int(share*float64(len(t.sorted))))]
}
