package alert

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestARestartFiresNothingAgain(t *testing.T) {
	state := filepath.Join(t.TempDir(), "alerts.json")
	b := newBed(t, cpuRule, state)
	for range 5 {
		b.pass(busy(.9))
	}
	id := b.e.Active()[0].ID
	b.e.out[0].queue = nil // it was delivered
	if err := b.e.write(); err != nil {
		t.Fatal(err)
	}
	c, _ := Parse("x", []byte(cpuRule))
	b.now = b.now.Add(time.Minute)
	b.start(*c, state)
	for range 5 {
		b.pass(busy(.9))
	}
	if a := b.e.Active(); len(a) != 1 || a[0].ID != id || b.told(0) != "" {
		t.Errorf("%+v, told %q", a, b.told(0))
	}
	for range 3 {
		b.pass(busy(.1))
	}
	if b.told(0) != "clear:ok" || b.e.Past(1)[0].ID != id {
		t.Errorf("told %q", b.told(0))
	}
}

func TestWhatIsPendingGoesOnAfterARestart(t *testing.T) {
	for pause, want := range map[time.Duration]int{time.Minute: 1, time.Hour: 0} {
		state := filepath.Join(t.TempDir(), "alerts.json")
		b := newBed(t, cpuRule, state)
		for range 3 {
			b.pass(busy(.9))
		}
		if err := b.e.write(); err != nil {
			t.Fatal(err)
		}
		c, _ := Parse("x", []byte(cpuRule))
		b.now = b.now.Add(pause)
		b.start(*c, state)
		b.pass(busy(.9))
		b.pass(busy(.9))
		if n := len(b.e.Active()); n != want {
			t.Errorf("%d fire after a pause of %s, want %d", n, pause, want)
		}
	}
}

func TestWhatWasNotToldIsToldAfterARestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "alerts.json")
	b := newBed(t, cpuRule, state)
	for range 4 {
		b.pass(busy(.9))
	}
	if err := b.e.write(); err != nil { // the action had no time
		t.Fatal(err)
	}
	c, _ := Parse("x", []byte(cpuRule))
	b.start(*c, state)
	if b.told(0) != "fire:warning" {
		t.Errorf("told %q", b.told(0))
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(state), ".alerts-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAStateThatCannotBeReadIsPutAside(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"version": 9}`, `{"version":1,"alerts":[{"alert":{"level":"awful"}}]}`} {
		state := filepath.Join(t.TempDir(), "alerts.json")
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b := newBed(t, cpuRule, state)
		b.pass(busy(.9))
		if aside, err := os.ReadFile(state + ".unreadable"); err != nil || string(aside) != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRunDeliversAndKeepsTheState(t *testing.T) {
	state := filepath.Join(t.TempDir(), "alerts.json")
	b := newBed(t, cpuRule, state)
	for range 4 {
		b.pass(busy(.9))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- b.e.Run(ctx) }()
	for b.e.Deliveries()[0].Sent == 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c, _ := Parse("x", []byte(cpuRule))
	b.start(*c, state)
	if len(b.e.Active()) != 1 || b.told(0) != "" {
		t.Errorf("%+v, told %q", b.e.Active(), b.told(0))
	}
}
