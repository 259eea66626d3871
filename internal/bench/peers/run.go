package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"dens/internal/bench/load"
	"dens/internal/bench/zone"
)

const (
	startLimit = 20 * time.Second // a server answers within this
	stopLimit  = time.Minute      // and ends within this: some take their time to free a large cache
	logLimit   = 64 << 10         // bytes that are kept of what a server prints

	// A server that is asked too early may stay silent: it is soon asked again.
	askTimeout  = 50 * time.Millisecond
	askInterval = 2 * time.Millisecond
)

// Running is a server that has been started.
type Running struct {
	Peer
	Site
	Began time.Time // when its first process was started
	procs []*process
}

type process struct {
	cmd  *exec.Cmd
	log  head
	done chan struct{} // closed when it has ended
}

// Start writes the server's configuration and starts its processes. Stop ends them.
func (p Peer) Start(s Site) (*Running, error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	what := p.plan(s)
	for name, text := range what.files {
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	program := s.Binary
	if program == "" {
		program = p.Program
	}
	r := &Running{Peer: p, Site: s, Began: time.Now()}
	for range max(1, what.processes) {
		proc, err := start(program, s.Dir, what)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start %s: %w", p.Name, err), r.Stop())
		}
		r.procs = append(r.procs, proc)
	}
	return r, nil
}

func start(program, dir string, what plan) (*process, error) {
	proc := &process{cmd: exec.Command(program, what.arguments...), done: make(chan struct{})}
	proc.cmd.Dir, proc.cmd.Env = dir, append(os.Environ(), what.env...)
	proc.cmd.Stdout, proc.cmd.Stderr = &proc.log, &proc.log
	proc.cmd.SysProcAttr = endWithParent()
	if err := proc.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		proc.cmd.Wait() //nolint:errcheck // how it ended is in ProcessState
		close(proc.done)
	}()
	return proc, nil
}

// PIDs are those of the processes that were started; they may have children.
func (r *Running) PIDs() []int {
	var pids []int
	for _, p := range r.procs {
		pids = append(pids, p.cmd.Process.Pid)
	}
	return pids
}

// Ended returns an error if a process has ended.
func (r *Running) Ended() error {
	for _, p := range r.procs {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %s: %s", r.Name, p.cmd.ProcessState, p.log.buf.Bytes())
		default:
		}
	}
	return nil
}

// WaitReady asks over UDP until the server answers, and returns when it did.
func (r *Running) WaitReady(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		if err := r.Ended(); err != nil {
			return time.Time{}, err
		}
		asker := load.NewAsker(load.UDP.At(r.Addr), load.UDP, askTimeout, nil)
		reply, err := asker.Ask(ctx, zone.Name(0))
		at := time.Now()
		asker.Close()
		if err == nil {
			if err = zone.Check(reply, 0, uint32(startLimit/time.Second)); err == nil {
				return at, nil
			}
		}
		last = err
		time.Sleep(askInterval)
	}
	return time.Time{}, fmt.Errorf("%s does not answer: %w", r.Name, last)
}

// Stop ends the server.
func (r *Running) Stop() error {
	var errs []error
	for _, p := range r.procs {
		p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	}
	for _, p := range r.procs {
		select {
		case <-p.done:
		case <-time.After(stopLimit):
			errs = append(errs, fmt.Errorf("%s does not end when asked to", r.Name))
			p.cmd.Process.Kill() //nolint:errcheck // it may have ended
			<-p.done
		}
	}
	return errors.Join(errs...)
}

// head keeps the beginning of what a process prints. It has one writer, and is read when that is done.
type head struct{ buf bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.buf.Write(p[:min(len(p), logLimit-h.buf.Len())])
	return len(p), nil
}
