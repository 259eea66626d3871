package intake

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, cancel := context.WithCancel(t.Context())
		e := epochs{base: base}
		first := e.context(5 * time.Second)
		time.Sleep(900 * time.Millisecond)
		if e.context(5*time.Second) != first {
			t.Error("two contexts in one second")
		}
		if e.context(7*time.Second) == first {
			t.Error("one context for two lengths of life")
		}
		late := e.context(5 * time.Second)
		time.Sleep(5 * time.Second)
		if late.Err() != nil {
			t.Error("a context ended before its time")
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if first.Err() == nil || late.Err() == nil {
			t.Error("a context outlived its time")
		}
		last := e.context(5 * time.Second)
		cancel()
		synctest.Wait()
		if last.Err() == nil {
			t.Error("a context outlived the server")
		}
	})
}
