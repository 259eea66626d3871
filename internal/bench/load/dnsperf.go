package load

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Dnsperf asks over UDP, TCP or TLS with dnsperf(1).
type Dnsperf struct {
	Server      netip.Addr
	Transport   Transport
	File        string        // questions, one a line
	Connections int           // 20
	Outstanding int           // over all connections; 100, and 1,000 for UDPBurst
	Rate        int           // questions a second; 0: as many as it can
	Duration    time.Duration // 0: the file once
}

func (d Dnsperf) withDefaults() Dnsperf {
	if d.Connections == 0 {
		d.Connections = 20
	}
	if d.Outstanding == 0 {
		d.Outstanding = 100
		if d.Transport == UDPBurst {
			d.Outstanding = 1000
		}
	}
	return d
}

func (d Dnsperf) arguments() []string {
	mode := d.Transport
	if mode == UDPBurst {
		mode = UDP
	}
	args := []string{
		"-s", d.Server.String(), "-p", strconv.Itoa(int(d.Transport.Port())), "-m", string(mode), "-d", d.File,
		"-c", strconv.Itoa(d.Connections), "-q", strconv.Itoa(d.Outstanding), "-T", "1", "-b", "4096",
	}
	if d.Rate > 0 {
		args = append(args, "-Q", strconv.Itoa(d.Rate))
	}
	if d.Duration > 0 {
		return append(args, "-l", strconv.FormatFloat(d.Duration.Seconds(), 'f', -1, 64))
	}
	return append(args, "-n", "1")
}

// Run runs it to its end.
func (d Dnsperf) Run(ctx context.Context) (Result, error) {
	out, err := output(ctx, "dnsperf", d.withDefaults().arguments()...)
	if err != nil {
		return Result{}, err
	}
	return parseDnsperf(out)
}

// parseDnsperf reads the statistics that dnsperf prints at its end.
func parseDnsperf(out string) (Result, error) {
	r := Result{Classes: make(map[string]uint64)}
	seen := make(map[string]bool)
	for line := range strings.Lines(out) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		var err error
		switch value = strings.TrimSpace(value); key {
		case "Queries sent":
			r.Sent, err = first(value)
		case "Queries completed":
			r.Answered, err = first(value)
		case "Queries lost":
			r.Lost, err = first(value)
		case "Response codes":
			err = parseClasses(r.Classes, value)
		case "Run time (s)":
			r.Elapsed, err = seconds(value)
		case "Average Latency (s)":
			r.Mean, r.Max, err = parseLatency(value)
		default:
			continue
		}
		if err != nil {
			return Result{}, fmt.Errorf("dnsperf: %q: %w", strings.TrimSpace(line), err)
		}
		seen[key] = true
	}
	for _, key := range []string{"Queries sent", "Queries completed", "Queries lost", "Run time (s)"} {
		if !seen[key] {
			return Result{}, fmt.Errorf("dnsperf printed no %q: %.500s", key, out)
		}
	}
	// Questions that were cut off by the end of a connection are neither completed nor lost for dnsperf.
	if left := r.Answered + r.Lost; left < r.Sent {
		r.Lost = r.Sent - r.Answered
	}
	return r, nil
}

// parseClasses reads "NOERROR 10 (90.91%), SERVFAIL 1 (9.09%)".
func parseClasses(classes map[string]uint64, value string) error {
	for part := range strings.SplitSeq(value, ",") {
		fields := strings.Fields(part)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 {
			return fmt.Errorf("a code without a number: %q", part)
		}
		n, err := first(fields[1])
		if err != nil {
			return err
		}
		classes[fields[0]] += n
	}
	return nil
}

// parseLatency reads "0.000936 (min 0.000011, max 0.009541)".
func parseLatency(value string) (mean, highest time.Duration, err error) {
	if mean, err = seconds(value); err != nil {
		return 0, 0, err
	}
	_, after, ok := strings.Cut(value, "max ")
	if !ok {
		return 0, 0, fmt.Errorf("no maximum: %q", value)
	}
	highest, err = seconds(strings.TrimSuffix(strings.TrimSpace(after), ")"))
	return mean, highest, err
}

// first reads the number that a text begins with.
func first(s string) (uint64, error) {
	word, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return strconv.ParseUint(word, 10, 62)
}

// seconds reads the number of seconds that a text begins with.
func seconds(s string) (time.Duration, error) {
	word, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	f, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return 0, err
	}
	if !(f >= 0 && f < 1e6) {
		return 0, fmt.Errorf("%v seconds are out of range", f)
	}
	return time.Duration(f * float64(time.Second)), nil
}
