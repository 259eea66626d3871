package report

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
)

// ours is the server that the chart is about.
const ours = "dens"

// Measures of the chart, in its own units.
const (
	chartWidth = 760
	panelTop   = 64 // of the first panel
	panelHead  = 30
	barHeight  = 16
	barStep    = 22
	labelWidth = 150 // of names, to the left of the bars
	valueWidth = 110 // of figures, to the right
	ratioWidth = 48
	panelGap   = 22
)

// chartStyle has colours for light and dark, which the reader's system chooses between.
const chartStyle = `
    text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #24292f }
    .title { font-size: 17px; font-weight: 600 }
    .panel { font-size: 14px; font-weight: 600 }
    .quiet { fill: #6a737d; font-size: 12px }
    .value { font-variant-numeric: tabular-nums }
    .bar { fill: #a8b3c2 }
    .ours { fill: #0b7a75 }
    .name-ours { font-weight: 700 }
    .line { stroke: #6a737d; stroke-dasharray: 3 3 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .quiet { fill: #9aa4af }
      .bar { fill: #56616e }
      .ours { fill: #2fbfb4 }
      .line { stroke: #9aa4af }
    }
`

// panelTitles are those of the transports that are drawn.
var panelTitles = []struct{ transport, title string }{
	{"udp", "UDP"}, {"tcp", "TCP"}, {"dot", "DNS over TLS"}, {"doh", "DNS over HTTPS (HTTP/2)"},
}

// SVG draws the CPU for each answer over each transport: a panel each, the least CPU on top, with the
// reference as a line. Servers whose ratio was refused have no bar.
func (r *Report) SVG() []byte {
	var body strings.Builder
	y := panelTop
	for _, p := range panelTitles {
		if list := drawn(r.Hits, p.transport); len(list) > 0 {
			y = r.panel(&body, y, p.title, list) + panelGap
		}
	}
	height := y + 18
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="title">`+"\n", chartWidth, height)
	fmt.Fprintf(&out, "  <title id=\"title\">CPU time of DNS servers for each cached answer</title>\n  <style>%s  </style>\n", chartStyle)
	fmt.Fprintf(&out, "  <text class=\"title\" x=\"16\" y=\"28\">CPU time for each cached answer</text>\n")
	fmt.Fprintf(&out, "  <text class=\"quiet\" x=\"16\" y=\"47\">microseconds of the server, and the ratio to %s: less is better</text>\n", html.EscapeString(r.title(r.Reference)))
	out.WriteString(body.String())
	date, _, _ := strings.Cut(r.Date, "T")
	fmt.Fprintf(&out, "  <text class=\"quiet\" x=\"16\" y=\"%d\">%s, %d CPUs, %d threads a server, %d names, medians of %d interleaved rounds</text>\n</svg>\n",
		y, html.EscapeString(date), r.CPUs, r.Threads, r.Names, r.Rounds)
	return []byte(out.String())
}

// drawn returns the series of a transport: the least CPU first, and those without a ratio last.
func drawn(hits []Series, transport string) []Series {
	var list []Series
	for _, s := range hits {
		if s.Transport == transport {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b Series) int {
		if refused := cmp.Compare(bit(a.Ratio == 0), bit(b.Ratio == 0)); refused != 0 {
			return refused
		}
		return cmp.Compare(a.CPU, b.CPU)
	})
	return list
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// panel draws the bars of one transport from y on, and returns where it ends.
func (r *Report) panel(w *strings.Builder, y int, title string, list []Series) int {
	fmt.Fprintf(w, "  <text class=\"panel\" x=\"16\" y=\"%d\">%s</text>\n", y+18, html.EscapeString(title))
	top, longest := y+panelHead, 0.0
	for _, s := range list {
		if s.Ratio > 0 {
			longest = max(longest, s.CPU)
		}
	}
	const room = chartWidth - labelWidth - valueWidth - 32
	for i, s := range list {
		line := top + i*barStep
		r.label(w, line, s)
		if s.Ratio > 0 {
			bar(w, line, s, room*s.CPU/longest)
		} else {
			fmt.Fprintf(w, "  <text class=\"quiet\" x=\"%d\" y=\"%d\">not compared: answers were lost or wrong</text>\n", labelWidth, line+13)
		}
	}
	bottom := top + len(list)*barStep
	if i := slices.IndexFunc(list, func(s Series) bool { return s.Server == r.Reference && s.Ratio > 0 }); i >= 0 {
		x := labelWidth + room*list[i].CPU/longest
		fmt.Fprintf(w, "  <line class=\"line\" x1=\"%.1f\" x2=\"%.1[1]f\" y1=\"%d\" y2=\"%d\"/>\n", x, top-6, bottom-2)
	}
	return bottom
}

func (r *Report) label(w *strings.Builder, line int, s Series) {
	class := "name"
	if s.Server == ours {
		class = "name-ours"
	}
	fmt.Fprintf(w, "  <text class=\"%s\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", class, labelWidth-8, line+13, html.EscapeString(r.title(s.Server)))
}

func bar(w *strings.Builder, line int, s Series, length float64) {
	class := "bar"
	if s.Server == ours {
		class = "bar ours"
	}
	fmt.Fprintf(w, "  <rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"3\"/>\n", class, labelWidth, line, length, barHeight)
	fmt.Fprintf(w, "  <text class=\"value\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%.1f</text>\n", chartWidth-16-ratioWidth, line+13, s.CPU)
	fmt.Fprintf(w, "  <text class=\"value quiet\" x=\"%d\" y=\"%d\" text-anchor=\"end\">× %.2f</text>\n", chartWidth-16, line+13, s.Ratio)
}

// title is how a server is called for people.
func (r *Report) title(server string) string {
	for _, s := range r.Servers {
		if s.Name == server {
			return s.Title
		}
	}
	return server
}
