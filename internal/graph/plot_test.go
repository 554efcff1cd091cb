package graph

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestPlot(t *testing.T) {
	p := &Plot{
		Title: "Latency", Unit: "ms", Log: true,
		Ticks: []Tick{{0, "0 %"}, {1, "90 %"}, {2, "99 %"}, {2.01, "too near"}, {3, "99.9 %"}},
		Lines: []Line{{"raw <1>", []Place{{0, 0.3}, {1, 4}, {3, 1900}}}, {"corrected", []Place{{0, 1}, {3, 2500}}}},
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	got := read(t, p.SVG())
	for i, a := range got.texts {
		if !a.within(got.page) {
			t.Errorf("%q leaves the page", a.what)
		}
		for _, b := range got.texts[i+1:] {
			if a.overlaps(b) {
				t.Errorf("%q overlaps %q", a.what, b.what)
			}
		}
	}
	for _, text := range []string{"ms", "0 %", "99.9 %", "raw <1>", "corrected", "0.10", "10", "10,000"} {
		got.once(t, text, "plain")
	}
}

// TestPlotHeights puts points where their values say.
func TestPlotHeights(t *testing.T) {
	for _, log := range []bool{false, true} {
		for _, high := range []float64{0.003, 0.9, 1, 7, 1000, 123456} {
			p := &Plot{Ticks: []Tick{{0, ""}, {10, ""}}, Log: log, Lines: []Line{{"", []Place{{0, high / 100}, {10, high}}}}}
			s := p.scale()
			if s.low > high/100 || s.high < high || len(s.ticks) < 2 || len(s.ticks) > 12 {
				t.Errorf("log %v, up to %g: ticks %v", log, high, s.ticks)
			}
			_, path, _ := strings.Cut(string(p.SVG()), `class="hollow edge0" d="M`)
			from, to, _ := strings.Cut(path, "L")
			y1, _ := strconv.ParseFloat(strings.Fields(from)[1], 64)
			y2, _ := strconv.ParseFloat(strings.Trim(strings.Fields(to)[1], `"/>`), 64)
			if !(y1 > y2) || y2 < plotTop-1 || y1 > plotTop+plotHigh+1 {
				t.Errorf("log %v, up to %g: from %g to %g", log, high, y1, y2)
			}
		}
	}
}

func TestPlotOfNothing(t *testing.T) {
	ticks := []Tick{{0, "a"}, {1, "b"}}
	for _, p := range []Plot{
		{}, {Ticks: ticks}, {Ticks: ticks[:1], Lines: []Line{{"", []Place{{0, 1}}}}},
		{Ticks: ticks, Lines: []Line{{"", []Place{{0, -1}}}}},
		{Ticks: ticks, Lines: []Line{{"", []Place{{0, math.NaN()}}}}},
		{Ticks: ticks, Log: true, Lines: []Line{{"", []Place{{0, 0}}}}},
		{Ticks: ticks, Lines: make([]Line, 9)},
	} {
		if p.Validate() == nil {
			t.Errorf("%+v is said to be fine", p)
		}
	}
	flat := Plot{Ticks: ticks, Lines: []Line{{"", []Place{{0, 0}}}}}
	if err := flat.Validate(); err != nil {
		t.Error(err)
	}
	read(t, flat.SVG())
	one := Plot{Ticks: ticks, Log: true, Lines: []Line{{"", []Place{{0, 10}, {1, 10}}}}}
	read(t, one.SVG())
}
