package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"dens/configs"
	"dens/dnssec"
	"dens/resolver"
	"dens/resolver/anchors"
	"dens/resolver/localroot"
	"dens/resolver/recursive"
	"dens/web"
)

// parts says what of an engine can answer questions: nothing, where upstream servers do that.
func (e *engine) parts(now time.Time) []web.Part {
	switch {
	case e.cfg.mode != configs.ModeRecursive:
		return nil
	case e.broken != nil && e.cfg.validate:
		return []web.Part{{Name: "recursive .", Reason: e.broken.Error()}}
	}
	return []web.Part{rootPart(e.Health(), e.anchorStatus(), now)}
}

// recursion is the state of iteration and validation, that of upstream servers' answers too.
func (s *stack) recursion() web.Recursion {
	out := rootMetrics(s.engine.Stats(), s.engine.anchorStatus())
	out.Exhausted["aliases"] = s.router.Overlong()
	for _, c := range s.judges {
		stats := c.chain.Stats()
		for status, n := range stats.Judged {
			out.Validations[status] += n
		}
		out.Validations[dnssec.Indeterminate.String()] += stats.Failures
	}
	return out
}

func (e *engine) anchorStatus() []anchors.Status {
	if e.anchors == nil {
		return nil
	}
	return e.anchors.Status()
}

// rootPart says whether names can be resolved from the root now and, if not, why.
func rootPart(h recursive.Health, trust []anchors.Status, now time.Time) web.Part {
	p := web.Part{Name: "recursive ."}
	switch {
	case h.Problem != "":
		p.Reason = rootProblem(h, trust, now)
	case !h.Primed:
		p.Reason = "the root servers have not answered yet"
	default:
		p.Ready = true
	}
	return p
}

// rootProblem says what is wrong and, where signatures do not hold, what the likely cause is.
func rootProblem(h recursive.Health, trust []anchors.Status, now time.Time) string {
	if !h.Trust.Failed() {
		return h.Problem
	}
	for _, s := range trust {
		if s.Zone == "." && s.Error != "" {
			return s.Error // the anchors' keeper has looked closer
		}
	}
	switch h.Trust.Code {
	case dns.ExtendedErrorCodeSignatureExpired, dns.ExtendedErrorCodeSignatureNotYetValid:
		return fmt.Sprintf("%s; the clock here says %s: is it right?", h.Problem, now.UTC().Format(time.RFC3339))
	}
	return h.Problem + "; are the trust anchors out of date, or does the network change answers?"
}

// rootMetrics are the metrics of an engine. All counters are there from the start: one that appears with
// its first event looks as if nothing had happened.
func rootMetrics(s recursive.Stats, trust []anchors.Status) web.Recursion {
	out := web.Recursion{
		Queries:     map[string]uint64{"udp": s.Servers.UDP, "tcp": s.Servers.TCP},
		Exhausted:   map[string]uint64{"queries": 0, "lookups": 0, "depth": 0, "signatures": 0, "hashes": 0, "flights": 0, "time": 0},
		Validations: map[string]uint64{},
		Cached:      map[string]int{"responses": s.Answers, "cuts": s.Cuts},
		Servers:     s.Servers.Servers,
	}
	for _, status := range []dnssec.Status{dnssec.Indeterminate, dnssec.Secure, dnssec.Insecure, dnssec.Bogus, dnssec.Exhausted} {
		out.Validations[status.String()] = 0
	}
	for limit, n := range s.Limits {
		out.Exhausted[limit] += n
	}
	for status, n := range s.Validations {
		out.Validations[status] += n
	}
	for _, zone := range trust {
		for _, k := range zone.Keys {
			out.Anchors = append(out.Anchors, web.Anchor{Zone: zone.Zone, Tag: k.Tag, State: k.State.String(), Since: k.Since})
		}
	}
	return out
}

// rootReport is what dens check found about one part of resolving from the root. problem is "" when all
// is well.
type rootReport struct{ part, found, problem string }

// checkRoot asks the root servers and compares the trust anchors with the keys that the zones show.
func checkRoot(ctx context.Context, e *engine, cfg *configs.Resolve) []rootReport {
	var reports []rootReport
	reachable := true
	if cfg.Mode == configs.ModeRecursive {
		traced, trace := resolver.WithTrace(ctx)
		h := e.Check(traced)
		report := rootReport{part: "servers", found: fmt.Sprintf("%d known", h.Servers)}
		if fastest := fastestRoot(trace.Steps()); fastest > 0 {
			report.found += ", one answers in " + short(fastest)
		}
		if reachable = h.Primed; !reachable {
			report.problem = h.Problem
		}
		reports = append(reports, report)
	}
	if e.anchors != nil {
		reports = append(reports, checkAnchors(ctx, e.anchors, reachable)...)
		reports = append(reports, checkWritable("anchor state", cfg.AnchorState.Reveal())...)
	}
	if e.local != nil {
		reports = append(reports, checkLocalRoot(ctx, e.local))
		reports = append(reports, checkWritable("copy's cache", cfg.LocalRoot.Cache.Reveal())...)
	}
	return reports
}

// checkLocalRoot gets and verifies a copy of the root zone.
func checkLocalRoot(ctx context.Context, z *localroot.Zone) rootReport {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { z.Run(ctx) })
	waitFor(ctx, checkCopyTime, func() bool { s := z.Status(); return s.Ready || s.Error != "" })
	cancel()
	running.Wait()
	switch s := z.Status(); {
	case s.Ready:
		return rootReport{part: "copy", found: fmt.Sprintf("serial %d, %d records", s.Serial, s.Records)}
	case s.Error != "":
		return rootReport{part: "copy", found: "-", problem: s.Error}
	default:
		return rootReport{part: "copy", found: "-", problem: "not there in time"}
	}
}

// checkCopyTime is how long a transfer of the root zone may take for dens check.
const checkCopyTime = 15 * time.Second

// fastestRoot is the shortest time in which a root server answered the priming query, 0 when none did.
func fastestRoot(steps []resolver.Step) time.Duration {
	var least time.Duration
	for _, s := range steps {
		if s.Kind == resolver.StepQuery && s.Zone == "." && s.RTT > 0 && s.Rcode != "" && (least == 0 || s.RTT < least) {
			least = s.RTT
		}
	}
	return least
}

// checkAnchors compares the anchors of each zone with its keys. Where the servers are out of reach that
// says nothing of the anchors.
func checkAnchors(ctx context.Context, store *anchors.Store, reachable bool) []rootReport {
	var reports []rootReport
	for _, s := range store.Status() {
		var keys []string
		for _, k := range s.Keys {
			key := fmt.Sprint(k.Tag)
			if k.State != anchors.Valid {
				key += " (" + k.State.String() + ")"
			}
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
		report := rootReport{part: "anchors of " + s.Zone, found: "keys " + strings.Join(keys, ", ")}
		if !reachable && s.Zone == "." {
			report.problem = "not compared: the root servers are out of reach"
		} else if err := store.Refresh(ctx, s.Zone); err != nil {
			report.problem = err.Error()
		}
		reports = append(reports, report)
	}
	return reports
}

// printRoot prints the reports and tells whether all is well.
func printRoot(table io.Writer, reports []rootReport) bool {
	ok := true
	for _, r := range reports {
		verdict := "ok"
		if r.problem != "" {
			verdict, ok = r.problem, false
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.part, r.found, printable(verdict))
	}
	return ok
}

// checkWritable tries whether a file that dens keeps could be replaced in its directory; "" is no file.
func checkWritable(part, path string) []rootReport {
	if path == "" {
		return nil
	}
	report := rootReport{part: part, found: path}
	if f, err := os.CreateTemp(filepath.Dir(path), ".dens-check-*"); err != nil {
		report.problem = fmt.Sprintf("%v; dens must be able to write to the directory", err)
	} else {
		f.Close()
		os.Remove(f.Name()) //nolint:errcheck // it was made a moment ago
	}
	return []rootReport{report}
}
