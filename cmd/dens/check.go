package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dens/configs"
	"dens/server"
)

func newCheck() *cobra.Command {
	var path string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration and reach all that it names",
		Long: `check reads a configuration file, then asks every RPC backend, the root servers and every upstream
server that it names, and prints what it found: of backends chain id, newest block and how far it is
behind the best, latency, and what they can do; of the root whether its servers answer, and whether the
trust anchors fit its keys. It exits with 1 when something would not work.`,
		Example: `  dens check --config /etc/dens/dens.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			ok, err := check(ctx, cfg, cmd.OutOrStdout())
			if err == nil && !ok {
				return exitError(exitFailure)
			}
			return err
		},
	}
	addConfigFlag(cmd, &path)
	cmd.Flags().DurationVar(&timeout, "timeout", 20*time.Second, "how long to wait in all")
	return cmd
}

// check prints the state of all that cfg names, and tells whether all would work.
func check(ctx context.Context, cfg *configs.Config, out io.Writer) (bool, error) {
	s, err := newStack(cfg, nil, true, quietLogger())
	if err != nil {
		return false, err
	}
	defer s.close()
	s.findOut(ctx, cfg)
	backends, upstreams := make([][]backendReport, len(s.chains)), make([][]upstreamReport, len(s.forwards))
	var wg sync.WaitGroup
	for i, c := range s.chains {
		wg.Go(func() { backends[i] = probeBackends(ctx, c) })
	}
	for i, f := range s.forwards {
		wg.Go(func() { upstreams[i] = probeUpstreams(ctx, f) })
	}
	var root []rootReport
	wg.Go(func() { root = checkRoot(ctx, s.engine, &cfg.Resolve) })
	wg.Wait()

	ok := checkCertificate(cfg, out)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "CHAIN\tBACKEND\tOPERATOR\tID\tHEAD\tLAG\tAGE\tLATENCY\tARCHIVE\tPROOFS\tBATCHES\tVERDICT")
	for i, c := range s.chains {
		ok = printBackends(table, c, cfg.Chains[c.name], backends[i]) && ok
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		return false, err
	}
	if len(root) > 0 {
		table = tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		ok = printRoot(table, root) && ok
		fmt.Fprintln(table)
		if err := table.Flush(); err != nil {
			return false, err
		}
	}
	table = tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ZONE\tUPSTREAM\tLATENCY\tVERDICT")
	for i, f := range s.forwards {
		ok = printUpstreams(table, f.zone, upstreams[i]) && ok
	}
	return ok, table.Flush()
}

func checkCertificate(cfg *configs.Config, out io.Writer) bool {
	if len(cfg.Listen.DoT)+len(cfg.Listen.DoH) == 0 {
		return true
	}
	if _, err := server.NewCertificate(certificateFiles(cfg.TLS)); err != nil {
		fmt.Fprintf(out, "tls: %v\n\n", err)
		return false
	}
	return true
}

func printUpstreams(table io.Writer, zone string, reports []upstreamReport) bool {
	ok := true
	for _, r := range reports {
		verdict, latency := "ok", short(r.latency)
		if r.err != nil {
			verdict, latency, ok = r.err.Error(), "-", false
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", zone, r.name, latency, verdict)
	}
	return ok
}

type upstreamReport struct {
	name    string
	latency time.Duration
	err     error
}

func probeUpstreams(ctx context.Context, f forwardGroup) []upstreamReport {
	status := f.Status()
	reports := make([]upstreamReport, len(status))
	var wg sync.WaitGroup
	for i, s := range status {
		wg.Go(func() {
			latency, err := f.Probe(ctx, i)
			reports[i] = upstreamReport{s.Name, latency, err}
		})
	}
	wg.Wait()
	return reports
}

// short rounds a duration to what a person wants to read; zero is unknown.
func short(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(time.Millisecond).String()
	}
}
