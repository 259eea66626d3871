package internet

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
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
	// A process group of its own: if the tests end without ending what they started, it is ended here.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Setpgid: true}
	err = runGroup(cmd)
	remove()
	if err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if !cmd.ProcessState.Exited() {
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// runGroup runs a command that leads a process group, passes signals on to it, and ends the group with it.
func runGroup(cmd *exec.Cmd) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return err
	}
	group := -cmd.Process.Pid
	go func() {
		for s := range signals {
			syscall.Kill(group, s.(syscall.Signal)) //nolint:errcheck // it may have ended
		}
	}()
	err := cmd.Wait()
	syscall.Kill(group, syscall.SIGKILL) //nolint:errcheck // most times nobody is left
	return err
}
