package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"sarn/internal/graph"
	"sarn/internal/intent"
)

// measure is one thing that is measured, in words and with its unit.
type measure string

// figures are what was measured of one fleet.
type figures map[measure]float64

const (
	rest measure = "memory, all agents connected, MB"
	peak measure = "memory, the most, MB"

	fillTime measure = "fleet posted, 5,000 ports a change: time, ms"
	fillCPU  measure = "fleet posted: CPU, ms"
	listTime measure = "all ports listed: time, ms"
	listCPU  measure = "all ports listed: CPU, ms"

	portAnswered     measure = "port created: answered, p50, ms"
	portAnsweredTail measure = "port created: answered, p99, ms"
	portTold         measure = "port created: all concerned told, p50, ms"
	portToldTail     measure = "port created: all concerned told, p99, ms"
	portDone         measure = "port created: in sync, p50, ms"
	portDoneTail     measure = "port created: in sync, p99, ms"
	portCPU          measure = "port created: CPU, ms"
	moveDone         measure = "port moved, three changes: in sync, p50, ms"
	moveCPU          measure = "port moved: CPU, ms"
	subnetDone       measure = "subnet created: in sync, p50, ms"
	subnetCPU        measure = "subnet created: CPU, ms"
	subnetSent       measure = "subnet created: sent, MB"
	nodeDone         measure = "node created: in sync, p50, ms"
	nodeCPU          measure = "node created: CPU, ms"

	nothingTime measure = "all agents come with nothing: time, ms"
	nothingCPU  measure = "all agents come with nothing: CPU, ms"
	nothingSent measure = "all agents come with nothing: sent, MB"
	stateTime   measure = "all agents come back: time, ms"
	stateCPU    measure = "all agents come back: CPU, ms"
	stateSent   measure = "all agents come back: sent, MB"
	startTime   measure = "server killed and started: time until it answers, ms"
	restartTime measure = "all agents come back to it: time, ms"
	restartCPU  measure = "all agents come back to it: CPU, ms"
	restartSent measure = "all agents come back to it: sent, MB"
)

// order is that of the table's rows.
func order() []measure {
	return []measure{
		rest, peak,
		portAnswered, portAnsweredTail, portTold, portToldTail, portDone, portDoneTail, portCPU,
		moveDone, moveCPU, subnetDone, subnetCPU, subnetSent, nodeDone, nodeCPU,
		nothingTime, nothingCPU, nothingSent, stateTime, stateCPU, stateSent,
		startTime, restartTime, restartCPU, restartSent,
		fillTime, fillCPU, listTime, listCPU,
	}
}

// results are the figures of fleets of growing size.
type results struct {
	mode    intent.Mode
	sizes   []int // nodes
	ports   int   // a node
	figures []figures
}

// table writes the results in Markdown.
func (r *results) table(to io.Writer) {
	var line strings.Builder
	fmt.Fprintf(&line, "| %s mode, %d ports a node |", r.mode, r.ports)
	for _, n := range r.sizes {
		fmt.Fprintf(&line, " %s nodes |", thousands(n))
	}
	fmt.Fprintln(&line, " grows as n to the |")
	fmt.Fprintln(&line, "| --- |"+strings.Repeat(" ---: |", len(r.sizes)+1))
	for _, m := range order() {
		fmt.Fprintf(&line, "| %s |", m)
		for _, f := range r.figures {
			fmt.Fprintf(&line, " %s |", figure(f[m]))
		}
		fmt.Fprintf(&line, " %s |\n", r.growth(m))
	}
	fmt.Fprint(to, line.String())
}

// growth is the slope of the figure over the number of nodes, both as logarithms, among
// the larger half of the fleets: in small ones what costs the same in all hides it.
func (r *results) growth(m measure) string {
	var xs, ys []float64
	for i := len(r.sizes) / 2; i < len(r.sizes); i++ {
		if v := r.figures[i][m]; v > 0 {
			xs, ys = append(xs, math.Log(float64(r.sizes[i]))), append(ys, math.Log(v))
		}
	}
	if len(xs) < 2 {
		return "–"
	}
	x, y := mean(xs), mean(ys)
	var up, along float64
	for i := range xs {
		up += (xs[i] - x) * (ys[i] - y)
		along += (xs[i] - x) * (xs[i] - x)
	}
	return strconv.FormatFloat(up/along, 'f', 1, 64)
}

func mean(all []float64) float64 {
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	return sum / float64(len(all))
}

// chart draws how a measure grows; tail, if not empty, is the far end of its range.
func (r *results) chart(title string, m, tail measure) []byte {
	c := graph.Chart{Title: title, Unit: string(m) + ", " + string(r.mode) + " mode"}
	for i, n := range r.sizes {
		b := graph.Bar{Label: thousands(n) + " nodes", Value: r.figures[i][m]}
		if tail != "" {
			b.Low, b.High = b.Value, max(b.Value, r.figures[i][tail])
		}
		c.Bars = append(c.Bars, b)
	}
	return c.SVG()
}

// figure writes v with three digits, or as a whole number.
func figure(v float64) string {
	switch {
	case v >= 100:
		return thousands(int(math.Round(v)))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// quantile returns the value below which a share q of all lies; all is not empty.
func quantile(all []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
