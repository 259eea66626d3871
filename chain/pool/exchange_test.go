package pool

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"dens/chain"
)

// TestOneRefusalIsOneFailure: requests that were ended because another one of the same call was answered
// with an error say nothing about the backend.
func TestOneRefusalIsOneFailure(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.NoBatch, c.BlockInterval, c.IdlePoll = true, time.Hour, time.Hour })
	eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	n.Intercept(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !bytes.Contains(body, []byte("6261")) { // "ba"
			<-r.Context().Done()
			return
		}
		time.Sleep(20 * time.Millisecond)
		_, _ = w.Write(n.Answer(body))
	})
	for range failuresToOpen {
		_, err := e.CallAt(within(t, 30*time.Second), msgs("a", "b", "c", "bad", "e", "f"), chain.Head{})
		if !errors.Is(err, chain.ErrUnknownBlock) {
			t.Fatal(err)
		}
	}
	if s := e.Status(); s.State != Closed || s.Errors != failuresToOpen {
		t.Errorf("status %+v", s)
	}
}
