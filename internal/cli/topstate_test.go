package cli

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

// monitored is a state directory whose monitor has ended so long ago, with an alert that
// was active.
func monitored(t *testing.T, ago time.Duration) string {
	t.Helper()
	dir := t.TempDir()
	store, err := history.Open(history.Config{Dir: filepath.Join(dir, "history")})
	if err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(-ago)
	for i := range 30 {
		if err := store.Add(&sample.Sample{Time: when.Add(time.Duration(i-30) * time.Second), Interval: 1, Host: sample.Host{Name: "monitored"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	text := `{"version":1,"saved":"2026-05-04T03:12:00Z","alerts":[{"alert":{"rule":"full","level":"critical","highest":"critical"}}],"past":[]}`
	if err := os.WriteFile(filepath.Join(dir, "alerts.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Alerts of a monitor that runs are shown as they are; those of one that has ended are
// not said to be active now.
func TestLocalAlerts(t *testing.T) {
	for ago, active := range map[time.Duration]int{0: 1, time.Hour: 0} {
		flags := &stateFlags{state: monitored(t, ago)}
		past, err := newLocalPast(flags.state, true)
		if err != nil {
			t.Fatal(err)
		}
		alerts, err := newLocalAlerts(flags)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // from the file, and again
			got := alerts.read(past)
			if len(got.Active) != active || (active == 0) != strings.Contains(got.Note, "does not run") {
				t.Errorf("%s after its end: %+v", ago, got)
			}
		}
		if err := os.WriteFile(alerts.file, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(alerts.file, time.Now(), time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := alerts.read(past); len(got.Active) > 0 || !strings.Contains(got.Note, "not known") {
			t.Errorf("of a file that is none: %+v", got)
		}
		if err := os.Remove(alerts.file); err != nil {
			t.Fatal(err)
		}
		if got := alerts.read(past); !strings.Contains(got.Note, "Nobody watches") {
			t.Errorf("without a file: %+v", got)
		}
		if err := past.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What the monitor keeps and what the view has seen are one past.
func TestLocalPast(t *testing.T) {
	past, err := newLocalPast(monitored(t, 10*time.Minute), true)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 20 {
		s := &sample.Sample{Time: now.Add(time.Duration(i-20) * time.Second), Interval: 1, Host: sample.Host{Name: "seen"}, Tasks: sample.Tasks{Processes: 7}}
		if err := past.seen.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	for ago, want := range map[time.Duration]string{5 * time.Second: "seen", 10*time.Minute + 5*time.Second: "monitored", 5 * time.Minute: "monitored"} {
		r, err := past.At(t.Context(), now.Add(-ago), time.Second)
		if err != nil || r.Sample.Host.Name != want {
			t.Errorf("%s ago: %+v, %v; want %s", ago, r, err, want)
		}
	}
	if _, err := past.At(t.Context(), now.Add(-time.Hour), time.Second); err == nil {
		t.Error("there is a record of before all")
	}
	series, err := past.Range(t.Context(), now.Add(-11*time.Minute), now, time.Minute, "tasks.processes")
	if err != nil {
		t.Fatal(err)
	}
	values := series.Lines[0].Values
	if values[0] != 0 || values[len(values)-1] != 7 || !math.IsNaN(values[5]) {
		t.Errorf("the chart of both: %v", values)
	}
	bounds, err := past.Bounds(t.Context())
	if err != nil || len(bounds) < 4 {
		t.Errorf("%v, %v", bounds, err)
	}
	if err := past.Close(); err != nil {
		t.Error(err)
	}
}
