package soak

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Level is what a server uses at one time.
type Level struct {
	Goroutines  int
	Descriptors int   // without Spare
	Spare       int   // sockets without a port: kept for questions to upstream servers, or closed by the other end
	Connections int   // as the server counts them
	Resident    int64 // octets
	Heap        int64 // octets in use
}

func (l Level) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %d spare sockets, %d connections, %.1f MiB resident, %.1f MiB of heap",
		l.Goroutines, l.Descriptors, l.Spare, l.Connections, float64(l.Resident)/(1<<20), float64(l.Heap)/(1<<20))
}

// Metrics are the series of /metrics, by name and labels as they stand there.
type Metrics map[string]float64

// scraper keeps no connection: the server is not to be changed by being looked at.
var scraper = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

// Scrape reads the metrics of the server at an address.
func Scrape(addr string) (Metrics, error) {
	resp, err := scraper.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %s: %w", resp.Status, err)
	}
	m := Metrics{}
	for line := range strings.Lines(string(body)) {
		name, value, found := cutLast(strings.TrimSpace(line))
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		if m[name], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", line, err)
		}
	}
	return m, nil
}

func cutLast(s string) (before, after string, found bool) {
	at := strings.LastIndexByte(s, ' ')
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+1:], true
}

// Sum is the sum of all series of a name whose labels contain each of the given ones (`protocol="tcp"`).
func (m Metrics) Sum(name string, labels ...string) float64 {
	sum := 0.0
	for series, v := range m {
		rest, ok := strings.CutPrefix(series, name)
		if !ok || rest != "" && rest[0] != '{' {
			continue
		}
		for _, l := range labels {
			ok = ok && strings.Contains(rest, l)
		}
		if ok {
			sum += v
		}
	}
	return sum
}

var resident = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// CPU is the processor time that a process has taken up to now.
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("found %q in stat", rest)
	}
	var ticks time.Duration
	for _, text := range f[11:13] { // utime and stime, proc(5)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond, nil // USER_HZ is 100 on all that Go runs on
}

// Measure reads the level of a process whose metrics are at an address.
func Measure(pid int, addr string) (Level, error) {
	kinds, err := descriptors(pid)
	if err != nil {
		return Level{}, err
	}
	spare := kinds[spareSocket]
	delete(kinds, spareSocket)
	files := 0
	for _, n := range kinds {
		files += n
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Level{}, err
	}
	match := resident.FindSubmatch(status)
	if match == nil {
		return Level{}, fmt.Errorf("no VmRSS in %q", status)
	}
	kib, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		return Level{}, err
	}
	m, err := Scrape(addr)
	if err != nil {
		return Level{}, err
	}
	return Level{
		Goroutines:  int(m.Sum("go_goroutines")),
		Descriptors: files,
		Spare:       spare,
		Connections: int(m.Sum("dens_connections_open")),
		Resident:    kib << 10,
		Heap:        int64(m.Sum("go_memstats_heap_inuse_bytes")),
	}, nil
}
