package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sarn/internal/bench/compare"
	"sarn/internal/graph"
)

// Comparison writes the HTML report of a comparison.
func Comparison(w io.Writer, r *compare.Result) error {
	body := comparison{Result: r}
	if c := Chart(r); c.Validate() == nil {
		body.Chart = c.SVG()
	}
	program := "sarn"
	if r.Program != "" {
		program += " " + r.Program
	}
	return render(w, "compare.html", page{
		Title: title(r), Kind: "Comparison of web servers", Started: r.Started, Program: program, Body: &body,
	})
}

// Chart is the mean time per request of each server that has one, fastest first. It is
// not valid if none has.
func Chart(r *compare.Result) *graph.Chart {
	c := &graph.Chart{Title: "Time per request (mean), ms", Unit: title(r) + "; with 95 % intervals; shorter is better"}
	for _, s := range r.Servers {
		if len(s.Rounds) > 0 {
			t := s.TimePerRequest
			c.Bars = append(c.Bars, graph.Bar{Label: s.Name, Value: t.Value, Low: t.Low, High: t.High})
		}
	}
	return c
}

func title(r *compare.Result) string {
	if r.Title != "" {
		return r.Title
	}
	names := make([]string, len(r.Config.Servers))
	for i, s := range r.Config.Servers {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// comparison is what compare.html shows.
type comparison struct {
	Result *compare.Result
	Chart  []byte
}

// Errors counts the requests without an answer, and the answers with a wrong status.
func (c *comparison) Errors(s compare.Server) int64 { return s.Failures + s.BadCodes }

// Cell is the verdict on whether row is faster than column. What is undecided stands on
// both sides of the diagonal.
func (c *comparison) Cell(row, column string) string {
	p := c.Result.Pair(row, column)
	switch {
	case p == nil:
		return ""
	case p.Faster == row, p.Verdict != compare.Differ && p.Verdict != compare.AtLeast:
		return p.Short()
	}
	return "–"
}

// Asked says how the servers were asked.
func (c *comparison) Asked() string { return Asked(&c.Result.Config) }

// Asked says how a comparison's servers are asked.
func Asked(f *compare.Config) string {
	method := f.Method
	if method == "" {
		method = "GET"
		if f.Body != "" {
			method = "POST"
		}
	}
	words := []string{method, fmt.Sprintf("%d at a time", f.Concurrency)}
	switch {
	case f.HTTP2:
		words = append(words, "HTTP/2")
	case f.KeepAlive:
		words = append(words, "keep-alive")
	default:
		words = append(words, "a connection for each request")
	}
	if f.Requests > 0 {
		words = append(words, fmt.Sprintf("%s requests a round", count(f.Requests)))
	}
	if f.Duration > 0 {
		words = append(words, fmt.Sprintf("%s a round", time.Duration(f.Duration)))
	}
	return strings.Join(words, ", ")
}
