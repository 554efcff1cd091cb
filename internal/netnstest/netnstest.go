package netnstest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// requireVar set to 1 turns the skip of a test for lack of rights into a failure.
	requireVar = "SARN_REQUIRE_NETNS"
	// insideVar holds the name of the test that the process runs inside.
	insideVar = "SARN_NETNSTEST"
)

// Run runs body in a process of its own: the test binary again, with only this test,
// in new network, mount and process namespaces, with lo up and /run empty. What stands in the test before Run runs there too, so let Run be all
// there is:
//
//	func TestPing(t *testing.T) {
//		netnstest.Run(t, func(t *testing.T) { … })
//	}
//
// It needs root, and skips the test without. A benchmark's result is that of the
// process inside; the one outside is marked as skipped.
func Run[T testing.TB](t T, body func(T)) {
	t.Helper()
	if os.Getenv(insideVar) == t.Name() {
		if err := furnish(); err != nil {
			t.Fatalf("prepare the namespaces: %v", err)
		}
		body(t)
		return
	}
	if strings.Contains(t.Name(), "/") {
		t.Fatalf("netnstest.Run: %s is a subtest; call Run in the test, and subtests inside", t.Name())
	}
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	out, err := again(t)
	if errors.Is(err, syscall.EPERM) {
		lack(t, "this root may not make namespaces: "+err.Error())
	}
	_, benchmark := any(t).(*testing.B)
	switch {
	case err != nil:
		t.Fatalf("inside its namespaces: %v\n%s", err, out)
	case benchmark:
		fmt.Print(string(out))
		t.Skip("its result is the one inside the namespaces")
	case testing.Verbose():
		t.Logf("inside its namespaces:\n%s", out)
	}
}

func lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(requireVar) == "1" {
		t.Fatalf("%s, and %s=1 forbids to skip", what, requireVar)
	}
	t.Skip(what)
}

// again runs the test binary inside new namespaces and returns what it printed.
func again(t testing.TB) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, arguments(t)...)
	cmd.Env = append(os.Environ(), insideVar+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		// The process dies with the thread that made it, so that must not end early.
		Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.CombinedOutput()
}

// outside are the flags that are the outer process's alone: which tests to run, and
// files that two processes would overwrite for each other. Coverage needs no file:
// both leave their counts in -test.gocoverdir, and the outer one merges them.
var outside = regexp.MustCompile(`^test\.(run|skip|bench|count|timeout|v|list|fuzz.*|shuffle|parallel|` +
	`coverprofile|cpuprofile|memprofile|blockprofile|mutexprofile|trace|outputdir|testlogfile|paniconexit0)$`)

func arguments(t testing.TB) []string {
	only := "^" + regexp.QuoteMeta(t.Name()) + "$"
	args := []string{"-test.run=" + only}
	if _, ok := any(t).(*testing.B); ok {
		args = []string{"-test.run=^$", "-test.bench=" + only}
	}
	if testing.Verbose() {
		args = append(args, "-test.v=true")
	}
	if d, ok := any(t).(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, set := d.Deadline(); set {
			// A little earlier than outside, so that the stacks that are printed are
			// those that matter.
			left := max(time.Until(deadline)*9/10, time.Second)
			args = append(args, "-test.timeout="+left.String())
		}
	}
	flag.Visit(func(f *flag.Flag) {
		if !outside.MatchString(f.Name) {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

// furnish prepares the namespaces that this process was started in.
func furnish() error {
	// Mounts made here must not reach the machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range []struct{ kind, dir string }{
		{"tmpfs", "/run"}, // with it, every namespace that has a name
		// These two show the namespaces of the process that mounts them.
		{"proc", "/proc"},
		{"sysfs", "/sys"},
	} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	if err := os.Mkdir("/run/netns", 0o755); err != nil {
		return err
	}
	return loopbackUp()
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}
