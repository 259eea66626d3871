// Package report is what the benchmark found: figures, how they are summed up, and how they are shown.
package report

import (
	"slices"
	"time"
)

// Report is all that one run found.
type Report struct {
	Date      string        `json:"date"` // of the run, RFC 3339
	CPUs      int           `json:"cpus"`
	Threads   int           `json:"threads"` // of each server
	Names     int           `json:"names"`   // that were warm
	Rounds    int           `json:"rounds"`
	Length    time.Duration `json:"length"` // of a round, in nanoseconds
	Reference string        `json:"reference"`
	Servers   []Server      `json:"servers"`
	Hits      []Series      `json:"hits,omitempty"`
	Mix       []Series      `json:"mix,omitempty"` // nine hits to each miss, over UDP
	Floods    []Flood       `json:"floods,omitempty"`
	Starts    []Start       `json:"starts,omitempty"`
	Memory    []Memory      `json:"memory,omitempty"`
}

// Server is one of those that were compared.
type Server struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Version string `json:"version"`
}

// Series is what one server did over one transport, round by round, and the medians.
type Series struct {
	Server    string  `json:"server"`
	Transport string  `json:"transport"`
	CPU       float64 `json:"cpu"`             // microseconds of the server for an answer
	QPS       float64 `json:"qps"`             // answers a second
	Resident  uint64  `json:"resident"`        // bytes
	Ratio     float64 `json:"ratio,omitempty"` // of CPU to that of the reference; 0: refused, see Problems
	Rounds    []Round `json:"rounds"`
	// Problems are why there is no ratio: what was lost or wrong, of this server or of the reference.
	Problems []string `json:"problems,omitempty"`
}

// Round is one measurement.
type Round struct {
	CPU      float64  `json:"cpu"`
	QPS      float64  `json:"qps"`
	Resident uint64   `json:"resident"`
	Ratio    float64  `json:"ratio,omitempty"`
	Problem  string   `json:"problem,omitempty"` // what was lost or wrong
	Latency  *Latency `json:"latency,omitempty"` // of warm names meanwhile, where it was taken
}

// Latency is how long answers took.
type Latency struct {
	Asked  int           `json:"asked"`
	Lost   int           `json:"lost"`
	Median time.Duration `json:"median"` // nanoseconds
	P99    time.Duration `json:"p99"`
	Max    time.Duration `json:"max"`
}

// Flood is what a flood of random names did to a server.
type Flood struct {
	Server   string  `json:"server"`
	Names    int     `json:"names"`    // different ones that were asked
	Answered uint64  `json:"answered"` // of them
	CPU      float64 `json:"cpu"`      // microseconds of the server for an answer
	Before   uint64  `json:"before"`   // resident bytes
	After    uint64  `json:"after"`
	Kept     float64 `json:"kept"` // the share of the warm names that was answered from the cache afterwards
	Quiet    Latency `json:"quiet"`
	During   Latency `json:"during"` // of warm names
}

// Start is how long a server took from its start to its first answer.
type Start struct {
	Server string          `json:"server"`
	Median time.Duration   `json:"median"` // nanoseconds
	All    []time.Duration `json:"all"`
}

// Memory is what a server holds after it has answered so many names.
type Memory struct {
	Server   string `json:"server"`
	Names    int    `json:"names"`
	Resident uint64 `json:"resident"` // bytes
}

// Median returns the middle of some values, or the mean of the two in the middle; 0 of none.
func Median[T ~float64 | ~int64 | ~uint64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	low, high := sorted[(len(sorted)-1)/2], sorted[len(sorted)/2]
	return low + (high-low)/2
}

// Summarise fills in the ratios and medians of series that have as many rounds each.
func Summarise(list []Series, reference string) {
	for i := range list {
		s := &list[i]
		base := find(list, reference, s.Transport)
		s.sumUp(base)
	}
}

func find(list []Series, server, transport string) *Series {
	for i := range list {
		if list[i].Server == server && list[i].Transport == transport {
			return &list[i]
		}
	}
	return nil
}

// sumUp fills in the medians; the ratio only if neither this series nor the one it is compared with has lost
// an answer or got a wrong one.
func (s *Series) sumUp(base *Series) {
	var cpu, qps, ratios []float64
	var resident []uint64
	s.Problems = nil
	for i := range s.Rounds {
		r := &s.Rounds[i]
		r.Ratio = 0
		switch {
		case r.Problem != "":
			s.problem(r.Problem)
		case base == nil || len(base.Rounds) <= i:
			s.problem("no round of the reference to compare with")
		case base.Rounds[i].Problem != "":
			s.problem(base.Server + ": " + base.Rounds[i].Problem)
		case base.Rounds[i].CPU <= 0 || r.CPU <= 0:
			s.problem("too short to measure")
		default:
			r.Ratio = r.CPU / base.Rounds[i].CPU
			ratios = append(ratios, r.Ratio)
		}
		if r.QPS > 0 {
			cpu, qps, resident = append(cpu, r.CPU), append(qps, r.QPS), append(resident, r.Resident)
		}
	}
	s.CPU, s.QPS, s.Resident, s.Ratio = Median(cpu), Median(qps), Median(resident), 0
	if len(s.Problems) == 0 {
		s.Ratio = Median(ratios)
	}
}

func (s *Series) problem(text string) {
	if !slices.Contains(s.Problems, text) {
		s.Problems = append(s.Problems, text)
	}
}

// Problems is every problem of every series, with where it was seen.
func (r *Report) Problems() []string {
	var all []string
	for _, list := range [][]Series{r.Hits, r.Mix} {
		for _, s := range list {
			for _, p := range s.Problems {
				all = append(all, s.Server+" "+s.Transport+": "+p)
			}
		}
	}
	return all
}

// Refused lists where the given servers have no ratio.
func (r *Report) Refused(servers ...string) []string {
	var all []string
	for what, list := range map[string][]Series{"hits": r.Hits, "mix": r.Mix} {
		for _, s := range list {
			if s.Ratio == 0 && slices.Contains(servers, s.Server) {
				all = append(all, what+" of "+s.Server+" over "+s.Transport)
			}
		}
	}
	slices.Sort(all)
	return all
}
