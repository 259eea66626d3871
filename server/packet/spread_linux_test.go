package packet

import (
	"sync"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// witness counts by which reader a request came.
type witness struct {
	actor
	mu   sync.Mutex
	seen map[uint8]int
}

func (w *witness) Hit(q *wire.Query, buf []byte) ([]byte, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[q.Reader]++
	return echo(q, buf), true
}

// readers asks from many sockets and returns how many readers answered.
func (w *witness) readers(t *testing.T, l *Listener) int {
	t.Helper()
	w.mu.Lock()
	clear(w.seen)
	w.mu.Unlock()
	for i := range 64 {
		conn := dial(t, l.Addr())
		write(t, conn, request(uint16(i), "now"))
		read(t, conn)
		conn.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// Packets go to as many sockets as are active, whoever sends them.
func TestSpread(t *testing.T) {
	w := &witness{seen: make(map[uint8]int)}
	l, _ := begin(t, Config{Network: "udp4", Addr: loopback(0), Sockets: 3}, intake.Limits{}, w)
	if l.spread == nil {
		t.Fatal("the kernel cannot be told")
	}
	for _, tt := range []struct{ by, want int }{{0, 1}, {1, 2}, {1, 3}, {1, 3}, {-1, 2}, {-1, 1}, {-1, 1}} {
		l.spread.change(tt.by, 0)
		if got := w.readers(t, l); got != tt.want {
			t.Errorf("%d readers, want %d", got, tt.want)
		}
	}
	l.spread.change(1, time.Hour)
	if l.spread.active != 1 {
		t.Error("changed again too soon")
	}
}

// A reader that does not keep up gets help, and one that is hardly needed goes.
func TestPace(t *testing.T) {
	w := &witness{seen: make(map[uint8]int)}
	l, _ := begin(t, Config{Network: "udp4", Addr: loopback(0), Sockets: 2}, intake.Limits{}, w)
	p := l.spread
	long := func() { p.changed = time.Time{} }
	var c pace
	note := func(times, n int) {
		for range times {
			c.note(n, p)
		}
	}
	steps := []struct {
		story    string
		times, n int
		want     int
	}{
		{"some full batches", busyBatches - 1, batchSize, 1},
		{"then one that is not", 1, batchSize - 1, 1},
		{"too many full ones", busyBatches, batchSize, 2},
		{"batches of some size", 2 * calmBatches, batchSize / 2, 2},
		{"small ones", 2 * calmBatches, 2, 1},
		{"small ones all the time", 2 * calmBatches, 1, 1},
	}
	for _, tt := range steps {
		long()
		if note(tt.times, tt.n); p.active != tt.want {
			t.Errorf("%s: %d active, want %d", tt.story, p.active, tt.want)
		}
	}
}
