package verify

import (
	"sync"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/pool"
)

// TestSlowLists has the only backend make access lists later than they are waited for, for many names at once:
// that nobody waits for its guesses any longer is no failure of the backend, which proves all names.
func TestSlowLists(t *testing.T) {
	t.Parallel()
	slow := newBackend(t, nil)
	slow.slow = func(method string) time.Duration {
		if method == "eth_createAccessList" {
			return listPatience + time.Second
		}
		return 0
	}
	p := newPool(t, slow)
	v := newVerifier(t, p)
	var wg sync.WaitGroup
	for _, m := range texts(t)[:8] {
		wg.Go(func() {
			if r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}}); err != nil || r.Outputs[0].Err != nil {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	wg.Wait()
	if slow.count("eth_createAccessList") == 0 {
		t.Error("no lists were asked for")
	}
	if s := p.Status(); s[0].State != pool.Closed || s[0].Errors > 0 {
		t.Errorf("got %+v", s)
	}
}
