package collect

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
	"sarn/internal/netnstest"
)

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestProcessesThatEndAreSkipped(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) { readers(t, skipsProcessesThatEnd) }) // where no others come and go
}

func skipsProcessesThatEnd(t *testing.T, conf Config) {
	c := newCollector(t, conf)
	pass(t, c)
	open := descriptors(t)
	churn := start(t, "sh", "-c", "while :; do /bin/true & /bin/true; done")
	began := time.Now()
	for range 50 {
		before := began
		began = time.Now()
		s := pass(t, c)
		// All CPUs from the begin of the pass before to the end of this one; and rounding.
		most := time.Since(before).Seconds()*float64(runtime.NumCPU()) + 4*tick
		for _, p := range s.Processes {
			if p.Name == "" || p.PID == 0 || p.CPU < 0 || p.CPU*s.Interval > most {
				t.Fatalf("process %+v in %v s, most %v CPU seconds", p, s.Interval, most)
			}
		}
	}
	_ = unix.Kill(-churn.Process.Pid, unix.SIGKILL)
	_ = churn.Wait()
	for { // this one is the first of its namespace, and has inherited what the shell left
		if _, err := unix.Wait4(-1, nil, 0, nil); errors.Is(err, unix.ECHILD) {
			break
		}
	}
	pass(t, c)
	if now := descriptors(t); now > open+30 {
		t.Errorf("%d descriptors are open, %d were before the processes came and went", now, open)
	}
	if p := processOf(pass(t, c), churn.Process.Pid); p != nil {
		t.Errorf("a process that is gone is in the sample: %+v", p)
	}
}

func TestNamesFollowExec(t *testing.T) {
	readers(t, func(t *testing.T, conf Config) {
		dir := t.TempDir()
		fifo := filepath.Join(dir, "go")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := start(t, "sh", "-c", "read x < "+fifo+"; exec sleep 1000")
		c := newCollector(t, conf)
		if p := mustHave(t, pass(t, c), cmd.Process.Pid); p.Name != "sh" {
			t.Fatalf("%+v", p)
		}
		for range 3 {
			pass(t, c)
		}
		if err := os.WriteFile(fifo, []byte("x\n"), 0); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			p := mustHave(t, pass(t, c), cmd.Process.Pid)
			if p.Name == "sleep" && p.Command == "sleep 1000" {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("after exec it is still %+v", p)
			}
		}
	})
}

// Few descriptors make passes slower, not wrong.
func TestFewDescriptors(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sleepers(t, 100)
		for _, most := range []int{0, 20, -1} {
			c, err := New(Config{Descriptors: most, Reader: Files})
			if err != nil {
				t.Fatal(err)
			}
			if most == 0 {
				// The program has fewer than the collector counts on.
				limit := unix.Rlimit{Cur: 60, Max: 1 << 14}
				if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
					t.Fatal(err)
				}
			}
			for range 4 {
				s := pass(t, c)
				if n := commands(s, "sleep 1000"); n != 100 {
					t.Fatalf("with %d descriptors %d of 100 processes are seen", most, n)
				}
				for _, p := range s.Processes {
					if p.ReadBytes < 0 {
						t.Fatalf("with %d descriptors: %+v", most, p)
					}
				}
			}
			c.Close()
		}
	})
}

// A file system that never answers: FUSE with nobody behind it.
func TestHungMount(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		dir, err := os.MkdirTemp("/dev/shm", "collect-") // which is asked before /run
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(dir)
		fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		options := "fd=" + strconv.Itoa(fd) + ",rootmode=40000,user_id=0,group_id=0"
		if err := unix.Mount("dead", dir, "fuse.dead", 0, options); err != nil {
			t.Fatal(err)
		}
		answer := sync.OnceFunc(func() { _ = unix.Close(fd) }) // whoever waits gets an error now
		defer func() {
			answer()
			_ = unix.Unmount(dir, unix.MNT_DETACH)
		}()
		var held atomic.Bool
		defer time.AfterFunc(2*time.Minute, func() { held.Store(true); answer() }).Stop()
		c := newCollector(t, Config{})
		var asked atomic.Int64
		c.mounts.statfs = func(path string, st *unix.Statfs_t) error {
			if path == dir {
				asked.Add(1)
			}
			return unix.Statfs(path, st)
		}
		stale := func(s *sample.Sample) bool {
			return slices.ContainsFunc(s.Filesystems, func(f sample.Filesystem) bool { return f.Mount == dir && f.Stale })
		}
		var s *sample.Sample
		for end := time.Now().Add(time.Minute); s == nil || !stale(s) || !has(s, "/run"); {
			if time.Now().After(end) {
				t.Fatalf("not seen as stale beside those that answer: %+v", s.Filesystems)
			}
			s = pass(t, c)
			time.Sleep(20 * time.Millisecond)
		}
		for range 20 {
			pass(t, c)
			time.Sleep(unanswered / 10)
		}
		if held.Load() {
			t.Error("a pass waits for a file system that does not answer")
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("one dead mount has used up %d goroutines", n)
		}
	})
}

func has(s *sample.Sample, mount string) bool {
	return slices.ContainsFunc(s.Filesystems, func(f sample.Filesystem) bool { return f.Mount == mount && f.Size > 0 && !f.Stale })
}

// fake makes a procfs of files.
func fake(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// statLine is a /proc/PID/stat.
func statLine(pid, name string, ticks, start int) string {
	return pid + " (" + name + ") S 1 1 1 0 -1 4194560 10 0 0 0 " + strconv.Itoa(ticks) + " 0 0 0 20 0 3 0 " + strconv.Itoa(start) + " 8192 2 18446744073709551615\n"
}

func TestHostileContent(t *testing.T) {
	long := strings.Repeat("x", 4<<10)
	files := map[string]string{
		"stat":      "cpu  10 0 10 100\ncpu0 10 0 10 100\ncpu7 1\ncpuX\nbtime 1700000000\nctxt",
		"loadavg":   "0.5", // cut short
		"meminfo":   "MemTotal: 1024 kB\nMemAvailable:\nnonsense",
		"diskstats": "   8       0",
		"net/dev":   "Inter-|\n face |\n a\"<b>: 1 2\n",
		"5/stat":    statLine("5", "a) R 1 (b", 1, 1),
		"6/stat":    statLine("6", "new\nline \x1b[31m", 1, 1),
		"7/stat":    statLine("7", long, 1, 1),
		"7/cmdline": strings.Repeat(long+"\x00", 4),
		"8/stat":    statLine("8", "\xff\xfe", 1, 1),
		"8/cmdline": "\xff\x00\x00-x\x00",
		"9/stat":    "9 (cut", "10/stat": "", "11/stat": "11 (short) S 1", "12/stat": ")(",
		"13/stat":           statLine("13", "fine", 1, 1),
		"13/cmdline":        "qemu-system-x86_64\x00-name\x00",
		"13/io":             "read_bytes: 5\nwrite_bytes",
		"13/cgroup":         "0::/docker/zzz\n:::\n\n",
		"99999999999/stat":  "",
		"self/mountinfo":    "nonsense\n1 2 3:4\n",
		"pressure/cpu":      "some avg10=x avg60\nfull\n",
		"sys/kernel/secret": "",
	}
	dir := fake(t, files)
	c := newCollector(t, Config{Proc: dir, Sys: filepath.Join(dir, "none")})
	for range 3 {
		s := pass(t, c)
		names := map[int]string{5: "a) R 1 (b", 6: "new\nline \x1b[31m", 7: long, 8: "\xff\xfe", 13: "fine"}
		if len(s.Processes) != len(names) {
			t.Errorf("%d processes, want %d", len(s.Processes), len(names))
		}
		for pid, name := range names {
			if p := mustHave(t, s, pid); p.Name != name || p.Threads != 3 || p.State != "S" || p.Resident != 2*c.pageSize {
				t.Errorf("process %d: %+v", pid, p)
			}
		}
		if p := mustHave(t, s, 7); len(p.Command) != longest {
			t.Errorf("a command of %d bytes is %d", 4*len(long), len(p.Command))
		}
		if len(s.CPU.Cores) != 3 || s.Memory.Total != 1<<20 || s.Load[0] != 0.5 {
			t.Errorf("%+v %+v %v", s.CPU, s.Memory, s.Load)
		}
		if m := s.Machines; len(m) != 1 || m[0].ID != "vm/qemu-13" || m[0].CPUs != 1 {
			t.Errorf("machines %+v", m)
		}
	}
}

// The number of a process that has ended is given to another one.
func TestNumberOfAnother(t *testing.T) {
	dir := fake(t, map[string]string{
		"stat": "btime 1700000000\n", "5/stat": statLine("5", "one", 1000, 100), "5/cmdline": "one",
	})
	for _, kept := range []int{-1, 0} {
		c := newCollector(t, Config{Proc: dir, Sys: dir, Descriptors: kept})
		pass(t, c)
		write := func(name, content string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write("5/stat", statLine("5", "two", 2000, 200))
		write("5/cmdline", "two 2")
		p := mustHave(t, pass(t, c), 5)
		if p.Command != "two 2" || p.CPU != 0 || p.CPUTime != 20 || p.Start.Unix() != 1700000002 {
			t.Errorf("with descriptors %d: %+v", kept, p)
		}
		write("5/stat", statLine("5", "one", 1000, 100))
		write("5/cmdline", "one")
	}
}

// The same on a real kernel, which is told what number to give next.
func TestNumberOfAnotherForReal(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		readers(t, func(t *testing.T, conf Config) {
			c := newCollector(t, conf)
			first := start(t, "sh", "-c", "while :; do :; done")
			pid := first.Process.Pid
			for mustHave(t, pass(t, c), pid).CPUTime < 0.2 { //nolint:revive // until it has used some
			}
			before := *mustHave(t, pass(t, c), pid)
			_ = first.Process.Kill()
			_ = first.Wait()
			again := startAs(t, pid)
			s := pass(t, c)
			p := mustHave(t, s, again)
			if p.Command != "sleep 1001" || p.Name != "sleep" || p.CPU*s.Interval > p.CPUTime+2*tick || !p.Start.After(before.Start) || p.CPUTime > before.CPUTime {
				t.Errorf("%+v after %+v", p, before)
			}
		})
	})
}

// startAs starts a process with that number. Threads take numbers too, so it may take some
// attempts.
func startAs(t *testing.T, pid int) int {
	t.Helper()
	for range 1000 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(itoa(pid-1)), 0); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sleep", "1001")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if cmd.Process.Pid == pid {
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			runs(t, pid, cmd.Args)
			return pid
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Fatalf("no process gets number %d", pid)
	return 0
}

func TestCPUsComeAndGo(t *testing.T) {
	dir := fake(t, map[string]string{"stat": "cpu 0 0 0 200\ncpu0 0 0 0 100\ncpu1 0 0 0 100\n"})
	c := newCollector(t, Config{Proc: dir, Sys: dir})
	busy := func(content string) (list []float64) {
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, core := range pass(t, c).CPU.Cores {
			list = append(list, core.Busy())
		}
		return list
	}
	for _, step := range []struct {
		content string
		want    []float64
	}{
		{"cpu 0 0 0 200\ncpu0 0 0 0 100\ncpu1 0 0 0 100\n", []float64{0, 0}},
		{"cpu 0 0 0 200\ncpu1 50 0 0 150\n", []float64{0.5}},                              // 0 is gone
		{"cpu 0 0 0 200\ncpu0 0 0 0 5\ncpu1 150 0 0 150\n", []float64{0, 1}},              // and back, counting anew
		{"cpu 0 0 0 200\ncpu0 10 0 0 3\ncpu1 150 0 0 150 9 0 0 27\n", []float64{1, 0.75}}, // idle runs backwards; steal
	} {
		if got := busy(step.content); !slices.Equal(got, step.want) {
			t.Errorf("%q: busy %v, want %v", step.content, got, step.want)
		}
	}
}

func TestNoProcfs(t *testing.T) {
	if _, err := New(Config{Proc: t.TempDir()}); err == nil {
		t.Error("a directory without stat is taken for procfs")
	}
}

// When BPF breaks, files are read from then on, in the same pass.
func TestBPFThatBreaks(t *testing.T) {
	c := newCollector(t, Config{Reader: BPF})
	before := cpuTime(unix.RUSAGE_SELF)
	pass(t, c)
	if err := c.bpf.tasks.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := pass(t, c)
		p := mustHave(t, s, os.Getpid())
		used := (cpuTime(unix.RUSAGE_SELF) - before).Seconds()
		if s.Host.Reader != string(Files) || p.CPU*s.Interval > used+5*tick || p.CPUTime == 0 || p.RxBytes != -1 || s.Tasks.Processes != len(s.Processes) {
			t.Errorf("read by %s: %+v", s.Host.Reader, p)
		}
		if m, ok := missing(s, "network rates of processes"); !ok || m.Why == "" {
			t.Errorf("missing %+v", s.Missing)
		}
	}
}
