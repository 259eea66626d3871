package server

import (
	"context"
	"sync"
	"time"
)

// drainGrace is how long a listener that is being drained still reads: what the kernel has taken
// from clients already is answered.
const drainGrace = 30 * time.Millisecond

// waitOr waits for the group, or for ctx to end.
func waitOr(ctx context.Context, group *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
