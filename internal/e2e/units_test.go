package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/sample"
)

// units are the files for systemd, with the program where these tests have it.
func units(t *testing.T, dir string) []string {
	t.Helper()
	all, _ := filepath.Glob("../../packaging/systemd/*.service")
	if len(all) < 3 {
		t.Fatalf("there are %v", all)
	}
	for i, u := range all {
		text, err := os.ReadFile(u)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = filepath.Join(dir, filepath.Base(u))
		write := func(path, text string) {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write(all[i], strings.ReplaceAll(string(text), "/usr/local/bin/sarn", program))
		// What the head of the file tells to add.
		var more []string
		for line := range strings.Lines(string(text)) {
			if l, ok := strings.CutPrefix(line, "#   "); ok {
				more = append(more, l)
			}
		}
		if len(more) == 0 {
			t.Errorf("%s does not say what to add", u)
		}
		write(all[i]+".d/more.conf", strings.Join(more, ""))
	}
	return all
}

// TestUnits has systemd read its units, with and without what their heads tell to add, and
// asks it how much they let a program do.
func TestUnits(t *testing.T) {
	most := map[string]float64{"sarn-monitor": 3, "sarn-server": 2.5, "sarn-agent": 8}
	for _, u := range units(t, t.TempDir()) {
		if out, err := bounded(t, "systemd-analyze", "verify", "--man=no", u).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("%s: %v\n%s", u, err, out)
		}
		out, err := bounded(t, "systemd-analyze", "security", "--offline=true", "--no-pager", u).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_, rest, _ := strings.Cut(string(out), "Overall exposure level for ")
		words := strings.Fields(rest)
		name := strings.TrimSuffix(filepath.Base(u), ".service")
		level, err := strconv.ParseFloat(words[1], 64)
		if err != nil || level > most[name] {
			t.Errorf("%s: %v: %s", name, err, rest)
		}
	}
}

// TestLeastPrivilege runs the monitor as its unit has it: a user of its own with these
// capabilities sees what root does.
func TestLeastPrivilege(t *testing.T) {
	text, err := os.ReadFile("../../packaging/systemd/sarn-monitor.service")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nAmbientCapabilities=")
	line, _, _ := strings.Cut(rest, "\n")
	caps := "+" + strings.Join(strings.Fields(strings.ToLower(strings.ReplaceAll(line, "CAP_", ""))), ",+")
	// The program must be in reach of somebody who is not root.
	if err := os.Chmod(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	state, err := os.MkdirTemp(filepath.Dir(program), "least")
	if err == nil {
		err = os.Chown(state, 65534, 65534)
	}
	if err != nil {
		t.Fatal(err)
	}
	see := func(w *watcher) (hidden int) {
		var s sample.Sample
		w.seen(1)
		w.get("/api/v1/sample", &s)
		for _, p := range s.Processes {
			if p.ReadBytes < 0 {
				hidden++
			}
		}
		return hidden
	}
	under := []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"}
	none := see(watchAs(t, append(under, "--bounding-set", "-all"), "--no-history"))
	w := watchAs(t, append(under, "--inh-caps", caps, "--ambient-caps", caps, "--bounding-set", "-all,"+caps), "--state", state)
	// Processes that end while they are looked at are hidden from everybody.
	var some int
	if !w.poll(30*time.Second, func() bool { some = see(w); return some <= 1 }) || none < 5 {
		t.Errorf("%d processes are hidden from it, %d from one without capabilities", some, none)
	}
	if a, err := http.Get(w.at + "/api/v1/history"); err != nil || a.StatusCode != http.StatusOK {
		t.Errorf("its history: %v %v", a, err)
	}
}
