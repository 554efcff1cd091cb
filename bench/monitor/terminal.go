package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The size of the terminal.
const (
	columns = 200
	lines   = 50
)

// quiet is how long nothing is written between two refreshes, at least.
const quiet = 200 * time.Millisecond

// terminal is one that shows nothing, and counts.
type terminal struct {
	cmd   *exec.Cmd
	began time.Time
	ended chan struct{} // closed when the program has closed the terminal
	ready chan struct{} // closed when processes are on the screen

	mu        sync.Mutex
	sent      int64
	refreshes int
	last      time.Time
	first     time.Duration // from the start until processes were on the screen
	head      []byte        // what was written until then
}

// start starts a program in a terminal of its own.
func start(argv, env []string) (*terminal, error) {
	ours, theirs, err := openPTY()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	t := &terminal{cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{}), ready: make(chan struct{})}
	t.cmd.Stdin, t.cmd.Stdout, t.cmd.Stderr = theirs, theirs, theirs
	t.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LC_ALL=C.UTF-8"}, env...)
	t.cmd.SysProcAttr = dying()
	t.cmd.SysProcAttr.Setsid, t.cmd.SysProcAttr.Setctty = true, true
	t.began = time.Now()
	if err := t.cmd.Start(); err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	go t.read(ours)
	return t, nil
}

// openPTY returns both ends of a new terminal: pty(7).
func openPTY() (ours, theirs *os.File, err error) {
	ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = ours.Close()
		}
	}()
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, fmt.Errorf("number of the terminal: %w", err)
	}
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, fmt.Errorf("unlock the terminal: %w", err)
	}
	if err := unix.IoctlSetWinsize(int(ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: columns}); err != nil {
		return nil, nil, fmt.Errorf("size of the terminal: %w", err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	return ours, theirs, err
}

// read counts until the program has closed the terminal.
func (t *terminal) read(from *os.File) {
	defer close(t.ended)
	defer func() { _ = from.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			t.take(b[:n], time.Now())
		}
		if err != nil { // EIO: nobody has the other end any more
			return
		}
	}
}

// steering is what is not text: sequences of ECMA-48.
var steering = regexp.MustCompile("\x1b(\\[[0-?]*[ -/]*[@-~]|[()].|[@-Z\\\\-_=>])")

func (t *terminal) take(b []byte, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent += int64(len(b))
	if now.Sub(t.last) > quiet {
		t.refreshes++
	}
	t.last = now
	if t.first > 0 {
		return
	}
	// All of these tools head their list of processes with PID.
	t.head = append(t.head, b...)
	if bytes.Contains(bytes.ToUpper(steering.ReplaceAll(t.head, nil)), []byte("PID")) {
		t.first, t.head = now.Sub(t.began), nil
		close(t.ready)
	}
}

// counts is what was sent, in bytes, and how many refreshes that was.
func (t *terminal) counts() (sent int64, refreshes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent, t.refreshes
}

// said is what the program wrote before there were processes on the screen.
func (t *terminal) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(steering.ReplaceAll(t.head, nil))
}

// end ends the program and returns when it has gone.
func (t *terminal) end() {
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	gone := make(chan struct{})
	go func() {
		select {
		case <-gone:
		case <-time.After(2 * time.Second):
			_ = t.cmd.Process.Kill()
		}
	}()
	_ = t.cmd.Wait() // how it ended is no matter
	close(gone)
	<-t.ended
}
