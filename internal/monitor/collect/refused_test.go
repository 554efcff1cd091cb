package collect

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
	"sarn/internal/netnstest"
)

// look prints a sample, as a process that a test has put somewhere.
func look() {
	c, err := New(Config{})
	must(err)
	defer c.Close()
	_, err = c.Pass()
	must(err)
	s, err := c.Pass()
	must(err)
	must(json.NewEncoder(os.Stdout).Encode(s))
}

// seen is the sample of such a process, which is started by args.
func seen(t *testing.T, as *syscall.SysProcAttr, args ...string) *sample.Sample {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if as != nil && as.Credential != nil { // who may not be allowed where the binary is
		self = copyOf(t, self)
	}
	args = append(args, self)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), aHelper+"=look")
	cmd.SysProcAttr = as
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := &sample.Sample{}
	if err := json.Unmarshal(out, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func copyOf(t *testing.T, file string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "collect-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "test")
	if err := os.WriteFile(to, data, 0o755); err != nil { //nolint:gosec // another user runs it
		t.Fatal(err)
	}
	return to
}

func missing(s *sample.Sample, what string) (sample.Missing, bool) {
	i := slices.IndexFunc(s.Missing, func(m sample.Missing) bool { return strings.HasPrefix(m.What, what) })
	if i < 0 {
		return sample.Missing{}, false
	}
	return s.Missing[i], true
}

// A user whom the kernel lets load no programs reads files, and is told what is missing.
func TestWithoutRights(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sleeper := start(t, "sleep", "1000").Process.Pid
		nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		s := seen(t, nobody)
		m, ok := missing(s, "network rates of processes")
		if s.Host.Reader != string(Files) || !ok || m.Help != "run as root" {
			t.Errorf("read by %s, missing %+v", s.Host.Reader, s.Missing)
		}
		if p := mustHave(t, s, sleeper); p.Name != "sleep" || p.ReadBytes != -1 || p.RxBytes != -1 {
			t.Errorf("%+v", p)
		}
		if _, hidden := missing(s, "other users"); hidden {
			t.Errorf("missing %+v", s.Missing)
		}

		// Nor are they a root of a namespace of users.
		container := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}}}
		s = seen(t, container)
		if m, ok := missing(s, "network rates of processes"); s.Host.Reader != string(Files) || !ok || m.Help == "" {
			t.Errorf("read by %s, missing %+v", s.Host.Reader, s.Missing)
		}

		if err := unix.Mount("", "/proc", "", unix.MS_REMOUNT, "hidepid=2"); err != nil {
			t.Fatal(err)
		}
		s = seen(t, nobody)
		if _, hidden := missing(s, "other users"); !hidden || processOf(s, sleeper) != nil || len(s.Processes) == 0 {
			t.Errorf("with hidepid: %+v, missing %+v", s.Processes, s.Missing)
		}
		s = seen(t, nil)
		if mustHave(t, s, sleeper); len(s.Missing) > 0 && strings.HasPrefix(s.Missing[0].What, "other") {
			t.Errorf("to root with hidepid: %+v", s.Missing)
		}
	})
}

// A clock since boot that is another one than BPF's is that of /proc, so that processes
// have begun when they have begun.
func TestInATimeNamespace(t *testing.T) {
	s := seen(t, nil, "unshare", "--time", "--boottime", "100000", "--monotonic", "5000", "--fork")
	i := slices.IndexFunc(s.Processes, func(p sample.Process) bool { return strings.Contains(p.Command, "collect.test") && p.Name != "unshare" })
	newest := time.Time{}
	for _, p := range s.Processes {
		if p.Start.After(newest) {
			newest = p.Start
		}
	}
	if i < 0 || s.Host.Reader != string(Files) || time.Since(newest).Abs() > time.Minute {
		t.Errorf("read by %s, the newest process began at %v", s.Host.Reader, newest)
	}
	if s.Interval <= 0 || s.Interval > 60 {
		t.Errorf("an interval of %v s", s.Interval)
	}
}

// An interval is by a clock that nobody steps.
func TestIntervalIsMonotonic(t *testing.T) {
	c := newCollector(t, Config{})
	pass(t, c)
	const reading = "m=+" // time.Time.String
	if !strings.Contains(c.last.String(), reading) {
		t.Error("the time of the pass before has no monotonic reading")
	}
	s := pass(t, c)
	if strings.Contains(s.Time.String(), reading) {
		t.Error("the time of a sample has a monotonic reading, which nobody else can use")
	}
}
