package alert

import (
	"strings"
	"time"
)

const (
	mostLives    = 5000 // identities of one rule
	mostRestarts = 1000 // of one identity that are remembered
)

// identity is what stays when a process is restarted. Of a machine it is the name alone.
type identity struct{ name, user, command string }

// text is what people call it. machine is that which it belongs to, or "".
func (id identity) text(machine string) string {
	var of []string
	if machine != "" && machine != id.name {
		of = append(of, machine)
	}
	if id.command != "" && id.command != id.name {
		of = append(of, id.command)
	}
	if len(of) == 0 {
		return id.name
	}
	return id.name + " (" + strings.Join(of, ": ") + ")"
}

// incarnation is one run of it.
type incarnation struct {
	pid   int
	start int64
}

// life is the runs of one identity. A restart is a run that began after another was seen
// to end, within the window.
type life struct {
	machine string                 // that the run belongs to which began last
	runs    map[incarnation]uint64 // to the pass in which it was last seen
	fresh   int                    // runs that are new in this pass
	lost    int                    // runs that ended and that nothing took the place of
	lostAt  time.Duration
	times   []time.Duration // of restarts
}

// lives counts restarts for one rule.
type lives struct {
	window time.Duration
	of     map[identity]*life
}

func newLives(window time.Duration) *lives {
	return &lives{window: window, of: map[identity]*life{}}
}

// see notes that a run is there in this pass.
func (ls *lives) see(id identity, run incarnation, machine string, pass uint64) {
	l := ls.of[id]
	if l == nil {
		if len(ls.of) >= mostLives {
			return
		}
		l = &life{runs: map[incarnation]uint64{}}
		ls.of[id] = l
	}
	if _, known := l.runs[run]; !known {
		l.fresh++
		l.machine = machine
	}
	l.runs[run] = pass
}

// settle ends a pass, and calls told with the number of restarts in the window of all
// that have any. A run that is alive and was not seen goes by another name now: it has
// not ended.
func (ls *lives) settle(at time.Duration, pass uint64, alive func(incarnation) bool, told func(id identity, machine string, restarts int)) {
	for id, l := range ls.of {
		for run, last := range l.runs {
			if last == pass {
				continue
			}
			delete(l.runs, run)
			if !alive(run) {
				l.lost++
				l.lostAt = at
			}
		}
		for n := min(l.lost, l.fresh); n > 0; n-- {
			l.lost--
			if len(l.times) < mostRestarts {
				l.times = append(l.times, at)
			}
		}
		l.fresh = 0
		for len(l.times) > 0 && at-l.times[0] > ls.window {
			l.times = l.times[1:]
		}
		if l.lost > 0 && at-l.lostAt > ls.window {
			l.lost = 0
		}
		if len(l.times) > 0 {
			told(id, l.machine, len(l.times))
		}
		if len(l.runs) == 0 && l.lost == 0 && len(l.times) == 0 {
			delete(ls.of, id)
		}
	}
}
