package onchain

import (
	"context"
	"testing"
	"time"
)

// TestGluePanics: a panic in a look-up of its own goroutine fails that look-up, and is not remembered.
func TestGluePanics(t *testing.T) {
	s := &glueStore{hosts: make(map[string]*glue), now: time.Now, look: func(context.Context, string) *glue { panic("odd data") }}
	for range 2 {
		if g := s.get(t.Context(), "ns.alice.eth."); g.err == nil {
			t.Error("no error")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hosts) != 0 {
		t.Errorf("%d remembered", len(s.hosts))
	}
}
