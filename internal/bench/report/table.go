package report

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// WriteTable writes the report for a terminal.
func (r *Report) WriteTable(w io.Writer) error {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)}
	fmt.Fprintf(w, "%s, %d CPUs, %d threads for each server, %d warm names, %d rounds of %s; medians.\n",
		r.Date, r.CPUs, r.Threads, r.Names, r.Rounds, r.Length)
	fmt.Fprintf(w, "CPU is the server's, in microseconds for an answer; ratio is to %s in the same round.\n", r.Reference)
	r.hits(t)
	r.mix(t)
	r.floods(t)
	r.starts(t)
	r.memory(t)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range r.Problems() {
		fmt.Fprintln(w, "refused:", p)
	}
	return nil
}

// table has cells that end with a tab; a row without cells separates two tables.
type table struct{ *tabwriter.Writer }

func (t *table) head(title string, cells ...string) {
	t.Flush() //nolint:errcheck // the last Flush says it
	fmt.Fprintf(t, "\n%s\n", title)
	t.row(cells...)
}

func (t *table) row(cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(t, "%s\t", c)
	}
	fmt.Fprintln(t)
}

func (r *Report) hits(t *table) {
	last := ""
	for _, s := range r.Hits {
		if s.Transport != last {
			t.head("Hits over "+s.Transport, "server", "CPU us", "ratio", "queries/s", "MiB")
			last = s.Transport
		}
		t.row(s.Server, number(s.CPU), ratio(s.Ratio), fmt.Sprintf("%.0f", s.QPS), mib(s.Resident))
	}
}

func (r *Report) mix(t *table) {
	if len(r.Mix) == 0 {
		return
	}
	t.head("Nine hits to each miss, over udp; latency of warm names asked beside it", "server", "CPU us", "ratio", "queries/s", "median", "p99", "lost")
	for _, s := range r.Mix {
		var median, p99 []time.Duration
		lost := 0
		for _, round := range s.Rounds {
			if round.Latency != nil {
				median, p99 = append(median, round.Latency.Median), append(p99, round.Latency.P99)
				lost += round.Latency.Lost
			}
		}
		t.row(s.Server, number(s.CPU), ratio(s.Ratio), fmt.Sprintf("%.0f", s.QPS), span(Median(median)), span(Median(p99)), fmt.Sprint(lost))
	}
}

func (r *Report) floods(t *table) {
	if len(r.Floods) == 0 {
		return
	}
	t.head(fmt.Sprintf("Flood of %d random names over udp; latency of warm names", r.Floods[0].Names),
		"server", "CPU us", "answered", "MiB before", "after", "kept", "median quiet", "during", "p99 quiet", "during", "lost")
	for _, f := range r.Floods {
		t.row(f.Server, number(f.CPU), fmt.Sprint(f.Answered), mib(f.Before), mib(f.After), fmt.Sprintf("%.1f%%", 100*f.Kept),
			span(f.Quiet.Median), span(f.During.Median), span(f.Quiet.P99), span(f.During.P99), fmt.Sprintf("%d of %d", f.During.Lost, f.During.Asked))
	}
}

func (r *Report) starts(t *table) {
	if len(r.Starts) == 0 {
		return
	}
	t.head("From start to first answer", "server", "median")
	for _, s := range r.Starts {
		t.row(s.Server, span(s.Median))
	}
}

func (r *Report) memory(t *table) {
	if len(r.Memory) == 0 {
		return
	}
	t.head("Resident memory", "server", "names", "MiB")
	for _, m := range r.Memory {
		t.row(m.Server, fmt.Sprint(m.Names), mib(m.Resident))
	}
}

func number(f float64) string { return fmt.Sprintf("%.1f", f) }

func ratio(f float64) string {
	if f == 0 {
		return "refused"
	}
	return fmt.Sprintf("%.2f", f)
}

func mib(bytes uint64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

func span(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
