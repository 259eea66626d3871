package anchors

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadOnly: who looks on knows what was learned, and changes nothing on disk, whatever it sees.
func TestReadOnly(t *testing.T) {
	a, b := ksk(t, "."), ksk(t, ".")
	w := newWorld(t, a)
	w.publish(signers(a, b), signers(a))
	w.pass(32)
	before, err := os.ReadFile(w.state())
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.config()
	cfg.ReadOnly = true
	if w.store, err = Load(cfg); err != nil {
		t.Fatal(err)
	}
	w.want(b, Valid)
	w.publish(signers(revoked(a), b), signers(revoked(a), b))
	w.mustRefresh()
	w.want(a, Revoked)
	after, err := os.ReadFile(w.state())
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the state file has changed: %v\n%s", err, after)
	}
	if err := os.Remove(w.state()); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(cfg); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.state()); !os.IsNotExist(err) {
		t.Errorf("a state file was made: %v", err)
	}
}

// TestReadOnlyForbidden: a state file that another user keeps to itself is a reason to warn who looks on,
// and a failure for who is to keep it.
func TestReadOnlyForbidden(t *testing.T) {
	dir, err := os.MkdirTemp("", "anchors") // others cannot reach what is in t.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := ksk(t, ".")
	w := &world{t: t, dir: dir, now: start}
	w.configure(a)
	w.publish(signers(a), signers(a))
	w.restart()
	for path, mode := range map[string]os.FileMode{dir: 0o755, w.state(): 0} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	// Root may read all files: this thread, which nothing else uses from here on, is not root's.
	runtime.LockOSThread()
	if os.Getuid() == 0 {
		if err := unix.Setfsuid(65532); err != nil {
			t.Fatal(err)
		}
		defer unix.Setfsuid(0) //nolint:errcheck // the thread ends with the test
	}
	cfg := w.config()
	if _, err := Load(cfg); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), w.state()) {
		t.Errorf("who keeps the file: %v", err)
	}
	cfg.ReadOnly = true
	if _, err := Load(cfg); err != nil || !strings.Contains(w.log.String(), "permission denied") {
		t.Errorf("who looks on: %v\n%s", err, w.log.String())
	}
}
