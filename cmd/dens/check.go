package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"

	"dens/configs"
	"dens/resolver"
)

func newCheck() *cobra.Command {
	var path string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration and reach all that it names",
		Long: `check reads a configuration file, then asks every RPC backend, beacon API, the root servers and every
upstream and stub server that it names, and prints what it found: of chains what is in force, who vouches
for the newest block, and the checkpoint's slot and age; of backends chain id, newest block and how far it
is behind the best, latency, of how many blocks they serve proofs, and what else they can do; of each
beacon API the newest slot that it proves by itself; of the root whether its servers answer, and whether
the trust anchors fit its keys; and of the certificate what it is for, when it ends, and whether clients
that know only an address would take it. It exits with 1 when something would not work.`,
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
	certificate, broken := checkCertificate(cfg)
	defer s.close()
	s.findOut(ctx, cfg)
	backends, anchors := make([][]backendReport, len(s.chains)), make([]anchorReport, len(s.chains))
	upstreams := make([][]upstreamReport, len(s.forwards))
	var wg sync.WaitGroup
	for i, c := range s.chains {
		wg.Go(func() { backends[i] = probeBackends(ctx, c) })
		wg.Go(func() { anchors[i] = probeAnchors(ctx, c) })
	}
	for i, f := range s.forwards {
		wg.Go(func() { upstreams[i] = probeUpstreams(ctx, f) })
	}
	var root []rootReport
	var stubs []upstreamReport
	wg.Go(func() { stubs = probeStubs(ctx, s.engine, cfg.Resolve.Zones) })
	wg.Go(func() { root = checkRoot(ctx, s.engine, &cfg.Resolve) })
	wg.Wait()

	return printChecks(out, s, cfg, checked{certificate, broken, anchors, backends, root, slices.Concat(append(upstreams, stubs)...)})
}

// checked is what dens check found out.
type checked struct {
	certificate *certificateReport // nil: none is needed
	broken      error              // why there is none
	anchors     []anchorReport
	backends    [][]backendReport
	root        []rootReport
	servers     []upstreamReport
}

// printChecks prints a table for each kind of thing, and tells whether all is well.
func printChecks(out io.Writer, s *stack, cfg *configs.Config, found checked) (bool, error) {
	lights, apis := 0, 0
	for _, a := range found.anchors {
		if apis += len(a.apis); a.chain.light != nil {
			lights++
		}
	}
	ok, certificates := found.broken == nil, 0
	if !ok {
		fmt.Fprintf(out, "%v\n\n", found.broken)
	}
	if found.certificate != nil {
		certificates = 1
	}
	printUnlimited(out, cfg)
	between := ""
	for _, section := range []struct {
		rows  int
		title string
		print func(table io.Writer) bool
	}{
		{certificates, "CERTIFICATE\tNAMES\tEXPIRES\tPIN\tVERDICT", func(t io.Writer) bool { return printCertificate(t, found.certificate) }},
		{len(found.anchors), "CHAIN\tTRUST\tANCHOR\tBLOCK\tAGE\tVERDICT", func(t io.Writer) bool { return printAnchors(t, found.anchors) }},
		{lights, "CHAIN\tNETWORK\tCHECKPOINT\tSLOT\tAGE\tPERIOD\tVERDICT", func(t io.Writer) bool { return printCheckpoints(t, found.anchors) }},
		{apis, "CHAIN\tBEACON API\tSLOT\tLAG\tFINALIZED\tVERDICT", func(t io.Writer) bool { return printBeacons(t, found.anchors) }},
		{len(s.chains), "CHAIN\tBACKEND\tOPERATOR\tID\tHEAD\tLAG\tAGE\tLATENCY\tARCHIVE\tPROOFS\tLISTS\tBATCHES\tVERDICT", func(t io.Writer) bool {
			fine := true
			for i, c := range s.chains {
				fine = printBackends(t, c, cfg.Chains[c.name], found.backends[i]) && fine
			}
			return fine
		}},
		{len(found.root), "ROOT\tFOUND\tVERDICT", func(t io.Writer) bool { return printRoot(t, found.root) }},
		{len(found.servers), "ZONE\tSERVER\tLATENCY\tVERDICT", func(t io.Writer) bool { return printUpstreams(t, found.servers) }},
	} {
		if section.rows == 0 {
			continue
		}
		table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		fmt.Fprintf(table, "%s%s\n", between, section.title)
		between = "\n"
		ok = section.print(table) && ok
		if err := table.Flush(); err != nil {
			return false, err
		}
	}
	return ok, nil
}

func printUpstreams(table io.Writer, reports []upstreamReport) bool {
	ok := true
	for _, r := range reports {
		verdict, latency := "ok", short(r.latency)
		if r.err != nil {
			verdict, latency, ok = r.err.Error(), "-", false
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.zone, r.name, latency, printable(verdict))
	}
	return ok
}

type upstreamReport struct {
	zone    string
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
			reports[i] = upstreamReport{f.zone, s.Name, latency, err}
		})
	}
	wg.Wait()
	return reports
}

// probeStubs asks each authoritative server of each stub zone for the zone's SOA.
func probeStubs(ctx context.Context, e *engine, zones []configs.Zone) []upstreamReport {
	var reports []upstreamReport
	var servers []netip.AddrPort
	for _, z := range zones {
		for _, server := range z.Stub {
			name := server.Addr().String()
			if server.Port() != 53 {
				name = server.String()
			}
			reports = append(reports, upstreamReport{zone: z.Zone, name: name})
			servers = append(servers, server)
		}
	}
	var wg sync.WaitGroup
	for i := range reports {
		wg.Go(func() { reports[i].latency, reports[i].err = probeStub(ctx, e, reports[i].zone, servers[i]) })
	}
	wg.Wait()
	return reports
}

func probeStub(ctx context.Context, e *engine, zone string, server netip.AddrPort) (time.Duration, error) {
	start := time.Now()
	at := resolver.Delegation{Zone: zone, Servers: []netip.AddrPort{server}} // insecure: whether it answers is the question
	answer, err := e.ResolveAt(ctx, &at, resolver.Query{Name: zone, Type: dns.TypeSOA, Class: dns.ClassINET, CD: true})
	switch {
	case err != nil:
		if e, ok := errors.AsType[*resolver.Error](err); ok {
			err = errors.New(e.Text)
		}
		return 0, err
	case answer.Rcode != dns.RcodeSuccess || len(answer.Answer) == 0:
		return 0, fmt.Errorf("it has no SOA record of %s: is it a server of this zone?", zone)
	}
	return time.Since(start), nil
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
