package graph

import (
	"math"
	"testing"
)

func TestChart(t *testing.T) {
	goal := 10602.0
	c := &Chart{Title: "VM to VM", Unit: "Mbit/s", Goal: &goal, Bars: []Bar{
		{"Sarn", 10492, 9072, 11476}, {"by <hand>", 10930, 0, 0}, {"nothing", 0, 0, 0}, {"a long label of many words, to be sure", 0.0123, 0, 0},
	}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	p := read(t, c.SVG())
	for i, a := range p.texts {
		if !a.within(p.page) {
			t.Errorf("%q leaves the page", a.what)
		}
		for _, b := range p.texts[i+1:] {
			if a.overlaps(b) {
				t.Errorf("%q overlaps %q", a.what, b.what)
			}
		}
	}
	p.once(t, "VM to VM", "title")
	for _, text := range []string{"Mbit/s", "Sarn", "by <hand>", "10,492 (9,072 to 11,476)", "10,930", "0", "0.0123", "goal 10,602"} {
		p.once(t, text, "plain")
	}
	labels, at := 0, map[float64]bool{}
	for _, text := range p.texts {
		if text.ends {
			labels, at[text.right] = labels+1, true
		}
	}
	if labels != len(c.Bars) || len(at) != 1 {
		t.Errorf("%d labels end at %v; all of them end at the bars, whatever the font", labels, at)
	}
	if len(p.fills) != len(c.Bars) {
		t.Errorf("%d bars for %d figures", len(p.fills), len(c.Bars))
	}
}

func TestChartOfNothing(t *testing.T) {
	zero, nan := 0.0, math.NaN()
	for _, c := range []Chart{
		{},
		{Bars: []Bar{{Label: "a", Value: -1}}},
		{Bars: []Bar{{Label: "a", Value: nan}}},
		{Bars: []Bar{{Label: "a", Value: math.Inf(1)}}},
		{Bars: []Bar{{Label: "a", Value: 1, Low: 2, High: 1}}},
		{Bars: []Bar{{Label: "a", Value: 1}}, Goal: &nan},
	} {
		if c.Validate() == nil {
			t.Errorf("%+v is said to be fine", c)
		}
	}
	flat := Chart{Bars: []Bar{{Label: "a"}}, Goal: &zero}
	if err := flat.Validate(); err != nil {
		t.Error(err)
	}
	read(t, flat.SVG())
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 7: "7", 0.92: "0.92", 0.1: "0.10", 0.0123: "0.0123", 12.34: "12.3", 123.4: "123", 1234567: "1,234,567", 999.5: "1,000", 1e-7: "0.000000100",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%g) = %s, want %s", v, got, want)
		}
	}
}
