package pool

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/internal/rpctest"
)

// TestHostileAnswers: whatever comes instead of an answer is an error of the right kind, within the time
// allowed.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	deep := []byte(`{"jsonrpc":"2.0","id":1,"result":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	flood(z, 2<<20)
	z.Close()
	tests := []struct {
		name string
		serv http.HandlerFunc
		want error
	}{
		{"garbage", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "\x00\x01\xfe{{{") }, chain.ErrMalformed},
		{"page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>welcome</html>") }, chain.ErrMalformed},
		{"nothing", func(http.ResponseWriter, *http.Request) {}, chain.ErrMalformed},
		{"status 502", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, chain.ErrUnavailable},
		{"status 401", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, chain.ErrUnavailable},
		{"deep", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(deep) }, chain.ErrLimit},
		{"huge", func(w http.ResponseWriter, _ *http.Request) { flood(w, 64<<20) }, chain.ErrLimit},
		{"huge when unpacked", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		}, chain.ErrLimit},
		{"endless header", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 2000 {
				w.Header().Set("X-"+strconv.Itoa(i), strings.Repeat("x", 100))
			}
		}, chain.ErrUnavailable},
		{"drip", drip, chain.ErrTimeout},
		{"silence", silent, chain.ErrTimeout},
		{"closed before", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, chain.ErrUnavailable},
		{"closed in the middle", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, chain.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := fakeNode(t)
			n.Intercept(tt.serv)
			timeout := 20 * time.Second // a busy machine takes its time
			if tt.want == chain.ErrTimeout {
				timeout = time.Second
			}
			e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.Timeout = timeout; c.MaxBody = 1 << 20 })
			_, err := e.CallAt(within(t, 30*time.Second), msgs("a", "b"), n.Head())
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if tt.name != "garbage" && tt.name != "silence" && tt.name != "closed before" {
				return // recovery is the same from all of them
			}
			eventually(t, "the circuit opens", func() bool { return !e.Usable() })
			n.Intercept(nil)
			began := time.Now()
			eventually(t, "the circuit closes", e.Usable)
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("back after %v", took)
			}
			outputs, err := e.CallAt(within(t, 20*time.Second), msgs("a", "b"), n.Head())
			if err != nil || string(outputs[1].Data) != "echo:b" {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestContractsFloodDoesNotOpenTheCircuit: the owner of a name can make all calls about it return too much,
// and must not take the backend from all other names.
func TestContractsFloodDoesNotOpenTheCircuit(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	e := endpoint(t, n.URL(), func(c *EndpointConfig) {
		c.MaxBody, c.BlockInterval, c.IdlePoll = 1<<20, time.Hour, time.Hour
	})
	eventually(t, "the head is known", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	n.Intercept(func(w http.ResponseWriter, _ *http.Request) { flood(w, 2<<20) })
	for range 2 * failuresToOpen {
		if _, err := e.CallAt(within(t, 30*time.Second), msgs("a", "b"), n.Head()); !errors.Is(err, chain.ErrLimit) {
			t.Fatalf("error %v", err)
		}
	}
	if !e.Usable() {
		t.Error("the circuit is open")
	}
	if _, err := e.Latest(within(t, 30*time.Second), 0); !errors.Is(err, chain.ErrLimit) || e.Status().Errors <= 2*failuresToOpen {
		t.Errorf("a flood in place of a head: %v, %d errors", err, e.Status().Errors)
	}
}

func flood(w interface{ Write([]byte) (int, error) }, size int) {
	_, _ = fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":"0x`)
	block := bytes.Repeat([]byte("0"), 1<<16)
	for range size / len(block) {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
	_, _ = fmt.Fprint(w, `"}`)
}

// silent does not answer as long as its client waits.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func drip(w http.ResponseWriter, r *http.Request) {
	for range 1000 {
		fmt.Fprint(w, " ")
		w.(http.Flusher).Flush()
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	n, trap := fakeNode(t), fakeNode(t)
	n.Intercept(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, trap.URL(), http.StatusTemporaryRedirect)
	})
	e := endpoint(t, n.URL())
	if _, err := e.CallAt(within(t, 20*time.Second), msgs("a"), n.Head()); !errors.Is(err, chain.ErrMalformed) {
		t.Errorf("error %v", err)
	}
	if requests, _, _ := trap.Counts(); requests != 0 {
		t.Errorf("%d requests went to where the redirect points", requests)
	}
}

func TestRateLimitedIsNotDead(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			n := fakeNode(t)
			e := endpoint(t, n.URL())
			eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
			var asked atomic.Int32
			n.Intercept(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.Header().Set("Retry-After", "4")
				w.WriteHeader(status)
			})
			began := time.Now()
			for range 20 {
				if _, err := e.CallAt(within(t, 20*time.Second), msgs("a"), n.Head()); !errors.Is(err, errRateLimited) {
					t.Fatalf("error %v", err)
				}
			}
			if took := time.Since(began); took > 3800*time.Millisecond {
				t.Fatalf("20 refusals took %v", took)
			}
			if got := asked.Load(); got > 3 { // a poll may have been on its way
				t.Errorf("asked %d times in the seconds that the backend wanted for itself", got)
			}
			s := e.Status()
			if s.State != Closed || s.Limited == 0 || s.LimitedFor <= 0 || e.Usable() {
				t.Errorf("status %+v", s)
			}
			n.Intercept(nil)
			eventually(t, "an answer", func() bool {
				_, err := e.CallAt(within(t, 20*time.Second), msgs("a"), n.Head())
				return err == nil
			})
			if took := time.Since(began); took < 4*time.Second {
				t.Errorf("asked again after %v", took)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	tests := map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "9999": maxRetryAfter, "99999999999999999999": maxRetryAfter,
		"-5": 0, "soon": 0, "1.5": 0, "Sat, 21 Nov 2026 12:00:09 GMT": 9 * time.Second,
		"Sat, 21 Nov 2020 12:00:09 GMT": 0, "Sat, 21 Nov 2099 12:00:09 GMT": maxRetryAfter,
	}
	for value, want := range tests {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestWrongChain(t *testing.T) {
	t.Parallel()
	for _, address := range []func(*rpctest.Node) string{(*rpctest.Node).URL, (*rpctest.Node).WS} {
		n := fakeNode(t)
		url := address(n)
		n.SetChainID(1337)
		var log logged
		e := endpoint(t, url, func(c *EndpointConfig) { c.Log = log.logger() })
		_, err := e.CallAt(within(t, 20*time.Second), msgs("a"), n.Head())
		if !errors.Is(err, chain.ErrWrongChain) {
			t.Fatalf("error %v", err)
		}
		for range 3 { // also once the circuit is open
			if _, err = e.Latest(within(t, 20*time.Second), 0); !errors.Is(err, chain.ErrWrongChain) {
				t.Fatalf("error %v", err)
			}
		}
		if _, calls, heads := n.Counts(); calls != 0 || heads != 0 {
			t.Errorf("%d calls and %d questions for the head were sent to the wrong chain", calls, heads)
		}
		if s := e.Status(); s.ChainID != 1337 || s.State == Closed || !strings.Contains(s.LastError, "1337") {
			t.Errorf("status %+v", s)
		}
		n.SetChainID(1)
		eventually(t, "the right chain is noticed", e.Usable)
		if got := strings.Count(log.String(), "out of use"); got != 1 {
			t.Errorf("the log says %d times that the backend is out of use:\n%s", got, log.String())
		}
	}
}

// TestChainIDAfterReconnect: a backend that comes back as another chain is not believed.
func TestChainIDAfterReconnect(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(*rpctest.Node) string{"http": (*rpctest.Node).URL, "ws": (*rpctest.Node).WS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := fakeNode(t)
			e := endpoint(t, address(n))
			eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() && e.Usable() })
			n.Close()
			eventually(t, "the circuit opens", func() bool { return !e.Usable() })
			n.SetChainID(5)
			n.Restart()
			eventually(t, "the wrong chain is noticed", func() bool { return strings.Contains(e.Status().LastError, "wrong chain") })
			if e.Usable() {
				t.Error("the wrong chain is in use")
			}
			n.SetChainID(1)
			eventually(t, "recovery", e.Usable)
		})
	}
}

// TestRecovery: when a backend is back, it is used again within 5 s, though nobody asks.
func TestRecovery(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	urls := []string{n.URL(), n.WS()}
	endpoints := make([]*Endpoint, len(urls))
	for i, url := range urls {
		endpoints[i] = endpoint(t, url, func(c *EndpointConfig) {
			c.IdlePoll, c.chance = c.BlockInterval, func() float64 { return 1 }
		})
		eventually(t, "a head", func() bool { return endpoints[i].Usable() && endpoints[i].Status().Head.Number == 100 })
	}
	n.Close()
	for _, e := range endpoints {
		eventually(t, "the circuit opens", func() bool { return !e.Usable() })
	}
	time.Sleep(time.Second) // the back-off grows
	n.Restart()
	began := time.Now()
	for _, e := range endpoints {
		eventually(t, "recovery", e.Usable)
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("%s: back after %v", e.Status().Transport, took)
		}
		if _, err := e.CallAt(within(t, 20*time.Second), msgs("a"), n.Head()); err != nil {
			t.Errorf("%s: %v", e.Status().Transport, err)
		}
	}
}

// TestBackoffIsBounded: 5 s after its return a backend answers, also who was told of the failure, and has it
// in the cache, just before the probe that finds it well.
func TestBackoffIsBounded(t *testing.T) {
	const failureTTL = 2 * time.Second // of the default configuration
	if backoffMax+failureTTL >= 5*time.Second {
		t.Errorf("a back-off of %v and a failure in the cache for %v", backoffMax, failureTTL)
	}
	for _, chance := range []float64{0, 0.999} {
		h := health{chance: func() float64 { return chance }}
		now := time.Now()
		for i := range 20 {
			began := now
			now = now.Add([]time.Duration{0, probeTimeout}[i%2]) // quick and hanging probes
			h.probed(false, now, began)
			wait, due := h.probing(now)
			if due || wait < backoffGap || now.Add(wait).Sub(began) > backoffMax {
				t.Errorf("after %d failures: %v", i+1, wait)
			}
			now = now.Add(wait)
			if _, due := h.probing(now); !due {
				t.Error("no probe is due")
			}
		}
	}
}

// TestSecretsStayInside: no error, status or log line holds a part of the URL that may be a key, though
// the backend repeats it.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	const path, query, user, password = "pathsecret0123456789", "querysecret99", "usersecret", "pass/secret"
	answers := map[string]func(w http.ResponseWriter, r *http.Request){
		"echo in an error": func(w http.ResponseWriter, r *http.Request) {
			u, p, _ := r.BasicAuth()
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"%s bad key %s %s %s"}}`, strings.Repeat("z", maxText-30), r.URL, u, p)
		},
		"status": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403); fmt.Fprint(w, r.URL) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String()+"/x", http.StatusFound)
		},
		"garbage": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL) },
		"timeout": silent,
		"close":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	secrets := []string{path, query, user, password, "pass%2Fsecret", "pathsecret", "querysec", "usersec"}
	for name, answer := range answers {
		for _, scheme := range []string{"http", "ws"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				t.Parallel()
				n := fakeNode(t)
				n.Intercept(answer)
				var log logged
				url := fmt.Sprintf("%s://%s:%s@%s/v2/%s?key=%s", scheme, user, "pass%2Fsecret", strings.TrimPrefix(n.URL(), "http://"), path, query)
				p := newPool(t, Config{Log: log.logger(), Endpoints: []EndpointConfig{{URL: url, ChainID: 1, Timeout: 200 * time.Millisecond}}})
				var texts []string
				for range 5 {
					_, err := p.Call(within(t, 500*time.Millisecond), chain.Call{Msgs: msgs("a", "b")})
					if err == nil {
						t.Fatal("an answer")
					}
					texts = append(texts, err.Error(), fmt.Sprintf("%+v", err))
					var b *chain.BackendError
					for errors.As(err, &b) {
						texts = append(texts, fmt.Sprintf("%#v", b.Err))
						err = b.Err
					}
				}
				_, err := p.Endpoints()[0].Probe(within(t, 20*time.Second))
				eventually(t, "the circuit opens", func() bool { return !p.Endpoints()[0].Usable() })
				texts = append(texts, fmt.Sprint(err), fmt.Sprintf("%+v", p.Status()), log.String(), p.Endpoints()[0].Name())
				for _, text := range texts {
					if hasAny(text, secrets...) {
						t.Errorf("a secret shows: %s", text)
					}
				}
			})
		}
	}
}

// TestCancelIsNoFailure: callers that go away say nothing about the backend.
func TestCancelIsNoFailure(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.BlockInterval, c.IdlePoll = time.Hour, time.Hour })
	eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	n.Intercept(silent)
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := e.CallAt(ctx, msgs("a"), n.Head()); !errors.Is(err, chain.ErrTimeout) {
			t.Errorf("error %v", err)
		}
		cancel()
	}
	if s := e.Status(); s.State != Closed || s.Errors != 0 {
		t.Errorf("status %+v", s)
	}
}
