package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sarn/internal/monitor/sample"
)

// watcher is a `sarn monitor serve` of its own.
type watcher struct {
	fabric
	cmd   *exec.Cmd
	found chan string // where it listens
	at    string      // http://...

	mu  sync.Mutex
	log bytes.Buffer
}

// watch starts a monitor and waits until it answers.
func watch(t *testing.T, args ...string) *watcher {
	t.Helper()
	return watchAs(t, nil, args...)
}

// watchAs starts it by another program, which makes it somebody else.
func watchAs(t *testing.T, by []string, args ...string) *watcher {
	t.Helper()
	return start(t, slices.Concat(by, []string{program, "monitor", "serve", "--listen", addresses(t, 1)[0]}, args)...)
}

// start starts a program with a monitor in it and waits until that answers.
func start(t *testing.T, argv ...string) *watcher {
	t.Helper()
	w := launch(t, argv...)
	w.listens()
	return w
}

// launch starts a program with a monitor in it.
func launch(t *testing.T, argv ...string) *watcher {
	t.Helper()
	w := &watcher{fabric: fabric{T: t}, found: make(chan string, 1)}
	w.cmd = bounded(t, argv...)
	out, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			w.mu.Lock()
			fmt.Fprintln(&w.log, lines.Text())
			w.mu.Unlock()
			if _, rest, ok := strings.Cut(lines.Text(), "the monitor listens\" address="); ok {
				w.found <- strings.Fields(rest)[0]
			}
		}
		close(w.found)
	}()
	t.Cleanup(func() {
		if w.cmd.ProcessState == nil {
			w.stop()
		}
	})
	return w
}

// listens waits until the monitor answers.
func (w *watcher) listens() {
	w.Helper()
	address, ok := <-w.found
	if !ok {
		w.Fatalf("the monitor ended: %s", w.logged())
	}
	w.at = "http://" + address
}

func (w *watcher) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// stop is Ctrl-C.
func (w *watcher) stop() {
	w.Helper()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		w.Error(err)
	}
	if err := w.cmd.Wait(); err != nil {
		w.Errorf("the monitor ended with %v: %s", err, w.logged())
	}
}

// kill is a crash.
func (w *watcher) kill() {
	w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

// get asks for a path, and decodes JSON if into is not nil.
func (w *watcher) get(path string, into any) string {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.at+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatalf("%v: %s", err, w.logged())
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		w.Fatalf("%s: %s %v: %.300s", path, a.Status, err, body)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			w.Fatalf("%s: %v: %.300s", path, err, body)
		}
	}
	return string(body)
}

// metric is the value of the series with these label values among others; 0 if there is none.
func (w *watcher) metric(name string, values ...string) float64 {
	w.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	all, err := p.TextToMetricFamilies(strings.NewReader(w.get("/metrics", nil)))
	if err != nil {
		w.Fatal(err)
	}
next:
	for _, m := range all[name].GetMetric() {
		for _, v := range values {
			has := false
			for _, l := range m.Label {
				has = has || l.GetValue() == v
			}
			if !has {
				continue next
			}
		}
		return m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return 0
}

// cpu is what the process has used, by the kernel's finest clock.
func (w *watcher) cpu() time.Duration {
	w.Helper()
	var all time.Duration
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", w.cmd.Process.Pid))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		n, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(n, 10, 64)
		all += time.Duration(ns)
	}
	if all == 0 {
		w.Fatal("the kernel does not tell what the monitor used")
	}
	return all
}

// resident is the process's memory in bytes, now and at its highest.
func (w *watcher) resident() (now, most int) {
	w.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		w.Fatal(err)
	}
	of := func(name string) int {
		_, rest, _ := strings.Cut(string(text), name)
		kib, _ := strconv.Atoi(strings.Fields(rest)[0])
		return kib << 10
	}
	return of("VmRSS:"), of("VmHWM:")
}

// pass is what a look at the machine costs, with all that the monitor does meanwhile.
func (w *watcher) pass() time.Duration {
	w.Helper()
	const count, enough = "sarn_monitor_passes_total", 10
	from := w.metric(count)
	used := w.cpu()
	for {
		time.Sleep(time.Second)
		now := w.cpu()
		if passes := w.metric(count) - from; passes >= enough {
			return time.Duration(float64(now-used) / passes)
		}
	}
}

// look opens streams that are read to the end of the test or until the function returned
// is called. seen counts the events that they get.
func (w *watcher) look(n int, seen func(name string)) (stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	var all sync.WaitGroup
	transport := &http.Transport{}
	for range n {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.at+"/api/v1/stream", nil)
		if err != nil {
			w.Fatal(err)
		}
		a, err := transport.RoundTrip(r)
		if err != nil || a.StatusCode != http.StatusOK {
			w.Fatalf("stream: %v %v", a, err)
		}
		all.Go(func() {
			defer a.Body.Close()
			lines := bufio.NewReader(a.Body)
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				if name, ok := strings.CutPrefix(line, "event: "); ok && seen != nil {
					seen(strings.TrimSpace(name))
				}
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
		transport.CloseIdleConnections()
	}
}

// TestMonitorServe is the whole of it as a person starts it: what is seen is served, kept
// and watched; it ends with Ctrl-C, and goes on where it was.
func TestMonitorServe(t *testing.T) {
	dir := t.TempDir()
	rules := filepath.Join(dir, "alerts.yaml")
	write := func(text string) {
		if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("actions: [{name: log, log: {}}]\nrules:\n- {name: many, of: process, value: count, careful: \"1\", for: 0s, actions: [log]}\n")
	w := watch(t, "--state", dir, "--alerts", rules)
	var s sample.Sample
	w.get("/api/v1/sample", &s)
	if s.Host.Kernel == "" || len(s.Processes) == 0 {
		t.Errorf("got %+v", s.Host)
	}
	var alerts struct {
		Rules  int
		Active []struct{ ID, Rule string }
	}
	w.eventually("an alert fires with nobody looking", func() bool {
		w.get("/api/v1/alerts", &alerts)
		return alerts.Rules == 1 && len(alerts.Active) == 1
	})
	// A file that is wrong changes nothing; one that is right is taken.
	write("rules: [{name: x}]\n")
	w.cmd.Process.Signal(syscall.SIGHUP)
	w.eventually("the mistake is told with its line", func() bool { return strings.Contains(w.logged(), "alerts.yaml:1") })
	if w.get("/api/v1/alerts", &alerts); alerts.Rules != 1 {
		t.Errorf("got %+v", alerts)
	}
	write("rules:\n- {name: many, of: process, value: count, careful: \"1\", for: 0s}\n- {name: more, of: process, value: count, careful: 99999, for: 0s}\n")
	w.cmd.Process.Signal(syscall.SIGHUP)
	w.eventually("two rules", func() bool { w.get("/api/v1/alerts", &alerts); return alerts.Rules == 2 })
	first := alerts.Active[0].ID

	w.stop()
	restart := time.Now()
	w = watch(t, "--state", dir, "--alerts", rules)
	if w.get("/api/v1/alerts", &alerts); len(alerts.Active) != 1 || alerts.Active[0].ID != first {
		t.Errorf("after a restart: %+v, want %s", alerts, first)
	}
	var kept struct{ Bounds []struct{ From time.Time } }
	if w.get("/api/v1/history", &kept); !kept.Bounds[0].From.Before(restart) {
		t.Errorf("after a restart there is a history of %+v", kept)
	}
	// A second one would write to the same history.
	out, err := bounded(t, program, "monitor", "serve", "--listen", "127.0.0.1:0", "--state", dir).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("in use by another process")) {
		t.Errorf("a second one: %v %s", err, out)
	}
}

// TestMonitorServeBadInput says what is wrong and changes nothing.
func TestMonitorServeBadInput(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	state := filepath.Join(dir, "state")
	for _, c := range []struct{ want, args string }{
		{"alerts.yaml:2: ", "--alerts " + file("alerts.yaml", "rules:\n- {name: x}\n")},
		{"read the alerts", "--alerts " + dir + "/none"},
		{"reached from other machines", "--listen 0.0.0.0:61208"},
		{"reached from other machines", "--listen 0.0.0.0:61208 --token-file " + file("token", strings.Repeat("x", 24)+"\n")},
		{"too short", "--token-file " + file("short", "secret")},
		{"is empty", "--token-file " + file("empty", "\n")},
		{"not one token", "--token-file " + file("two", strings.Repeat("x", 24)+"\n"+strings.Repeat("y", 24))},
		{"belong together", "--tls-cert x"},
		{"write bytes", "--history-size lots"},
		{"holds next to nothing", "--history-size 1KiB"},
		{"takes three times", "--history-keep 1h"},
		{"keep the coarser one longer", "--history-keep 1h,10m,1h"},
		{"history has a record a second", "--interval 100ms"},
		{"from 1 to", "--viewers -1"},
		{"is too much", "x"},
		{"talks to no controller", "--server http://127.0.0.1:1"},
	} {
		cmd := bounded(t, append([]string{program, "monitor", "serve", "--state", state}, strings.Fields(c.args)...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 2 || !bytes.Contains(out, []byte(c.want)) || bytes.Contains(out, []byte(strings.Repeat("x", 24))) {
			t.Errorf("%s: %v, want %s: %s", c.args, err, c.want, out)
		}
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("the directory of the state was made")
	}
}

// TestMonitorServeCost: ten who look on cost at most half as much again as none, in one
// run, turn by turn. There are some processes, as on a machine that somebody looks at.
func TestMonitorServeCost(t *testing.T) {
	idle := bounded(t, "sh", "-c", "for i in $(seq 500); do sleep 600 & done; echo; wait")
	idle.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	started, err := idle.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-idle.Process.Pid, syscall.SIGKILL)
		_ = idle.Wait()
	}()
	if _, err := started.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	w := watch(t, "--no-history", "--interval", "100ms")
	var all []string
	for range 4 { // a machine that does much else may spoil a measurement
		var none, ten time.Duration
		for range 3 {
			none += w.pass()
			stop := w.look(10, nil)
			ten += w.pass()
			stop()
		}
		if all = append(all, fmt.Sprintf("%v with ten who look on, %v with none", ten/3, none/3)); ten <= none*3/2 {
			t.Log(all)
			return
		}
	}
	t.Errorf("a pass costs %s", all)
}

// TestMonitorServeManyViewers: a thousand are served where so many are allowed, and one
// more is told so. What they take is bounded.
func TestMonitorServeManyViewers(t *testing.T) {
	const most = 1000
	w := watch(t, "--no-history", "--viewers", fmt.Sprint(most))
	var events atomic.Int64
	defer w.look(most, func(string) { events.Add(1) })()
	ctx, cancel := context.WithTimeout(t.Context(), patience) // a stream that is served has no end
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.at+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if words, _ := io.ReadAll(a.Body); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(words), "1000 look on already") {
		t.Errorf("one more: %s %s", a.Status, words)
	}
	w.eventually("all get the sample and what changes", func() bool { return events.Load() >= 3*most })
	if n := w.metric("sarn_monitor_viewers"); n != most {
		t.Errorf("%v look on", n)
	}
	now, highest := w.resident()
	t.Logf("%d KiB are resident, %d at the most", now>>10, highest>>10)
	if highest > 200<<20 {
		t.Error("that is too much")
	}
}
