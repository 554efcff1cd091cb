package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	// longestPause is how long a restart may take for what is pending to go on. The
	// time of the pause itself is not counted.
	longestPause = 5 * time.Minute
	mostState    = 32 << 20
)

// file is what survives a restart.
type file struct {
	Version int                       `json:"version"`
	Saved   time.Time                 `json:"saved"`
	Alerts  []savedAlert              `json:"alerts"`
	Past    []Alert                   `json:"past"`
	Queues  map[string][]Notification `json:"queues,omitempty"` // by action
}

type savedAlert struct {
	Alert   Alert    `json:"alert"`
	Name    string   `json:"name,omitempty"` // of the subject
	PID     int      `json:"pid,omitempty"`
	Start   int64    `json:"start,omitempty"`
	On      []Level  `json:"on,omitempty"`
	Over    []Passed `json:"over,omitempty"` // since when past each threshold
	ToldWho []string `json:"told,omitempty"`
}

// Passed is for how many seconds a level has been past its threshold.
type Passed struct {
	Level   Level   `json:"level"`
	Seconds float64 `json:"seconds"`
}

// save asks Run to write the state.
func (e *Engine) save() {
	select {
	case e.dirty <- struct{}{}:
	default:
	}
}

// Run delivers what there is to tell and keeps the state file, until the context ends.
func (e *Engine) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, o := range e.out {
		wg.Go(func() { o.run(ctx, e.save) })
	}
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-e.dirty:
			if err := e.write(); err != nil {
				e.deps.Log.Error("the state of alerts was not saved", "error", err.Error())
			}
		}
	}
	wg.Wait()
	return e.write()
}

// snapshot returns what to save.
func (e *Engine) snapshot() file {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := file{Version: 1, Saved: e.deps.Now(), Alerts: []savedAlert{}, Past: slices.Clone(e.past), Queues: map[string][]Notification{}}
	for i, w := range e.watches {
		for _, st := range w.states {
			f.Alerts = append(f.Alerts, e.savedOf(e.rules[i], st))
		}
	}
	for _, o := range e.out {
		o.mu.Lock()
		if len(o.queue) > 0 {
			f.Queues[o.Name] = slices.Clone(o.queue)
		}
		o.mu.Unlock()
	}
	return f
}

func (e *Engine) savedOf(r *rule, st *state) savedAlert {
	s := savedAlert{Alert: st.Alert, Name: st.key.name, PID: st.key.pid, Start: st.key.start}
	for i, l := range st.latches {
		level := r.levels[i].level
		if l.on {
			s.On = append(s.On, level)
		}
		if l.over != never {
			s.Over = append(s.Over, Passed{level, (e.at - l.over).Seconds()})
		}
	}
	for i := range st.told {
		s.ToldWho = append(s.ToldWho, e.out[i].Name)
	}
	slices.Sort(s.ToldWho)
	return s
}

// write replaces the state file as a whole, so that a crash leaves the old or the new.
func (e *Engine) write() (err error) {
	path := e.deps.StateFile
	if path == "" {
		return nil
	}
	text, err := json.Marshal(e.snapshot())
	if err != nil {
		return fmt.Errorf("encode the state of alerts: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".alerts-*")
	if err != nil {
		return fmt.Errorf("save the state of alerts: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("save the state of alerts: %w", err), os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	dir, openErr := os.Open(filepath.Dir(path))
	if openErr != nil {
		return nil //nolint:nilerr // it is saved; only a power cut could undo that
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// load takes up the state where it was left. A file that cannot be read is put aside:
// alerts begin anew rather than not at all.
func (e *Engine) load() error {
	path := e.deps.StateFile
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the state of alerts: %w", err)
	}
	var f file
	var text []byte
	if info.Size() <= mostState {
		if text, err = os.ReadFile(path); err != nil {
			return fmt.Errorf("read the state of alerts: %w", err)
		}
		err = json.Unmarshal(text, &f)
	}
	if err != nil || f.Version != 1 {
		aside := path + ".unreadable"
		e.deps.Log.Warn("the state of alerts cannot be read and was put aside; alerts begin anew", "file", path, "aside", aside)
		return os.Rename(path, aside)
	}
	e.restore(&f)
	return nil
}

func (e *Engine) restore(f *file) {
	pause := e.deps.Now().Sub(f.Saved)
	for _, a := range f.Past {
		e.remember(a)
	}
	for _, s := range f.Alerts {
		e.restoreAlert(&s, pause)
	}
	for _, o := range e.out {
		queue := f.Queues[o.Name]
		o.queue = append(o.queue, queue[max(len(queue)-mostQueued, 0):]...)
	}
}

func (e *Engine) restoreAlert(s *savedAlert, pause time.Duration) {
	i := slices.IndexFunc(e.rules, func(r *rule) bool {
		return r.Name == s.Alert.Rule && r.Of == s.Alert.Of && r.Value == s.Alert.Metric
	})
	if i < 0 || len(e.watches[i].states) >= mostSubjects {
		e.restorePast(s.Alert)
		return
	}
	r := e.rules[i]
	st := newState(r, subject{s.Name, s.PID, s.Start})
	labels := st.Alert.Labels
	st.Alert = s.Alert
	st.Alert.Labels = labels
	if a := &st.Alert; a.Worst == nil && !a.Missing && !a.Gone && a.Level > OK { // saved before there was one
		st.worse(r, a.Value)
	}
	for n := range st.latches {
		l, t := &st.latches[n], r.levels[n]
		l.on = slices.Contains(s.On, t.level)
		for _, p := range s.Over {
			if p.Level == t.level && pause >= 0 && pause <= longestPause {
				l.over = e.at - time.Duration(max(p.Seconds, 0)*float64(time.Second))
			}
		}
	}
	for _, name := range s.ToldWho {
		if n := slices.IndexFunc(e.out, func(o *outlet) bool { return o.Name == name }); n >= 0 {
			st.told[n] = true
		}
	}
	if st.resting() {
		e.restorePast(s.Alert)
		return
	}
	e.watches[i].states[st.key] = st
}

// restorePast ends an alert that fired, as its rule or its level is no more.
func (e *Engine) restorePast(a Alert) {
	if a.Level > OK {
		a.Phase, a.Level, a.Ended, a.Gone = Cleared, OK, e.deps.Now(), true
		e.remember(a)
	}
}
