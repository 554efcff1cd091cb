package collect

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// TestActions are for one process and never for another that has its number.
func TestActions(t *testing.T) {
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	t.Cleanup(func() { _ = child.Process.Kill() })
	s, err := c.Pass()
	if err != nil {
		t.Fatal(err)
	}
	var p sample.Process
	for _, p = range s.Processes {
		if p.PID == pid {
			break
		}
	}
	if p.PID != pid {
		t.Fatal("the child is not seen")
	}

	other := p.Start.Add(10 * time.Millisecond)
	if err := c.Kill(pid, other, syscall.SIGKILL); !errors.Is(err, ErrGone) {
		t.Errorf("kill of one that began later: %v", err)
	}
	if err := c.Renice(pid, other, 5); !errors.Is(err, ErrGone) {
		t.Errorf("renice of one that began later: %v", err)
	}
	if err := c.Renice(pid, p.Start, 7); err != nil {
		t.Error(err)
	}
	// The system call's own result is 20 less the nice value.
	if got, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err != nil || got != 20-7 {
		t.Errorf("nice is %d, %v", 20-got, err)
	}
	if err := c.Kill(pid, p.Start, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	err = child.Wait()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("the child ended with %v", err)
	}
	if err := c.Kill(pid, p.Start, syscall.SIGTERM); !errors.Is(err, ErrGone) {
		t.Errorf("kill of one that has ended: %v", err)
	}
	if err := c.Kill(os.Getpid(), s.Host.Boot, 0); !errors.Is(err, ErrGone) {
		t.Errorf("kill by a wrong start: %v", err)
	}
}
