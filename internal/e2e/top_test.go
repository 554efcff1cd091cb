package e2e

import (
	"strings"
	"testing"
)

// TestTop is the live view as a person has it: in a terminal, until q.
func TestTop(t *testing.T) {
	f := fabric{T: t}
	tmux := func(args ...string) string {
		t.Helper()
		out, err := bounded(t, append([]string{"tmux", "-L", "sarn-e2e-top", "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	tmux("new-session", "-d", "-x", "80", "-y", "24", "env TERM=screen "+program+" top --interval 200ms; echo ended with $?; cat")
	defer tmux("kill-server")
	screen := func() string { return tmux("capture-pane", "-p") }
	f.eventually("processes are shown", func() bool { return strings.Contains(screen(), "PID USER") && strings.Contains(screen(), "CPU [") })
	tmux("send-keys", "?")
	f.eventually("the keys are told", func() bool { return strings.Contains(screen(), "send a signal") })
	tmux("send-keys", "Escape")
	// Escape and a letter that come together are another key.
	f.eventually("the keys are gone", func() bool { return !strings.Contains(screen(), "send a signal") })
	tmux("send-keys", "q")
	f.eventually("it has ended and left the screen", func() bool {
		return strings.Contains(screen(), "ended with 0") && !strings.Contains(screen(), "PID USER")
	})

	out, err := bounded(t, program, "top").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the live view needs a terminal; without one, give --once") {
		t.Errorf("without a terminal: %v, %s", err, out)
	}
}
