package alert

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What an engine has saved is read by others as the engine has it, and stays as it is.
func TestReadState(t *testing.T) {
	state := filepath.Join(t.TempDir(), "alerts.json")
	if _, err := ReadState(state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	b := newBed(t, cpuRule, state)
	for range 4 {
		b.pass(busy(.9))
	}
	check := func(active, pending, past int) {
		t.Helper()
		if err := b.e.write(); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(state)
		s, err := ReadState(state)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Active) != active || len(s.Pending) != pending || len(s.Past) != past {
			t.Errorf("%d active, %d pending, %d past; want %d, %d, %d", len(s.Active), len(s.Pending), len(s.Past), active, pending, past)
		}
		for i, a := range b.e.Active() {
			if s.Active[i].ID != a.ID || s.Active[i].Level != a.Level {
				t.Errorf("%+v is read as %+v", a, s.Active[i])
			}
		}
		if after, _ := os.ReadFile(state); string(after) != string(before) {
			t.Error("reading has changed the file")
		}
	}
	check(1, 0, 0)
	for range 6 {
		b.pass(busy(.1))
	}
	check(0, 0, 1)
	b.pass(busy(.9))
	check(0, 1, 1)

	good, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"": "is not the state", "{": "is not the state", `{"version": 9}`: "version 9", strings.Replace(string(good), `"saved"`, `"sawed"`, 1): "sawed",
		`{"version":1,"alerts":[{"alert":{"level":"awful"}}]}`: "awful", strings.Repeat(" ", mostState+1): "larger than",
	} {
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadState(state); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), state) {
			t.Errorf("%.40q: %v, not %q", text, err, want)
		}
		if now, _ := os.ReadFile(state); string(now) != text {
			t.Errorf("%.40q was changed", text)
		}
	}
}
