package term

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/gdamore/tcell/v2"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// tty is a terminal that is open already, as tcell wants it. tcell's own opens
// /dev/tty or takes the standard files, and would not take those that it is given.
type tty struct {
	in, out *os.File
	written *output
	saved   *term.State
	wake    *os.File // readable once drain, its other end, is closed
	drain   *os.File
	sizes   chan os.Signal
	stopped chan struct{}

	mu      sync.Mutex
	resized func()
}

func newTTY(in, out *os.File) (*tty, error) {
	if in == nil || out == nil || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil, errors.New("the view needs a terminal for input and output: without one, print once")
	}
	return &tty{in: in, out: out, written: newOutput(out), sizes: make(chan os.Signal, 1)}, nil
}

// Read waits for input or for Drain, which ends it: a plain read of a terminal goes on
// until a key is pressed.
func (t *tty) Read(b []byte) (int, error) {
	for {
		wait := []unix.PollFd{{Fd: int32(t.in.Fd()), Events: unix.POLLIN}, {Fd: int32(t.wake.Fd()), Events: unix.POLLIN}}
		switch _, err := unix.Poll(wait, -1); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case wait[1].Revents != 0:
			return 0, io.EOF
		default:
			return t.in.Read(b)
		}
	}
}

// Write does not wait for the terminal.
func (t *tty) Write(b []byte) (int, error) { return t.written.Write(b) }

// Close leaves the files open: they are the caller's.
func (t *tty) Close() error { return nil }

// Start makes the terminal raw and listens for changes of its size.
func (t *tty) Start() error {
	saved, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return err
	}
	if t.wake, t.drain, err = os.Pipe(); err != nil {
		return errors.Join(err, term.Restore(int(t.in.Fd()), saved))
	}
	t.saved, t.stopped = saved, make(chan struct{})
	signal.Notify(t.sizes, unix.SIGWINCH)
	go func() {
		for {
			select {
			case <-t.sizes:
				t.mu.Lock()
				resized := t.resized
				t.mu.Unlock()
				if resized != nil {
					resized()
				}
			case <-t.stopped:
				return
			}
		}
	}()
	return nil
}

// Drain makes a Read that waits return.
func (t *tty) Drain() error { return t.drain.Close() }

// Stop makes the terminal what it was. One that has stalled cannot be told to show what
// it showed before; its modes are set all the same.
func (t *tty) Stop() error {
	const patience = time.Second
	t.written.flush(patience)
	signal.Stop(t.sizes)
	close(t.stopped)
	return errors.Join(t.wake.Close(), term.Restore(int(t.in.Fd()), t.saved))
}

func (t *tty) NotifyResize(resized func()) {
	t.mu.Lock()
	t.resized = resized
	t.mu.Unlock()
}

func (t *tty) WindowSize() (tcell.WindowSize, error) {
	w, h, err := term.GetSize(int(t.out.Fd()))
	if err != nil || w == 0 || h == 0 {
		return tcell.WindowSize{Width: 80, Height: 24}, err // a serial line does not say
	}
	return tcell.WindowSize{Width: w, Height: h}, nil
}
