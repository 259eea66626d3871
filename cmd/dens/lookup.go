package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"

	"dens/configs"
	"dens/ens"
	"dens/internal/wire"
	"dens/reply"
	"dens/resolver"
)

// maxLookupTypes bounds the questions of one lookup.
const maxLookupTypes = 16

func newLookup() *cobra.Command {
	var opts lookupOptions
	cmd := &cobra.Command{
		Use:   "lookup NAME [TYPE...]",
		Short: "Look up a name and show where the answer comes from",
		Long: `lookup asks for the records of a name, A, AAAA and TXT unless told otherwise. Of an on-chain name it
shows where they come from: the chain, the block, the resolver contract, the content hash, who vouches for
the block, which backends agreed or served the proofs, and how far the answer can be trusted.

Without --server it resolves by itself, with the configuration of --config or the built-in one. It can
then show how: --trace prints each step, which server was asked for what, how long it took and what came
of it; --trust prints the chain of trust of the answer, from the anchor down: of an on-chain name the
chain of evidence, from the checkpoint of the beacon chain to the contracts' storage. Both ask for A
unless told otherwise. In JSON, times of steps are nanoseconds.

Exit codes: 0 records were found, 1 bad arguments or configuration, 2 the name exists but has no such
record, 3 the name does not exist, 4 no answer that can be trusted could be had.`,
		Example: `  dens lookup alice.eth
  dens lookup www.example.org AAAA
  dens lookup alice.eth TXT --config /etc/dens.yaml --json
  dens lookup alice.eth A --server 127.0.0.1:5353
  dens lookup www.example.org AAAA --trace
  dens lookup www.example.org --trust`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLookup(cmd, args, opts)
		},
	}
	addConfigFlag(cmd, &opts.config)
	cmd.Flags().StringVarP(&opts.server, "server", "s", "", "ask the server at `ADDR` (IP or IP:port) instead")
	cmd.Flags().BoolVar(&opts.trace, "trace", false, "show each step on the way to the answer")
	cmd.Flags().BoolVar(&opts.trust, "trust", false, "show the chain of trust of the answer")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	cmd.Flags().DurationVar(&opts.timeout, "timeout", 15*time.Second, "how long to wait in all")
	return cmd
}

type lookupOptions struct {
	config, server     string
	trace, trust, json bool
	timeout            time.Duration
}

func runLookup(cmd *cobra.Command, args []string, opts lookupOptions) error {
	name, types, err := parseLookup(args)
	if err != nil {
		return err
	}
	traced := opts.trace || opts.trust
	switch {
	case traced && opts.server != "":
		return errors.New("--trace and --trust need dens's own resolver, of --config or built in: a server tells what it found, not how; leave out --server")
	case len(types) == 0 && traced:
		types = []uint16{dns.TypeA}
	case len(types) == 0:
		types = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), opts.timeout)
	defer cancel()
	ask, closer, err := newAsker(opts.server, opts.config, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer closer()
	var found *findings
	if traced {
		found, err = lookupInTurn(ctx, ask.traced(opts.trace, opts.trust), name, types)
	} else {
		found, err = lookup(ctx, ask, name, types)
	}
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "dens: %v\n", err)
		return exitError(exitServFail)
	}
	if opts.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		err = enc.Encode(found)
	} else {
		err = found.print(cmd.OutOrStdout())
	}
	if code := found.exitCode(); err == nil && code != exitOK {
		return exitError(code)
	}
	return err
}

// parseLookup reads NAME [TYPE...]. A name may be Unicode; it is sent as A-labels.
func parseLookup(args []string) (name string, types []uint16, err error) {
	name = args[0]
	if normal, err := ens.DNSName(name); err == nil && name != "" {
		name = normal // ENSIP-15 knows what people mean by emoji better than IDNA does
	}
	if name, err = reply.AsciiName(name); err != nil {
		return "", nil, fmt.Errorf("%q is no name: %w", args[0], err)
	}
	for _, arg := range args[1:] {
		t, err := reply.ParseType(arg)
		if err != nil {
			return "", nil, fmt.Errorf("%q is no record type: %w", arg, err)
		}
		types = append(types, t)
	}
	if len(types) > maxLookupTypes {
		return "", nil, fmt.Errorf("found %d types, expected at most %d", len(types), maxLookupTypes)
	}
	return name, types, nil
}

// An asker sends one packed question and returns the reply with what is known of its origin.
type asker func(ctx context.Context, req []byte) (asked, error)

type asked struct {
	msg    *dns.Msg
	ede    []resolver.EDE
	origin *resolver.Origin
	zone   string // the kind of zone that answered; "" when it is not known
	steps  []resolver.Step
	trust  []resolver.TrustStep

	checkpointAge time.Duration // of the evidence in origin; 0: none, or not known
}

// traced returns an asker that adds the steps and the chain of trust to the reply, as far as wanted.
func (ask asker) traced(steps, trust bool) asker {
	return func(ctx context.Context, req []byte) (asked, error) {
		ctx, trace := resolver.WithTrace(ctx)
		a, err := ask(ctx, req)
		if steps { // not nil, even without any: it was asked for
			a.steps = append([]resolver.Step{}, trace.Steps()...)
		}
		if trust {
			a.trust = append([]resolver.TrustStep{}, trace.Trust()...)
		}
		return a, err
	}
}

// newAsker returns an asker of a running server or, when server is "", of the configuration's own stack.
// What goes wrong below, such as a backend that cannot be reached, is told on stderr.
func newAsker(server, config string, stderr io.Writer) (asker, func(), error) {
	if server == "" {
		return newOwnAsker(config, newLogger(configs.Log{Level: slog.LevelWarn}, stderr))
	}
	addr, err := parseServer(server)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, req []byte) (asked, error) { return askServer(ctx, addr, req) }, func() {}, nil
}

func parseServer(s string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(addr, 53), nil
	}
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		return addr, fmt.Errorf("--server: found %q, expected an address such as 127.0.0.1:5353", s)
	}
	return addr, nil
}

func newOwnAsker(config string, log *slog.Logger) (asker, func(), error) {
	cfg, err := loadConfig(config)
	if err != nil {
		return nil, nil, err
	}
	st, err := newStack(cfg, nil, true, log)
	if err != nil {
		return nil, nil, err
	}
	var once sync.Once
	return func(ctx context.Context, req []byte) (asked, error) {
		once.Do(func() { st.findOut(ctx, cfg) })
		entry, err := st.source.Reply(ctx, req)
		if err != nil {
			return asked{}, err
		}
		a := asked{msg: new(dns.Msg), zone: entry.Zone}
		if err := a.msg.Unpack(entry.Wire); err != nil {
			return asked{}, err
		}
		if entry.HasEDE {
			a.ede = []resolver.EDE{{Code: entry.EDECode, Text: entry.EDEText}}
		}
		if a.origin, err = reply.ParseOrigin(entry.Origin); a.origin != nil {
			a.checkpointAge = checkpointAge(a.origin, st.network(a.origin.Chain), time.Now())
		}
		return a, err
	}, st.close, nil
}

// askServer asks by UDP, and by TCP when the reply is truncated.
func askServer(ctx context.Context, addr netip.AddrPort, req []byte) (asked, error) {
	query := new(dns.Msg)
	if err := query.Unpack(req); err != nil {
		return asked{}, err
	}
	opt := query.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{Code: wire.OptionOrigin})
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, UDPSize: opt.UDPSize(), Timeout: 8 * time.Second}
		msg, _, err := client.ExchangeContext(ctx, query, addr.String())
		if err != nil {
			return asked{}, serverError(addr, err)
		}
		if msg.Truncated && network == "udp" {
			continue
		}
		return readReply(msg)
	}
	return asked{}, fmt.Errorf("%s: truncated over TCP", addr)
}

func serverError(addr netip.AddrPort, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Errorf("no answer from %s: %w", addr, err)
}

func readReply(msg *dns.Msg) (asked, error) {
	a := asked{msg: msg}
	opt := msg.IsEdns0()
	if opt == nil {
		return a, nil
	}
	for _, o := range opt.Option {
		switch o := o.(type) {
		case *dns.EDNS0_EDE:
			a.ede = append(a.ede, resolver.EDE{Code: o.InfoCode, Text: o.ExtraText})
		case *dns.EDNS0_LOCAL:
			if o.Code == wire.OptionOrigin {
				var err error
				if a.origin, err = reply.ParseOrigin(o.Data); err != nil {
					return a, err
				}
				a.checkpointAge = checkpointAge(a.origin, nil, time.Now())
			}
		}
	}
	return a, nil
}

// lookupInTurn asks one type after the other, so that no answer comes from the steps of another.
func lookupInTurn(ctx context.Context, ask asker, name string, types []uint16) (*findings, error) {
	all := &findings{Name: name}
	for _, t := range types {
		found, err := lookup(ctx, ask, name, []uint16{t})
		if err != nil {
			return nil, err
		}
		all.Answers = append(all.Answers, found.Answers...)
	}
	return all, nil
}

// lookup asks all types at once and puts the outcomes in the order of types.
func lookup(ctx context.Context, ask asker, name string, types []uint16) (*findings, error) {
	type outcome struct {
		asked   asked
		elapsed time.Duration
		err     error
	}
	outcomes := make([]chan outcome, len(types))
	for i, t := range types {
		outcomes[i] = make(chan outcome, 1)
		go func() {
			query := new(dns.Msg).SetQuestion(name, t)
			query.SetEdns0(1232, false)
			query.AuthenticatedData = true // whether the answer is, is told only who asks (RFC 6840 section 5.7)
			req, err := query.Pack()
			if err != nil {
				outcomes[i] <- outcome{err: err}
				return
			}
			start := time.Now()
			a, err := ask(ctx, req)
			outcomes[i] <- outcome{a, time.Since(start), err}
		}()
	}
	found := &findings{Name: name}
	for i, t := range types {
		o := <-outcomes[i]
		if o.err != nil {
			return nil, o.err
		}
		found.add(t, o.asked, o.elapsed)
	}
	return found, nil
}
