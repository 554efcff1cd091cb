package graph

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Chart is figures as horizontal bars, the first on top.
type Chart struct {
	Title string
	Unit  string // of the values, such as "Mbit/s"
	Bars  []Bar
	// Goal is where a line stands that the bars are to reach; nil for none.
	Goal *float64
}

// Bar is one figure, which is not negative. High above Low says that it was measured as
// something from Low to High, such as quartiles.
type Bar struct {
	Label            string
	Value, Low, High float64
}

// Validate says what cannot be drawn.
func (c *Chart) Validate() error {
	fine := func(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }
	if len(c.Bars) == 0 {
		return fmt.Errorf("there are no figures to draw")
	}
	for _, b := range c.Bars {
		if !fine(b.Value) || !fine(b.Low) || !fine(b.High) {
			return fmt.Errorf("%s: a bar's figures are finite and not negative", b.Label)
		}
		if b.Low > b.High {
			return fmt.Errorf("%s: the low end %g is above the high end %g", b.Label, b.Low, b.High)
		}
	}
	if c.Goal != nil && !fine(*c.Goal) {
		return fmt.Errorf("the goal is finite and not negative")
	}
	return nil
}

// SVG draws the chart, which must be valid.
func (c *Chart) SVG() []byte {
	const (
		long    = 420 // pixels of the longest bar
		high    = 24
		step    = 36
		top     = 84
		spacing = 12
	)
	most, label, value := 0.0, 0, 0
	for _, b := range c.Bars {
		most = max(most, b.Value, b.High)
		label = max(label, plainFace.width(b.Label))
		value = max(value, plainFace.width(b.words()))
	}
	if c.Goal != nil {
		most = max(most, *c.Goal)
	}
	left := margin + label + spacing
	at := func(v float64) int {
		if most == 0 {
			return left
		}
		return left + int(math.Round(v/most*long))
	}
	to := &canvas{}
	to.text(titleFace, margin, 42, "", c.Title)
	to.text(plainFace, margin, 62, "quiet", c.Unit)
	end := top + step*len(c.Bars) - (step - high)
	for i, b := range c.Bars {
		y := top + step*i
		to.textTo(plainFace, left-spacing, y+16, "", b.Label)
		to.rect(fmt.Sprintf("fill%d", i%len(colours)), left, y, at(b.Value)-left, high, 3)
		if b.High > b.Low {
			l, h, m := at(b.Low), at(b.High), y+high/2
			to.add(`<path class="range" d="M%d %dV%dM%d %dV%dM%d %dH%d"/>`, l, m-5, m+5, h, m-5, m+5, l, m, h)
		}
		to.text(plainFace, left+long+2*spacing, y+16, "", b.words())
	}
	to.line("rule", left, top-8, left, end+8)
	width := max(left+long+2*spacing+value, margin+titleFace.width(c.Title), margin+plainFace.width(c.Unit)) + margin
	if c.Goal != nil {
		x, words := at(*c.Goal), "goal "+number(*c.Goal)
		to.line("goal", x, top-8, x, end+8)
		// Beside the line, on whichever side there is room.
		to.text(plainFace, max(margin, min(x+6, width-margin-plainFace.width(words))), end+22, "quiet", words)
		end += 18
	}
	return to.svg(width, end+margin+8, c.Title)
}

// words is the figure as it stands beside its bar.
func (b Bar) words() string {
	if b.High <= b.Low {
		return number(b.Value)
	}
	return fmt.Sprintf("%s (%s to %s)", number(b.Value), number(b.Low), number(b.High))
}

// number writes v with about three digits that say something, never as a power,
// with commas between thousands.
func number(v float64) string {
	digits := 0
	switch {
	case v == math.Trunc(v) || v >= 100:
	case v >= 10:
		digits = 1
	case v >= 0.1:
		digits = 2
	default:
		digits = min(2-int(math.Floor(math.Log10(v))), 12)
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	whole, rest, _ := strings.Cut(text, ".")
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return whole
}
