package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dens/internal/e2e/bed"
)

// namespace is a network namespace with nothing in it but loopback.
type namespace struct{ name string }

// newNamespace makes a network namespace, with addresses besides those of loopback on its loopback
// interface, until the test ends.
func newNamespace(t *testing.T, purpose string, addresses ...string) *namespace {
	t.Helper()
	ip, n := bed.Tool(t, "ip"), &namespace{fmt.Sprintf("dens-%s-%d", purpose, os.Getpid())}
	bed.Run(t, ip, "netns", "add", n.name)
	t.Cleanup(func() { exec.Command(ip, "netns", "delete", n.name).Run() }) //nolint:errcheck // the end of the test
	bed.Run(t, ip, "-n", n.name, "link", "set", "lo", "up")
	for _, a := range addresses {
		bed.Run(t, ip, "-n", n.name, "address", "add", a+"/32", "dev", "lo")
	}
	return n
}

// dial connects from inside the namespace: the socket is made there, and stays there.
func (n *namespace) dial(network, address string) (net.Conn, error) {
	return n.dialContext(context.Background(), network, address)
}

func (n *namespace) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// The thread is not unlocked, and so ends with the goroutine: nothing else runs in the namespace.
		runtime.LockOSThread()
		conn, err := n.enterAndDial(ctx, network, address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

func (n *namespace) enterAndDial(ctx context.Context, network, address string) (net.Conn, error) {
	handle, err := os.Open(filepath.Join("/run/netns", n.name))
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	if err := unix.Setns(int(handle.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter %s: %w", n.name, err)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, address)
}

// shared makes a copy of a program that any user may run, and lets any user read the given files.
func shared(t *testing.T, program string, files ...string) string {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "dens")
	if err := os.WriteFile(target, data, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, target) {
		if err := os.Chmod(f, 0o755); err != nil {
			t.Fatal(err)
		}
		for dir := filepath.Dir(f); strings.Contains(filepath.Base(dir), "00") || strings.Contains(filepath.Base(dir), t.Name()); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return target
}
