package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dens/configs"
	"dens/internal/demo"
)

// demoPatience is how long the demo's own backends may take to be ready.
const demoPatience = 10 * time.Second

func newDemo() *cobra.Command {
	var listen, http string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try it: a chain, sample names and a server, all on this machine",
		Long: `demo runs an Ethereum chain in this process, with a beacon chain that signs its blocks, contracts like
those of ENS and sample names of every kind, an upstream DNS server, and dens in front of them, which
proves every name down from the signatures. It needs no network and no other program, and ends with
Ctrl-C. Nothing is kept.`,
		Example: `  dens demo
  dens demo --listen 127.0.0.1:5300 --http 127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := quietLogger()
			if verbose {
				log = newLogger(configs.Log{Level: slog.LevelInfo}, cmd.ErrOrStderr())
			}
			return runDemo(cmd.Context(), listen, http, log, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:5353", "DNS `ADDRESS`, UDP and TCP")
	cmd.Flags().StringVar(&http, "http", "127.0.0.1:8053", "`ADDRESS` of the state page, metrics and DoH without TLS")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print the log")
	return cmd
}

func runDemo(ctx context.Context, listen, http string, log *slog.Logger, out io.Writer) error {
	start := time.Now()
	chain, err := demo.Start(ctx, demo.Config{Log: log})
	if err != nil {
		return err
	}
	defer chain.Close() //nolint:errcheck // the process ends
	dir, err := os.MkdirTemp("", "dens-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the process ends
	cfg, err := demoConfig(chain, dir, listen, http)
	if err != nil {
		return err
	}
	return serve(ctx, cfg, log, func() (*configs.Config, error) { return cfg, nil }, func(d *daemonState) error {
		// The table is shown when the names on it can be asked for.
		d.current.Load().stack.waitReady(ctx, demoPatience)
		return printDemo(out, chain, cfg, time.Since(start))
	})
}

// demoConfig is the configuration of a server over the demo's chain, which proves its answers as it would
// those of Ethereum mainnet. dir is for its files.
func demoConfig(c *demo.Chain, dir, listen, http string) (*configs.Config, error) {
	network := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(network, c.Beacon.NetworkConfig(), 0o600); err != nil {
		return nil, err
	}
	root, _ := c.Beacon.Checkpoint()
	text := fmt.Sprintf(`
listen: { dns: [%q], http: %q }
access: { allow: [loopback] }
chains:
  demo:
    id: %d
    trust: proven
    anchor: optimistic
    beacon: [{ url: %q, operator: demo }]
    checkpoint: %q
    network: %q
    rpc: [{ url: %q, operator: demo }, { url: %q, operator: demo }]
    ccip: { allow_http: true, allow_private: true }
names:
  - zone: eth
    system: ens
    chain: demo
    registry: %q
    universal_resolver: %q
    aliases: [eth.limo, eth.link]
    gateways: { a: [%q], aaaa: [%q] }
    ttl: 10s
    negative_ttl: 5s
resolve: { mode: forward, forward: [%q] }
`, listen, http, c.ChainID(), c.Beacon.URL(), root.Hex(), network, c.HTTPURL(), c.WSURL(), c.Registry.Hex(), c.UniversalResolver.Hex(),
		demo.GatewayA, demo.GatewayAAAA, c.DNS)
	return configs.Parse("demo", []byte(text), func(string) (string, bool) { return "", false })
}

func printDemo(out io.Writer, c *demo.Chain, cfg *configs.Config, took time.Duration) error {
	at := cfg.Listen.DNS[0]
	fmt.Fprintf(out, "dens is ready after %.1f s. Ctrl-C ends it.\n\n", took.Seconds())
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tTYPE\tSHOWS\tTRY")
	for _, s := range demo.Samples() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s %s %s\n", s.Name, s.Type, s.Shows, digAt(at), s.Name, s.Type)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, `
DNS            %s (UDP and TCP)
state, DoH     http://%s/ and http://%s/dns-query
RPC            %s (chain id %d)
beacon API     %s
registry       %s
where from     dens lookup alice.eth --server %s
`, at, cfg.Listen.HTTP, cfg.Listen.HTTP, c.HTTPURL(), c.ChainID(), c.Beacon.URL(), c.Registry.Hex(), at)
	return err
}

func digAt(at netip.AddrPort) string { return fmt.Sprintf("dig @%s -p %d", at.Addr(), at.Port()) }
