package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"sarn/internal/bench/load"
	"sarn/internal/graph"
)

// Load writes the HTML report of one load test, made by the version of the program.
func Load(w io.Writer, r *load.Result, version string) error {
	body := loadBody{Result: r}
	for _, p := range []*graph.Plot{latencyPlot(r), ratePlot(r)} {
		if p.Validate() == nil {
			body.Plots = append(body.Plots, picture{p.Title, p.SVG()})
		}
	}
	return render(w, "load.html", page{
		Title: r.Method + " " + r.URL, Kind: "Load test of a web server", Started: r.Started,
		Program: "sarn " + version, Body: &body,
	})
}

// loadBody is what load.html shows.
type loadBody struct {
	Result *load.Result
	Plots  []picture
}

type picture struct {
	What string
	SVG  []byte
}

// named is a distribution and what it is of.
type named struct {
	Name string
	*load.Latency
}

// Latencies are those that the test has.
func (b *loadBody) Latencies() []named {
	r := b.Result
	all := []named{{"request", &r.Latency}, {"connect", r.Connect}}
	if r.Corrected != nil {
		all = []named{{"from due (corrected)", r.Corrected}, {"from sent (raw)", &r.Latency}, {"connect", r.Connect}}
	}
	return slices.DeleteFunc(all, func(l named) bool { return l.IsZero() })
}

// Codes are the status codes in their order.
func (b *loadBody) Codes() []string {
	var codes []string
	for code, n := range b.Result.Statuses {
		codes = append(codes, fmt.Sprintf("%d: %s", code, count(n)))
	}
	slices.Sort(codes)
	return codes
}

// Percent writes a share.
func (b *loadBody) Percent(share float64) string { return figure(100*share) + " %" }

// latencyPlot has each further nine as wide as the one before: half of a test's
// requests say little about its slowest.
func latencyPlot(r *load.Result) *graph.Plot {
	p := &graph.Plot{Title: "Latency by share of requests", Unit: "milliseconds", Log: true}
	last := 1.0
	line := func(label string, l *load.Latency) {
		points := []graph.Place{}
		for _, at := range l.Curve {
			// The slowest of n requests stands where 1 - 1/n of them are faster.
			x := nines(min(at.Quantile, 1-1/float64(l.Count+1)))
			points = append(points, graph.Place{X: x, Y: max(at.MS, 1e-4)})
			last = max(last, math.Ceil(x))
		}
		p.Lines = append(p.Lines, graph.Line{Label: label, Points: points})
	}
	if r.Corrected != nil {
		line("from due (corrected)", r.Corrected)
		line("from sent (raw)", &r.Latency)
	} else {
		line("request", &r.Latency)
	}
	p.Ticks = []graph.Tick{{X: 0, Label: "0 %"}, {X: nines(0.5), Label: "50 %"}}
	for n := 1; n <= int(last); n++ {
		digits := max(n-2, 0)
		p.Ticks = append(p.Ticks, graph.Tick{X: float64(n), Label: strconv.FormatFloat(100*(1-math.Pow(10, -float64(n))), 'f', digits, 64) + " %"})
	}
	return p
}

// nines is how many nines a share has: 1 for 0.9, 2 for 0.99.
func nines(share float64) float64 { return -math.Log10(1 - share) }

func ratePlot(r *load.Result) *graph.Plot {
	p := &graph.Plot{Title: "Answers over time", Unit: "a second"}
	answers, failed := graph.Line{Label: "answers"}, graph.Line{Label: "failures"}
	parts, wide := slices.Clone(r.Timeline), r.Interval
	n := len(parts)
	if n < 3 {
		return p // one figure is no course of time
	}
	// The test ends within the last part, which alone would look like a fall of the rate.
	parts[n-2].Requests += parts[n-1].Requests
	parts[n-2].Failed += parts[n-1].Failed
	for i, part := range parts[:n-1] {
		from := float64(i) * r.Interval
		if i == n-2 {
			wide = min(max(r.Seconds-from, r.Interval), 2*r.Interval)
		}
		answers.Points = append(answers.Points, graph.Place{X: from + wide/2, Y: float64(part.Requests) / wide})
		failed.Points = append(failed.Points, graph.Place{X: from + wide/2, Y: float64(part.Failed) / wide})
	}
	p.Lines = []graph.Line{answers}
	if r.Failed > 0 {
		p.Lines = append(p.Lines, failed)
	}
	end := float64(n) * r.Interval
	for i := range 5 {
		at := end * float64(i) / 4
		label := strconv.FormatFloat(at, 'g', 3, 64)
		if at >= 1000 {
			label = figure(at)
		}
		p.Ticks = append(p.Ticks, graph.Tick{X: at, Label: label + " s"})
	}
	return p
}
