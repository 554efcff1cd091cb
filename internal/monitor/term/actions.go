package term

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// Actions does what is asked for. The start tells the process from a later one with its
// PID: if that is another, nothing must be done. An error is shown as it is, so it says
// what is wrong and how to mend it.
type Actions interface {
	Kill(pid int, start time.Time, signal syscall.Signal) error
	Renice(pid int, start time.Time, nice int) error
}

// signals are those that are offered, the one most wanted first.
func signals() []string {
	return []string{"TERM", "KILL", "INT", "HUP", "QUIT", "STOP", "CONT", "USR1", "USR2"}
}

// target is the process that an action is for, and how people call it. It stays what it
// was when the question was asked.
type target struct {
	pid   int
	start time.Time
	name  string
	nice  int
}

// target is the chosen process; of a chosen machine the process that runs it.
func (v *view) target() (target, bool) {
	if v.actions == nil {
		v.say("processes cannot be changed from here")
		return target{}, false
	}
	switch {
	case v.past.on:
		v.say("this is the past, where nothing can be changed: l goes back to now")
		return target{}, false
	case v.page == oneMachine:
		return v.runs(v.machine)
	case v.page == oneProcess:
		return aim(v.process), true
	case v.page != overview:
		return target{}, false
	case v.machinesFocused():
		if m := v.machines.row(); m != nil {
			return v.runs(m)
		}
	default:
		if p := v.processes.row(); p != nil {
			return aim(p), true
		}
	}
	v.say("choose a row first: arrow keys or a click")
	return target{}, false
}

func aim(p *sample.Process) target {
	return target{p.PID, p.Start, strconv.Itoa(p.PID) + " " + brief(p.Name), p.Nice}
}

func (v *view) runs(m *sample.Machine) (target, bool) {
	for i := range v.sample.Processes {
		if p := &v.sample.Processes[i]; p.PID == m.PID {
			t := aim(p)
			t.name = string(m.Kind) + " " + brief(machineName(m)) + " (" + t.name + ")"
			return t, true
		}
	}
	v.message, v.wrong = "the process that runs "+machineName(m)+" is not in the list", true
	return target{}, false
}

// brief is a name as it fits into a question.
func brief(name string) string {
	const most = 24
	if cut := strings.ToValidUTF8(name[:min(len(name), most)], ""); len(name) > most {
		return cut + "~"
	}
	return name
}

func (v *view) askKill() {
	t, ok := v.target()
	if !ok {
		return
	}
	v.prompt = &prompt{label: "signal for " + t.name + ":", choices: signals(), enter: func(name string) {
		v.confirm("send SIG"+name+" to "+t.name+"?", func() result {
			if err := v.actions.Kill(t.pid, t.start, unix.SignalNum("SIG"+name)); err != nil {
				return result{err.Error(), true}
			}
			return result{"sent SIG" + name + " to " + t.name, false}
		})
	}}
}

func (v *view) askNice() {
	t, ok := v.target()
	if !ok {
		return
	}
	v.prompt = &prompt{label: fmt.Sprintf("nice of %s, -20 (first) to 19 (last), now %d: ", t.name, t.nice), enter: func(text string) {
		nice, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || nice < -20 || nice > 19 {
			v.message, v.wrong = "nice is a whole number from -20 to 19, not "+strconv.Quote(text), true
			return
		}
		v.confirm(fmt.Sprintf("renice %s from %d to %d?", t.name, t.nice, nice), func() result {
			if err := v.actions.Renice(t.pid, t.start, nice); err != nil {
				return result{err.Error(), true}
			}
			return result{fmt.Sprintf("reniced %s to %d", t.name, nice), false}
		})
	}}
}

// confirm asks, and does it after a y.
func (v *view) confirm(question string, action func() result) {
	v.prompt = &prompt{label: question, confirm: true,
		enter:  func(string) { v.do(action) },
		cancel: func() { v.say("nothing done") }}
}

func (v *view) done(r result) { v.message, v.wrong = r.message, r.wrong }
