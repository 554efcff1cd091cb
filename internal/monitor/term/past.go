package term

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

// past is where in the past the view is. What is wanted follows from the keys; what is
// shown is the latest answer.
type past struct {
	on     bool
	at     time.Time     // what is looked at: this moment, or
	within time.Duration // when the metric was at its largest from at on, for so long
	hunt   int
	window window
	zoom   int // of zooms
	metric int
	peaks  bool // shown in place of means

	asked question
	wants bool // something other than what was asked
	since time.Time
	shown int // the newest question that was answered
	drawn int // the question whose picture is shown
	found time.Time
	gap   bool // nothing is known of that time

	record *history.Record
	strip  *strip
	bounds []history.Extent
	err    error

	top, below int // where the strip is, for the mouse

	keys int // of one direction without a pause, for steps that grow
	last time.Time
}

// zooms are the times that a column of the strip can stand for.
func zooms() []time.Duration {
	const s, m, h = time.Second, time.Minute, time.Hour
	return []time.Duration{s, 5 * s, 15 * s, m, 5 * m, 15 * m, h, 3 * h, 12 * h}
}

const firstZoom = 1

// cursor is the time that is looked at, as far as it is known.
func (p *past) cursor() time.Time {
	if p.found.IsZero() {
		return p.at
	}
	return p.found
}

// enterPast stops following what is now. It says so where that cannot be.
func (v *view) enterPast() bool {
	if v.past.on {
		return true
	}
	switch {
	case !v.hasHistory:
		v.say("no history is kept here, so there is nothing to go back to")
		return false
	case v.sample == nil:
		v.say("nothing has been seen yet")
		return false
	}
	now := v.sample
	if v.latest != nil {
		now = v.latest
	}
	p := &v.past
	p.on, p.hunt, p.within, p.err, p.record, p.strip, p.gap = true, 0, 0, nil, nil, nil, false
	p.at, p.found, p.window = v.sample.Time, time.Time{}, window{}
	p.shown = p.asked.n + 1 // what is still on its way belongs to another visit
	v.latest, v.paused = now, false
	return true
}

// live goes back to what is now.
func (v *view) live() {
	if !v.past.on {
		return
	}
	v.past.on, v.past.record, v.past.strip = false, nil, nil
	s := v.latest
	v.latest = nil
	v.peaksOf(nil)
	v.show(s)
}

// fit makes the window one of the strip's width that has the cursor in it.
func (p *past) fit(width int, now time.Time) {
	n, step := max(width-stripLabel-stripValue, 8), zooms()[p.zoom]
	at := p.cursor()
	if c := p.window.column(at); p.window.n == n && p.window.step == step && c >= 0 && c < n {
		return
	}
	from := at.Truncate(step).Add(-time.Duration(n/2) * step)
	if last := now.Truncate(step).Add(-time.Duration(n-1) * step); from.After(last) {
		from = last // as nothing is known of what is to come
	}
	p.window, p.wants = window{from: from, step: step, n: n}, true
}

// question is what is to be asked now, if anything is.
func (v *view) question() (question, bool) {
	p := &v.past
	if !p.on || v.g.w == 0 {
		return question{}, false
	}
	p.fit(v.g.w, v.latest.Time)
	if p.strip != nil && p.asked.n == p.shown && p.strip.old() {
		p.wants = true
	}
	if !p.wants {
		return question{}, false
	}
	q := question{at: p.at, within: p.within, metric: p.metric, hunt: p.hunt, window: p.window, n: p.asked.n + 1}
	if q.hunt != 0 {
		q.at, q.within = p.cursor(), 0
	}
	p.asked, p.wants, p.since = q, false, time.Now()
	if s := p.strip; q.hunt == 0 && s != nil && s.window == p.window && !s.old() {
		q.window.n = 0 // it is known
	}
	return q, true
}

// old says whether there is more to see in the strip by now.
func (s *strip) old() bool {
	return s.to().After(s.asked) && time.Since(s.asked) > max(s.step, 2*time.Second)
}

// answered takes an answer. One to an older question is shown too as long as it is newer
// than what is shown: who holds a key down sees where it goes.
func (v *view) answered(a answer) {
	p := &v.past
	if !p.on || a.n < p.shown {
		return
	}
	p.shown = a.n
	if a.bounds != nil {
		p.bounds = a.bounds
	}
	if a.n == p.asked.n {
		p.since = time.Time{}
		p.err = a.err
		if errors.Is(a.err, errNoSpike) { // nothing has changed
			p.hunt, p.err = 0, nil
			p.wants = p.record == nil
			v.say(a.err.Error())
			return
		}
	}
	if a.err != nil {
		return
	}
	if a.n == p.asked.n {
		p.found = a.found
		if a.strip != nil {
			p.strip = a.strip
			p.window = a.strip.window
		}
		if a.hunt != 0 {
			p.hunt, p.at, p.within = 0, a.found, 0
		}
	}
	p.record, p.drawn = a.record, a.n
	p.gap = a.record == nil || missed(a.record, a.found)
	v.picture()
}

// missed says whether a record is from before a time of which nothing is known.
func missed(r *history.Record, at time.Time) bool {
	covers := 2 * time.Second
	if r.Sample != nil {
		covers = max(covers, time.Duration(2*max(r.Step, min(r.Sample.Interval, 3600))*float64(time.Second)))
	}
	return at.Sub(r.Time) > covers
}

// picture shows the record that is there.
func (v *view) picture() {
	p := &v.past
	if p.record == nil || p.record.Sample == nil {
		return
	}
	s := p.record.Sample
	if p.peaks && p.record.Peak != nil {
		s = p.record.Peak
	}
	v.peaksOf(p.record.Peak)
	v.show(s)
}

// peaksOf gives the tables the peaks that stand beside the means; nil takes them away.
func (v *view) peaksOf(s *sample.Sample) {
	v.processes.setPeaks(s)
	v.machines.setPeaks(s)
}

// steps that grow: as long as a key is held down.
func (p *past) stride(now time.Time) int {
	const pause = 400 * time.Millisecond
	if now.Sub(p.last) > pause {
		p.keys = 0
	}
	p.last = now
	p.keys++
	switch {
	case p.keys <= 10:
		return 1
	case p.keys <= 25:
		return 3
	}
	return 10
}

// travel goes some columns back or forward. Columns of which nothing is known are passed
// over as far as the strip goes.
func (v *view) travel(by int) {
	if !v.enterPast() {
		return
	}
	p := &v.past
	p.fit(v.g.w, v.latest.Time)
	c := p.window.column(p.cursor()) + by
	if p.strip != nil && p.strip.window == p.window && (by == 1 || by == -1) {
		for known := p.strip.values[0]; c > 0 && c < len(known)-1 && math.IsNaN(known[c]); {
			c += by
		}
	}
	v.goTo(c)
}

// goTo goes to a column of the strip.
func (v *view) goTo(c int) {
	p := &v.past
	to, by := p.window.at(c), c-p.window.column(p.cursor())
	if first, _ := ends(p.bounds); by < 0 && !first.IsZero() && !p.window.at(c+1).After(first) {
		v.say("history begins " + stamp(first))
		return
	}
	if v.latest != nil && to.After(v.latest.Time) {
		v.live()
		v.say("now")
		return
	}
	p.within = p.window.step
	if p.within <= time.Second {
		to, p.within = to.Add(p.within-time.Millisecond), 0
	}
	v.visit(to, p.within)
}

// visit goes to a time.
func (v *view) visit(at time.Time, within time.Duration) {
	p := &v.past
	if n := p.window.n; n > 0 {
		switch c := p.window.column(at); { // on in sight of where it came from
		case c < 0 && c >= -n/2:
			p.window = p.window.moved(-n / 2)
		case c >= n && c < n+n/2:
			p.window = p.window.moved(n / 2)
		}
	}
	p.at, p.within, p.found, p.hunt, p.wants, p.err = at, within, at, 0, true, nil
}

// spike goes to the next spike of the metric, or to the one before.
func (v *view) spike(by int) {
	if !v.enterPast() {
		return
	}
	p := &v.past
	p.fit(v.g.w, v.latest.Time)
	if s := p.strip; s != nil && s.window == p.window {
		c, best := s.column(p.cursor()), -1
		for _, at := range s.spikes(p.metric) {
			if at < c && by < 0 || at > c && by > 0 && best < 0 {
				best = at
			}
		}
		if best >= 0 {
			v.visit(s.at(best), s.step)
			return
		}
	}
	p.hunt, p.wants = by, true
}

// zoomBy makes a column of the strip stand for more or less time.
func (v *view) zoomBy(by int) {
	p := &v.past
	p.zoom = min(max(p.zoom+by, 0), len(zooms())-1)
	if p.on {
		p.wants = true
	}
	v.say("a column is " + brevity(zooms()[p.zoom]))
}

func (v *view) nextMetric() {
	p := &v.past
	p.metric = (p.metric + 1) % len(metrics())
	v.say("spikes of " + metrics()[p.metric].name)
}

// askTime asks where to go.
func (v *view) askTime() {
	was := v.past.on
	if !v.enterPast() {
		return
	}
	v.prompt = &prompt{label: "go to (03:12, yesterday 14:00, -2h): ", enter: func(text string) {
		now := v.latest.Time.Local()
		at, err := parseTime(text, now)
		switch {
		case err != nil:
			v.message, v.wrong = err.Error(), true
		case at.After(now):
			v.message, v.wrong = stamp(at)+" is still to come", true
		default:
			// Who asks for a minute means what was the matter in it.
			within := time.Duration(0)
			if strings.Count(text, ":") == 1 && v.latest.Time.Sub(at) > time.Minute {
				within = time.Minute
			}
			v.visit(at, within)
			return
		}
		if !was {
			v.live()
		}
	}, cancel: func() {
		if !was {
			v.live()
		}
	}}
}

func (v *view) togglePeaks() {
	p := &v.past
	switch {
	case !p.on || p.record == nil:
		v.say("means and peaks are of the past: go back first")
	case p.record.Peak == nil:
		v.say("this is one pass: it has no mean and no peak")
	default:
		p.peaks = !p.peaks
		v.picture()
	}
}

// stamp is a time for people, in full.
func stamp(t time.Time) string { return t.Local().Format("Mon 2006-01-02 15:04:05") }

// brevity is a duration without what is 0: 5s, 1m30s, 3h, 2d4h.
func brevity(d time.Duration) string {
	d = d.Round(time.Second)
	days := d / (24 * time.Hour)
	d -= days * 24 * time.Hour
	text := ""
	if days > 0 {
		text = fmt.Sprintf("%dd", days)
	}
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / u.unit; n > 0 && (days == 0 || u.unit == time.Hour) {
			text += fmt.Sprintf("%d%s", n, u.name)
			d -= n * u.unit
		}
	}
	if text == "" {
		return "0s"
	}
	return text
}
