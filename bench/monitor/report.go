package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sarn/internal/graph"
)

// measure is one thing that is measured, in words and with its unit.
type measure string

// figures are what was measured in one turn.
type figures map[measure]float64

const (
	cpuMinute    measure = "CPU, s a minute"
	cpuRefresh   measure = "CPU, ms a refresh"
	refreshRate  measure = "refreshes a second"
	bytesRefresh measure = "sent to the terminal, bytes a refresh"
	firstScreen  measure = "until the first screen, ms"
	peakMemory   measure = "memory, peak, MiB"

	onceCPU   measure = "CPU, ms"
	onceTime  measure = "time, ms"
	onceBytes measure = "printed, bytes"

	servedCPU    measure = "CPU, ms a second"
	servedBytes  measure = "sent to each, bytes a second"
	servedEvents measure = "events to each, a second"
	answerTime   measure = "answered after, ms"
	restMemory   measure = "memory, MiB"
)

// subject is a tool or a state of a server, with the figures of its turns.
type subject struct {
	Name  string                `json:"name"`
	Turns map[measure][]float64 `json:"turns"`
}

// section is a table.
type section struct {
	Title    string     `json:"title"`
	Measures []measure  `json:"measures"`
	Subjects []*subject `json:"subjects"`
}

// report is everything that was measured.
type report struct {
	Machine  string     `json:"machine"`
	Crowd    int        `json:"extra_processes"`
	Seconds  float64    `json:"seconds_a_turn"`
	Sections []*section `json:"sections"`

	goals []goal
}

// goal is a ratio that was asked for.
type goal struct {
	what            string
	ratio           float64
	low, high, want float64
}

func newReport(o *options) *report {
	return &report{Machine: machine(), Crowd: o.crowd, Seconds: o.turn.Seconds()}
}

func (r *report) screen(name string, f figures) {
	r.add("In a terminal of 200 by 50, a refresh a second", name, f, cpuMinute, cpuRefresh, refreshRate, bytesRefresh, firstScreen, peakMemory)
}

func (r *report) once(name string, f figures) {
	r.add("Printed once, with the rates of a second", name, f, onceCPU, onceTime, onceBytes)
}

func (r *report) served(name string, f figures) {
	r.add("sarn monitor serve, a pass a second", name, f, servedCPU, servedBytes, servedEvents, restMemory, peakMemory)
}

func (r *report) history(days int, when string, f figures) {
	r.add(fmt.Sprintf("sarn monitor serve with %d days of history", days), when, f, answerTime, restMemory, peakMemory)
}

func (r *report) add(title, name string, f figures, measures ...measure) {
	var s *section
	for _, have := range r.Sections {
		if have.Title == title {
			s = have
		}
	}
	if s == nil {
		s = &section{Title: title, Measures: measures}
		r.Sections = append(r.Sections, s)
	}
	var of *subject
	for _, have := range s.Subjects {
		if have.Name == name {
			of = have
		}
	}
	if of == nil {
		of = &subject{Name: name, Turns: map[measure][]float64{}}
		s.Subjects = append(s.Subjects, of)
	}
	for m, v := range f {
		of.Turns[m] = append(of.Turns[m], v)
	}
}

// find is the figures of a subject by its name, nil if it was not measured.
func (r *report) find(name string, m measure) []float64 {
	for _, s := range r.Sections {
		for _, of := range s.Subjects {
			if of.Name == name {
				return of.Turns[m]
			}
		}
	}
	return nil
}

// compare notes the ratio of two subjects, turn by turn, beside what was asked for.
func (r *report) compare(ours, theirs string, m measure, want float64) {
	a, b := r.find(ours, m), r.find(theirs, m)
	var all []float64
	for i := range min(len(a), len(b)) {
		all = append(all, a[i]/b[i])
	}
	if len(all) > 0 {
		r.goals = append(r.goals, goal{fmt.Sprintf("%s / %s, %s", ours, theirs, m), median(all), slices.Min(all), slices.Max(all), want})
	}
}

func (r *report) write(o *options) error {
	r.order(o)
	r.compare("sarn top", "glances", cpuMinute, 0.1)
	r.compare("sarn top", "htop", cpuMinute, 1)
	r.compare("sarn top", "btop", cpuMinute, 0)
	r.compare("sarn top", "top", cpuMinute, 0)
	for _, n := range o.viewers[min(1, len(o.viewers)):] {
		want := 0.0
		if n == 10 {
			want = 1.5
		}
		r.compare(strconv.Itoa(n)+" look on", "0 look on", servedCPU, want)
	}
	r.table(os.Stdout)
	if o.json != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.pictures == "" {
		return nil
	}
	picture := r.chart(cpuMinute)
	if picture == nil {
		return nil
	}
	return os.WriteFile(filepath.Join(o.pictures, "bench-monitor.svg"), picture, 0o644)
}

// order puts subjects as they are named, not as they were drawn.
func (r *report) order(o *options) {
	names := []string{"sarn top", "top", "htop", "btop", "glances", "sarn top --once", "sarn top --once -o csv"}
	for _, n := range o.viewers {
		names = append(names, strconv.Itoa(n)+" look on")
	}
	place := func(s *subject) int {
		if i := slices.Index(names, s.Name); i >= 0 {
			return i
		}
		return len(names)
	}
	for _, s := range r.Sections {
		slices.SortStableFunc(s.Subjects, func(a, b *subject) int { return place(a) - place(b) })
	}
}

// table prints medians, with the least and the most.
func (r *report) table(w io.Writer) {
	fmt.Fprintf(w, "%s; %d extra processes\n", r.Machine, r.Crowd)
	for _, s := range r.Sections {
		head, line := "\n| "+s.Title+" |", "| --- |"
		for _, of := range s.Subjects {
			head, line = head+" "+of.Name+" |", line+" --- |"
		}
		fmt.Fprintf(w, "%s\n%s\n", head, line)
		for _, m := range s.Measures {
			fmt.Fprintf(w, "| %s |", m)
			for _, of := range s.Subjects {
				fmt.Fprintf(w, " %s |", spread(of.Turns[m]))
			}
			fmt.Fprintln(w)
		}
	}
	if len(r.goals) == 0 {
		return
	}
	fmt.Fprint(w, "\n| ratio, round by round | median | range | goal |\n| --- | --- | --- | --- |\n")
	for _, g := range r.goals {
		want := ""
		if g.want > 0 {
			want = strconv.FormatFloat(g.want, 'g', -1, 64)
		}
		fmt.Fprintf(w, "| %s | %.2f | %.2f to %.2f | %s |\n", g.what, g.ratio, g.low, g.high, want)
	}
}

// spread is the median and, of several figures, the least and the most.
func spread(all []float64) string {
	switch len(all) {
	case 0:
		return "–"
	case 1:
		return short(all[0])
	}
	return fmt.Sprintf("%s (%s to %s)", short(median(all)), short(slices.Min(all)), short(slices.Max(all)))
}

func short(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func median(all []float64) float64 {
	v := slices.Sorted(slices.Values(all))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// chart draws one measure of the tools with a screen.
func (r *report) chart(m measure) []byte {
	c := graph.Chart{Title: fmt.Sprintf("Monitors at a refresh a second, %d extra processes", r.Crowd), Unit: string(m)}
	for _, s := range r.Sections {
		if !slices.Contains(s.Measures, m) {
			continue
		}
		for _, of := range s.Subjects {
			v := of.Turns[m]
			c.Bars = append(c.Bars, graph.Bar{Label: of.Name, Value: median(v), Low: slices.Min(v), High: slices.Max(v)})
		}
	}
	if v := r.find("glances", m); len(v) > 0 {
		tenth := median(v) / 10
		c.Goal = &tenth
	}
	if c.Validate() != nil {
		return nil
	}
	return c.SVG()
}

// machine says what this one is.
func machine() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	info, _ := os.ReadFile("/proc/cpuinfo")
	models := map[string]int{}
	for l := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
			models[strings.TrimSpace(value)]++
		}
	}
	words := []string{"Linux " + strings.TrimSpace(string(kernel))}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		words = append(words, fmt.Sprintf("%d CPUs %s", models[name], name))
	}
	return strings.Join(words, ", ")
}
