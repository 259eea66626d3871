package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// builtVar tells the program that it runs in a network namespace of its own, and where the programs are that
// it built before.
const builtVar = "DENS_BENCH_BUILT"

func isolated() bool { return os.Getenv(builtVar) != "" }

// reexec starts this program again in a new network namespace, and waits for its end. Without root it takes
// a user namespace for that, where the system lets it.
func reexec(ctx context.Context, args []string, built binaries, stdout io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	env, err := built.encode()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), builtVar+"="+env)
	cmd.Stdout, cmd.Stderr = stdout, os.Stderr
	// Ctrl-C is for the child alone, which ends its servers; after that it may take a while.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	// The child is told of the end of the thread that started it, which must not come before this one's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.Exited() {
		return errSaid
	}
	return err
}
