package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"dens/internal/bench/load"
	"dens/internal/bench/peers"
	"dens/internal/bench/zone"
)

// tests are what the benchmark can measure, in the order in which it does.
var tests = [...]string{"hits", "mix", "flood", "cold", "memory"}

// options are the command line.
type options struct {
	peers      []peers.Peer
	transports []load.Transport
	tests      []string
	rounds     int
	length     time.Duration // of a round
	names      int           // that are warm
	flood      int           // random names
	million    int           // names for the memory of a large cache; 0: not measured
	dens       string        // program; "": built from here
	json, svg  string        // files to write
	from       string        // a JSON file to draw instead of measuring
}

func parseOptions(args []string) (options, error) {
	var o options
	var servers, transports, which string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&servers, "servers", strings.Join(peers.Names(), ","), "which to compare; "+peers.Reference+" always is among them")
	flags.StringVar(&transports, "transports", join(load.Transports[:]), "which of them, for hits")
	flags.StringVar(&which, "tests", "hits", "what to measure: all, or of "+strings.Join(tests[:], ","))
	flags.IntVar(&o.rounds, "rounds", 3, "rounds, interleaved")
	flags.DurationVar(&o.length, "time", 4*time.Second, "how long a round is")
	flags.IntVar(&o.names, "names", 10_000, "warm names")
	flags.IntVar(&o.flood, "flood", 200_000, "random names of the flood")
	flags.IntVar(&o.million, "large", 0, "names for the memory of a large cache, such as 1000000: of dens and "+peers.Reference)
	flags.StringVar(&o.dens, "dens", "", "the program to measure (default: built from the source here)")
	flags.StringVar(&o.json, "json", "", "write what was found to this file")
	flags.StringVar(&o.svg, "svg", "", "draw it to this file")
	flags.StringVar(&o.from, "from", "", "measure nothing, but draw this JSON file (with -svg)")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("arguments that are no flags: %q", flags.Args())
	}
	var err error
	if o.peers, err = peers.Select(strings.Split(servers, ",")); err != nil {
		return options{}, err
	}
	if o.transports, err = choose(transports, load.Transports[:]); err != nil {
		return options{}, err
	}
	if o.tests, err = choose(which, tests[:]); err != nil {
		return options{}, err
	}
	return o, o.check()
}

func (o options) check() error {
	switch {
	case o.rounds < 1 || o.rounds > 1000:
		return errors.New("-rounds is out of range")
	case o.length < time.Second || o.length > time.Hour:
		return errors.New("-time must be between a second and an hour")
	case o.names < 100 || o.names > zone.Limit || o.large() > zone.Limit || o.flood < 1 || o.flood > zone.Limit:
		return fmt.Errorf("-names, -flood and -large must be at most %d, and -names at least 100", zone.Limit)
	case o.from != "" && o.svg == "":
		return errors.New("-from draws a chart: it needs -svg")
	}
	if o.dens != "" {
		if _, err := os.Stat(o.dens); err != nil {
			return fmt.Errorf("-dens: %w", err)
		}
	}
	return nil
}

func (o options) large() int { return max(0, o.million) }

func (o options) wants(test string) bool { return slices.Contains(o.tests, test) }

// choose reads a list of words, each of which must be one of all; "all" is all.
func choose[T ~string](list string, all []T) ([]T, error) {
	if list == "all" {
		return all, nil
	}
	var chosen []T
	for _, t := range all {
		if slices.Contains(strings.Split(list, ","), string(t)) {
			chosen = append(chosen, t)
		}
	}
	for word := range strings.SplitSeq(list, ",") {
		if !slices.Contains(all, T(word)) {
			return nil, fmt.Errorf("%q is not one of: all, %s", word, join(all))
		}
	}
	return chosen, nil
}

func join[T ~string](list []T) string {
	var words []string
	for _, t := range list {
		words = append(words, string(t))
	}
	return strings.Join(words, ",")
}
