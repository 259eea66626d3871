package internet

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"dens/internal/e2e/bed"
)

// insideVar is set in the process that runs in the namespace.
const insideVar = "DENS_INTERNET_INSIDE"

// Main runs the tests of a package in a network namespace of their own, with loopback up and nothing else. The
// namespace ends with the tests. Call it from TestMain.
func Main(m *testing.M) {
	if os.Getenv(insideVar) != "" {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "ip link set lo up: %v\n%s", err, out)
			os.Exit(1)
		}
		bed.Main(m)
	}
	// Built out here, where modules can be fetched. A dens that cannot be built fails the tests that ask for it.
	built, remove, err := bed.Prebuild()
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVar+"=1")
	if err == nil {
		cmd.Env = append(cmd.Env, built...)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	signal.Ignore(os.Interrupt) // the one inside has it too, and ends
	err = cmd.Run()
	remove()
	if err != nil && !strings.HasPrefix(err.Error(), "exit status") {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}
