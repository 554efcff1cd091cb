package term

import (
	"math"
	"time"
)

const (
	stripLabel = 6 // before the columns
	stripValue = 8 // behind them
)

// strip draws the range of time around the cursor: a row for each metric, or with little
// room the chosen one alone, and a line with times. It returns the row below.
func (v *view) strip(y, most int) int {
	p := &v.past
	p.top, p.below = y, y
	rows := metrics()
	first := 0
	if most < len(rows)+10 {
		first = p.metric
		rows = rows[first : first+1]
	}
	if most < len(rows)+2 {
		return y
	}
	p.fit(v.g.w, v.latest.Time)
	at := p.window.column(p.cursor())
	for i := range rows {
		v.stripRow(y, first+i, at)
		y++
	}
	v.stripTimes(y, at)
	p.below = y + 1
	return p.below
}

// stripRow draws a metric: in each column a tenth of all, or for what has no all of the
// largest in sight. Blank is what nothing is known of.
func (v *view) stripRow(y, m, at int) {
	p, what := &v.past, metrics()[m]
	l := dim
	if m == p.metric {
		l = strong
		v.g.ascii(0, y, '>', strong)
	}
	v.g.text(1, y, stripLabel-1, what.name, l)
	if p.strip == nil || p.strip.window != p.window {
		text := "asking history"
		if p.err != nil {
			text = "not known"
		}
		v.g.text(stripLabel, y, p.window.n, text, dim)
		return
	}
	values := p.strip.values[m]
	all := 1.0
	if !what.share {
		all = largestOf(values)
		if total := float64(v.latest.Memory.Total); what.name == "Mem" && total > 0 {
			all = total
		}
	}
	for i, x := range values {
		c, l := level(x, all)
		v.g.ascii(stripLabel+i, y, c, l)
	}
	if at >= 0 && at < len(values) {
		v.g.paint(stripLabel+at, y, 1, selected)
		b := v.b[:0]
		switch {
		case math.IsNaN(values[at]):
			b = append(b, '-')
		case what.share:
			b = append(percent(b, values[at]), '%')
		default:
			b = size(b, values[at])
		}
		v.g.right(v.g.w-stripValue+1, y, stripValue-1, b, l)
	}
}

func largestOf(values []float64) float64 {
	most := 0.0
	for _, x := range values {
		if x > most {
			most = x
		}
	}
	return most
}

// level is a value's sign: the same ones as of CPUs that have one character each.
func level(x, all float64) (byte, look) {
	tenths := int(x/all*10 + 0.5)
	switch {
	case math.IsNaN(x):
		return ' ', plain
	case all <= 0 || tenths <= 0:
		return '.', dim
	case tenths >= 10:
		return '*', bad
	case tenths >= 8:
		return byte('0' + tenths), warn
	}
	return byte('0' + tenths), plain
}

// stripTimes draws times below the strip, "!" where an alert began, and "^" at the cursor.
func (v *view) stripTimes(y, at int) {
	w := v.past.window
	layout := "15:04"
	switch {
	case w.step < 15*time.Second:
		layout = time.TimeOnly
	case time.Duration(w.n)*w.step > 36*time.Hour:
		layout = "Jan 02 15h"
	}
	const apart = 16
	for i := range w.n {
		if i%apart == 0 && i+apart-2 < w.n {
			v.b = w.at(i).Local().AppendFormat(append(v.b[:0], '|'), layout)
			if at >= i && at <= i+len(v.b) {
				continue // its time is in the first line
			}
			v.g.bytes(stripLabel+i, y, len(v.b), v.b, dim)
			v.b = v.b[:0]
		}
	}
	for _, all := range v.alerts.lists() {
		for i := range all {
			if c := w.column(all[i].Fired); !all[i].Fired.IsZero() && c >= 0 && c < w.n {
				v.g.ascii(stripLabel+c, y, '!', bad)
			}
		}
	}
	if at >= 0 && at < w.n {
		v.g.ascii(stripLabel+at, y, '^', strong)
	}
}

// pastLine stands in place of the line of the host, reversed over the whole width, so
// that nobody takes what is below for what is now.
func (v *view) pastLine(y int) {
	p := &v.past
	at, s := p.cursor(), v.sample
	w := v.line(0, y)
	w.text(" PAST ", plain)
	if !p.noPicture() {
		at = p.record.Time
	}
	w.text(stamp(at), plain)
	w.figure("", append([]byte(brevity(v.latest.Time.Sub(at))), " ago"...), plain)
	switch {
	case p.noPicture():
	case p.record.Peak == nil && s.Interval == 0:
		w.text("  first pass: no rates", plain)
	case p.record.Peak == nil:
		w.figure("", append([]byte("pass of "), brevityFine(s.Interval)...), plain)
	case p.peaks:
		w.figure("", append([]byte("PEAKS of "), brevityFine(p.record.Step)...), plain)
	default:
		w.figure("", append([]byte("mean of "), brevityFine(p.record.Step)...), plain)
	}
	if !p.since.IsZero() && time.Since(p.since) > 300*time.Millisecond {
		w.text("  asking ...", plain)
	}
	w.text("  ", plain)
	w.text(s.Host.Name, plain)
	if room := v.g.w - w.x; room > 12 {
		now := v.latest.Time.Local().AppendFormat(append(v.b[:0], "now "...), time.TimeOnly)
		v.g.right(v.g.w-len(now)-1, y, len(now), now, plain)
	}
	v.g.paint(0, y, v.g.w, selected)
}

// brevityFine is a time of seconds that may be short.
func brevityFine(seconds float64) string {
	return string(append(number(nil, seconds, -1), 's'))
}

// noPicture says whether there is nothing to show of the time.
func (p *past) noPicture() bool {
	return p.gap || p.record == nil || p.err != nil && p.drawn != p.asked.n
}

// whyNoPicture says why there is none of a time.
func (v *view) whyNoPicture(y int) {
	p := &v.past
	lines := []string{}
	switch {
	case p.err != nil:
		lines = append(lines, "No history: "+p.err.Error())
	case p.record == nil && p.bounds == nil:
		lines = append(lines, "Asking history ...")
	default:
		lines = append(lines, "Nothing was recorded at "+stamp(p.cursor())+".")
		if p.record != nil {
			lines = append(lines, "The last record before is of "+stamp(p.record.Time)+".")
		}
		if first, _ := ends(p.bounds); !first.IsZero() {
			lines = append(lines, "History begins "+stamp(first)+".")
		} else {
			lines = append(lines, "History is empty.")
		}
	}
	for _, text := range lines {
		for y++; text != "" && y < v.g.h-1; y++ {
			text = v.foldLine(y, text)
		}
		y--
	}
}

// foldLine draws as much of a text as a line holds, and returns the rest.
func (v *view) foldLine(y int, text string) string {
	for x := 0; text != ""; {
		_, rest, cells := next(text)
		if x+cells > v.g.w {
			return either(x > 0, text, rest)
		}
		v.g.text(x, y, cells, text[:len(text)-len(rest)], strong)
		x, text = x+cells, rest
	}
	return ""
}
