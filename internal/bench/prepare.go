package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"dens/internal/bench/load"
)

// binaries are the programs that were built, by the name of the peer.
type binaries map[string]string

// prepare looks for the programs of all chosen peers and builds those that are built from source. remove
// deletes them again.
func prepare(ctx context.Context, o options) (built binaries, remove func(), err error) {
	if err := lookFor(o); err != nil {
		return nil, nil, err
	}
	root, err := module(ctx)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "dens-bench-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { os.RemoveAll(dir) } //nolint:errcheck // a directory of temporary files
	built = make(binaries)
	for _, p := range o.peers {
		switch target := filepath.Join(dir, p.Name); p.Name {
		case "dens":
			if built[p.Name], err = filepath.Abs(o.dens); o.dens == "" {
				built[p.Name], err = target, build(ctx, root, target, "./cmd/dens")
			}
		case "coredns":
			built[p.Name], err = target, build(ctx, filepath.Join(root, "internal/e2e/peers/coredns"), target, ".")
		}
		if err != nil {
			remove()
			return nil, nil, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return built, remove, nil
}

// module is the directory of the source, which the working directory must be in.
func module(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the source: %w", err)
	}
	dir, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "dens ")
	if !ok {
		return "", errors.New("the source of dens is not here: run this inside of it")
	}
	return dir, nil
}

// lookFor says which Debian packages are missing.
func lookFor(o options) error {
	missing := []string{}
	need := func(program, pkg string) {
		if _, err := exec.LookPath(program); program != "" && err != nil {
			missing = append(missing, pkg)
		}
	}
	need("ip", "iproute2")
	if !slices.Equal(o.tests, []string{"cold"}) {
		need("dnsperf", "dnsperf")
	}
	if o.wants("hits") && slices.Contains(o.transports, load.DoH) {
		need("h2load", "nghttp2-client")
	}
	for _, p := range o.peers {
		need(p.Program, p.Package)
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing: `make bench-install`, or apt-get install %s", strings.Join(missing, " "))
	}
	return nil
}

func build(ctx context.Context, dir, target, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", target, pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %.2000s", err, out)
	}
	return nil
}

func (b binaries) encode() (string, error) {
	data, err := json.Marshal(b)
	return string(data), err
}

func decodeBinaries(text string) (binaries, error) {
	var b binaries
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return nil, fmt.Errorf("programs that were built: %w", err)
	}
	return b, nil
}
