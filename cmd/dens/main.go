// Command dens is a DNS server that answers ordinary names from the root of the DNS down, or through
// upstream servers, and on-chain names, such as those of ENS, from their registries.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes. lookup tells its outcome by them; the others use exitOK and exitFailure.
const (
	exitOK       = 0 // records were found; the command succeeded
	exitFailure  = 1 // bad arguments or configuration, or the command failed
	exitNoData   = 2 // the name exists, but has no record of the type asked
	exitNXDomain = 3 // the name does not exist
	exitServFail = 4 // no answer that can be trusted could be had
)

// version is set by the linker: -X main.version=v1.2.3.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// exitError ends the process with a code of its own; the message, if any, was printed already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run executes one command line and returns the process's exit code. It ends early when ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintf(stderr, "dens: %v\n", err)
		return exitFailure
	}
	return exitOK
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "dens",
		Short: "A DNS server for ordinary and on-chain names",
		Long: `dens answers DNS questions: names of ENS and its like (alice.eth) from their contracts on a
blockchain, through several RPC backends that need not be trusted one by one, and every other name
from the root of the DNS down, validated by DNSSEC, or through servers of your choice. Point a
system's DNS setting, a browser's secure DNS or a CoreDNS forward at it.`,
		Example: `  dens demo                              try it: a chain, sample names and a server, all on this machine
  dens serve --config /etc/dens.yaml     serve
  dens lookup alice.eth                  look up a name and see where the answer comes from
  dens check --config /etc/dens.yaml     check a configuration and reach all that it names`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(), newDemo(), newLookup(), newCheck(), newHealth(), newVersion())
	return root
}

// addConfigFlag gives a command the flag that all commands with a configuration share.
func addConfigFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "", "configuration `FILE`; without it, built-in defaults")
}
