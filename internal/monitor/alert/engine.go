package alert

import (
	"log/slog"
	"math"
	"os"
	"sync"
	"time"

	"sarn/internal/monitor/sample"
)

const (
	mostSubjects = 1000 // of one rule, that are not ok
	mostPast     = 500
	// leastGap is how long a pass may be late before the time is not counted.
	leastGap = 10 * time.Second
)

// Deps is what an Engine works with. What is nil or empty is the process's own, and
// without a state file nothing survives a restart.
type Deps struct {
	Log    *slog.Logger
	Now    func() time.Time // whose differences are real time, as time.Now's
	Getenv func(string) string
	// StateFile keeps alerts over a restart. Its directory must be there.
	StateFile string
}

// Engine watches samples. Its methods may be called from several goroutines.
type Engine struct {
	deps  Deps
	rules []*rule
	out   []*outlet
	dirty chan struct{} // the state file is behind

	mu    sync.Mutex
	past  []Alert // oldest first
	index *index
	// watches are by rule.
	watches []*watch
	started bool
	last    time.Time
	at      time.Duration // time that was watched
	saved   time.Duration // at, when the state was last asked to be saved
	pass    uint64
}

// watch is what a rule has seen.
type watch struct {
	states map[subject]*state
	lives  *lives // of restarts
	count  int    // of things that match in this pass
	// refused counts subjects that there was no room for.
	refused uint64
}

// New makes an engine. The error is Problems if the config is wrong.
func New(c Config, d Deps) (*Engine, error) {
	rules, ps := compile(&c)
	if len(ps) > 0 {
		return nil, ps
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Getenv == nil {
		d.Getenv = os.Getenv
	}
	e := &Engine{deps: d, rules: rules, dirty: make(chan struct{}, 1)}
	for _, r := range rules {
		w := &watch{states: map[subject]*state{}}
		if r.value.group == restarts {
			w.lives = newLives(r.window)
		}
		e.watches = append(e.watches, w)
	}
	e.index = newIndex(rules)
	for _, a := range c.Actions {
		o, err := newOutlet(a, &e.deps)
		if err != nil {
			return nil, err
		}
		e.out = append(e.out, o)
	}
	if err := e.load(); err != nil {
		return nil, err
	}
	return e, nil
}

// Observe asks all rules of a sample. It keeps nothing of it, and waits for nothing but
// other calls.
func (e *Engine) Observe(s *sample.Sample) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.deps.Now()
	var dt time.Duration
	if e.started {
		dt = now.Sub(e.last)
		// While nobody looked, nobody knows: that time is not part of any `for`.
		most := 2*time.Duration(s.Interval*float64(time.Second)) + leastGap
		dt = min(max(dt, 0), most)
	}
	e.started, e.last = true, now
	e.at += dt
	e.pass++
	v := &visit{e: e, s: s, dt: dt}
	e.index.observe(v)
	for i, r := range e.rules {
		v.rule(i, r)
	}
	for i := range e.rules {
		v.gone(i)
	}
	const seldom = 30 * time.Second
	if v.changed || v.pending && e.at-e.saved >= seldom {
		e.saved = e.at
		e.save()
	}
}

// visit is one pass of the rules over a sample.
type visit struct {
	e       *Engine
	s       *sample.Sample
	dt      time.Duration
	changed bool // what the state file is to hold
	pending bool // somewhere, so time that passes is to be kept
}

// rule asks one rule. Processes have been seen by the index.
func (v *visit) rule(i int, r *rule) {
	w := v.e.watches[i]
	switch {
	case r.kind.name == "process":
	case r.kind.name == "machine" && r.value.group != notGroup:
		v.machines(i, r)
	default:
		for n := range r.kind.count(v.s) {
			if r.matches(v.s, n) {
				v.thing(i, r, n)
			}
		}
	}
	switch r.value.group {
	case notGroup:
	case restarts:
		if v.blind(r) {
			return
		}
		w.lives.settle(v.e.at, v.e.pass, v.alive, func(id identity, machine string, n int) {
			v.subject(i, subject{name: id.text("")}, float64(n), func() (string, string) { return id.text(machine), machine })
		})
	case count, absent:
		n := float64(w.count)
		if r.value.group == absent {
			n = 0
			if w.count == 0 {
				n = 1
			}
		}
		if v.blind(r) {
			n = unknown
		}
		v.subject(i, subject{}, n, func() (string, string) { return "", "" })
		w.count = 0
	}
}

// blind reports whether the sample lacks what the rule is about: there is always a
// process, so that there is none says that they were not seen.
func (v *visit) blind(r *rule) bool { return r.kind.name == "process" && len(v.s.Processes) == 0 }

// alive reports whether a run is one of a process in this sample.
func (v *visit) alive(run incarnation) bool {
	n, ok := v.e.index.pids[run.pid]
	return ok && startOf(v.s, &v.s.Processes[n]) == run.start
}

func (v *visit) machines(i int, r *rule) {
	w := v.e.watches[i]
	for n := range v.s.Machines {
		m := &v.s.Machines[n]
		if !runs(m) || !r.matches(v.s, n) {
			continue
		}
		w.count++
		if w.lives != nil {
			w.lives.see(identity{name: m.ID}, incarnation{pid: m.PID}, m.ID, v.e.pass)
		}
	}
}

// thing asks a rule about the value of one thing.
func (v *visit) thing(i int, r *rule, n int) {
	w, value := v.e.watches[i], r.reads(v.s, n)
	// What is well and was well costs no more than this.
	if len(w.states) == 0 && (math.IsNaN(value) && r.Missing != "fire" || r.levelOf(value) == OK && !math.IsNaN(value)) {
		return
	}
	var key subject
	if r.kind.name == "process" {
		p := &v.s.Processes[n]
		key.pid, key.start = p.PID, startOf(v.s, p)
	} else {
		key.name = r.kind.subject(v.s, n)
	}
	v.subject(i, key, value, func() (string, string) { return r.kind.subject(v.s, n), r.kind.machineOf(v.s, n) })
}

// startOf returns when the process began, in hundredths of a second after the machine
// did: that stays when somebody sets the clock.
func startOf(s *sample.Sample, p *sample.Process) int64 {
	const tick = 10 * time.Millisecond
	if s.Host.Boot.IsZero() {
		return p.Start.UnixNano() / int64(tick)
	}
	return int64(p.Start.Sub(s.Host.Boot).Round(tick) / tick)
}

// subject moves the state of one subject. Those that are well have none. names says what
// it is called, and which machine it is or belongs to.
func (v *visit) subject(i int, key subject, value float64, names func() (name, machine string)) {
	r, w := v.e.rules[i], v.e.watches[i]
	st, ok := w.states[key]
	if !ok {
		over := r.levelOf(value) != OK && !math.IsNaN(value) || math.IsNaN(value) && r.Missing == "fire"
		if !over {
			return
		}
		if len(w.states) >= mostSubjects {
			if w.refused++; w.refused == 1 {
				v.e.deps.Log.Warn("too many things are past a threshold; some are not watched", "rule", r.Name, "most", mostSubjects)
			}
			return
		}
		name, machine := names()
		st = newState(r, key)
		st.Alert.Subject, st.Alert.Machine, st.Alert.Host = bounded(name), bounded(machine), v.s.Host.Name
		w.states[key] = st
	}
	st.seen = v.e.pass
	v.step(i, st, reading{value: value, missing: math.IsNaN(value)})
}

// gone moves the states of the subjects that were not in this sample.
func (v *visit) gone(i int) {
	w := v.e.watches[i]
	for key, st := range w.states {
		if st.seen != v.e.pass {
			blind := v.blind(v.e.rules[i])
			v.step(i, st, reading{gone: !blind, missing: blind})
		}
		if st.resting() {
			delete(w.states, key)
		} else if st.Alert.Level == OK {
			v.pending = true
		}
	}
}
