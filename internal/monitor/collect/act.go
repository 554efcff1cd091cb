package collect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone says that a process is not there any more, though another may have its number.
var ErrGone = errors.New("the process has ended")

// Kill sends a signal to the process that began at start, and to no other that has got
// its number since. It may be called while a pass runs.
func (c *Collector) Kill(pid int, start time.Time, signal syscall.Signal) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return actionError(fmt.Sprintf("signal process %d", pid), err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing is lost
	// What the descriptor stands for cannot change any more: pidfd_open(2).
	if err := c.isStill(pid, start); err != nil {
		return err
	}
	if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil {
		return actionError(fmt.Sprintf("signal process %d", pid), err)
	}
	return nil
}

// Renice sets the nice value of the process that began at start.
func (c *Collector) Renice(pid int, start time.Time, nice int) error {
	if err := c.isStill(pid, start); err != nil {
		return err
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, pid, nice); err != nil {
		return actionError(fmt.Sprintf("renice process %d", pid), err)
	}
	return nil
}

// isStill fails unless the process with the number is the one that began then.
func (c *Collector) isStill(pid int, start time.Time) error {
	root := c.proc
	if root == "" {
		root = "/proc"
	}
	line, err := os.ReadFile(filepath.Join(root, strconv.Itoa(pid), "stat"))
	if err != nil {
		return ErrGone
	}
	_, s, ok := scanStat(line)
	if !ok || !c.startOf(s).Equal(start) {
		return ErrGone
	}
	return nil
}

// startOf is when a process began.
func (c *Collector) startOf(s stat) time.Time {
	return c.boot.Add(time.Duration(s.start) * (time.Second / ticksPerSecond))
}

func actionError(what string, err error) error {
	switch {
	case errors.Is(err, unix.ESRCH):
		return ErrGone
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%s: not permitted; root may, and its user within limits", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}
