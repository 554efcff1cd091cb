package lab

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAliveWithoutItsFirstThread: a process whose first thread has ended looks like a
// zombie, and runs until its last has ended.
func TestAliveWithoutItsFirstThread(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), "SARN_LAB_FIRST_THREAD_ENDS=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	p := process{pid: cmd.Process.Pid}
	if p.began, _, err = processStat(p.pid); err != nil {
		t.Fatal(err)
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	until("its first thread never ends", func() bool {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/stat")
		return strings.Contains(string(text), ") Z ")
	})
	if !p.alive() {
		t.Error("it is gone, though a thread runs")
	}
	stdin.Close()
	until("it never ends", func() bool { return !p.alive() })
}
