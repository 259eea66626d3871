package load

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"
)

const dnsperfClean = `DNS Performance Testing Tool
Version 2.10.0

[Status] Command line: dnsperf -s 127.0.1.1 -l 3
[Status] Sending queries (to 127.0.1.1:53)
[Status] Testing complete (time limit)

Statistics:

  Queries sent:         304213
  Queries completed:    304213 (100.00%)
  Queries lost:         0 (0.00%)

  Response codes:       NOERROR 304213 (100.00%)
  Average packet size:  request 36, response 52
  Run time (s):         3.001881
  Queries per second:   101340.792623

  Average Latency (s):  0.001936 (min 0.000031, max 0.019541)
  Latency StdDev (s):   0.000501
`

const dnsperfTroubled = `Statistics:

  Queries sent:         1000
  Queries completed:    990 (99.00%)
  Queries lost:         6 (0.60%)

  Response codes:       NOERROR 980 (98.99%), SERVFAIL 7 (0.71%), REFUSED 3 (0.30%)
  Run time (s):         5.5

  Average Latency (s):  0.5 (min 0.000031, max 4.9)
`

const dnsperfSilent = `[Timeout] Query timed out: msg id 0

Statistics:

  Queries sent:         1
  Queries completed:    0 (0.00%)
  Queries lost:         1 (100.00%)

  Response codes:
  Average packet size:  request 29, response 0
  Run time (s):         1.000093
  Queries per second:   0.000000

  Average Latency (s):  0.000000 (min 0.000000, max 0.000000)
`

func TestParseDnsperf(t *testing.T) {
	tests := []struct {
		name, out string
		want      Result
		unfit     string // "": fit
	}{
		{"clean", dnsperfClean, Result{
			Sent: 304213, Answered: 304213, Classes: map[string]uint64{"NOERROR": 304213},
			Elapsed: 3001881 * time.Microsecond, Mean: 1936 * time.Microsecond, Max: 19541 * time.Microsecond,
		}, ""},
		// Four questions are missing from what dnsperf itself calls lost.
		{"troubled", dnsperfTroubled, Result{
			Sent: 1000, Answered: 990, Lost: 10, Classes: map[string]uint64{"NOERROR": 980, "SERVFAIL": 7, "REFUSED": 3},
			Elapsed: 5500 * time.Millisecond, Mean: 500 * time.Millisecond, Max: 4900 * time.Millisecond,
		}, "10 of 1000 lost"},
		{"silent", dnsperfSilent, Result{
			Sent: 1, Lost: 1, Classes: map[string]uint64{}, Elapsed: 1000093 * time.Microsecond,
		}, "no answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseDnsperf(tt.out)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, tt.want, tt.unfit)
		})
	}
}

func compare(t *testing.T, got, want Result, unfit string) {
	t.Helper()
	if !maps.Equal(got.Classes, want.Classes) {
		t.Errorf("classes %v, want %v", got.Classes, want.Classes)
	}
	got.Elapsed, got.Mean, got.Max = got.Elapsed.Round(time.Microsecond), got.Mean.Round(time.Microsecond), got.Max.Round(time.Microsecond)
	if got.Sent != want.Sent || got.Answered != want.Answered || got.Lost != want.Lost ||
		got.Elapsed != want.Elapsed || got.Mean != want.Mean || got.Max != want.Max {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	err := got.Fit("NOERROR", "2xx")
	if (err == nil) != (unfit == "") || err != nil && (!errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), unfit)) {
		t.Errorf("fit: %v, want %q", err, unfit)
	}
}

func TestParseDnsperfMalformed(t *testing.T) {
	for name, out := range map[string]string{
		"empty":         "",
		"no statistics": "Error: connect failed\n",
		"cut off":       dnsperfClean[:strings.Index(dnsperfClean, "  Run time")],
		"not a number":  strings.Replace(dnsperfClean, "304213 (100.00%)", "many (100.00%)", 1),
		"negative":      strings.Replace(dnsperfClean, "Queries lost:         0", "Queries lost:         -1", 1),
		"endless":       strings.Replace(dnsperfClean, "3.001881", "inf", 1),
		"no maximum":    strings.Replace(dnsperfClean, ", max 0.019541", "", 1),
		"code alone":    strings.Replace(dnsperfClean, "NOERROR 304213 (100.00%)", "NOERROR", 1),
	} {
		if got, err := parseDnsperf(out); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

const h2loadClean = `starting benchmark...
Main benchmark duration is started for thread #0. Stopping all clients.
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Application protocol: h2

finished in 2.00s, 54030.00 req/s, 6.12MB/s
requests: 108058 total, 108258 started, 108058 done, 108058 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 108060 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 12.23MB (12826789) total, 3.10MB (3252000) headers (space savings 73.42%), 5.36MB (5618000) data
                     min         max         mean         sd        +/- sd
time for request:      258us     17.71ms      3.68ms      1.20ms    71.89%
time for connect:     2.47ms     14.61ms      8.55ms      3.73ms    60.00%
req/s           :    2650.10     2750.77     2701.52       21.18    70.00%
`

const h2loadTroubled = `finished in 950.50ms, 10.00 req/s, 6.12KB/s
requests: 100 total, 100 started, 100 done, 80 succeeded, 20 failed, 15 errored, 1 timeout
status codes: 80 2xx, 0 3xx, 4 4xx, 1 5xx
`

func TestParseH2load(t *testing.T) {
	tests := []struct {
		name, out string
		want      Result
		unfit     string
	}{
		{"clean", h2loadClean, Result{
			Sent: 108058, Answered: 108060, Classes: map[string]uint64{"2xx": 108060, "3xx": 0, "4xx": 0, "5xx": 0},
			Elapsed: 2 * time.Second, Mean: 3680 * time.Microsecond, Max: 17710 * time.Microsecond,
		}, ""},
		{"troubled", h2loadTroubled, Result{
			Sent: 101, Answered: 85, Lost: 16, Classes: map[string]uint64{"2xx": 80, "3xx": 0, "4xx": 4, "5xx": 1},
			Elapsed: 950500 * time.Microsecond,
		}, "16 of 101 lost"},
		{"failed with a status", strings.Replace(h2loadTroubled, "15 errored, 1 timeout", "0 errored, 0 timeout", 1), Result{
			Sent: 100, Answered: 85, Lost: 15, Classes: map[string]uint64{"2xx": 80, "3xx": 0, "4xx": 4, "5xx": 1},
			Elapsed: 950500 * time.Microsecond,
		}, "15 of 100 lost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseH2load(tt.out)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, tt.want, tt.unfit)
		})
	}
}

func TestParseH2loadMalformed(t *testing.T) {
	for name, out := range map[string]string{
		"empty":           "",
		"no connection":   "starting benchmark...\nfinished in 0us, 0.00 req/s\n",
		"no status codes": h2loadTroubled[:strings.Index(h2loadTroubled, "status")],
		"huge":            strings.Replace(h2loadTroubled, "100 total", "99999999999999999999 total", 1),
		"contradiction":   strings.Replace(h2loadTroubled, "80 succeeded", "90 succeeded", 1),
	} {
		if got, err := parseH2load(out); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestFit(t *testing.T) {
	tests := []struct {
		name  string
		r     Result
		unfit string
	}{
		{"all well", Result{Sent: 2, Answered: 2, Classes: map[string]uint64{"NOERROR": 2}}, ""},
		{"nothing", Result{}, "no answer"},
		{"one lost", Result{Sent: 3, Answered: 2, Lost: 1, Classes: map[string]uint64{"NOERROR": 2}}, "1 of 3 lost"},
		{"one failure", Result{Sent: 2, Answered: 2, Classes: map[string]uint64{"NOERROR": 1, "SERVFAIL": 1}}, "1 SERVFAIL"},
		{"one without a code", Result{Sent: 2, Answered: 2, Classes: map[string]uint64{"NOERROR": 1}}, "2 answers, but 1"},
	}
	for _, tt := range tests {
		compare(t, tt.r, tt.r, tt.unfit)
	}
}
