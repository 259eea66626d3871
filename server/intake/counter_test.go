package intake

import (
	"sync"
	"testing"
)

func TestCounter(t *testing.T) {
	var c Counter
	var group sync.WaitGroup
	for reader := range 40 {
		group.Go(func() {
			for range 100 {
				c.Add(uint8(reader * 7))
			}
		})
	}
	group.Wait()
	if n := c.Load(); n != 4000 {
		t.Errorf("%d, want 4000", n)
	}
}
