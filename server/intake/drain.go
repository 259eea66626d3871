package intake

import (
	"context"
	"sync"
	"time"
)

// DrainGrace is for how long a listener or a connection that is being drained still reads: what the kernel has
// taken from clients already is answered.
const DrainGrace = 30 * time.Millisecond

// WaitOr waits for the group, or for ctx to end.
func WaitOr(ctx context.Context, group *sync.WaitGroup) {
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
