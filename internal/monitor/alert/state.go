package alert

import (
	"math"
	"time"
)

// Phase is where an alert stands.
type Phase string

// The phases of an alert.
const (
	Pending  Phase = "pending"  // past a threshold, not yet for long enough
	Firing   Phase = "firing"   //
	Clearing Phase = "clearing" // firing, and well again, not yet for long enough
	Cleared  Phase = "cleared"
)

// Alert is what a rule says of one subject.
type Alert struct {
	ID        string            `json:"id"` // the same from firing to cleared
	Rule      string            `json:"rule"`
	Of        string            `json:"of"`
	Metric    string            `json:"metric"`
	Subject   string            `json:"subject,omitempty"`
	Machine   string            `json:"machine,omitempty"` // that it is about, or that the process belongs to, by Machine.ID
	Host      string            `json:"host"`
	Phase     Phase             `json:"phase"`
	Level     Level             `json:"level"`                // that it has now; ok while pending and when cleared
	Highest   Level             `json:"highest"`              // that it ever had
	Value     float64           `json:"value"`                // in the metric's unit
	Text      string            `json:"text"`                 // the value for people
	Worst     *float64          `json:"worst,omitempty"`      // value since Since; nil if none was known
	WorstText string            `json:"worst_text,omitempty"` // for people
	Missing   bool              `json:"missing,omitempty"`
	Gone      bool              `json:"gone,omitempty"` // the subject is no more
	Threshold float64           `json:"threshold"`
	Message   string            `json:"message"`
	Labels    map[string]string `json:"labels,omitempty"`
	Since     time.Time         `json:"since"` // when it went past the threshold
	Fired     time.Time         `json:"fired,omitzero"`
	Ended     time.Time         `json:"ended,omitzero"`
}

// subject tells the things of one rule apart.
type subject struct {
	name  string
	pid   int
	start int64
}

const never = time.Duration(math.MinInt64)

// latch is one level of a state: on after `for` past its threshold, off after
// `clear_for` on the good side of what clears it.
type latch struct {
	on          bool
	over, under time.Duration // since when, by Engine.at; or never
}

// state is a subject that is not ok.
type state struct {
	Alert
	key     subject
	latches []latch // by rule.levels
	told    map[int]bool
	seen    uint64
}

type reading struct {
	value         float64
	missing, gone bool
}

func newState(r *rule, key subject) *state {
	st := &state{
		key:     key,
		latches: make([]latch, len(r.levels)),
		told:    map[int]bool{},
		Alert:   Alert{Rule: r.Name, Of: r.Of, Metric: r.Value, Labels: r.Labels, Phase: Pending},
	}
	for i := range st.latches {
		st.latches[i] = latch{over: never, under: never}
	}
	return st
}

// resting reports whether there is nothing to remember.
func (st *state) resting() bool {
	for _, l := range st.latches {
		if l.on || l.over != never {
			return false
		}
	}
	return true
}

// move takes a reading into the latches. at is the time, of which dt has passed since
// the reading before.
func (st *state) move(r *rule, in reading, at, dt time.Duration) {
	for i := range st.latches {
		l, t := &st.latches[i], r.levels[i]
		if in.missing && (r.Missing == "" || r.Missing == "hold") {
			// The time without data counts neither way.
			if l.over != never {
				l.over += dt
			}
			if l.under != never {
				l.under += dt
			}
			continue
		}
		over := in.missing && r.Missing == "fire" && i == 0 || !in.missing && !in.gone && r.beyond(t, in.value)
		well := in.gone || in.missing && !over || !in.missing && r.back(t, in.value)
		// Passes do not come to the microsecond: the third after 2.9999 s is three seconds on.
		slack := dt / 10
		l.move(over, well, at, r.wait-slack, r.settle-slack)
	}
}

func (l *latch) move(over, well bool, at, wait, settle time.Duration) {
	switch {
	case !over:
		l.over = never
	case l.over == never:
		l.over = at
	}
	if over && !l.on && at-l.over >= wait {
		l.on = true
	}
	switch {
	case !well:
		l.under = never
	case l.under == never:
		l.under = at
	}
	if l.on && well && at-l.under >= settle {
		*l = latch{over: never, under: never}
	}
}

// level returns the highest that is on.
func (st *state) level(r *rule) Level {
	level := OK
	for i, l := range st.latches {
		if l.on {
			level = r.levels[i].level
		}
	}
	return level
}

// step takes a reading into a state, and tells who is to be told.
func (v *visit) step(i int, st *state, in reading) {
	r, e := v.e.rules[i], v.e
	before := st.Alert.Level
	st.move(r, in, e.at, v.dt)
	level := st.level(r)
	st.Alert.Missing, st.Alert.Gone = in.missing, in.gone
	if !in.missing && !in.gone {
		st.Alert.Value = in.value
		st.worse(r, in.value)
	}
	if st.Alert.Since.IsZero() {
		st.Alert.Since, v.changed = v.s.Time, true
	}
	st.Alert.Level, st.Alert.Highest = level, max(level, st.Alert.Highest)
	if level == OK {
		if before == OK {
			st.Alert.Threshold = r.levels[0].at
			st.Alert.Text = st.text(r)
			st.Alert.Message = r.messageOf(&st.Alert)
			v.changed = v.changed || st.resting() // what was pending is not any more
			return
		}
		v.cleared(r, st)
		return
	}
	st.Alert.Phase = Firing
	if st.latches[0].on && st.latches[0].under != never {
		st.Alert.Phase = Clearing
	}
	st.Alert.Threshold = r.threshold(level).at
	st.Alert.Text = st.text(r)
	st.Alert.Message = r.messageOf(&st.Alert)
	switch {
	case before == OK:
		st.Alert.Fired = v.s.Time
		st.Alert.ID = alertID(&st.Alert)
		v.changed = true
		e.tell(r, st, Fire)
	case before != level:
		v.changed = true
		e.tell(r, st, Change)
	}
}

func (st *state) text(r *rule) string {
	if st.Alert.Missing || math.IsNaN(st.Alert.Value) {
		return "not known"
	}
	return r.value.unit.text(st.Alert.Value)
}

// worse keeps the value if it is the worst so far.
func (st *state) worse(r *rule, value float64) {
	a := &st.Alert
	if r.value.group == absent || a.Worst != nil && (r.below && value >= *a.Worst || !r.below && value <= *a.Worst) {
		return
	}
	a.Worst, a.WorstText = new(value), r.value.unit.text(value)
}

func (v *visit) cleared(r *rule, st *state) {
	st.Alert.Phase, st.Alert.Ended = Cleared, v.s.Time
	st.Alert.Text = st.text(r)
	st.Alert.Message = r.messageOf(&st.Alert)
	v.changed = true
	v.e.tell(r, st, Clear)
	past := st.Alert
	past.Message = r.pastMessageOf(&st.Alert)
	v.e.remember(past)
	// The state may live on, past a threshold that is not on again: a new episode.
	st.Alert.Since, st.Alert.Fired, st.Alert.Ended = time.Time{}, time.Time{}, time.Time{}
	st.Alert.Phase, st.Alert.Highest, st.Alert.ID = Pending, OK, ""
	st.Alert.Worst, st.Alert.WorstText = nil, ""
	clear(st.told)
}

// remember keeps what is past, up to a bound.
func (e *Engine) remember(a Alert) {
	if len(e.past) >= mostPast {
		e.past = append(e.past[:0], e.past[len(e.past)-mostPast+1:]...)
	}
	e.past = append(e.past, a)
}
