package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sarn/internal/monitor/history"
)

// pane is a program in a terminal.
type pane struct {
	fabric
	server string
}

func newPane(t *testing.T, server, command string) *pane {
	t.Helper()
	p := &pane{fabric{T: t}, server}
	p.tmux("new-session", "-d", "-x", "110", "-y", "30", "env TERM=screen LC_ALL=C.UTF-8 "+command+"; echo ended with $?; cat")
	t.Cleanup(func() { p.tmux("kill-server") })
	return p
}

func (p *pane) tmux(args ...string) string {
	p.Helper()
	out, err := bounded(p.T, append([]string{"tmux", "-L", p.server, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		p.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (p *pane) keys(keys ...string) { p.tmux(append([]string{"send-keys"}, keys...)...) }

// shows waits until the screen has all of the texts.
func (p *pane) shows(texts ...string) string {
	p.Helper()
	var screen string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		screen = p.tmux("capture-pane", "-p")
		missing := ""
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				missing = text
			}
		}
		if missing == "" {
			return screen
		}
	}
	p.Fatalf("the screen never has %q:\n%s", texts, screen)
	return ""
}

const watchSpike = `
rules:
  - {name: spike, of: process, value: cpu, match: {command: "*spikemaker*"}, warning: 10%, clear: 1%, for: 0s, clear_for: 0s}
`

// TestTopPast: a monitor sees a spike and an alert while nobody looks. Afterwards sarn top
// shows who made it, at that time, in few keys; without a monitor it knows what it has
// seen itself.
func TestTopPast(t *testing.T) {
	state := t.TempDir()
	rules := filepath.Join(t.TempDir(), "alerts.yaml")
	if err := os.WriteFile(rules, []byte(watchSpike), 0o600); err != nil {
		t.Fatal(err)
	}
	m := watch(t, "--state", state, "--alerts", rules)
	spike := bounded(t, "sh", "-c", "true spikemaker; while :; do :; done")
	if err := spike.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	m.eventually("the spike is seen", func() bool { return strings.Contains(m.get("/api/v1/alerts", nil), `"firing"`) })
	_ = spike.Process.Kill()
	_ = spike.Wait()
	m.eventually("it is over", func() bool { return strings.Contains(m.get("/api/v1/alerts", nil), `"cleared"`) })
	m.stop()

	p := newPane(t, "sarn-e2e-past", program+" top --interval 200ms --state "+state)
	p.shows("PID USER", "CPU [")
	p.keys("a")
	p.shows("Past 1", "WARNING", "spike", " to ", "Of this machine's monitor")
	p.keys("a", "{")
	p.shows(" PAST ", " WARNING ", "spikemaker")
	p.keys("l")
	p.tmux("send-keys", "-l", "g")
	p.tmux("send-keys", "-l", began.Format("2006-01-02 15:04"))
	p.keys("Enter")
	screen := p.shows(" PAST "+began.Format("Mon 2006-01-02 15:04"), ">CPU", "l now")
	if !strings.Contains(screen, "COMMAND") && !strings.Contains(screen, "Nothing was recorded") {
		t.Errorf("neither a picture nor why there is none:\n%s", screen)
	}
	p.keys("q")
	p.shows("ended with 0")

	alone := newPane(t, "sarn-e2e-alone", program+" top --interval 200ms --alerts "+rules+" --state "+t.TempDir()+"/")
	alone.shows("--state", "ended with 2")

	// A history that a program of another user keeps is not seen, but what is seen here is.
	t.Run("alone", func(t *testing.T) {
		p := newPane(t, "sarn-e2e-seen", "env XDG_STATE_HOME="+t.TempDir()+" "+program+" top --interval 200ms --alerts "+rules)
		p.shows("PID USER", "CPU [")
		spike := bounded(t, "sh", "-c", "true spikemaker; while :; do :; done")
		if err := spike.Start(); err != nil {
			t.Fatal(err)
		}
		p.shows(" WARNING  spike", "spikemaker")
		_ = spike.Process.Signal(syscall.SIGKILL)
		_ = spike.Wait()
		p.keys("a")
		p.shows("Past 1", "nobody is told")
		p.keys("a", "{")
		p.shows(" PAST ", "spikemaker", "pass of ")
		p.keys("q")
		p.shows("ended with 0")
	})
}

// TestTopPastBesideAMonitor: what a monitor writes is seen while it runs, and its files
// are as if nobody had looked.
func TestTopPastBesideAMonitor(t *testing.T) {
	state := t.TempDir()
	m := watch(t, "--state", state)
	dir := filepath.Join(state, "history")
	m.eventually("something is written", func() bool {
		r, err := history.OpenReader(dir)
		if err != nil {
			return false
		}
		defer r.Close()
		bounds, err := r.Bounds()
		return err == nil && bounds[0].Records >= 10
	})
	p := newPane(t, "sarn-e2e-beside", program+" top --interval 200ms --state "+state)
	p.shows("PID USER", "CPU [")
	p.tmux("send-keys", "-l", "g")
	p.tmux("send-keys", "-l", "--", "-8s")
	p.keys("Enter")
	screen := p.shows(" PAST ", "pass of ", "PID USER")
	_, pass, _ := strings.Cut(screen, "pass of ")
	pass, _, _ = strings.Cut(pass, " ")
	if took, err := time.ParseDuration(pass); err != nil || took < 500*time.Millisecond { // about a second, not about a fifth
		t.Errorf("it is not the monitor's pass of a second, %v:\n%s", err, screen)
	}
	p.keys("q")
	p.shows("ended with 0")
	m.stop()
	again := watch(t, "--state", state) // nothing keeps it out
	again.stop()
}
