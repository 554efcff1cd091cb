package e2e

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTopCost holds what `sarn top` costs beside what Glances does, both in terminals at
// the same time, over the same seconds. The goal of a tenth is measured by bench/monitor.sh;
// a third is what holds on a machine that is busy with other tests.
func TestTopCost(t *testing.T) {
	const crowd, refreshes = 300, 3
	for range crowd {
		cmd := exec.Command("sleep", "300")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
	}
	f := fabric{T: t}
	tmux := func(args ...string) string {
		t.Helper()
		out, err := bounded(t, append([]string{"tmux", "-L", "sarn-e2e-topcost", "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	window := func(name, command string) int {
		t.Helper()
		args := []string{"new-session", "-d", "-s", name, "-P", "-F", "#{pane_pid}", "-x", "200", "-y", "50",
			"exec env -u NO_COLOR TERM=screen-256color LC_ALL=C.UTF-8 HOME=" + t.TempDir() + " XDG_STATE_HOME=" + t.TempDir() + " " + command}
		pid, err := strconv.Atoi(strings.TrimSpace(tmux(args...)))
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	glances := window("glances", "glances -t 1 --disable-check-update")
	defer tmux("kill-server")
	ours := window("sarn", program+" top --interval 1s")
	screen := func(name string) string { return tmux("capture-pane", "-p", "-t", name) }
	clock := func() string { // of the sample that is shown, in the upper right
		line, _, _ := strings.Cut(screen("sarn"), "\n")
		words := strings.Fields(line)
		if len(words) == 0 {
			return ""
		}
		return words[len(words)-1]
	}
	pass := func(n int) {
		t.Helper()
		for range n {
			was := clock()
			f.eventually("sarn top shows a newer sample", func() bool { return clock() != was })
		}
	}
	f.eventually("both show processes", func() bool {
		return strings.Contains(screen("sarn"), "PID USER") && strings.Contains(screen("glances"), "PID USER")
	})
	pass(1) // in its first passes sarn top reads who the processes are

	var ourCPU, theirCPU time.Duration
	for range 5 { // glances may hang for a while, and need nothing
		ourStart, theirStart := cpuTime(t, ours), cpuTime(t, glances)
		pass(refreshes)
		ourCPU, theirCPU = cpuTime(t, ours)-ourStart, cpuTime(t, glances)-theirStart
		t.Logf("%d refreshes with %d more processes: sarn top %s, glances %s, ratio %.2f", refreshes, crowd, ourCPU, theirCPU, float64(ourCPU)/float64(theirCPU))
		if ourCPU*3 <= theirCPU {
			return
		}
	}
	t.Errorf("sarn top needs %s where glances needs %s; it should be a third at most", ourCPU, theirCPU)
}

// cpuTime is the CPU time of a process and all of its threads.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	var spent unix.Timespec
	// MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of the kernel's posix-timers_types.h
	if err := unix.ClockGettime(int32(^pid)<<3|2, &spent); err != nil {
		t.Fatalf("CPU time of process %d: %v", pid, err)
	}
	return time.Duration(spent.Nano())
}
