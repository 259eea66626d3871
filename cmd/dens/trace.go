package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"dens/resolver"
)

// printTrace writes the steps of one question for a person, a line each, in the order of their beginning.
// What is needed for another question stands below it, further to the right.
func printTrace(out io.Writer, question string, steps []resolver.Step) error {
	fmt.Fprintf(out, "%s\n\n", printable(question))
	if len(steps) == 0 {
		_, err := fmt.Fprint(out, "nobody was asked: dens knew the answer by itself, or had nobody to ask\n\n")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "       AT\tASKED\tZONE\tSERVER\t      TOOK\tLED TO")
	for _, s := range steps {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n",
			stepTime(s.At), stepQuestion(s), printable(s.Zone), stepServer(s), stepTook(s), stepResult(s))
	}
	if len(steps) == resolver.MaxSteps {
		fmt.Fprintf(table, "\t(and more: only the first %d steps are kept)\t\t\t\t\n", resolver.MaxSteps)
	}
	fmt.Fprintln(table)
	return table.Flush()
}

// stepTime writes a time in milliseconds, as wide as any that a look-up may take.
func stepTime(d time.Duration) string {
	return fmt.Sprintf("%6.1f ms", float64(d.Microseconds())/1000)
}

func stepTook(s resolver.Step) string {
	if s.Kind != resolver.StepQuery || s.RTT <= 0 {
		return strings.Repeat(" ", 9) + "-"
	}
	return " " + stepTime(s.RTT)
}

func stepQuestion(s resolver.Step) string {
	indent := strings.Repeat("  ", min(max(s.Depth, 0), maxIndent))
	return indent + strings.TrimSpace(printable(s.Name+" "+s.Type))
}

// maxIndent bounds how far to the right deep steps go.
const maxIndent = 12

// stepServer names who was asked: the server's name and address, where it has them.
func stepServer(s resolver.Step) string {
	switch s.Kind {
	case resolver.StepCached:
		return "(known)"
	case resolver.StepValidate:
		return "(validation)"
	case resolver.StepNote:
		return ""
	}
	address := s.Server
	if a, err := netip.ParseAddrPort(s.Server); err == nil && a.Port() == 53 {
		address = a.Addr().String()
	}
	if s.Transport != "" && s.Transport != "udp" && !strings.Contains(address, "://") {
		address = strings.TrimSpace(address + " " + s.Transport)
	}
	host := strings.TrimSuffix(s.Host, ".")
	switch {
	case host == "":
		return printable(address)
	case address == "":
		return printable(host)
	}
	return printable(host + " (" + address + ")")
}

// stepResult says what a step led to: the rcode where it is out of the ordinary, what came of it, and
// what validation says.
func stepResult(s resolver.Step) string {
	var parts []string
	if s.Rcode != "" && s.Rcode != "NOERROR" {
		parts = append(parts, s.Rcode)
	}
	if s.Kind == resolver.StepValidate && s.Status != "" {
		parts = append(parts, s.Status)
	}
	if s.Outcome != "" {
		parts = append(parts, s.Outcome)
	}
	if s.Kind != resolver.StepValidate && s.Status != "" {
		parts = append(parts, s.Status)
	}
	if len(parts) == 0 && s.Kind == resolver.StepQuery {
		parts = []string{"no reply so far"}
	}
	return printable(strings.Join(parts, ": "))
}
