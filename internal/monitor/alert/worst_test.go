package alert

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sarn/internal/monitor/sample"
)

// What is past says how bad it was, not how well it was when it cleared: also when the
// worst was before a restart.
func TestThePastSaysTheWorst(t *testing.T) {
	below := `rules: [{name: few, of: system, value: user, when: below, warning: 30%, clear: 40%, message: "{level} {value} of {threshold}"}]`
	for _, c := range []struct {
		rules         string
		before, after []float64
		worst         float64
		message       string
	}{
		{strings.ReplaceAll(cpuRule, "value: user", "value: cpu"), []float64{.97, .97, .97, .97, .99}, []float64{.82, .2, .2, .2}, .99, "host1: CPU in use was 99% at worst, threshold 95%"},
		{strings.ReplaceAll(cpuRule, "value: user", "value: cpu"), []float64{.85, .85, .85, .85}, []float64{.91, .2, .2, .2}, .91, "host1: CPU in use was 91% at worst, threshold 80%"},
		{below, []float64{.2, .1}, []float64{.25, .9}, .1, "warning 10% of 30%"},
	} {
		state := filepath.Join(t.TempDir(), "alerts.json")
		b := newBed(t, c.rules, state)
		for _, v := range c.before {
			b.pass(busy(v))
		}
		if err := b.e.write(); err != nil {
			t.Fatal(err)
		}
		conf, err := Parse("x", []byte(c.rules))
		if err != nil {
			t.Fatal(err)
		}
		b.start(*conf, state)
		for _, v := range c.after {
			b.pass(busy(v))
		}
		if err := b.e.write(); err != nil {
			t.Fatal(err)
		}
		saved, err := ReadState(state)
		if err != nil {
			t.Fatal(err)
		}
		for _, past := range [][]Alert{b.e.Past(10), saved.Past} {
			if len(past) != 1 || past[0].Worst == nil || *past[0].Worst != c.worst || past[0].WorstText != share.text(c.worst) || past[0].Message != c.message {
				t.Errorf("%v: %+v; the worst was %v, and it was said: %q", c.before, past, c.worst, c.message)
			}
		}
	}
}

// A state that was saved before alerts had a worst value begins with the value that it has.
func TestTheWorstOfAnOldState(t *testing.T) {
	state := filepath.Join(t.TempDir(), "alerts.json")
	b := newBed(t, cpuRule, state)
	for range 4 {
		b.pass(busy(.85))
	}
	if err := b.e.write(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	old := regexp.MustCompile(`"worst(_text)?": *("[^"]*"|[0-9.]+), *`).ReplaceAll(text, nil)
	if len(old) == len(text) {
		t.Fatalf("there is no worst value in %s", text)
	}
	if err := os.WriteFile(state, old, 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := Parse("x", []byte(cpuRule))
	if err != nil {
		t.Fatal(err)
	}
	b.start(*conf, state)
	for range 4 {
		b.pass(busy(.1))
	}
	if past := b.e.Past(2); len(past) != 1 || past[0].WorstText != "85%" || !strings.Contains(past[0].Message, "was 85% at worst") {
		t.Errorf("%+v", past)
	}
}

// The next episode of the same subject does not have the worst of the one before.
func TestTheWorstIsOfOneEpisode(t *testing.T) {
	b := newBed(t, cpuRule, "")
	for _, v := range []float64{.99, .99, .99, .99, .1, .1, .1, .85, .85, .85, .85, .1, .1, .1} {
		b.pass(busy(v))
	}
	past := b.e.Past(2)
	if len(past) != 2 || past[0].WorstText != "85%" || past[1].WorstText != "99%" {
		t.Errorf("%+v", past)
	}
}

// Of containers that run the same program, the alert names the one in which it restarted.
func TestTheMachineOfARestart(t *testing.T) {
	for _, restarted := range []string{"docker/a", "docker/b"} {
		b := newBed(t, `rules: [{name: back, of: process, value: restarted, match: {name: nginx}}]`, "")
		pass := func(pids map[string]int) {
			var s sample.Sample
			for _, machine := range []string{"docker/a", "docker/b"} {
				s.Processes = append(s.Processes, sample.Process{PID: pids[machine], Name: "nginx", Command: "nginx", Machine: machine})
			}
			b.pass(s)
		}
		pids := map[string]int{"docker/a": 4, "docker/b": 5}
		pass(pids)
		pids[restarted] = 7
		pass(pids)
		if active := b.e.Active(); len(active) != 1 || active[0].Machine != restarted || !strings.Contains(active[0].Subject, restarted) {
			t.Errorf("in %s nginx restarted, and told is %+v", restarted, active)
		}
	}
}

// An alert about a process says which VM the process is, or belongs to.
func TestAProcessOfAMachineIsNamed(t *testing.T) {
	b := newBed(t, `
actions: [{name: log, log: {}}]
defaults: {actions: [log]}
rules:
  - {name: cpu, of: process, value: cpu, match: {name: "qemu*"}, warning: 50%}
  - {name: back, of: process, value: restarted, match: {name: "qemu*"}}
  - {name: vm, of: machine, value: cpu, warning: 50%}
  - {name: other, of: process, value: cpu, match: {name: sh}, warning: 50%}
`, "")
	pass := func(pid int) {
		b.pass(sample.Sample{
			Processes: []sample.Process{{PID: pid, Name: "qemu-system-x86", Command: "qemu-system-x86_64 -name web1", Machine: "vm/web1", CPU: .9}, {PID: 9, Name: "sh", CPU: .9}},
			Machines:  []sample.Machine{{ID: "vm/web1", State: "running", CPU: .9, PID: pid}},
		})
	}
	pass(4)
	pass(7)
	got := map[string]Alert{}
	for _, a := range b.e.Active() {
		got[a.Rule] = a
	}
	for rule, want := range map[string]struct{ machine, message string }{
		"cpu":   {"vm/web1", "host1: qemu-system-x86[7] (vm/web1) CPU in use is 0.9 CPUs, threshold 0.5 CPUs"},
		"back":  {"vm/web1", "host1: qemu-system-x86 (vm/web1: qemu-system-x86_64 -name web1) restarted 1 times in 10m0s"},
		"vm":    {"vm/web1", "host1: vm/web1 CPU in use is 0.9 CPUs, threshold 0.5 CPUs"},
		"other": {"", "host1: sh[9] CPU in use is 0.9 CPUs, threshold 0.5 CPUs"},
	} {
		if a := got[rule]; a.Machine != want.machine || a.Message != want.message {
			t.Errorf("%s: of %q: %q; want %q: %q", rule, a.Machine, a.Message, want.machine, want.message)
		}
	}
	for _, n := range b.e.out[0].queue {
		if n.Alert.Rule != "other" && n.Alert.Machine != "vm/web1" {
			t.Errorf("%s is told without the machine: %+v", n.Alert.Rule, n.Alert)
		}
	}
}
