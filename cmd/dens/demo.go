package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"dens/configs"
	"dens/internal/demo"
	"dens/internal/demo/consensus"
)

// demoPatience is how long the demo's own backends may take to be ready.
const demoPatience = 10 * time.Second

func newDemo() *cobra.Command {
	var at demoPlaces
	var verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try it: a chain, sample names and a server, all on this machine",
		Long: `demo runs an Ethereum chain in this process, with a beacon chain that signs its blocks, contracts like
those of ENS and sample names of every kind, an upstream DNS server, and dens in front of them, which
proves every name down from the signatures. It needs no network and no other program, and ends with
Ctrl-C. Nothing is kept, but for the configuration where --dir asks for it: with that, dens check and
dens lookup can look at the same chain by themselves.`,
		Example: `  dens demo
  dens demo --listen 127.0.0.1:5300 --http 127.0.0.1:8080
  dens demo --dir /tmp/demo, and dens lookup alice.eth --trust --config /tmp/demo/dens.yaml beside it`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := quietLogger()
			if verbose {
				log = newLogger(configs.Log{Level: slog.LevelInfo}, cmd.ErrOrStderr())
			}
			return runDemo(cmd.Context(), at, log, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&at.listen, "listen", "127.0.0.1:5353", "DNS `ADDRESS`, UDP and TCP")
	cmd.Flags().StringVar(&at.http, "http", "127.0.0.1:8053", "`ADDRESS` of the state page, metrics and DoH without TLS")
	cmd.Flags().IntVar(&at.beacon, "beacon-port", 0, "`PORT` of the beacon API on 127.0.0.1; 0 is any free one")
	cmd.Flags().StringVar(&at.dir, "dir", "", "write the configuration, dens.yaml, into this `DIRECTORY`")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print the log")
	return cmd
}

// demoPlaces say where the demo is.
type demoPlaces struct {
	listen, http string // addresses
	beacon       int    // port
	dir          string // for the configuration; "": one that is gone when the demo has ended
}

func runDemo(ctx context.Context, at demoPlaces, log *slog.Logger, out io.Writer) error {
	start := time.Now()
	if at.beacon < 0 || at.beacon > math.MaxUint16 {
		return fmt.Errorf("--beacon-port: found %d, expected 0 to %d", at.beacon, math.MaxUint16)
	}
	remove, err := at.makeDir()
	if err != nil {
		return err
	}
	defer remove()
	chain, err := demo.Start(ctx, demo.Config{Log: log, Beacon: consensus.Config{Port: at.beacon}})
	if err != nil {
		return err
	}
	defer chain.Close() //nolint:errcheck // the process ends
	cfg, err := demoConfig(chain, at)
	if err != nil {
		return err
	}
	return serve(ctx, cfg, log, func() (*configs.Config, error) { return cfg, nil }, func(d *daemonState) error {
		// The table is shown when the names on it can be asked for.
		d.current.Load().stack.waitReady(ctx, demoPatience)
		return printDemo(out, chain, cfg, at.dir, time.Since(start))
	})
}

// makeDir makes the directory for the configuration. remove is to be called when the demo has ended.
func (p *demoPlaces) makeDir() (remove func(), err error) {
	if p.dir != "" {
		return func() {}, os.MkdirAll(p.dir, 0o700)
	}
	if p.dir, err = os.MkdirTemp("", "dens-demo-"); err != nil {
		return nil, err
	}
	return func() { _ = os.RemoveAll(p.dir) }, nil // the process ends
}

// demoConfig writes the configuration of a server over the demo's chain, which proves its answers as it would
// those of Ethereum mainnet, and returns it.
func demoConfig(c *demo.Chain, at demoPlaces) (*configs.Config, error) {
	network := filepath.Join(at.dir, "config.yaml")
	if err := os.WriteFile(network, c.Beacon.NetworkConfig(), 0o600); err != nil {
		return nil, err
	}
	root, _ := c.Beacon.Checkpoint()
	text := fmt.Sprintf(`listen: { dns: [%q], http: %q }
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
`, at.listen, at.http, c.ChainID(), c.Beacon.URL(), root.Hex(), network, c.HTTPURL(), c.WSURL(), c.Registry.Hex(), c.UniversalResolver.Hex(),
		demo.GatewayA, demo.GatewayAAAA, c.DNS)
	cfg, err := configs.Parse("demo", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	return cfg, os.WriteFile(filepath.Join(at.dir, "dens.yaml"), []byte(text), 0o600)
}

func printDemo(out io.Writer, c *demo.Chain, cfg *configs.Config, dir string, took time.Duration) error {
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
configuration  %s
where from     dens lookup alice.eth --server %s
`, at, cfg.Listen.HTTP, cfg.Listen.HTTP, c.HTTPURL(), c.ChainID(), c.Beacon.URL(), c.Registry.Hex(), filepath.Join(dir, "dens.yaml"), at)
	return err
}

func digAt(at netip.AddrPort) string { return fmt.Sprintf("dig @%s -p %d", at.Addr(), at.Port()) }
