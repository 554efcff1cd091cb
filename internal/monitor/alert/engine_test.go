package alert

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sarn/internal/monitor/sample"
)

// bed runs an engine by a clock of its own: one pass a second.
type bed struct {
	t   interface{ Fatal(...any) }
	e   *Engine
	now time.Time
	// wall is what the samples say, which may be stepped.
	wall time.Time
}

var morning = time.Date(2026, 3, 1, 3, 12, 0, 0, time.UTC)

func newBed(t interface{ Fatal(...any) }, text string, state string) *bed {
	c, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, now: morning, wall: morning}
	b.start(*c, state)
	return b
}

func (b *bed) start(c Config, state string) {
	e, err := New(c, Deps{Now: func() time.Time { return b.now }, StateFile: state})
	if err != nil {
		b.t.Fatal(err)
	}
	b.e = e
}

func (b *bed) pass(s sample.Sample) {
	b.now, b.wall = b.now.Add(time.Second), b.wall.Add(time.Second)
	s.Time, s.Interval = b.wall, 1
	s.Host = sample.Host{Name: "host1", CPUs: 4, Boot: morning.Add(-time.Hour)}
	b.e.Observe(&s)
}

func busy(share float64) sample.Sample {
	return sample.Sample{CPU: sample.CPU{Total: sample.Times{User: share, Idle: 1 - share}}}
}

// told returns the events that the action number n was told, in order.
func (b *bed) told(n int) string {
	var words []string
	for _, m := range b.e.out[n].queue {
		words = append(words, string(m.Event)+":"+m.Alert.Level.String())
	}
	return strings.Join(words, " ")
}

const cpuRule = `
actions: [{name: log, on: [fire, change, clear], log: {}}]
rules:
  - {name: cpu, of: system, value: user, warning: 80%, critical: 95%, clear: 72%, for: 3s, clear_for: 2s, actions: [log]}
`

func TestStates(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		phases string // p pending, F firing, C clearing, - ok: after each value
		told   string
	}{
		"never":           {[]float64{.1, .79, .1}, "---", ""},
		"too short":       {[]float64{.9, .9, .9, .1}, "ppp-", ""},
		"fires at for":    {[]float64{.9, .9, .9, .9}, "pppF", "fire:warning"},
		"hysteresis":      {[]float64{.9, .9, .9, .9, .75, .75, .75, .75, .75}, "pppFFFFFF", "fire:warning"},
		"clears":          {[]float64{.9, .9, .9, .9, .7, .7, .7}, "pppFCC-", "fire:warning clear:ok"},
		"clearing breaks": {[]float64{.9, .9, .9, .9, .7, .7, .9, .7, .7, .7}, "pppFCCFCC-", "fire:warning clear:ok"},
		"straight to the worst": {
			[]float64{.99, .99, .99, .99, .1, .1, .1}, "pppFCC-", "fire:critical clear:ok",
		},
		"up and down": {
			[]float64{.9, .9, .9, .9, .99, .99, .99, .99, .82, .82, .82, .1, .1, .1},
			"pppFFFFFFFFCC-", "fire:warning change:critical change:warning clear:ok",
		},
		"two episodes": {
			[]float64{.9, .9, .9, .9, .1, .1, .1, .9, .9, .9, .9}, "pppFCC-pppF", "fire:warning clear:ok fire:warning",
		},
		"wobbling": {[]float64{.9, .1, .9, .1, .9, .1}, "p-p-p-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, cpuRule, "")
			got := ""
			for _, v := range c.values {
				b.pass(busy(v))
				switch {
				case len(b.e.Active()) == 1:
					got += map[Phase]string{Firing: "F", Clearing: "C"}[b.e.Active()[0].Phase]
				case len(b.e.Pending()) == 1:
					got += "p"
				default:
					got += "-"
				}
			}
			if got != c.phases || b.told(0) != c.told {
				t.Errorf("%v: %s, told %q; want %s, told %q", c.values, got, b.told(0), c.phases, c.told)
			}
		})
	}
}

func TestTimeNobodyWatchedIsNotCounted(t *testing.T) {
	b := newBed(t, strings.ReplaceAll(cpuRule, "for: 3s", "for: 5m"), "")
	b.pass(busy(.9))
	b.now = b.now.Add(time.Hour)
	b.pass(busy(.9))
	if n := len(b.e.Active()); n != 0 {
		t.Error("an hour without a sample counts as an hour above the threshold")
	}
}

func TestAStepOfTheClockChangesNothing(t *testing.T) {
	b := newBed(t, cpuRule, "")
	b.pass(busy(.9))
	b.wall = b.wall.Add(24 * time.Hour)
	b.pass(busy(.9))
	if len(b.e.Active()) != 0 {
		t.Error("a clock that is set fires an alert")
	}
	b.wall = b.wall.Add(-48 * time.Hour)
	b.pass(busy(.9))
	b.pass(busy(.9))
	if len(b.e.Active()) != 1 {
		t.Error("a clock that is set keeps an alert from firing")
	}
}

func TestMissingData(t *testing.T) {
	for missing, want := range map[string]string{"hold": "p p p F F F F F F", "clear": "p - p p F C C -", "fire": "p p F F"} {
		b := newBed(t, `rules: [{name: io, of: process, value: io, match: {name: dd}, warning: 1MB/s, for: 2s, clear_for: 2s, missing: `+missing+`}]`, "")
		values := map[string][]float64{
			"hold":  {5e6, -1, 5e6, 5e6, -1, -1, -1, -1, -1},
			"clear": {5e6, -1, 5e6, 5e6, 5e6, -1, -1, -1},
			"fire":  {-1, -1, -1, -1},
		}[missing]
		var got []string
		for _, v := range values {
			b.pass(sample.Sample{Processes: []sample.Process{{PID: 7, Name: "dd", ReadBytes: v, WriteBytes: v}}})
			switch {
			case len(b.e.Active()) == 1 && b.e.Active()[0].Phase == Clearing:
				got = append(got, "C")
			case len(b.e.Active()) == 1:
				got = append(got, "F")
			case len(b.e.Pending()) == 1:
				got = append(got, "p")
			default:
				got = append(got, "-")
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("missing: %s: %s, want %s", missing, strings.Join(got, " "), want)
		}
	}
}

func TestAProcessThatEndsClears(t *testing.T) {
	b := newBed(t, `
actions: [{name: log, log: {}}]
rules: [{name: hog, of: process, value: cpu, match: {name: "qemu-*"}, warning: 80%, actions: [log]}]`, "")
	hog := sample.Process{PID: 9, Name: "qemu-system-x86", CPU: 3}
	b.pass(sample.Sample{Processes: []sample.Process{{PID: 1, Name: "init", CPU: 9}, hog}})
	active := b.e.Active()
	if len(active) != 1 || active[0].Subject != "qemu-system-x86[9]" || active[0].Text != "3 CPUs" {
		t.Fatalf("%+v", active)
	}
	b.pass(sample.Sample{Processes: []sample.Process{{PID: 1, Name: "init"}}})
	past := b.e.Past(10)
	if len(b.e.Active()) != 0 || len(past) != 1 || !past[0].Gone || past[0].ID != active[0].ID || b.told(0) != "fire:warning clear:ok" {
		t.Errorf("%+v %q", past, b.told(0))
	}
	if words := past[0].Message; !strings.Contains(words, "qemu-system-x86[9] is there no more; CPU in use was 3 CPUs") {
		t.Errorf("%q says that it still uses CPU", words)
	}
}

func TestCountAndAbsent(t *testing.T) {
	b := newBed(t, `
rules:
  - {name: few, of: process, value: count, match: {user: www}, when: below, warning: 2}
  - {name: gone, of: process, value: absent, match: {command: "~nginx: master"}, severity: critical}
  - {name: vm, of: machine, value: absent, match: {name: web1}}`, "")
	www := sample.Process{PID: 5, User: "www", Command: "nginx: master process"}
	vm := sample.Machine{ID: "vm/web1", Name: "web1", State: "running"}
	active := func(want ...string) {
		t.Helper()
		var got []string
		for _, a := range b.e.Active() {
			got = append(got, a.Rule)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v fire, want %v", got, want)
		}
	}
	b.pass(sample.Sample{Processes: []sample.Process{www, {PID: 6, User: "www"}}, Machines: []sample.Machine{vm}})
	active()
	b.pass(sample.Sample{Processes: []sample.Process{www}, Machines: []sample.Machine{vm}})
	active("few")
	vm.State = "exited"
	b.pass(sample.Sample{Processes: []sample.Process{{PID: 1}}, Machines: []sample.Machine{vm}})
	active("gone", "few", "vm")
	b.pass(sample.Sample{Machines: []sample.Machine{vm}}) // processes were not seen: nothing is known
	active("gone", "few", "vm")
	vm.State = "running"
	b.pass(sample.Sample{Processes: []sample.Process{{PID: 1}}, Machines: []sample.Machine{vm}})
	if past := b.e.Past(1); len(past) != 1 || !strings.Contains(past[0].Message, `a machine is there again with name "web1"`) {
		t.Errorf("cleared: %+v", past)
	}
}

func TestRestarts(t *testing.T) {
	b := newBed(t, `
rules:
  - {name: restarted, of: process, value: restarted, match: {name: d}, window: 20s}
  - {name: flapping, of: process, value: flapping, match: {name: d}, window: 20s, warning: 3}
  - {name: vm, of: machine, value: restarted, window: 20s}`, "")
	run := func(pids ...int) {
		s := sample.Sample{Processes: []sample.Process{{PID: 1, Name: "init"}}}
		for i, pid := range pids {
			p := sample.Process{PID: pid, Name: "d", Command: "d", Start: morning.Add(time.Duration(pid) * time.Second), Parent: 1}
			if i > 0 {
				p.Parent = pids[0] // workers
			}
			s.Processes = append(s.Processes, p)
		}
		s.Machines = []sample.Machine{{ID: "vm/a", PID: pids0(pids)}}
		b.pass(s)
	}
	names := func() string {
		var got []string
		for _, a := range b.e.Active() {
			got = append(got, a.Rule)
		}
		return strings.Join(got, " ")
	}
	run(10, 11, 12)
	run(10, 13, 14) // workers come and go
	if names() != "" {
		t.Errorf("%s: a worker is not a restart", names())
	}
	run(20)
	if names() != "restarted vm" {
		t.Errorf("%q after a restart", names())
	}
	run() // gone for a while
	run(30)
	run(40)
	if names() != "flapping restarted vm" && names() != "restarted vm flapping" {
		t.Errorf("%q after three restarts", names())
	}
	for range 22 {
		run(40)
	}
	if names() != "" {
		t.Errorf("%q when the window is over", names())
	}
}

func TestAProcessThatRenamesItselfIsNotARestart(t *testing.T) {
	b := newBed(t, `rules: [{name: restarted, of: process, value: restarted, match: {name: d}}]`, "")
	run := func(commands map[int]string) int {
		s := sample.Sample{}
		for pid, command := range commands {
			s.Processes = append(s.Processes, sample.Process{PID: pid, Name: "d", Command: command, Start: morning.Add(time.Duration(pid) * time.Second), Parent: 1})
		}
		b.pass(s)
		return len(b.e.Active())
	}
	run(map[int]string{10: "d"})
	run(map[int]string{10: "d: a session"})
	if n := run(map[int]string{10: "d: a session", 11: "d"}); n != 0 {
		t.Errorf("%d fire", n)
	}
	run(nil) // processes could not be read
	if n := run(map[int]string{10: "d: a session", 11: "d"}); n != 0 {
		t.Errorf("%d fire after a pass that saw nothing", n)
	}
	if n := run(map[int]string{10: "d: a session", 12: "d"}); n != 1 {
		t.Errorf("%d fire after a restart", n)
	}
}

func pids0(pids []int) int {
	if len(pids) == 0 {
		return 0
	}
	return pids[0]
}

func TestSubjectsAreBounded(t *testing.T) {
	b := newBed(t, `rules: [{name: a, of: process, value: threads, warning: 1}]`, "")
	var s sample.Sample
	for i := range mostSubjects + 50 {
		s.Processes = append(s.Processes, sample.Process{PID: i + 1, Threads: 2})
	}
	b.pass(s)
	if n := len(b.e.Active()); n != mostSubjects || b.e.Refused()["a"] != 50 {
		t.Errorf("%d active, %v refused", n, b.e.Refused())
	}
}

func TestASteadyPassAllocatesNothing(t *testing.T) {
	b := newBed(t, `
rules:
  - {name: a, of: process, value: cpu, match: {name: "~^p[0-9]*$"}, warning: 80%}
  - {name: b, of: process, value: memory, warning: 1GiB}
  - {name: c, of: process, value: cpu, match: {name: other}, warning: 80%}
  - {name: d, of: filesystem, value: used, warning: 90%}`, "")
	var s sample.Sample
	for i := range 1000 {
		s.Processes = append(s.Processes, sample.Process{PID: i + 1, Name: fmt.Sprintf("p%d", i), CPU: .1, Resident: 1e6})
	}
	s.Interval = 1
	b.e.Observe(&s)
	n := math.Inf(1)
	for range 5 { // the least: what other tests have left may end meanwhile
		n = min(n, testing.AllocsPerRun(20, func() { b.e.Observe(&s) }))
	}
	if n > 10 {
		t.Errorf("%v allocations a pass for 1000 processes that are well", n)
	}
}

// What holds whatever the values are.
func TestEpisodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wait, settle := rapid.IntRange(0, 6).Draw(t, "for"), rapid.IntRange(0, 6).Draw(t, "clear_for")
		b := newBed(t, fmt.Sprintf(`
actions: [{name: log, log: {}}]
rules: [{name: cpu, of: system, value: user, warning: 50%%, critical: 80%%, clear: 40%%, for: %ds, clear_for: %ds, actions: [log]}]`, wait, settle), "")
		over, well, fired, was := -1, -1, 0, false
		for range rapid.IntRange(1, 80).Draw(t, "passes") {
			v := float64(rapid.SampledFrom([]int{0, 39, 45, 50, 79, 90}).Draw(t, "value")) / 100
			if v >= .5 {
				over, well = over+1, -1
			} else {
				over = -1
			}
			if v < .4 {
				well++
			} else {
				well = -1
			}
			b.pass(busy(v))
			active := b.e.Active()
			is := len(active) == 1
			if is && !was {
				fired++
				if over < wait {
					t.Fatalf("fires after %d s of %d", over, wait)
				}
			}
			if !is && over >= wait {
				t.Fatalf("does not fire after %d s of %d", over, wait)
			}
			if is && well >= settle {
				t.Fatalf("fires still after %d s of %d below", well, settle)
			}
			was = is
		}
		if n := strings.Count(b.told(0), "fire"); n != fired {
			t.Fatalf("%d episodes, told of %d", fired, n)
		}
		if n, m := strings.Count(b.told(0), "clear"), len(b.e.Past(1000)); n != m {
			t.Fatalf("%d are past, told of %d", m, n)
		}
	})
}

// TestForIsNotMissedByAPass: passes that come a little early fire and clear no later.
func TestForIsNotMissedByAPass(t *testing.T) {
	b := newBed(t, cpuRule, "")
	for i, level := range []Level{OK, OK, OK, Warning, Warning, Warning, OK} {
		share := 0.9
		if i > 3 {
			share = 0.1
		}
		b.now = b.now.Add(-100 * time.Microsecond)
		b.pass(busy(share))
		got := OK
		if active := b.e.Active(); len(active) > 0 {
			got = active[0].Level
		}
		if got != level {
			t.Errorf("pass %d: %s, want %s", i, got, level)
		}
	}
}
