package term

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"sarn/internal/monitor/history"
)

// metric is what the strip shows a row of, and spikes are looked for in.
type metric struct {
	name   string
	fields []string // whose sum it is
	share  bool     // of all; else bytes
	least  float64  // that is worth to be called a spike
}

// metrics are the rows of the strip. Of disks and interfaces it is the busiest one, as a
// sum would count what goes through a bridge twice.
func metrics() []metric {
	return []metric{
		{"CPU", []string{"cpu.busy"}, true, 0.1},
		{"Mem", []string{"memory.used"}, false, 1 << 20},
		{"Disk", []string{"disks[" + history.Any + "].busy"}, true, 0.1},
		{"Net", []string{"interfaces[" + history.Any + "].rx_bytes", "interfaces[" + history.Any + "].tx_bytes"}, false, 10 << 10},
	}
}

// window is a range of time in columns.
type window struct {
	from time.Time
	step time.Duration
	n    int
}

func (w window) at(column int) time.Time { return w.from.Add(time.Duration(column) * w.step) }
func (w window) to() time.Time           { return w.at(w.n) }

// column is where a time is, which may be outside.
func (w window) column(t time.Time) int {
	return int(math.Floor(float64(t.Sub(w.from)) / float64(w.step)))
}

// moved is the window some columns later.
func (w window) moved(columns int) window {
	w.from = w.at(columns)
	return w
}

// question is what the view wants to know of the past.
type question struct {
	// at is the time whose picture is wanted. If within is not 0, it is the time of the
	// largest value of the metric from at on, for so long.
	at     time.Time
	within time.Duration
	metric int
	// hunt is -1 or 1 to look for the spike of the metric before or after at, from the
	// window on.
	hunt int
	// window is the strip, of no columns if it is known already.
	window window
	n      int // counts questions
}

// answer comes in parts: the picture first, as the strip can take longer.
type answer struct {
	question
	found  time.Time // the picture's time
	record *history.Record
	strip  *strip
	bounds []history.Extent
	err    error
}

// strip is the values of a window, by metric and column; NaN where nothing is known.
type strip struct {
	window
	values [][]float64
	asked  time.Time
}

// historian asks a History, one question at a time and the latest first, so that a slow
// one holds up neither samples nor keys.
type historian struct {
	history   History
	questions chan question // room for one
	answers   chan answer
	patience  time.Duration
}

const historyPatience = 10 * time.Second

func newHistorian(h History) *historian {
	return &historian{history: h, questions: make(chan question, 1), answers: make(chan answer), patience: historyPatience}
}

// ask replaces the question that waits, if one does. Only Run's goroutine calls it.
func (h *historian) ask(q question) {
	select {
	case <-h.questions:
	default:
	}
	h.questions <- q
}

func (h *historian) run(ctx context.Context) {
	var hanging chan struct{} // closed when a query that took too long has returned
	var since time.Time
	for {
		var q question
		select {
		case <-ctx.Done():
			return
		case q = <-h.questions:
		}
		if hanging != nil {
			select {
			case <-hanging:
			default:
				h.give(ctx, answer{question: q, err: fmt.Errorf("history has not answered for %s", time.Since(since).Round(time.Second))})
				continue
			}
		}
		since = time.Now()
		hanging = h.try(ctx, q)
	}
}

// try answers in a goroutine of its own, and does not wait longer than patience for it.
func (h *historian) try(ctx context.Context, q question) (hanging chan struct{}) {
	limited, stop := context.WithTimeout(ctx, h.patience)
	done := make(chan struct{})
	go func() {
		defer stop()
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				h.give(limited, answer{question: q, err: fmt.Errorf("asking history failed, which is a fault of Sarn: %v", p)})
			}
		}()
		if err := h.answer(limited, q); err != nil {
			h.give(limited, answer{question: q, err: err})
		}
	}()
	select {
	case <-done:
		return nil
	case <-limited.Done():
	}
	select {
	case <-done: // it has said itself how it ended
		return nil
	default:
	}
	h.give(ctx, answer{question: q, err: fmt.Errorf("history does not answer within %s", h.patience)})
	return done
}

func (h *historian) give(ctx context.Context, a answer) {
	select {
	case h.answers <- a:
	case <-ctx.Done():
	}
}

func (h *historian) answer(ctx context.Context, q question) error {
	bounds, err := h.history.Bounds(ctx)
	if err != nil {
		return err
	}
	a := answer{question: q, bounds: bounds, found: q.at}
	switch {
	case q.hunt != 0:
		if err := h.hunt(ctx, &a); err != nil {
			return err
		}
	case q.within > 0:
		if a.found, err = h.largest(ctx, q.metric, q.at, q.at.Add(q.within)); err != nil {
			return err
		}
	}
	a.record, err = h.history.At(ctx, a.found, time.Second) // the finest that there is
	if err != nil && !errors.Is(err, history.ErrNone) {
		return err
	}
	h.give(ctx, a)
	if q.window.n == 0 || a.strip != nil {
		return nil
	}
	if a.strip, err = h.strip(ctx, q.window); err != nil {
		return err
	}
	h.give(ctx, a)
	return nil
}

// strip asks for all metrics of a window.
func (h *historian) strip(ctx context.Context, w window) (*strip, error) {
	s := &strip{window: w, asked: time.Now()}
	var fields []string
	for _, m := range metrics() {
		fields = append(fields, m.fields...)
	}
	series, err := h.history.Range(ctx, w.from, w.to(), w.step, fields...)
	if err != nil {
		return nil, err
	}
	if len(series.Lines) != len(fields) {
		return nil, errors.New("history gave another number of lines than it was asked for")
	}
	for _, m := range metrics() {
		s.values = append(s.values, sum(series.Lines[:len(m.fields)], w.n))
		series.Lines = series.Lines[len(m.fields):]
	}
	return s, nil
}

// sum adds up the peaks of lines, of which each has n points, or less if a server lies.
func sum(lines []history.Line, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		for _, l := range lines {
			if i >= len(l.Peaks) {
				out[i] = math.NaN()
				break
			}
			out[i] += l.Peaks[i]
		}
	}
	return out
}

// largest is when a metric was at its largest in a range: it asks for a few points, and
// then for what lies in the largest of them.
func (h *historian) largest(ctx context.Context, m int, from, to time.Time) (time.Time, error) {
	const points = 120
	for {
		step := max((to.Sub(from) / points).Round(time.Second), time.Second)
		series, err := h.history.Range(ctx, from, to, step, metrics()[m].fields...)
		if err != nil {
			return to, err
		}
		n := int((to.Sub(from) + step - 1) / step)
		values := sum(series.Lines, n)
		best := -1
		for i, v := range values {
			if !math.IsNaN(v) && (best < 0 || v > values[best]) {
				best = i
			}
		}
		if best < 0 {
			return to.Add(-time.Millisecond), nil
		}
		from = from.Add(time.Duration(best) * step)
		if step == time.Second {
			return from.Add(step - time.Millisecond), nil
		}
		to = from.Add(step)
	}
}

// mostWindows is how many windows are looked through for one spike.
const mostWindows = 50

var errNoSpike = errors.New("no spike")

// hunt looks for a spike window by window.
func (h *historian) hunt(ctx context.Context, a *answer) error {
	first, last := ends(a.bounds)
	w := a.question.window
	for i := range mostWindows {
		if i > 0 {
			w = w.moved(a.hunt * w.n)
		}
		if !w.to().After(first) || w.from.After(last) {
			break
		}
		s, err := h.strip(ctx, w)
		if err != nil {
			return err
		}
		here := w.column(a.at)
		all := slices.DeleteFunc(s.spikes(a.metric), func(c int) bool { return a.hunt < 0 && c >= here || a.hunt > 0 && c <= here })
		if len(all) == 0 {
			continue
		}
		column := all[0]
		if a.hunt < 0 {
			column = all[len(all)-1]
		}
		a.strip = s
		a.found, err = h.largest(ctx, a.metric, w.at(column), w.at(column+1))
		return err
	}
	where := "after"
	if a.hunt < 0 {
		where = "before"
	}
	return fmt.Errorf("%w of %s %s this; z looks at a longer time", errNoSpike, metrics()[a.metric].name, where)
}

// ends are the first and the last time that anything is known of.
func ends(bounds []history.Extent) (first, last time.Time) {
	for _, b := range bounds {
		if b.From.IsZero() {
			continue
		}
		if first.IsZero() || b.From.Before(first) {
			first = b.From
		}
		if b.To.After(last) {
			last = b.To
		}
	}
	return first, last
}
