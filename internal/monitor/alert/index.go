package alert

import (
	"sarn/internal/monitor/sample"
)

// index knows which rules match each process, so that a process that has been seen costs
// one look-up a pass, and one that no rule matches nothing more.
type index struct {
	rules []*rule
	of    []int // the rules that are of processes
	seen  map[processKey]processEntry
	// pids is filled where restarts are counted, to tell a worker from its parent.
	family bool
	pids   map[int]int
}

type processKey struct {
	pid   int
	start int64
}

type processEntry struct {
	name, user, command string
	rules               []int
	pass                uint64
}

func newIndex(rules []*rule) *index {
	x := &index{rules: rules, seen: map[processKey]processEntry{}, pids: map[int]int{}}
	for i, r := range rules {
		if r.kind.name == "process" {
			x.of = append(x.of, i)
			x.family = x.family || r.value.group == restarts
		}
	}
	return x
}

// observe asks the rules that match each process of a sample.
func (x *index) observe(v *visit) {
	if len(x.of) == 0 {
		return
	}
	s := v.s
	if x.family {
		clear(x.pids)
		for n := range s.Processes {
			x.pids[s.Processes[n].PID] = n
		}
	}
	for n := range s.Processes {
		for _, i := range x.matching(s, n, v.e.pass) {
			x.ask(v, i, n)
		}
	}
	if len(x.seen) == len(s.Processes) {
		return
	}
	for key, entry := range x.seen {
		if entry.pass != v.e.pass {
			delete(x.seen, key)
		}
	}
}

// matching returns the rules for a process. A program that another one takes the place
// of (execve(2)) keeps its pid and start.
func (x *index) matching(s *sample.Sample, n int, pass uint64) []int {
	p := &s.Processes[n]
	key := processKey{p.PID, startOf(s, p)}
	entry, ok := x.seen[key]
	if !ok || entry.name != p.Name || entry.command != p.Command || entry.user != p.User {
		entry = processEntry{name: p.Name, user: p.User, command: p.Command}
		for _, i := range x.of {
			if x.rules[i].matches(s, n) {
				entry.rules = append(entry.rules, i)
			}
		}
	}
	entry.pass = pass
	x.seen[key] = entry
	return entry.rules
}

func (x *index) ask(v *visit, i, n int) {
	r, w, p := x.rules[i], v.e.watches[i], &v.s.Processes[n]
	switch r.value.group {
	case notGroup:
		v.thing(i, r, n)
	case restarts:
		if id := identityOf(p); !x.forked(v.s, p, id) {
			w.lives.see(id, incarnation{p.PID, startOf(v.s, p)}, p.Machine, v.e.pass)
		}
	default:
		if p.State != "Z" { // a zombie is not there to do anything
			w.count++
		}
	}
}

func identityOf(p *sample.Process) identity { return identity{p.Name, p.User, p.Command} }

// forked reports whether the process is a worker that its parent made of itself: such
// come and go.
func (x *index) forked(s *sample.Sample, p *sample.Process, id identity) bool {
	n, ok := x.pids[p.Parent]
	return ok && identityOf(&s.Processes[n]) == id
}
