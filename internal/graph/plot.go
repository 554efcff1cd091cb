package graph

import (
	"fmt"
	"math"
	"strings"
)

// Plot is figures as lines over a common axis.
type Plot struct {
	Title string
	Unit  string // of the lines' heights
	Lines []Line
	// Ticks name places on the axis, which goes from the first to the last of them.
	Ticks []Tick
	// Log draws heights by their logarithm, for figures of many sizes. They must be
	// positive then.
	Log bool
}

// Line is one row of figures, from left to right.
type Line struct {
	Label  string
	Points []Place
}

// Place is a point of a line: X on the axis, Y in the plot's unit.
type Place struct{ X, Y float64 }

// Tick names a place on the axis.
type Tick struct {
	X     float64
	Label string
}

// Validate says what cannot be drawn.
func (p *Plot) Validate() error {
	if len(p.Ticks) < 2 || !(p.Ticks[len(p.Ticks)-1].X > p.Ticks[0].X) {
		return fmt.Errorf("the axis needs two ends")
	}
	if len(p.Lines) > len(colours) {
		return fmt.Errorf("%d lines are too many to tell apart; at most %d", len(p.Lines), len(colours))
	}
	some := false
	for _, l := range p.Lines {
		for _, at := range l.Points {
			if math.IsNaN(at.X) || math.IsNaN(at.Y) || math.IsInf(at.Y, 0) || at.Y < 0 || p.Log && at.Y == 0 {
				return fmt.Errorf("%s: the point %g, %g cannot be drawn", l.Label, at.X, at.Y)
			}
			some = true
		}
	}
	if !some {
		return fmt.Errorf("there are no figures to draw")
	}
	return nil
}

// The plot's own size, in pixels.
const (
	plotWide = 560
	plotHigh = 220
	plotTop  = 84
)

// SVG draws the plot, which must be valid.
func (p *Plot) SVG() []byte {
	up := p.scale()
	left := 0
	for _, v := range up.ticks {
		left = max(left, plainFace.width(number(v)))
	}
	left += margin + 12
	first, last := p.Ticks[0].X, p.Ticks[len(p.Ticks)-1].X
	x := func(v float64) float64 { return float64(left) + min(max((v-first)/(last-first), 0), 1)*plotWide }
	y := func(v float64) float64 { return plotTop + plotHigh*(1-up.share(v)) }

	to := &canvas{}
	to.text(titleFace, margin, 42, "", p.Title)
	to.text(plainFace, margin, 62, "quiet", p.Unit)
	for _, v := range up.ticks {
		at := int(math.Round(y(v)))
		to.line("rule", left, at, left+plotWide, at)
		to.textTo(plainFace, left-12, at+4, "quiet", number(v))
	}
	free := 0 // from where on there is room for a label
	for _, t := range p.Ticks {
		at, w := int(math.Round(x(t.X))), plainFace.width(t.Label)
		to.line("rule", at, plotTop+plotHigh, at, plotTop+plotHigh+5)
		if from := at - w/2; from >= free {
			to.text(plainFace, from, plotTop+plotHigh+22, "quiet", t.Label)
			free = from + w + 8
		}
	}
	for i, l := range p.Lines {
		var path strings.Builder
		for n, at := range l.Points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(n, 1)], x(at.X), y(at.Y))
		}
		to.add(`<path class="hollow edge%d" d="%s"/>`, i, path.String())
	}
	bottom := p.legend(to, left, plotTop+plotHigh+46)
	width := max(left+plotWide+plainFace.width(p.Ticks[len(p.Ticks)-1].Label)/2, margin+titleFace.width(p.Title), margin+plainFace.width(p.Unit)) + margin
	return to.svg(width, bottom+margin, p.Title)
}

// legend names the lines below the plot, if there is more than one.
func (p *Plot) legend(to *canvas, left, y int) (bottom int) {
	if len(p.Lines) < 2 {
		return y - 20
	}
	x := left
	for i, l := range p.Lines {
		label := plainFace.fit(l.Label, plotWide-20)
		w := 16 + plainFace.width(label) + 20
		if x > left && x+w > left+plotWide {
			x, y = left, y+20
		}
		to.swatch(i, x, y-9)
		to.text(plainFace, x+16, y, "", label)
		x += w
	}
	return y
}

// scale maps heights to shares of the plot.
type scale struct {
	low, high float64 // of what ticks stand at
	log       bool
	ticks     []float64
}

func (s *scale) share(v float64) float64 {
	if s.log {
		return (math.Log(v) - math.Log(s.low)) / (math.Log(s.high) - math.Log(s.low))
	}
	return (v - s.low) / (s.high - s.low)
}

// scale chooses round figures that hold all points between them.
func (p *Plot) scale() scale {
	low, high := math.Inf(1), 0.0
	for _, l := range p.Lines {
		for _, at := range l.Points {
			low, high = min(low, at.Y), max(high, at.Y)
		}
	}
	if p.Log {
		return logScale(low, high)
	}
	if high == 0 {
		high = 1
	}
	step := round(high / 4)
	s := scale{}
	for v := 0.0; ; v += step {
		s.ticks, s.high = append(s.ticks, v), v
		if v >= high {
			return s
		}
	}
}

// logScale has ticks at 1, 2, 5, 10 ..., or at powers of ten where that is too many.
func logScale(low, high float64) scale {
	s := scale{log: true}
	steps := []float64{1, 2, 5}
	if high/low > 1000 {
		steps = steps[:1]
	}
	for e := math.Floor(math.Log10(low)); ; e++ {
		for _, m := range steps {
			v := m * math.Pow(10, e)
			if v <= low {
				s.ticks = s.ticks[:0]
			}
			s.ticks = append(s.ticks, v)
			if v >= high && len(s.ticks) > 1 {
				s.low, s.high = s.ticks[0], v
				return s
			}
		}
	}
}

// round is the next of 1, 2, 5, 10, ... that is not less than v.
func round(v float64) float64 {
	ten := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*ten >= v {
			return m * ten
		}
	}
	return 10 * ten
}
