package quorum

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dens/chain"
)

func TestCall(t *testing.T) {
	down := errors.Join(chain.ErrUnavailable, errors.New("connection refused"))
	tests := []struct {
		name     string
		n, k     int
		script   func(b []*backend)
		err      error    // nil: the truth is told
		says     []string // of the error
		backends string
		counts   string // calls to each backend
	}{
		{"two agree, the third is not asked", 3, 2, func([]*backend) {}, nil, nil, "[a b]", "[1 1 0]"},
		{"three of five agree", 5, 3, func([]*backend) {}, nil, nil, "[a b c]", "[1 1 1 0 0]"},
		{"one is down, the spare steps in", 3, 2, func(b []*backend) { b[0].err = down }, nil, nil, "[b c]", "[0 1 1]"},
		{"two are down", 3, 2, func(b []*backend) { b[0].err, b[2].err = down, down }, chain.ErrUnavailable,
			[]string{"a-node: ", "connection refused", "1 of 2"}, "", ""},
		{"two contradict each other", 3, 2, func(b []*backend) { b[1].data = "lie" }, chain.ErrConflict,
			[]string{"a returned 5 bytes", "b returned 3 bytes"}, "", ""},
		{"a revert is not a return", 3, 2, func(b []*backend) { b[1].revert = true }, chain.ErrConflict,
			[]string{"a returned 5 bytes", "b reverted with 5 bytes"}, "", ""},
		{"all revert alike", 3, 2, func(b []*backend) {
			for _, x := range b {
				x.revert = true
			}
		}, nil, nil, "[a b]", "[1 1 0]"},
		{"one is slow, a spare is asked meanwhile", 3, 2, func(b []*backend) { b[0].delay = 3 * time.Second }, nil, nil, "[b c]", "[1 1 1]"},
		{"all but one are slow", 3, 2, func(b []*backend) { b[0].delay, b[1].delay = time.Hour, time.Hour }, chain.ErrTimeout,
			[]string{"1 of 2"}, "", "[1 1 1]"},
		{"one could not execute it: it abstains", 3, 2, func(b []*backend) { b[0].itemErr = chain.ErrLimit }, nil, nil, "[a b c]", "[1 1 1]"},
		{"one is on another branch: it does not know the block", 3, 2, func(b []*backend) { b[0].fork = 1 }, nil, nil, "[b c]", "[1 1 1]"},
		{"all are on branches of their own", 3, 2, func(b []*backend) { b[0].fork, b[1].fork = 1, 2 }, chain.ErrConflict, nil, "", "[0 0 0]"},
		{"two of the three needed know the block", 3, 3, func(b []*backend) { b[2].lost = true }, chain.ErrUnavailable,
			[]string{"2 of 3 operators", "c-node: block is unknown"}, "", "[0 0 0]"},
		{"one is ahead: the block that two have counts", 3, 2, func(b []*backend) { b[0].head = blockOf(120, 0) }, nil, nil, "[a b]", "[1 1 0]"},
		{"one is behind: it is asked last", 3, 2, func(b []*backend) { b[0].head = blockOf(80, 0) }, nil, nil, "[b c]", "[0 1 1]"},
		{"a lone liar far ahead does not count", 3, 2, func(b []*backend) { b[0].head = blockOf(60000, 1); b[0].fork = 1 }, nil, nil, "[b c]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newBench(t, tt.n, tt.k)
				for _, b := range x.backends {
					b.set(func(*backend) {})
				}
				tt.script(x.backends)
				x.backends[0].set(func(*backend) {})
				time.Sleep(2 * settle)
				synctest.Wait()
				r, err := x.call()
				if !errors.Is(err, tt.err) {
					t.Fatalf("error %v, want %v", err, tt.err)
				}
				for _, s := range tt.says {
					if !strings.Contains(err.Error(), s) {
						t.Errorf("error %q does not say %q", err, s)
					}
				}
				if err == nil && (string(r.Outputs[0].Data) != "truth" || r.Trust != chain.Quorum || fmt.Sprint(r.Backends) != tt.backends) {
					t.Errorf("%q by %v with trust %v, want the truth by %s", r.Outputs[0].Data, r.Backends, r.Trust, tt.backends)
				}
				synctest.Wait()
				if got := fmt.Sprint(x.counts()); tt.counts != "" && got != tt.counts {
					t.Errorf("calls %s, want %s", got, tt.counts)
				}
			})
		})
	}
}

// TestLiarIsDemoted wants one failed call, and then the honest two to answer alone.
func TestLiarIsDemoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		x.backends[0].set(func(b *backend) { b.data = "lie" })
		if _, err := x.call(); !errors.Is(err, chain.ErrConflict) {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := x.Status(); fmt.Sprint(s.Demoted) != "[a]" {
			t.Errorf("demoted %v, want a", s.Demoted)
		}
		if !strings.Contains(x.log.String(), "operator=a") {
			t.Errorf("the log does not name a: %s", x.log)
		}
		for range 3 {
			if r, err := x.call(); err != nil || fmt.Sprint(r.Backends) != "[b c]" {
				t.Errorf("%v, %v; want the honest two", r.Backends, err)
			}
		}
		x.backends[0].set(func(b *backend) { b.data = "truth" })
		time.Sleep(6 * time.Minute)
		if r, err := x.call(); err != nil || fmt.Sprint(r.Backends) != "[a b]" {
			t.Errorf("%v, %v; want a to be heard again", r.Backends, err)
		}
	})
}

// TestTwoAlone has nobody who could tell which of two lies: both stay, and every call fails.
func TestTwoAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 2, 2)
		x.backends[1].set(func(b *backend) { b.data = "lie" })
		for range 3 {
			if _, err := x.call(); !errors.Is(err, chain.ErrConflict) {
				t.Error(err)
			}
			synctest.Wait()
		}
		if s := x.Status(); len(s.Demoted) > 0 {
			t.Errorf("demoted %v without a majority", s.Demoted)
		}
	})
}

// TestOperatorsCountOnce has two endpoints of one operator, which are no quorum, and stand in for each other.
func TestOperatorsCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		same := func(c *Config) { c.Backends[1].(*backend).operator = "a" }
		x := newBench(t, 3, 2, same)
		r, err := x.call()
		if err != nil || fmt.Sprint(r.Backends) != "[a c]" {
			t.Errorf("%v, %v; want a and c", r.Backends, err)
		}
		x.backends[0].set(func(b *backend) { b.err = chain.ErrUnavailable })
		if r, err = x.call(); err != nil || fmt.Sprint(x.counts()) != "[1 1 2]" {
			t.Errorf("%v, calls %v; want the other endpoint of a", err, x.counts())
		}
	})
	one := &backend{operator: "a"}
	if _, err := New(Config{K: 2, Backends: []Backend{one, one}}); err == nil || !strings.Contains(err.Error(), "found 1") {
		t.Errorf("a quorum of 2 of one operator: %v", err)
	}
	if _, err := New(Config{K: 1, Backends: []Backend{one}}); err == nil {
		t.Error("a quorum of 1 was taken")
	}
}

func TestAnchor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock begins at 2000-01-01, when block 0 was made
		x := newBench(t, 3, 2, func(c *Config) { c.MaxHeadAge = time.Minute })
		time.Sleep(12*100*time.Second + 30*time.Second)
		if r, err := x.call(); err != nil || r.Head != blockOf(100, 0) {
			t.Fatalf("%v, %v; want block 100", r.Head, err)
		}
		if !x.Ready() {
			t.Error("not ready")
		}
		time.Sleep(time.Minute)
		if _, err := x.call(); !errors.Is(err, chain.ErrStaleHead) {
			t.Errorf("%v, want a stale head", err)
		}
		if x.Ready() {
			t.Error("ready with a stale head")
		}
		for _, b := range x.backends {
			b.set(func(b *backend) { b.head = blockOf(107, 0) })
		}
		time.Sleep(2 * settle)
		synctest.Wait()
		if r, err := x.call(); err != nil || r.Head != blockOf(107, 0) {
			t.Errorf("%v, %v; want block 107", r.Head, err)
		}
	})
}

// TestPinned wants a call that names its block to be made there, and no agreement to be sought.
func TestPinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		at := blockOf(90, 0)
		r, err := x.Call(context.Background(), chain.Call{Msgs: []chain.Msg{{}}, At: &at})
		if err != nil || r.Head != at {
			t.Errorf("%v, %v; want block 90", r.Head, err)
		}
	})
}

// TestColdCallIsOneRequest wants no request beside the calls while the agreement is young.
func TestColdCallIsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		before := 0
		for _, b := range x.backends {
			before += b.asked
		}
		for range 100 {
			if _, err := x.call(); err != nil {
				t.Fatal(err)
			}
		}
		after := 0
		for _, b := range x.backends {
			after += b.asked
		}
		if after != before {
			t.Errorf("%d requests for blocks during 100 calls", after-before)
		}
	})
}

// TestRecovery wants answers again soon after all backends were down, with nobody asking meanwhile.
func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		for _, b := range x.backends {
			b.set(func(b *backend) { b.err = chain.ErrUnavailable })
		}
		time.Sleep(time.Minute)
		if _, err := x.call(); !errors.Is(err, chain.ErrUnavailable) {
			t.Fatal(err)
		}
		for _, b := range x.backends {
			b.mu.Lock()
			b.err = nil
			b.mu.Unlock()
		}
		time.Sleep(4 * time.Second)
		if !x.Ready() {
			t.Error("not ready 4 s after the return")
		}
		if _, err := x.call(); err != nil {
			t.Error(err)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		for _, b := range x.backends {
			b.delay = time.Hour
		}
		done := make(chan error)
		go func() {
			_, err := x.call()
			done <- err
		}()
		synctest.Wait()
		x.Close()
		if err := <-done; err == nil {
			t.Error("a call under way succeeded")
		}
		if _, err := x.call(); !errors.Is(err, chain.ErrUnavailable) {
			t.Errorf("a call after the end: %v", err)
		}
	})
}

// TestSlowVoterHoldsUpNobody has one voter that hangs when asked for its head or a block.
func TestSlowVoterHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		x.backends[0].set(func(b *backend) { b.hang = true })
		time.Sleep(time.Hour) // the agreement is old
		began := time.Now()
		r, err := x.call()
		if err != nil || string(r.Outputs[0].Data) != "truth" {
			t.Errorf("%+v, %v", r, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestAlternateStepsIn has two operators, one with a second endpoint: when the first fails, that one is
// asked within the same call.
func TestAlternateStepsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2, func(c *Config) { c.Backends[2].(*backend).operator = "a" })
		x.backends[0].set(func(b *backend) { b.callErr = chain.ErrUnavailable })
		r, err := x.call()
		if err != nil || fmt.Sprint(r.Backends) != "[a b]" || fmt.Sprint(x.counts()) != "[1 1 1]" {
			t.Errorf("%v, %v, calls %v", r.Backends, err, x.counts())
		}
	})
}

// TestHedgeSparesTheDemoted: who was caught alone is not heard just because an honest one is a bit slow.
func TestHedgeSparesTheDemoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		x.backends[0].set(func(b *backend) { b.data = "lie" })
		if _, err := x.call(); !errors.Is(err, chain.ErrConflict) {
			t.Fatal(err)
		}
		synctest.Wait()
		x.backends[1].set(func(b *backend) { b.delay = time.Second })
		for range 5 {
			if r, err := x.call(); err != nil || fmt.Sprint(r.Backends) != "[b c]" {
				t.Errorf("%v, %v; want the honest two", r.Backends, err)
			}
		}
	})
}

// TestConflictsAreLookedIntoOneAtATime bounds what a stream of conflicts costs.
func TestConflictsAreLookedIntoOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		x.backends[1].set(func(b *backend) { b.data = "lie" })
		x.backends[2].set(func(b *backend) { b.delay = time.Second })
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() {
				if _, err := x.call(); !errors.Is(err, chain.ErrConflict) {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if n := x.backends[2].count(); n != 1 {
			t.Errorf("the witness was heard %d times, want once", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := x.Status(); fmt.Sprint(s.Demoted) != "[b]" {
			t.Errorf("demoted %v", s.Demoted)
		}
		if n := strings.Count(x.log.String(), "contradict each other"); n != 100 {
			t.Errorf("%d lines of the log tell of 100 conflicts", n)
		}
	})
}

// TestRejectsCallsOfTheWrongSize also keeps them from the backends.
func TestRejectsCallsOfTheWrongSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 2, 2)
		for _, n := range []int{0, chain.MaxMsgs + 1} {
			if _, err := x.Call(t.Context(), chain.Call{Msgs: make([]chain.Msg, n)}); !errors.Is(err, chain.ErrLimit) {
				t.Errorf("%d messages: %v", n, err)
			}
		}
		if fmt.Sprint(x.counts()) != "[0 0]" {
			t.Errorf("calls %v", x.counts())
		}
	})
}

// TestErrorsAreOneLine keeps them fit for a log and for EXTRA-TEXT.
func TestErrorsAreOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		for _, b := range x.backends {
			b.set(func(b *backend) { b.callErr = chain.ErrMalformed })
		}
		_, err := x.call()
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "c-node: ") {
			t.Errorf("%q", err)
		}
	})
}
