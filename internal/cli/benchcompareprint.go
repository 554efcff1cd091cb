package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"sarn/internal/bench/compare"
	"sarn/internal/bench/report"
)

// printComparison prints the result in the format that is asked for.
func (a *app) printComparison(r *compare.Result, form reportFormat) error {
	switch form {
	case formatHTML:
		return report.Comparison(a.Out, r)
	case formatCSV:
		return a.writeCSV(comparisonHead, comparisonRows(r))
	}
	a.format = format(form)
	return a.print(r, func() error { return a.printComparisonTable(r) })
}

func (a *app) printComparisonTable(r *compare.Result) error {
	t := newTable("SERVER", "REQUESTS/S", "(95 %)", "TIME/REQUEST", "(95 %)", "P50", "P99", "ERRORS", "CPUS BUSY")
	t.alarm = func(column, cell string) bool { return column == "ERRORS" && cell != "0" }
	for _, s := range r.Servers {
		if len(s.Rounds) == 0 {
			t.add(s.Name, "", "", "", "", "", "", "", "")
			continue
		}
		busy := ""
		if s.Busy > 0 {
			busy = fmt.Sprintf("%.2f", s.Busy)
		}
		t.add(s.Name, fmt.Sprintf("%.0f", s.RequestsPerSecond.Value), interval(s.RequestsPerSecond, 0, ""),
			millis(s.TimePerRequest.Value), interval(s.TimePerRequest, 3, " ms"),
			millis(s.Latency.P50), millis(s.Latency.P99), strconv.FormatInt(s.Failures+s.BadCodes, 10), busy)
	}
	if err := a.printTable(t); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteByte('\n')
	for _, p := range r.Telling() {
		b.WriteString(printable(p.Words) + "\n")
	}
	for _, n := range r.Notes {
		for i, line := range strings.Split(n, "\n") {
			if i == 0 {
				b.WriteString("\nnote: ")
			}
			b.WriteString(printable(line) + "\n")
		}
	}
	fmt.Fprintf(&b, "\n%s\n%d of %s, seed %d, in %s\n", report.Asked(&r.Config), len(r.Order), plural(r.Config.Rounds, "round"),
		r.Config.Seed, time.Duration(r.Seconds*float64(time.Second)).Round(100*time.Millisecond))
	fmt.Fprintf(&b, "%s\n", printable(r.Machine.String()))
	_, err := fmt.Fprint(a.Out, b.String())
	return err
}

// interval writes an estimate's ends, nothing where they say nothing.
func interval(e compare.Estimate, digits int, unit string) string {
	if e.Low >= e.High {
		return ""
	}
	return fmt.Sprintf("%.*f–%.*f%s", digits, e.Low, digits, e.High, unit)
}

func millis(ms float64) string { return fmt.Sprintf("%.3f ms", ms) }

// comparisonHead names the figures of a round as their JSON does.
var comparisonHead = []string{
	"round", "place", "server", "started", "seconds", "requests", "failed", "requests_per_second", "time_per_request_ms",
	"latency_mean", "latency_p50", "latency_p90", "latency_p99", "latency_p999", "latency_max",
	"server_cpu_seconds", "client_busy", "client_limit",
}

// comparisonRows returns a row for each server and round, in the order in which they
// were measured.
func comparisonRows(r *compare.Result) [][]string {
	var rows [][]string
	for i, names := range r.Order {
		for _, name := range names {
			for _, s := range r.Servers {
				for _, n := range s.Rounds {
					if s.Name == name && n.Number == i+1 {
						rows = append(rows, comparisonRow(s.Name, n))
					}
				}
			}
		}
	}
	return rows
}

func comparisonRow(name string, n compare.Round) []string {
	return []string{
		strconv.Itoa(n.Number), strconv.Itoa(n.Place), plainCell(name), n.Started.UTC().Format(time.RFC3339Nano),
		csvNumber(n.Seconds), strconv.FormatInt(n.Requests, 10), strconv.FormatInt(n.Failed, 10),
		csvNumber(n.RequestsPerSecond), known(n.TimePerRequest),
		known(n.Latency.Mean), known(n.Latency.P50), known(n.Latency.P90), known(n.Latency.P99), known(n.Latency.P999), known(n.Latency.Max),
		known(n.ServerCPUSeconds), csvNumber(n.Client.Busy), strconv.FormatBool(n.Client.Limit),
	}
}

// plainCell keeps a spreadsheet from taking a name for a formula.
func plainCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

// writeComparison writes the files that are asked for.
func (a *app) writeComparison(r *compare.Result, o *comparing) error {
	if o.chart != "" {
		c := report.Chart(r)
		if err := c.Validate(); err != nil {
			return fmt.Errorf("draw %s: %w", o.chart, err)
		}
		if err := os.WriteFile(o.chart, c.SVG(), 0o644); err != nil {
			return err
		}
		a.progress("wrote %s", o.chart)
	}
	if o.report == "" {
		return nil
	}
	f, err := os.Create(o.report)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // the second time after a success
	if err := report.Comparison(f, r); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	a.progress("wrote %s", o.report)
	return nil
}
