package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	tests := []struct {
		values []float64
		want   float64
	}{
		{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{1, 2, 4, 100}, 3}, {[]float64{2, 2}, 2},
	}
	for _, tt := range tests {
		before := slices.Clone(tt.values)
		if got := Median(tt.values); got != tt.want {
			t.Errorf("of %v: %v, want %v", tt.values, got, tt.want)
		}
		if !slices.Equal(before, tt.values) {
			t.Errorf("%v became %v", before, tt.values)
		}
	}
	if got := Median([]uint64{math.MaxUint64, math.MaxUint64 - 2}); got != math.MaxUint64-1 {
		t.Errorf("of large numbers: %d", got)
	}
	if got := Median([]time.Duration{time.Second, 3 * time.Second, 2 * time.Second}); got != 2*time.Second {
		t.Errorf("of durations: %v", got)
	}
}

// rounds are some with the given CPU times.
func rounds(cpu ...float64) []Round {
	var list []Round
	for _, c := range cpu {
		list = append(list, Round{CPU: c, QPS: 1000 * c, Resident: uint64(c) << 20})
	}
	return list
}

func series(server, transport string, cpu ...float64) Series {
	return Series{Server: server, Transport: transport, Rounds: rounds(cpu...)}
}

func TestSummariseTakesTheMedianOfRatios(t *testing.T) {
	list := []Series{
		series("unbound", "udp", 10, 20, 10),
		series("dens", "udp", 5, 20, 6),
		series("unbound", "tcp", 100, 100, 100),
		series("dens", "tcp", 50, 50, 50),
	}
	Summarise(list, "unbound")
	// The ratio of the medians would be 0.6 too, but that of the machine's slow second round counts as 1.
	if got := list[1]; got.Ratio != 0.6 || got.CPU != 6 || got.QPS != 6000 || got.Resident != 6<<20 || got.Rounds[1].Ratio != 1 {
		t.Errorf("dens over udp: %+v", got)
	}
	if list[0].Ratio != 1 || list[2].Ratio != 1 || list[3].Ratio != 0.5 {
		t.Errorf("ratios %v, %v, %v", list[0].Ratio, list[2].Ratio, list[3].Ratio)
	}
}

func TestSummariseRefuses(t *testing.T) {
	lost := series("dens", "udp", 5, 5, 5)
	lost.Rounds[1].Problem = "1 of 100 lost"
	spoilt := series("unbound", "udp", 10, 10, 10)
	spoilt.Rounds[2].Problem = "wrong address"
	tests := []struct {
		name    string
		list    []Series // that of dens the last
		problem string
	}{
		{"a lost answer in one round", []Series{series("unbound", "udp", 10, 10, 10), lost}, "1 of 100 lost"},
		{"a wrong answer of the reference", []Series{spoilt, series("dens", "udp", 5, 5, 5)}, "unbound: wrong address"},
		{"no reference", []Series{series("dens", "udp", 5, 5, 5)}, "no round of the reference"},
		{"fewer rounds of the reference", []Series{series("unbound", "udp", 10, 10), series("dens", "udp", 5, 5, 5)}, "no round of the reference"},
		{"no time used", []Series{series("unbound", "udp", 10), series("dens", "udp", 0)}, "too short"},
		{"no time used by the reference", []Series{series("unbound", "udp", 0), series("dens", "udp", 5)}, "too short"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			Summarise(tt.list, "unbound")
			got := tt.list[len(tt.list)-1]
			if got.Ratio != 0 || len(got.Problems) != 1 || !strings.Contains(got.Problems[0], tt.problem) {
				t.Errorf("ratio %v, problems %q", got.Ratio, got.Problems)
			}
			r := &Report{Hits: tt.list, Reference: "unbound"}
			if len(r.Problems()) == 0 || !slices.Contains(r.Refused("dens"), "hits of dens over udp") || len(r.Refused("knot")) != 0 {
				t.Errorf("problems %q, refused %q", r.Problems(), r.Refused("dens"))
			}
			var out strings.Builder
			if err := r.WriteTable(&out); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), "refused") || !strings.Contains(out.String(), tt.problem) {
				t.Errorf("the table does not say it:\n%s", &out)
			}
			if svg := string(r.SVG()); strings.Contains(svg, `class="bar ours"`) || !strings.Contains(svg, "not compared") {
				t.Errorf("the chart has a bar of what was refused:\n%s", svg)
			}
		})
	}
}

// full is a report with something in each part.
func full() *Report {
	list := []Series{
		series("unbound", "udp", 6, 6, 6), series("dens", "udp", 3, 3, 3), series("odd", "udp", 12, 12, 12),
		series("unbound", "doh", 20, 20, 20), series("dens", "doh", 15, 15, 15),
	}
	mix := []Series{series("unbound", "udp", 12), series("dens", "udp", 9)}
	mix[1].Rounds[0].Latency = &Latency{Asked: 10, Median: 70 * time.Microsecond, P99: 900 * time.Microsecond, Max: time.Millisecond}
	Summarise(list, "unbound")
	Summarise(mix, "unbound")
	return &Report{
		Date: "2026-11-21T16:00:00Z", CPUs: 2, Threads: 2, Names: 10000, Rounds: 3, Length: 4 * time.Second, Reference: "unbound",
		Servers: []Server{{"unbound", "Unbound", "1.17.1"}, {"dens", "dens", ""}, {"odd", `<Odd> & "Sons"`, "1"}},
		Hits:    list, Mix: mix,
		Floods: []Flood{{Server: "dens", Names: 1000, Answered: 999, CPU: 40, Before: 50 << 20, After: 60 << 20, Kept: 0.995}},
		Starts: []Start{{Server: "dens", Median: 20 * time.Millisecond, All: []time.Duration{20 * time.Millisecond}}},
		Memory: []Memory{{Server: "dens", Names: 10000, Resident: 48 << 20}},
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := full().WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"Hits over udp server", "dens 3.0 0.50 3000 3.0", "Hits over doh server", "dens 15.0 0.75 15000 15.0",
		"dens 9.0 0.75 9000 70µs 900µs 0", "dens 40.0 999 50.0 60.0 99.5%", "dens 20ms", "dens 10000 48.0",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	if strings.Contains(text, "refused") {
		t.Errorf("something was refused:\n%s", &out)
	}
}

func TestJSON(t *testing.T) {
	data, err := json.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if want := full(); !reflect.DeepEqual(&got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// elements reads a document, which must be well-formed, and counts its elements by name and class.
func elements(t *testing.T, data []byte) map[string]int {
	t.Helper()
	count := make(map[string]int)
	for d := xml.NewDecoder(strings.NewReader(string(data))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, data)
		}
		if start, ok := token.(xml.StartElement); ok {
			name := start.Name.Local
			for _, a := range start.Attr {
				if a.Name.Local == "class" {
					name += "." + a.Value
				}
			}
			count[name]++
		}
	}
}

func TestSVG(t *testing.T) {
	svg := full().SVG()
	count := elements(t, svg)
	for name, want := range map[string]int{"svg": 1, "title": 1, "text.panel": 2, "rect.bar": 3, "rect.bar ours": 2, "line.line": 2} {
		if count[name] != want {
			t.Errorf("%d of %s, want %d", count[name], name, want)
		}
	}
	text := string(svg)
	for _, want := range []string{"&lt;Odd&gt; &amp; ", "2026-11-21, 2 CPUs", "medians of 3 interleaved rounds", "prefers-color-scheme: dark"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if dens, unbound := strings.Index(text, ">dens<"), strings.Index(text, ">Unbound<"); dens < 0 || unbound < dens {
		t.Error("the server with the least CPU is not on top")
	}
	elements(t, (&Report{}).SVG())
}
