package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDemoDir: the demo leaves a configuration that works where it is asked for, and nothing elsewhere.
func TestDemoDir(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dir := filepath.Join(t.TempDir(), "a", "demo")
	run := func(args ...string) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cmd := newDemo()
		cmd.SetArgs(append(args, "--listen", "127.0.0.1:0", "--http", ""))
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		out := new(syncBuffer)
		cmd.SetOut(out)
		done := make(chan error, 1)
		go func() { done <- cmd.ExecuteContext(ctx) }()
		waitFor(ctx, time.Minute, func() bool { return strings.Contains(out.String(), "where from") || len(done) > 0 })
		if strings.Contains(out.String(), "where from") {
			cfg, err := loadConfig(filepath.Join(shownDir(out.String()), "dens.yaml"))
			if err != nil {
				t.Error(err)
			} else if ok, err := check(ctx, cfg, out); err != nil || !ok {
				t.Errorf("dens check: %v, %v\n%s", ok, err, out)
			}
		}
		cancel()
		return <-done
	}
	if err := run("--dir", dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "dens.yaml")); err != nil {
		t.Error(err)
	}
	if err := run(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(temp, "dens-demo-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, port := range []string{"-1", "65536"} {
		if err := run("--beacon-port", port); err == nil || !strings.Contains(err.Error(), "--beacon-port: found "+port) {
			t.Errorf("--beacon-port %s: %v", port, err)
		}
	}
}

// shownDir is the directory of the configuration that the demo's output names.
func shownDir(out string) string {
	_, rest, _ := strings.Cut(out, "\nconfiguration  ")
	path, _, _ := strings.Cut(rest, "\n")
	return filepath.Dir(path)
}
