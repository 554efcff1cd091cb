package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/collect"
	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
	"sarn/internal/monitor/term"
)

// stateFlags say where the view of this machine finds its past, and its alerts.
type stateFlags struct {
	state      string
	stateGiven bool
	alerts     string
}

func (s *stateFlags) flags(cmd *cobra.Command, dir string) {
	f := cmd.Flags()
	f.StringVar(&s.state, "state", dir, "`directory` of this machine's monitor, whose history and alerts are shown")
	f.StringVar(&s.alerts, "alerts", "", "`file` of alerts whose rules are asked in this view; nobody is told")
}

// seenBytes bounds what a view itself keeps in memory of what it has seen: some hours
// of a large host, days of a small one.
const seenBytes = 16 << 20

// localPast is the past of this machine: what a monitor on it keeps, and beside it what
// this view has seen itself, as there may be no monitor or one that another user runs.
type localPast struct {
	dir  string
	seen *history.Store

	mu    sync.Mutex
	kept  *history.Reader // nil until there is one
	tried time.Time
}

func newLocalPast(state string, given bool) (*localPast, error) {
	p := &localPast{}
	var err error
	if p.seen, err = history.Open(history.Config{Memory: true, MaxBytes: seenBytes}); err != nil {
		return nil, err
	}
	if state == "" {
		return p, nil
	}
	p.dir = filepath.Join(state, "history")
	// Without being asked for it is opened when somebody looks: a disk may hang.
	if given {
		if _, err := p.reader(); err != nil {
			return nil, errors.Join(usageError("--state %s: %w", state, err), p.seen.Close())
		}
	}
	return p, nil
}

// Close ends it; what this view has seen is gone. It does not wait for a disk that hangs:
// what is open to be read ends with the program.
func (p *localPast) Close() error { return p.seen.Close() }

// reader is that of what the monitor keeps. It is looked for again from time to time, as
// a monitor may be started later.
func (p *localPast) reader() (*history.Reader, error) {
	const again = 5 * time.Second
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept != nil || p.dir == "" || time.Since(p.tried) < again {
		return p.kept, nil
	}
	p.tried = time.Now()
	kept, err := history.OpenReader(p.dir)
	if err != nil {
		return nil, err
	}
	p.kept = kept
	return kept, nil
}

// ended says whether the monitor has stopped keeping history, and when, as far as its
// history tells: then what it had to say of alerts is not about now.
func (p *localPast) ended() (ended bool, last time.Time) {
	const longest = 5 * time.Minute // that ten passes, which are written together, take
	r, err := p.reader()
	if err != nil || r == nil {
		return false, last
	}
	bounds, err := r.Bounds()
	if err != nil {
		return false, last
	}
	for _, b := range bounds {
		if b.To.After(last) {
			last = b.To
		}
	}
	return !last.IsZero() && time.Since(last) > longest, last
}

// pasts are the histories that there are, the monitor's first, which has more.
func (p *localPast) pasts() []past {
	if r, err := p.reader(); err == nil && r != nil {
		return []past{r, p.seen}
	}
	return []past{p.seen}
}

// past is a history.Store or a history.Reader.
type past interface {
	Bounds() ([]history.Extent, error)
	At(t time.Time, resolution time.Duration) (*history.Record, error)
	Range(from, to time.Time, step time.Duration, fields ...string) (*history.Series, error)
}

// Bounds implements term.History. A history that fails hides none that does not.
func (p *localPast) Bounds(context.Context) ([]history.Extent, error) {
	var all []history.Extent
	var failed error
	for _, h := range p.pasts() {
		bounds, err := h.Bounds()
		failed = cmp.Or(failed, err)
		all = append(all, bounds...)
	}
	if len(all) == 0 {
		return nil, failed
	}
	slices.SortStableFunc(all, func(a, b history.Extent) int { return cmp.Compare(a.Step, b.Step) })
	return all, nil
}

// At implements term.History: of the monitor's record if it has one of that time, else of
// the newest.
func (p *localPast) At(_ context.Context, t time.Time, resolution time.Duration) (*history.Record, error) {
	var best *history.Record
	failed := history.ErrNone
	for _, h := range p.pasts() {
		r, err := h.At(t, resolution)
		if err != nil {
			if !errors.Is(err, history.ErrNone) {
				failed = err
			}
			continue
		}
		if t.Sub(r.Time).Seconds() < 2*max(r.Step, r.Sample.Interval) {
			return r, nil
		}
		if best == nil || r.Time.After(best.Time) {
			best = r
		}
	}
	if best == nil {
		return nil, failed
	}
	return best, nil
}

// Range implements term.History: of each point the monitor's value, else the view's own.
func (p *localPast) Range(_ context.Context, from, to time.Time, step time.Duration, fields ...string) (*history.Series, error) {
	var all *history.Series
	var failed error
	for _, h := range p.pasts() {
		s, err := h.Range(from, to, step, fields...)
		switch {
		case err != nil:
			failed = cmp.Or(failed, err)
		case all == nil:
			all = s
		default:
			for i := range all.Lines {
				fill(all.Lines[i].Values, s.Lines[i].Values)
				fill(all.Lines[i].Peaks, s.Lines[i].Peaks)
			}
		}
	}
	if all == nil {
		return nil, failed
	}
	return all, nil
}

// fill puts values where none are known.
func fill(to, from history.Values) {
	for i := range to {
		if math.IsNaN(to[i]) {
			to[i] = from[i]
		}
	}
}

// localAlerts are those of this machine's monitor, or of rules that are asked here.
type localAlerts struct {
	file   string        // of a monitor's state
	engine *alert.Engine // nil if the monitor's are shown
	rules  int

	saved   *alert.Saved // of the file, and when it was written
	written time.Time

	latest atomic.Pointer[term.Alerts]
}

func newLocalAlerts(s *stateFlags) (*localAlerts, error) {
	l := &localAlerts{}
	l.latest.Store(&term.Alerts{})
	if s.alerts == "" {
		if s.state != "" {
			l.file = filepath.Join(s.state, "alerts.json")
		}
		return l, nil
	}
	data, err := os.ReadFile(s.alerts)
	if err != nil {
		return nil, usageError("read the alerts: %w", err)
	}
	c, err := alert.Parse(s.alerts, data)
	if err != nil {
		return nil, usageError("%w", err)
	}
	c.Actions, c.Defaults.Actions = nil, nil // whoever looks is told already
	for i := range c.Rules {
		c.Rules[i].Actions = nil
	}
	if l.engine, err = alert.New(*c, alert.Deps{}); err != nil {
		return nil, usageError("%w", err)
	}
	l.rules = len(c.Rules)
	return l, nil
}

// mostPastAlerts is how many alerts that are over are shown.
const mostPastAlerts = 100

// observe asks the rules of a sample.
func (l *localAlerts) observe(s *sample.Sample) {
	if l.engine == nil {
		return
	}
	l.engine.Observe(s)
	l.latest.Store(&term.Alerts{Rules: l.rules, Active: l.engine.Active(), Pending: l.engine.Pending(), Past: l.engine.Past(mostPastAlerts),
		Note: "The rules are asked since this view began, and nobody is told."})
}

// run reads the monitor's state again and again, beside the view: a disk may hang.
func (l *localAlerts) run(ctx context.Context, past *localPast) {
	if l.engine != nil {
		return
	}
	const often = 2 * time.Second
	for {
		l.latest.Store(l.read(past))
		select {
		case <-ctx.Done():
			return
		case <-time.After(often):
		}
	}
}

// read is what the monitor has written last.
func (l *localAlerts) read(past *localPast) *term.Alerts {
	info, err := os.Stat(l.file)
	if err == nil && (l.saved == nil || !info.ModTime().Equal(l.written)) {
		l.saved, err = alert.ReadState(l.file)
		l.written = info.ModTime()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.saved = nil
		return &term.Alerts{Note: "Nobody watches here: give this view rules with --alerts FILE, or run sarn monitor serve --alerts FILE."}
	case err != nil:
		l.saved = nil
		return &term.Alerts{Note: "The monitor's alerts are not known: " + err.Error()}
	}
	s := l.saved
	a := &term.Alerts{Past: s.Past[:min(len(s.Past), mostPastAlerts)]}
	if n := len(s.Active); n > 0 {
		if ended, last := past.ended(); ended {
			a.Note = fmt.Sprintf("The monitor does not run: its last record is of %s. Alerts that were active then: %d.", last.Local().Format(time.DateTime), n)
			return a
		}
	}
	a.Active, a.Pending = s.Active, s.Pending
	a.Note = fmt.Sprintf("Of this machine's monitor, as it wrote them to %s at %s.", printable(l.file), s.At.Local().Format(time.DateTime))
	return a
}

// now implements term.Config.Alerts.
func (l *localAlerts) now() term.Alerts { return *l.latest.Load() }

// watched is a source whose samples are kept and watched.
type watched struct {
	*collect.Collector
	past   *localPast
	alerts *localAlerts

	mu    sync.Mutex // a pass may be on its way when the view ends
	ended bool
}

// Next implements term.Source.
func (w *watched) Next(context.Context) (*sample.Sample, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil, context.Canceled
	}
	s, err := w.Pass()
	if err != nil {
		return nil, err
	}
	// Without memory for it there is less of a past, and a view all the same.
	_ = w.past.seen.Add(s)
	w.alerts.observe(s)
	return s, nil
}

// end waits for the pass that is on its way, and closes what passes need.
func (w *watched) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.Close()
	_ = w.past.Close() // it has nothing that lasts
}
