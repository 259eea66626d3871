package soak

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// Tally is what became of questions of one kind.
type Tally struct {
	mu      sync.Mutex
	asked   int           // guarded by mu, as below
	failed  int           // no answer in time, or SERVFAIL
	excused int           // likewise, while there was none to be had
	wrong   int           // what must never be
	slowest time.Duration // of those answered
	buckets [160]int      // of those answered, by the logarithm of the time
	notes   []string      // the first of what went wrong
}

// maxNotes bounds what is said of one kind of questions.
const maxNotes = 5

// The buckets are from 10 microseconds on, each 12% longer than the one before.
const (
	firstBucket  = 10 * time.Microsecond
	bucketGrowth = 1.12
)

func bucketOf(took time.Duration) int {
	i := int(math.Log(float64(took)/float64(firstBucket))/math.Log(bucketGrowth)) + 1
	return min(max(i, 0), len(Tally{}.buckets)-1)
}

// add counts one question, excused when there was nobody to answer it.
func (t *Tally) add(took time.Duration, err error, excused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked++
	note := ""
	switch {
	case err == nil:
		t.slowest = max(t.slowest, took)
		t.buckets[bucketOf(took)]++
	case errors.Is(err, ErrWrong):
		t.wrong++
		note = fmt.Sprintf("wrong after %v: %v", took.Round(time.Millisecond), err)
	case excused:
		t.excused++
	default:
		t.failed++
		note = fmt.Sprintf("failed after %v at %s: %v", took.Round(time.Millisecond), time.Now().Format("15:04:05.000"), err)
	}
	if note != "" && len(t.notes) < maxNotes {
		t.notes = append(t.notes, note)
	}
}

// Result is what a Tally says.
type Result struct {
	Asked, Failed, Excused, Wrong int
	Median, P999, Slowest         time.Duration
	Notes                         []string
}

// Result may be called at any time.
func (t *Tally) Result() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Result{
		Asked: t.asked, Failed: t.failed, Excused: t.excused, Wrong: t.wrong,
		Median: t.quantile(0.5), P999: t.quantile(0.999), Slowest: t.slowest, Notes: slices.Clone(t.notes),
	}
}

// quantile is at most one bucket too high.
func (t *Tally) quantile(q float64) time.Duration {
	n := 0
	for _, b := range t.buckets {
		n += b
	}
	rank, seen := int(math.Ceil(q*float64(n))), 0
	for i, b := range t.buckets {
		if seen += b; seen >= rank {
			return min(time.Duration(float64(firstBucket)*math.Pow(bucketGrowth, float64(i))), t.slowest)
		}
	}
	return t.slowest
}

func (r Result) String() string {
	s := fmt.Sprintf("%d asked, %d wrong, %d failed, %d excused; median %v, p99.9 %v, slowest %v", r.Asked, r.Wrong, r.Failed, r.Excused,
		r.Median.Round(10*time.Microsecond), r.P999.Round(100*time.Microsecond), r.Slowest.Round(100*time.Microsecond))
	for _, n := range r.Notes {
		s += "\n\t" + n
	}
	return s
}

// Load is a steady stream of questions by one client.
type Load struct {
	Client   Client
	Next     func() Question
	Pace     time.Duration // from the start of one question to that of the next
	Depth    int           // questions under way at once
	Patience time.Duration // what no client waits longer than
	Tally    *Tally
	Total    *Tally   // of several loads; may be nil
	Outages  *Outages // nil: nothing is excused
}

// Run asks until ctx ends, and waits for what is under way then.
func (l *Load) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, l.Depth)
	ticker := time.NewTicker(l.Pace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			return
		case room <- struct{}{}:
		}
		wg.Go(func() {
			l.One()
			<-room
		})
	}
}

// One asks one question.
func (l *Load) One() {
	q := l.Next()
	ctx, cancel := context.WithTimeout(context.Background(), l.Patience)
	defer cancel()
	asked, start := q.Message(), time.Now()
	reply, err := l.Client.Exchange(ctx, asked)
	end := time.Now()
	if err == nil {
		err = q.Check(asked, reply)
	}
	excused := l.Outages.Overlap(start, end)
	l.Tally.add(end.Sub(start), err, excused)
	if l.Total != nil {
		l.Total.add(end.Sub(start), err, excused)
	}
}

// Outages are the times at which something behind the server was away.
type Outages struct {
	Grace time.Duration // what it takes until the server has noticed that it is back

	mu    sync.Mutex
	begun time.Time // zero: all is well; guarded by mu, as below
	past  [][2]time.Time
}

// Begin says that there is nobody from now on.
func (o *Outages) Begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begun = time.Now()
}

// End says that all is well again.
func (o *Outages) End() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.past, o.begun = append(o.past, [2]time.Time{o.begun, time.Now().Add(o.Grace)}), time.Time{}
}

// Overlap tells whether there was an outage at some time from start to end.
func (o *Outages) Overlap(start, end time.Time) bool {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.begun.IsZero() && end.After(o.begun) {
		return true
	}
	return slices.ContainsFunc(o.past, func(p [2]time.Time) bool { return start.Before(p[1]) && end.After(p[0]) })
}
