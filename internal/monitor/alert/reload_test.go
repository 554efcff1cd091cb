package alert

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/sample"
)

// TestReload: rules that are read again go on with what fires, without a word; a file that
// is wrong changes nothing.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "alerts.yaml")
	write := func(rules string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const many = "{name: many, of: process, value: count, careful: 1, for: 0s, actions: [touch]}\n"
	actions := "actions: [{name: touch, exec: {command: [sh, -c, 'echo $SARN_ALERT_EVENT >>" + dir + "/told']}}]\n"
	write(actions + "rules:\n- " + many)
	if _, err := OpenFile(filepath.Join(dir, "none"), Deps{}); err == nil {
		t.Error("a file that is not there")
	}
	f, err := OpenFile(path, Deps{StateFile: filepath.Join(dir, "state.json")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	s := &sample.Sample{Time: time.Now(), Interval: 1, Processes: []sample.Process{{PID: 1}, {PID: 2}}}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("still not so: %s", what)
			}
			f.Observe(s)
		}
	}
	told := func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "told"))
		return string(text)
	}
	// One that is not yet known to be told would be told again by the engine after it.
	until("it is told", func() bool { return told() == "fire\n" && f.Deliveries()[0].Sent == 1 })
	first := f.Active()[0]

	write("rules: nonsense\n")
	f.Reload()
	until("the file is read", func() bool { return len(f.anew) == 0 })
	write(actions + "rules:\n- " + many + "- {name: more, of: process, value: count, careful: 99, for: 0s}\n")
	f.Reload()
	until("there are two rules", func() bool { return f.Rules() == 2 })
	f.Observe(s)
	if a := f.Active(); len(a) != 1 || a[0].ID != first.ID || len(f.Pending()) != 0 || len(f.Past(9)) != 0 || len(f.Deliveries()) != 1 {
		t.Errorf("got %+v, want %+v", a, first)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := told(); strings.Count(got, "\n") != 1 {
		t.Errorf("told %q", got)
	}
}

// TestAnAlertIsNotForgotten: one whose rule, or whose level, is no more is over.
func TestAnAlertIsNotForgotten(t *testing.T) {
	for _, rules := range []string{
		strings.Replace(cpuRule, "name: cpu", "name: other", 1),
		strings.Replace(cpuRule, "warning: 80%, critical: 95%, clear: 72%", "critical: 95%", 1),
	} {
		state := filepath.Join(t.TempDir(), "alerts.json")
		b := newBed(t, cpuRule, state)
		for range 5 {
			b.pass(busy(.9))
		}
		id := b.e.Active()[0].ID
		if err := b.e.write(); err != nil {
			t.Fatal(err)
		}
		c, err := Parse("x", []byte(rules))
		if err != nil {
			t.Fatal(err)
		}
		b.start(*c, state)
		if a, past := b.e.Active(), b.e.Past(9); len(a) != 0 || len(past) != 1 || past[0].ID != id || past[0].Phase != Cleared {
			t.Errorf("%+v, past %+v", a, past)
		}
	}
}
