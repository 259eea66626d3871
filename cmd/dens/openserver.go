package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"

	"dens/configs"
)

var errUnlimited = errors.New("0, so that anybody can have replies sent to addresses that are not his own, as many as he likes; a server that is open to the world has 200 by itself")

// unlimited tells what is wrong with a server that the world may ask by UDP at any rate.
func unlimited(cfg *configs.Config) error {
	reachable := slices.ContainsFunc(cfg.Listen.DNS, func(a netip.AddrPort) bool { return !a.Addr().IsLoopback() })
	if !reachable || !cfg.Access.Open() || cfg.Access.Rate > 0 {
		return nil
	}
	return cfg.Locate(&configs.KeyError{Key: "access.rate", Err: errUnlimited})
}

// warnUnlimited says so in the log: it is for the operator to decide.
func warnUnlimited(cfg *configs.Config, log *slog.Logger) {
	if err := unlimited(cfg); err != nil {
		log.Warn("of use to those who forge addresses", "reason", err)
	}
}

// printUnlimited says so in a section of its own.
func printUnlimited(out io.Writer, cfg *configs.Config) {
	if err := unlimited(cfg); err != nil {
		fmt.Fprintf(out, "%v\n\n", err)
	}
}
