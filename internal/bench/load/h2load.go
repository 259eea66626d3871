package load

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// H2load asks over HTTPS with GET (RFC 8484) with h2load(1).
type H2load struct {
	File        string        // URLs, one a line: see URL
	Connections int           // 20
	Streams     int           // questions outstanding on each connection; 5
	Duration    time.Duration // 0: Requests, over one connection
	Requests    int
}

func (h H2load) withDefaults() H2load {
	if h.Connections == 0 {
		h.Connections = 20
	}
	if h.Streams == 0 {
		h.Streams = 5
	}
	return h
}

// URL asks a server for the A record of a name.
func URL(server netip.AddrPort, name string) (string, error) {
	request := new(dns.Msg)
	request.SetQuestion(name, dns.TypeA)
	request.Id = 0 // RFC 8484, section 4.1: for caches of HTTP
	data, err := request.Pack()
	if err != nil {
		return "", fmt.Errorf("question for %q: %w", name, err)
	}
	host := server.String()
	if server.Port() == DoH.Port() {
		host = server.Addr().String() // as clients write it
	}
	return "https://" + host + "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(data), nil
}

func (h H2load) arguments() []string {
	args := []string{"-i", h.File, "-m", strconv.Itoa(h.Streams), "-t", "1", "-H", "accept: application/dns-message"}
	if h.Duration > 0 {
		return append(args, "-c", strconv.Itoa(h.Connections), "-D", strconv.Itoa(max(1, int(h.Duration.Round(time.Second).Seconds()))))
	}
	// The file is asked from its beginning on each connection.
	return append(args, "-c", "1", "-n", strconv.Itoa(h.Requests))
}

// Run runs it to its end.
func (h H2load) Run(ctx context.Context) (Result, error) {
	out, err := output(ctx, "h2load", h.withDefaults().arguments()...)
	if err != nil {
		return Result{}, err
	}
	return parseH2load(out)
}

var (
	h2Finished = regexp.MustCompile(`(?m)^finished in ([0-9.]+)(us|ms|s|m|h),`)
	h2Requests = regexp.MustCompile(`(?m)^requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	h2Statuses = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
	h2Latency  = regexp.MustCompile(`(?m)^time for request: +([0-9.]+[a-z]+) +([0-9.]+[a-z]+) +([0-9.]+[a-z]+)`)
)

// parseH2load reads the statistics that h2load prints at its end. What is under way when a time limit ends
// is not lost: h2load breaks it off itself, and counts it nowhere.
func parseH2load(out string) (Result, error) {
	finished, requests, statuses := h2Finished.FindStringSubmatch(out), h2Requests.FindStringSubmatch(out), h2Statuses.FindStringSubmatch(out)
	if finished == nil || requests == nil || statuses == nil {
		return Result{}, fmt.Errorf("h2load printed no statistics: %.500s", out)
	}
	elapsed, err := time.ParseDuration(finished[1] + finished[2])
	if err != nil {
		return Result{}, fmt.Errorf("h2load: %w", err)
	}
	counts, err := numbers(requests[1:])
	if err != nil {
		return Result{}, fmt.Errorf("h2load: requests: %w", err)
	}
	classes, err := numbers(statuses[1:])
	if err != nil {
		return Result{}, fmt.Errorf("h2load: status codes: %w", err)
	}
	const done, succeeded, failed, errored, timeout = 2, 3, 4, 5, 6
	r := Result{
		Sent: counts[done] + counts[timeout], Answered: classes[0] + classes[1] + classes[2] + classes[3],
		Lost: counts[errored] + counts[timeout], Elapsed: elapsed,
		Classes: map[string]uint64{"2xx": classes[0], "3xx": classes[1], "4xx": classes[2], "5xx": classes[3]},
	}
	// What failed without a status was lost too.
	r.Lost = max(r.Lost, counts[failed]-min(counts[failed], classes[2]+classes[3]))
	if r.Answered < counts[succeeded] {
		return Result{}, fmt.Errorf("h2load: %d succeeded of %d with a status", counts[succeeded], r.Answered)
	}
	if latency := h2Latency.FindStringSubmatch(out); latency != nil {
		if r.Max, err = time.ParseDuration(latency[2]); err != nil {
			return Result{}, fmt.Errorf("h2load: latency: %w", err)
		}
		if r.Mean, err = time.ParseDuration(latency[3]); err != nil {
			return Result{}, fmt.Errorf("h2load: latency: %w", err)
		}
	}
	return r, nil
}

func numbers(words []string) ([]uint64, error) {
	list := make([]uint64, len(words))
	for i, w := range words {
		n, err := strconv.ParseUint(w, 10, 62)
		if err != nil {
			return nil, err
		}
		list[i] = n
	}
	return list, nil
}
