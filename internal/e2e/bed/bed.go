// Package bed is what the end-to-end tests stand on: the programs that install.sh put into .testbed/, a
// freshly built dens, and servers that are started and stopped around a test.
package bed

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Root is the project's root folder: the nearest above the working directory, which in a test is the package's,
// that has the file go.mod of dens.
func Root() string { return root() }

var root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for ; !hasModule(dir); dir = filepath.Dir(dir) {
		if dir == filepath.Dir(dir) {
			panic("this is not run within dens: no folder above has its go.mod")
		}
	}
	return dir
})

func hasModule(dir string) bool {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && strings.HasPrefix(string(mod), "module dens\n")
}

// Path is the path of a file below .testbed/, which has to be there.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{Root(), ".testbed"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run internal/e2e/install.sh, or ./test.sh at the project's root, which does", err)
	}
	return path
}

// Tool is the path of a program in .testbed/bin or, failing that, among the system's.
func Tool(t testing.TB, name string) string {
	t.Helper()
	if path := filepath.Join(Root(), ".testbed", "bin", name); isFile(path) {
		return path
	}
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		if path := filepath.Join(dir, name); isFile(path) {
			return path
		}
	}
	t.Fatalf("the program %s is missing: run internal/e2e/install.sh, or ./test.sh at the project's root, which does", name)
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(builtVar); path != "" {
		return path, nil
	}
	path := filepath.Join(Root(), ".testbed", "bin", fmt.Sprintf("dens-%d", os.Getpid()))
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/dens")
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/dens: %w\n%s", err, out)
	}
	return path, nil
})

// builtVar names a dens that another process, or somebody by hand, has built for this one.
const builtVar = "DENS_E2E_BUILT"

// Prebuild builds dens for a test process that this one starts, which may have no network to fetch modules
// by. It returns what to add to that process's environment, and what to call at its end.
func Prebuild() (env []string, remove func(), err error) {
	path, err := build()
	if os.Getenv(builtVar) != "" {
		return nil, func() {}, err
	}
	return []string{builtVar + "=" + path}, func() { os.Remove(path) }, err
}

// Main runs the tests of a package and removes the dens that they built. Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	os.Remove(filepath.Join(Root(), ".testbed", "bin", fmt.Sprintf("dens-%d", os.Getpid())))
	os.Exit(code)
}

// Dens is the path of dens, a static binary, built from the working tree once for a test process.
func Dens(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Run runs a program to its end, at most a minute, and returns what it printed on both its outputs. A
// failing program fails the test.
func Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, code := RunCode(t, program, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit status %d\n%s", filepath.Base(program), strings.Join(args, " "), code, out)
	}
	return out
}

// RunCode is Run for a program that may fail: it returns the exit code too.
func RunCode(t testing.TB, program string, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = Root()
	data, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", program, err)
	}
	return string(data), cmd.ProcessState.ExitCode()
}

// Process is a program that runs beside the test.
type Process struct {
	Cmd  *exec.Cmd
	done chan struct{}
	log  lockedBuffer
}

// Start starts a program that ends with the test: by stop, a signal name such as "TERM" for kill, and by
// force after 40 seconds. Its output is shown when the test fails.
func Start(t testing.TB, program string, args ...string) *Process {
	t.Helper()
	return StartCmd(t, exec.Command(program, args...))
}

// StartCmd is Start for a command that was made by the caller.
func StartCmd(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait() //nolint:errcheck // the state is read from ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop(t, os.Interrupt)
		if t.Failed() {
			t.Logf("output of %s:\n%s", filepath.Base(cmd.Path), p.Log())
		}
	})
	return p
}

// Stop sends a signal, waits for the end, and returns the exit code; -1 when it had to be killed.
func (p *Process) Stop(t testing.TB, signal os.Signal) int {
	t.Helper()
	p.Cmd.Process.Signal(signal) //nolint:errcheck // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(busy * 10 * time.Second):
		p.Cmd.Process.Kill() //nolint:errcheck // as above
		<-p.done
		return -1
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Exited tells whether the program has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Log is what the program printed up to now.
func (p *Process) Log() string { return p.log.String() }

// busy is how many times as long as on a machine that has nothing else to do things may take.
const busy = 4

// Wait polls until ok says yes, or fails the test after busy times limit.
func Wait(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	limit *= busy
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// Ports that Free picks from lie below those that the kernel gives to outgoing connections, which would
// take a free one at any time.
const (
	firstPort = 10_000
	lastPort  = 30_000
)

var given sync.Map // ports that Free has returned

// Free is an address on loopback whose port is free for both UDP and TCP, and was not returned before.
func Free(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 1000 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(firstPort+rand.IntN(lastPort-firstPort)))
		if isFree(addr) {
			if _, taken := given.LoadOrStore(addr.Port(), true); !taken {
				return addr
			}
		}
	}
	t.Fatal("no free port")
	return netip.AddrPort{}
}

func isFree(addr netip.AddrPort) bool {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return false
	}
	defer l.Close()
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return false
	}
	return u.Close() == nil
}

// lockedBuffer collects a program's output while the test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
