package collect

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
	"sarn/internal/netnstest"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(aHelper); kind != "" {
		help(kind)
		return
	}
	goleak.VerifyTestMain(m)
}

func newCollector(t testing.TB, conf Config) *Collector {
	t.Helper()
	c, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func pass(t testing.TB, c *Collector) *sample.Sample {
	t.Helper()
	s, err := c.Pass()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func processOf(s *sample.Sample, pid int) *sample.Process {
	i := slices.IndexFunc(s.Processes, func(p sample.Process) bool { return p.PID == pid })
	if i < 0 {
		return nil
	}
	return &s.Processes[i]
}

func mustHave(t testing.TB, s *sample.Sample, pid int) *sample.Process {
	t.Helper()
	p := processOf(s, pid)
	if p == nil {
		t.Fatalf("process %d is not in the sample of %d processes", pid, len(s.Processes))
	}
	return p
}

// start starts a program that ends with the test.
func start(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	launch(t, cmd)
	return cmd
}

func launch(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	runs(t, cmd.Process.Pid, cmd.Args)
}

// runs waits until a process runs its program, or has ended. Start returns a little before
// the name and the arguments are the program's (begin_new_exec in the kernel's fs/exec.c).
func runs(t testing.TB, pid int, args []string) {
	t.Helper()
	want := strings.Join(args, "\x00") + "\x00"
	for end := time.Now().Add(time.Minute); text("/proc/"+itoa(pid)+"/cmdline") != strings.TrimSpace(want); time.Sleep(time.Millisecond) {
		if _, s, ok := scanStat([]byte(text("/proc/" + itoa(pid) + "/stat"))); ok && s.state == 'Z' {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d does not come to run %q", pid, args)
		}
	}
}

// sleepers starts n processes that do nothing, by one fork each of one shell.
func sleepers(t testing.TB, n int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `i=0; while [ $i -lt `+itoa(n)+` ]; do sleep 1000 & i=$((i+1)); done; echo ready; wait`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	launch(t, cmd)
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for end := time.Now().Add(2 * time.Minute); commands(pass(t, c), "sleep 1000") < n; { // forked, and not all run yet
		if time.Now().After(end) {
			t.Fatalf("%d processes do not start", n)
		}
	}
}

func commands(s *sample.Sample, command string) (n int) {
	for _, p := range s.Processes {
		if p.Command == command {
			n++
		}
	}
	return n
}

func cpuTime(who int) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestPassAllocatesNothingForAProcess(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		few := map[Reader]float64{BPF: allocations(t, BPF), Files: allocations(t, Files)}
		sleepers(t, 500)
		for reader, few := range few {
			many := allocations(t, reader)
			t.Logf("allocations of a pass by %s: %.0f with few processes, %.0f with 500 more", reader, few, many)
			if many > few+50 { // a few are the goroutines', which ask as often as they can
				t.Errorf("a pass by %s allocates %.0f times with 500 processes more, and %.0f without", reader, many, few)
			}
		}
	})
}

// allocations are those of a pass, once all names are known.
func allocations(t *testing.T, reader Reader) float64 {
	t.Helper()
	c := newCollector(t, Config{Reader: reader})
	for range 2 * rarely {
		pass(t, c)
	}
	// What each pass does for a few processes, for all of them.
	again := testing.AllocsPerRun(3, func() {
		for _, p := range c.processes {
			c.identify(p)
		}
	})
	if again > 20 {
		t.Errorf("looking again at %d processes allocates %.0f times", len(c.processes), again)
	}
	return testing.AllocsPerRun(rarely, func() { pass(t, c) })
}

// A pass by BPF takes a fraction of what a refresh of top does, and by files no more. On a
// busy machine one is disturbed more than the other: there are a few attempts.
func TestPassCostsNoMoreThanTop(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sleepers(t, 1000)
		const passes = 10
		top := func(n int) time.Duration {
			cmd := exec.Command("top", "-b", "-d", "0.01", "-n", itoa(n))
			cmd.Env = append(os.Environ(), "TERM=dumb")
			if err := cmd.Run(); err != nil {
				t.Fatalf("top: %v", err)
			}
			return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
		for reader, most := range map[Reader]float64{BPF: 0.5, Files: 1.2} {
			for attempt := 1; ; attempt++ {
				theirs := (top(passes+1) - top(1)) / passes
				ours := costOf(t, Config{Reader: reader}, 1000)
				t.Logf("CPU time of a pass over 1000 processes by %s: %v, of top's refresh: %v", reader, ours, theirs)
				if float64(ours) <= most*float64(theirs) {
					break
				}
				if attempt == 10 {
					t.Fatalf("a pass by %s takes %v of CPU time, top's refresh %v", reader, ours, theirs)
				}
			}
		}
	})
}

func BenchmarkPass1000(b *testing.B) {
	netnstest.Run(b, func(b *testing.B) {
		sleepers(b, 1000)
		c := newCollector(b, Config{})
		pass(b, c)
		b.ReportAllocs()
		for b.Loop() {
			pass(b, c)
		}
	})
}

func itoa(n int) string { return strings.TrimSpace(string(path(nil).number(n))) }
