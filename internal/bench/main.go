// Command bench measures dens beside other DNS servers: the server's CPU for each answer over every transport,
// its memory, and how it bears misses, floods and cold starts. See options for what it can be told.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"dens/internal/bench/peers"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	cancel()
	os.Exit(1)
}

// errSaid is a failure that the process in the namespace has told.
var errSaid = errors.New("failed, as said above")

// run prepares what needs the network (programs and packages), and then starts itself again in a network
// namespace of its own, where it measures.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.from != "" {
		return redraw(o)
	}
	if !isolated() {
		binaries, remove, err := prepare(ctx, o)
		if err != nil {
			return err
		}
		defer remove()
		return reexec(ctx, args, binaries, stdout)
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	found, err := b.measure(ctx)
	if err = errors.Join(err, b.close()); err != nil {
		return err
	}
	if err := found.WriteTable(stdout); err != nil {
		return err
	}
	if err := write(o, found); err != nil {
		return err
	}
	if list := found.Refused("dens", peers.Reference); len(list) > 0 {
		return fmt.Errorf("answers were lost or wrong: %s", strings.Join(list, ", "))
	}
	return nil
}
