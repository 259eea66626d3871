package quorum

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dens/chain"
	"dens/chain/verify"
)

var _ verify.Anchorer = (*Quorum)(nil)

// TestAnchorNamesItsVouchers: those that named the block are told, not those that were asked.
func TestAnchorNamesItsVouchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 5, 3)
		x.backends[1].set(func(b *backend) { b.fork = 1 })
		x.backends[3].set(func(b *backend) { b.lost = true })
		time.Sleep(2 * settle)
		synctest.Wait()
		a, err := x.Quorum.Anchor(t.Context())
		if err != nil || a.Source != chain.AnchorQuorum || a.Head != blockOf(100, 0) || fmt.Sprint(a.Vouchers) != "[a c e]" || a.Beacon != nil {
			t.Errorf("%+v, %v", a, err)
		}
		if s := x.Status(); s.Head != a.Head || fmt.Sprint(s.Vouchers) != "[a c e]" {
			t.Errorf("status %+v", s)
		}
		a.Vouchers[0] = "z"
		if again, _ := x.Quorum.Anchor(t.Context()); fmt.Sprint(again.Vouchers) != "[a c e]" {
			t.Errorf("what one caller changed is given to another: %v", again.Vouchers)
		}
	})
}

// TestAnchorIsUse: the endpoints that spoke for the operators are kept awake, and no others.
func TestAnchorIsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 5, 2)
		before := 0
		for _, b := range x.backends {
			before += b.asked
		}
		for range 10 {
			if _, err := x.Quorum.Anchor(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var touched []int
		after := 0
		for _, b := range x.backends {
			touched, after = append(touched, b.touched), after+b.asked
		}
		if fmt.Sprint(touched) != "[10 10 10 0 0]" || after != before {
			t.Errorf("touched %v, %d requests", touched, after-before)
		}
	})
}

func TestAnchorFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*backend, int)
		want   error
	}{
		{"one left", func(b *backend, i int) {
			if i > 0 {
				b.err = chain.ErrUnavailable
			}
		}, chain.ErrUnavailable},
		{"three branches", func(b *backend, i int) { b.fork = byte(i) }, chain.ErrConflict},
		{"late", func(b *backend, _ int) { b.hang = true }, chain.ErrTimeout},
		{"stale", func(b *backend, _ int) { b.head = blockOf(1, 0) }, chain.ErrStaleHead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newBench(t, 3, 2, func(c *Config) { c.MaxHeadAge = 24 * time.Hour })
				if _, err := x.Quorum.Anchor(t.Context()); err != nil {
					t.Fatal(err)
				}
				for i, b := range x.backends {
					b.set(func(b *backend) { tt.change(b, i) })
				}
				if tt.want == chain.ErrStaleHead {
					time.Sleep(25 * time.Hour)
				}
				time.Sleep(time.Minute) // the agreement from before is old
				ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
				defer cancel()
				if a, err := x.Quorum.Anchor(ctx); !errors.Is(err, tt.want) || len(a.Vouchers) != 0 {
					t.Errorf("%+v, %v, want %v", a, err, tt.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, 3, 2)
		x.Close()
		if _, err := x.Quorum.Anchor(t.Context()); !errors.Is(err, chain.ErrUnavailable) {
			t.Errorf("after Close: %v", err)
		}
	})
}
