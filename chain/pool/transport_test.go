package pool

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// tail is the end of a long body: it waits until it may end, and counts those that are being read.
type tail struct {
	active *atomic.Int32
	end    <-chan struct{}
}

func (r tail) Read([]byte) (int, error) {
	r.active.Add(1)
	defer r.active.Add(-1)
	<-r.end
	return 0, io.EOF
}

// TestLongBodiesAreFewAtATime: however many answers are long, few of them take memory; short ones do not
// wait for them.
func TestLongBodiesAreFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &checkedTransport{maxBody: 1 << 20, large: make(chan struct{}, maxLarge)}
		var active atomic.Int32
		end := make(chan struct{})
		response := func(size int, rest ...io.Reader) *http.Response {
			body := io.MultiReader(append([]io.Reader{strings.NewReader(strings.Repeat("x", size))}, rest...)...)
			return &http.Response{ContentLength: -1, Body: io.NopCloser(body)}
		}
		releases := make(chan func(), 3*maxLarge)
		var wg sync.WaitGroup
		for range 3 * maxLarge {
			wg.Go(func() {
				body, release, err := transport.readBody(t.Context(), response(smallBody+10, tail{&active, end}))
				if err != nil || len(body) != smallBody+10 {
					t.Errorf("%d bytes, %v", len(body), err)
					return
				}
				releases <- release
			})
		}
		synctest.Wait()
		if n := active.Load(); n != maxLarge {
			t.Errorf("%d long bodies are read at a time, want %d", n, maxLarge)
		}
		if body, _, err := transport.readBody(t.Context(), response(smallBody)); err != nil || len(body) != smallBody {
			t.Errorf("a short body beside long ones: %d bytes, %v", len(body), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := transport.readBody(ctx, response(smallBody+10)); !errors.Is(err, errTooLong) {
			t.Errorf("a long body that waits in vain: %v, want errTooLong", err)
		}
		close(end)
		synctest.Wait()
		if n := len(releases); n != maxLarge {
			t.Errorf("%d were read before one was given back, want %d", n, maxLarge)
		}
		for range 3 * maxLarge {
			release := <-releases
			release()
			release() // a second time does nothing
		}
		wg.Wait()
		if n := len(transport.large); n != 0 {
			t.Errorf("%d places were not given back", n)
		}
	})
}

func TestDeclaredLengthIsEnough(t *testing.T) {
	transport := &checkedTransport{maxBody: 1000, large: make(chan struct{}, 1)}
	resp := &http.Response{ContentLength: 1001, Body: io.NopCloser(tail{})}
	if _, _, err := transport.readBody(t.Context(), resp); !errors.Is(err, errTooLong) {
		t.Errorf("%v, want errTooLong without a read", err)
	}
}
