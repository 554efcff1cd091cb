package cli

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sarn/internal/bench/load"
	"sarn/internal/bench/report"
)

// reportFormat is the value of --output where there is a report to print.
type reportFormat format

const (
	formatCSV  reportFormat = "csv"
	formatHTML reportFormat = "html"
)

var reportFormats = append(slices.Clone(formats), string(formatCSV), string(formatHTML))

// String implements pflag.Value.
func (f *reportFormat) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *reportFormat) Type() string { return "format" }

// Set implements pflag.Value.
func (f *reportFormat) Set(s string) error {
	if !slices.Contains(reportFormats, s) {
		return fmt.Errorf("use %s", strings.Join(reportFormats, ", "))
	}
	*f = reportFormat(s)
	return nil
}

// flag takes the place of the flag that all commands have.
func (f *reportFormat) flag(cmd *cobra.Command) {
	cmd.Flags().VarP(f, "output", "o", "how to print: `table`, json, yaml, csv or html")
	complete(cmd, "output", reportFormats...)
}

func (a *app) printLoad(r *load.Result, f reportFormat) error {
	switch f {
	case formatCSV:
		return a.writeCSV(loadHead, [][]string{loadRow(r)})
	case formatHTML:
		return report.Load(a.Out, r, a.version())
	}
	a.format = format(f)
	return a.print(r, func() error { return a.printLoadTable(r) })
}

func (a *app) writeCSV(head []string, rows [][]string) error {
	w := csv.NewWriter(a.Out)
	if !a.noHeaders {
		rows = append([][]string{head}, rows...)
	}
	if err := w.WriteAll(rows); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

// loadHead names the figures of a test as its JSON does.
var loadHead = []string{
	"url", "protocol", "loop", "concurrency", "keepalive", "rate", "seconds", "requests", "failed", "requests_per_second",
	"time_per_request_ms", "latency_mean", "latency_p50", "latency_p90", "latency_p99", "latency_p999", "latency_max",
	"latency_corrected_p50", "latency_corrected_p99", "bytes_received", "client_busy", "client_limit",
}

func loadRow(r *load.Result) []string {
	row := []string{
		r.URL, r.Protocol, string(r.Loop), strconv.Itoa(r.Concurrency), strconv.FormatBool(r.KeepAlive), known(r.Rate),
		csvNumber(r.Seconds), strconv.FormatInt(r.Requests, 10), strconv.FormatInt(r.Failed, 10), csvNumber(r.RequestsPerSecond),
		known(r.TimePerRequest),
	}
	var none load.Latency
	latency, corrected := &r.Latency, &none
	if r.Corrected != nil {
		corrected = r.Corrected
	}
	for _, v := range []float64{latency.Mean, latency.P50, latency.P90, latency.P99, latency.P999, latency.Max, corrected.P50, corrected.P99} {
		row = append(row, known(v))
	}
	return append(row, strconv.FormatInt(r.BytesReceived, 10), csvNumber(r.Client.Busy), strconv.FormatBool(r.Client.Limit))
}

func csvNumber(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// known writes a figure that is 0 only if there is none, and that JSON then leaves out.
func known(v float64) string {
	if v == 0 {
		return ""
	}
	return csvNumber(v)
}

func (a *app) printLoadTable(r *load.Result) error {
	var s sheet
	s.line("test", "%s %s, %s", r.Method, r.URL, howLoaded(r))
	if r.Server != "" {
		s.line("server", "%s", r.Server)
	}
	if r.TLS != "" {
		s.line("tls", "%s", r.TLS)
	}
	s.line("requests", "%d in %s s", r.Requests, digits(r.Seconds))
	answered := r.Requests > 0
	if answered {
		s.line("rate", "%s requests/s", digits(r.RequestsPerSecond))
	}
	if answered && r.Loop == load.Closed {
		s.line("time/request", "%s ms (mean), %s ms across all", digits(r.TimePerRequest), digits(r.TimePerRequest/float64(r.Concurrency)))
	}
	s.line("status", "%s", statusWords(r.Statuses))
	s.line("failed", "%d", r.Failed)
	s.line("connections", "%d", r.Connections)
	if r.Interim > 0 {
		s.line("interim", "%d answers 1xx before final ones", r.Interim)
	}
	if r.Resent > 0 {
		s.line("resent", "%d, whose connection the server had closed while it was idle", r.Resent)
	}
	if received := bytesWords(float64(r.BytesReceived)); answered {
		s.line("received", "%s, %s/s; a body has %s", received, bytesWords(float64(r.BytesReceived)/max(r.Seconds, 1e-9)), bodyWords(r))
	} else {
		s.line("received", "%s", received)
	}
	s.line("client", "%.0f %% of %s", 100*r.Client.Busy, plural(r.Client.CPUs, "CPU"))
	if err := s.write(a.Out); err != nil {
		return err
	}
	if err := a.printLatencies(r); err != nil {
		return err
	}
	if len(r.Failures) > 0 {
		fmt.Fprintln(a.Out)
		failures := newTable("FAILED", "KIND", "WHAT HAPPENED TO THE FIRST")
		for _, f := range r.Failures {
			failures.add(strconv.FormatInt(f.Count, 10), string(f.Kind), f.Words)
		}
		if err := a.printTable(failures); err != nil {
			return err
		}
	}
	a.printNotes(r.Notes)
	return nil
}

func (a *app) printNotes(notes []string) {
	for _, n := range notes {
		fmt.Fprintf(a.Out, "\nnote: %s\n", printable(n))
	}
}

func (a *app) printLatencies(r *load.Result) error {
	t := newTable("MS", "MIN", "MEAN", "P50", "P75", "P90", "P95", "P99", "P99.9", "MAX")
	add := func(name string, l *load.Latency) {
		if l.IsZero() {
			return
		}
		row := []string{name}
		for _, v := range []float64{l.Min, l.Mean, l.P50, l.P75, l.P90, l.P95, l.P99, l.P999, l.Max} {
			row = append(row, digits(v))
		}
		t.add(row...)
	}
	if r.Corrected != nil {
		add("from due (corrected)", r.Corrected)
		add("from sent (raw)", &r.Latency)
	} else {
		add("request", &r.Latency)
	}
	add("connect", r.Connect)
	if len(t.rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	return a.printTable(t)
}

// howLoaded is the kind of test in words.
func howLoaded(r *load.Result) string {
	words := []string{r.Protocol}
	switch {
	case r.Streams > 1:
		words = append(words, fmt.Sprintf("%d streams a connection", r.Streams))
	case r.Streams == 0 && r.KeepAlive:
		words = append(words, "keep-alive")
	case r.Streams == 0:
		words = append(words, "a connection each")
	}
	if r.Loop == load.Open {
		words = append(words, fmt.Sprintf("open loop of %s requests/s, at most %d at a time", digits(r.Rate), r.Concurrency))
	} else {
		words = append(words, fmt.Sprintf("closed loop, %d at a time", r.Concurrency))
	}
	return strings.Join(words, ", ")
}

func statusWords(statuses map[int]int64) string {
	if len(statuses) == 0 {
		return "no answer"
	}
	var words []string
	for code, n := range statuses {
		words = append(words, fmt.Sprintf("%d: %d", code, n))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func bodyWords(r *load.Result) string {
	if r.ShortestBody == r.LongestBody {
		return bytesWords(float64(r.LongestBody))
	}
	return bytesWords(float64(r.ShortestBody)) + " to " + bytesWords(float64(r.LongestBody))
}

func bytesWords(n float64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	i := 0
	for ; n >= 1000 && i < len(units)-1; i++ {
		n /= 1000
	}
	return digits(n) + " " + units[i]
}

// digits writes v with three digits that say something.
func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100 || v == float64(int64(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
