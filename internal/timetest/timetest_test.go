package timetest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sarn/internal/timetest"
)

// TestTry is made again until it passes, with more patience each time.
func TestTry(t *testing.T) {
	var waits []time.Duration
	cleaned := 0
	timetest.Try(t, func(t *timetest.T) {
		t.Cleanup(func() {
			if t.Context().Err() != nil {
				cleaned++
			}
		})
		waits = append(waits, t.Patience(time.Second))
		switch len(waits) {
		case 1:
			t.Errorf("wrong")
		case 2:
			t.Fatal("wrong too")
		}
	})
	if len(waits) != 3 || waits[0] != time.Second || waits[2] != 16*time.Second || cleaned != 3 {
		t.Errorf("tried with %v, cleaned up %d times", waits, cleaned)
	}
}

// TestAlwaysWrong fails, as a process of its own.
func TestAlwaysWrong(t *testing.T) {
	if os.Getenv("SARN_ALWAYS_WRONG") != "" {
		timetest.Try(t, func(t *timetest.T) { t.Fatalf("never %s", "right") })
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAlwaysWrong$")
	cmd.Env = append(os.Environ(), "SARN_ALWAYS_WRONG=1")
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Count(string(out), ": never right") != 5 || !strings.Contains(string(out), "--- FAIL: TestAlwaysWrong") {
		t.Errorf("%v: %s", err, out)
	}
}
