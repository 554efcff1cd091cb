package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sarn/internal/bench/load"
)

// One that goes into the background, where neither session nor environment tell whose it
// is, does not become ready, and is ended too.
func TestAServerInTheBackground(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	a := ours(t, "a")
	a.Command = []string{"sh", "-c", `env -i "$(command -v setsid)" -f sh -c "echo \$\$ >$1; exec sleep 1000"; while [ ! -s "$1" ]; do sleep 0.01; done`, "sh", file}
	_, err := start1(t, config(a), Deps{})
	if err == nil || !strings.Contains(err.Error(), "it ended (exit status 0); one that goes into the background must be told to stay") {
		t.Errorf("%v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is left: %v", pid, err)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// The kernel gives the number of a server that has ended to somebody else.
func TestANumberThatAnotherHas(t *testing.T) {
	conf := config(ours(t, "a"))
	conf.Servers[0].Command = []string{"true"}
	conf.Fill()
	all, err := allowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(&conf.Servers[0], t.TempDir(), all)
	if err != nil {
		t.Fatal(err)
	}
	<-p.exited
	other := exec.Command("sleep", "1000")
	other.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	p.pid = other.Process.Pid
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if s, ok := statOf("/proc/" + strconv.Itoa(p.pid) + "/stat"); !ok || s.dead {
		t.Error("a process that was not started here has been ended")
	}
}

func TestPinning(t *testing.T) {
	all, err := allowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	a, b := ours(t, "a"), ours(t, "b")
	a.URL, b.URL = a.URL+"cpus", b.URL+"cpus"
	a.CPU = all[len(all)-1:]
	a.Env = map[string]string{"GREETING": "{tmp}"}
	a.Expect.Body = fmt.Sprintf("cpus %s, greeting %s/sarn-compare-", a.CPU, os.TempDir())
	b.Expect.Body = fmt.Sprintf("cpus %s,", all)
	conf := config(a, b)
	conf.Client.CPU = all[:1]
	measure, threads := counted(nil), runtime.GOMAXPROCS(0)
	r, err := start1(t, conf, Deps{Measure: func(ctx context.Context, c load.Config) (*load.Result, error) {
		if got := affinities(t); len(got) != 1 || got[0] != conf.Client.CPU.String() {
			t.Errorf("the client's threads may use %v", got)
		}
		if runtime.GOMAXPROCS(0) != 1 {
			t.Errorf("GOMAXPROCS is %d", runtime.GOMAXPROCS(0))
		}
		return measure(ctx, c)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := affinities(t); len(got) != 1 || got[0] != all.String() || runtime.GOMAXPROCS(0) != threads {
		t.Errorf("afterwards the threads may use %v, GOMAXPROCS %d", got, runtime.GOMAXPROCS(0))
	}
	if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, "the client shares CPUs with") }) {
		t.Errorf("b may use the client's CPU, and no note says so: %q", r.Notes)
	}
	conf.Client.CPU = nil // nobody puts right what the start of a pinned server leaves
	if _, err := start1(t, conf, Deps{}); err != nil {
		t.Fatal(err)
	}
	if got := affinities(t); len(got) != 1 || got[0] != all.String() {
		t.Errorf("after pinned servers the threads may use %v", got)
	}
	conf.Client.CPU = CPUs{1023}
	if _, err := start1(t, conf, Deps{}); err == nil || !strings.Contains(err.Error(), "the client is to be pinned to CPU 1023, but may use only "+all.String()) {
		t.Errorf("%v", err)
	}
}

// affinities lists the CPUs that the threads of this process may use, each list once.
func affinities(t *testing.T) []string {
	t.Helper()
	files, _ := filepath.Glob("/proc/self/task/*/status")
	var all []string
	for _, f := range files {
		all = append(all, fieldOf(f, "Cpus_allowed_list", ":"))
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}

func TestCPUTimeOfAServer(t *testing.T) {
	a := ours(t, "a")
	a.URL += "burn"
	conf := config(a)
	conf.Rounds = 1
	r, err := start1(t, conf, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Servers[0].Rounds[0].ServerCPUSeconds; got < 0.08 || got > 0.5 {
		t.Errorf("a server that computes for 0.1 s has used %g s", got)
	}
}
