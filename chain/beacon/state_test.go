package beacon

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/internal/demo/consensus"
)

// remembered is a state file of a client that has followed w, which stands in its last period.
func (w *world) remembered() string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "state")
	_, endpoint := w.server("before", nil)
	cfg := w.config(endpoint)
	cfg.State = path
	c := w.client(cfg)
	anchor(w.t, c)
	c.Close()
	return path
}

// TestRestart: servers drop old bootstraps and updates; what was proven is still proven. An anchor that is
// young enough is there at once, with no endpoint at all.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consensus.Config{SlotTime: 2 * time.Second, History: 1})
	path := w.remembered()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("state file: %v, %v", info, err)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
	s, endpoint := w.server("alpha", status(everything, 500, ""))
	var log logged
	cfg := w.config(endpoint)
	cfg.State, cfg.Log = path, log.logger()
	c := w.client(cfg)
	if !c.Ready() {
		t.Errorf("not ready at once: %+v", c.Status())
	}
	a := anchor(t, c)
	w.same(a)
	if a.Vouchers != nil || a.Beacon.Checkpoint != w.checkpoint || a.Beacon.Signers != 500 {
		t.Errorf("anchor %+v, %+v", a, a.Beacon)
	}
	s.set(status("bootstrap updates", 404, ""))
	w.advance()
	eventually(t, "the new head", func() bool { return anchor(t, c).Hash == w.chain.Head().Hash })
	if n := s.count("bootstrap"); n != 0 {
		t.Errorf("%d requests for the checkpoint", n)
	}
	if !strings.Contains(log.String(), "from=\"the state file\"") {
		t.Errorf("log:\n%s", log.String())
	}
	c.Close()
	if s, err := readState(path, w.network); err != nil || s.Optimistic().Root != w.chain.Head().Root {
		t.Errorf("state after Close: %v", err)
	}
}

// TestReadOnly: the file is read and not written.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consensus.Config{SlotTime: 2 * time.Second})
	path := w.remembered()
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, endpoint := w.server("alpha", nil)
	cfg := w.config(endpoint)
	cfg.State, cfg.ReadOnly = path, true
	c := w.client(cfg)
	w.advance()
	eventually(t, "the new head", func() bool { return anchor(t, c).Hash == w.chain.Head().Hash })
	c.Close()
	if is, err := os.ReadFile(path); err != nil || string(is) != string(was) {
		t.Errorf("the file was changed (%v)", err)
	}
}

// TestUselessState: a state file that is of no use is said to be so and replaced.
func TestUselessState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second})
	path := w.remembered()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)/2] ^= 1
	tests := []struct {
		name   string
		write  func(path string) error
		change func(*Config)
		log    string
		full   bool // until it is replaced
	}{
		{"flipped bit", file(flipped), nil, "stored state is unusable", true},
		{"cut short", file(good[:len(good)-100]), nil, "stored state is unusable", false},
		{"empty", file(nil), nil, "stored state is unusable", false},
		{"garbage", file([]byte("hello")), nil, "stored state is unusable", false},
		{"huge", file(make([]byte, maxState+1)), nil, "longer than", false},
		{"other checkpoint", file(good), func(c *Config) { c.Checkpoint[0] ^= 1 }, "another checkpoint", false},
		{"other network", file(good), func(c *Config) { n := *c.Network; n.ValidatorsRoot[0] ^= 1; c.Network = &n }, "validators root", false},
		{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }, nil, "not a file", true},
		{"not there", func(string) error { return nil }, nil, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log logged
			w := *w
			w.t = t
			s, endpoint := w.server("alpha", nil)
			if !tt.full {
				s.set(status(everything, 500, ""))
			}
			cfg := w.config(endpoint)
			cfg.State, cfg.Log = filepath.Join(t.TempDir(), "state"), log.logger()
			if tt.change != nil {
				tt.change(&cfg)
			}
			if err := tt.write(cfg.State); err != nil {
				t.Fatal(err)
			}
			c := w.client(cfg)
			eventually(t, "a question for the checkpoint", func() bool { return s.count("bootstrap") > 0 })
			if tt.full {
				w.same(anchor(t, c))
				c.Close()
				if _, err := readState(cfg.State, w.network); err != nil {
					t.Errorf("not replaced: %v", err)
				}
			}
			if text := log.String(); !strings.Contains(text, tt.log) || strings.Contains(text, "not used") != (tt.log != "") {
				t.Errorf("log:\n%s", text)
			}
		})
	}
}

func file(data []byte) func(string) error {
	return func(path string) error { return os.WriteFile(path, data, 0o600) }
}

// TestNowhereToWrite: a state that cannot be written is no reason to fail, and said once.
func TestNowhereToWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second})
	_, endpoint := w.server("alpha", nil)
	var log logged
	cfg := w.config(endpoint)
	cfg.State, cfg.Log = filepath.Join(t.TempDir(), "missing", "state"), log.logger()
	c := w.client(cfg)
	w.same(anchor(t, c))
	c.Close()
	if n := strings.Count(log.String(), "cannot be written"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	dir := filepath.Join(t.TempDir(), "directory")
	if err := os.MkdirAll(filepath.Join(dir, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeState(dir, []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	if list, _ := os.ReadDir(filepath.Dir(dir)); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}

// TestSaved: the file is written when finality advances, not only at the end.
func TestSaved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		_, endpoint := w.inside("alpha", nil)
		cfg := w.config(endpoint)
		cfg.State = path
		c := w.client(cfg)
		anchor(t, c)
		time.Sleep(5 * consensus.SlotsPerEpoch * 12 * time.Second)
		s, err := readState(path, w.network)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.Finalized().Slot, w.chain.Finalized().Slot; got != want {
			t.Errorf("finalised slot %d, want %d", got, want)
		}
	})
}

// TestOldCheckpoint: a block to begin with that is too old is refused at once, whatever endpoints say.
func TestOldCheckpoint(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	inBubble(t, consensus.Config{History: 1}, func(t *testing.T, w *world) {
		s, endpoint := w.inside("alpha", nil)
		age := time.Since(w.network.SlotStart(w.slot))
		cfg := w.config(endpoint)
		var log logged
		cfg.MaxCheckpointAge, cfg.Log = age-time.Minute, log.logger()
		c := w.client(cfg)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := c.Anchor(ctx)
		refused(t, c, err)
		if !strings.Contains(err.Error(), "checkpoint at slot") || ctx.Err() != nil {
			t.Errorf("refusal: %v", err)
		}
		time.Sleep(10 * time.Minute)
		if s.count("bootstrap") != 1 || s.count("updates")+s.count("optimistic_update") != 0 || strings.Count(log.String(), "level=ERROR") != 1 {
			t.Errorf("asked %v\n%s", s.asked, log.String())
		}

		// One that is young enough is remembered; what follows from it is younger still.
		cfg.MaxCheckpointAge, cfg.State = age+time.Hour, path
		c = w.client(cfg)
		anchor(t, c)
		time.Sleep(4 * consensus.SlotsPerEpoch * 12 * time.Second) // finality moves on
		c.Close()
		cfg.MaxCheckpointAge = 40 * time.Minute
		c = w.client(cfg)
		anchor(t, c)

		// While it runs, and after a restart, what is known grows too old.
		s.set(status(everything, 500, ""))
		time.Sleep(40 * time.Minute)
		_, err = c.Anchor(t.Context())
		refused(t, c, err)
		if !strings.Contains(err.Error(), "newest finalised block that is known") {
			t.Errorf("refusal: %v", err)
		}
		c.Close()
		c = w.client(cfg)
		_, err = c.Anchor(t.Context())
		refused(t, c, err)
	})
}

// TestOldAfterSleep: what was asked for before the machine slept for weeks is not taken over after that, from
// a block that has become too old meanwhile.
func TestOldAfterSleep(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		var slept atomic.Int64
		s, endpoint := w.inside("alpha", nil)
		cfg := w.config(endpoint)
		cfg.MaxCheckpointAge = 14 * 24 * time.Hour
		cfg.now = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		c := w.client(cfg)
		slot := anchor(t, c).Beacon.Slot
		s.set(func(kind string, rw http.ResponseWriter, r *http.Request, honest http.Handler) {
			if kind == "optimistic_update" && w.chain.Head().Slot > slot {
				slept.Store(int64(15 * 24 * time.Hour))
			}
			honest.ServeHTTP(rw, r)
		})
		time.Sleep(minute)
		if got := c.Status().Anchor.Beacon.Slot; got != slot || slept.Load() == 0 {
			t.Errorf("went from slot %d to %d after %v", slot, got, time.Duration(slept.Load()))
		}
		_, err := c.Anchor(t.Context())
		refused(t, c, err)
		// It was but the clock that was wrong.
		s.set(nil)
		slept.Store(0)
		time.Sleep(2 * ageCheck)
		w.fresh(c)
	})
}

func refused(t *testing.T, c *Client, err error) {
	t.Helper()
	if !errors.Is(err, ErrOldCheckpoint) || !errors.Is(err, chain.ErrNotReady) || !strings.Contains(err.Error(), "configure it") {
		t.Errorf("refusal: %v", err)
	}
	if s := c.Status(); c.Ready() || s.FailingFor == 0 || s.Reason != err.Error() {
		t.Errorf("status %+v", s)
	}
}

// TestUnknownCheckpoint: when nobody has the checkpoint, the error says how to get one that somebody has.
func TestUnknownCheckpoint(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		s, first := w.inside("alpha", nil)
		_, second := w.inside("beta", status("bootstrap", 404, `{"code":404,"message":"LC bootstrap unavailable"}`))
		cfg := w.config(first, second)
		cfg.Checkpoint = common.Hash{1}
		c := w.client(cfg)
		time.Sleep(minute)
		_, err := c.Anchor(t.Context())
		if !errors.Is(err, chain.ErrNotReady) || errors.Is(err, ErrOldCheckpoint) {
			t.Fatalf("anchor: %v", err)
		}
		for _, part := range []string{"no endpoint has the checkpoint", "alpha.example: HTTP status 404: not known", "beta.example: HTTP status 404: LC bootstrap unavailable", "headers/finalized"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q is not in %q", part, err)
			}
		}
		time.Sleep(10 * time.Minute)
		if n := s.count(""); n > 75 {
			t.Errorf("%d requests for a checkpoint that is not there", n)
		}
	})
}
