package term

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// line is a pseudo terminal: what a person has on one end, and the view on the other.
func line(t *testing.T, w, h uint16) (person, view *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	raw, err := person.SyscallConn() // Fd would make it block for ever
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if ctl := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); ctl != nil || err != nil {
		t.Fatal(ctl, err)
	}
	if view, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { view.Close() })
	if err := unix.IoctlSetWinsize(int(view.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: h, Col: w}); err != nil {
		t.Fatal(err)
	}
	return person, view
}

// ticking gives samples that differ in all, up to a number, and counts them.
type ticking struct {
	n, most atomic.Int64
	a, b    *sample.Sample
}

func newTicking() *ticking {
	a := busy(8, 500, 3)
	return &ticking{a: a, b: moved(a, 1)}
}

func (s *ticking) Next(ctx context.Context) (*sample.Sample, error) {
	n := s.n.Add(1)
	if most := s.most.Load(); most > 0 && n > most {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	next := *s.a
	if n%2 == 0 {
		next = *s.b
	}
	next.Host.Name = fmt.Sprintf("picture%d.", n)
	return &next, nil
}

func (s *ticking) after(t *testing.T, n int64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); s.n.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute there are %d samples, not %d: the terminal holds them up", s.n.Load(), n)
		}
	}
}

// A terminal that takes nothing any more holds up neither samples nor the end, by key or
// by signal, and has its modes back.
func TestStalledTerminal(t *testing.T) {
	for _, by := range []string{"Ctrl-C", "SIGTERM"} {
		person, view := line(t, 200, 50)
		before, err := unix.IoctlGetTermios(int(view.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		source := newTicking()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- Run(ctx, Config{Source: source, Interval: 10 * time.Millisecond, In: view, Out: view, Term: "xterm-256color"})
		}()
		source.after(t, 50) // of which nobody has read a byte
		if by == "Ctrl-C" {
			if _, err := person.Write([]byte{3}); err != nil {
				t.Fatal(err)
			}
		} else {
			stop()
		}
		select {
		case err := <-ended:
			if by == "Ctrl-C" && err != nil {
				t.Errorf("%s: %v", by, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s does not end a view on a terminal that has stalled", by)
		}
		after, err := unix.IoctlGetTermios(int(view.Fd()), unix.TCGETS)
		if err != nil || *after != *before {
			t.Errorf("%s: the modes are %+v (%v), not %+v", by, after, err, before)
		}
		stop()
	}
}

// When a slow terminal goes on, it gets the latest picture and not all that were missed.
func TestSlowTerminalGetsTheLatest(t *testing.T) {
	person, view := line(t, 120, 40)
	source := newTicking()
	const last = 200
	source.most.Store(last)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{Source: source, Interval: 5 * time.Millisecond, In: view, Out: view, Term: "xterm-256color"})
	}()
	source.after(t, last+1)
	var got strings.Builder
	buf := make([]byte, 4096)
	if err := person.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	// Of the last picture only what differs from the one before is sent, which is the
	// number at least.
	tail := regexp.MustCompile(fmt.Sprintf(`picture%d\.|%d\.`, last, last))
	for !tail.MatchString(got.String()) {
		n, err := person.Read(buf)
		if err != nil {
			t.Fatalf("the latest picture never comes: %v, after %d bytes", err, got.Len())
		}
		got.Write(buf[:n])
	}
	stop()
	go func() { // what is sent at the end
		for {
			if _, err := person.Read(buf); err != nil {
				return
			}
		}
	}()
	<-ended
	const whole = 12_000 // a picture, at most
	if got.Len() > 6*whole {
		t.Errorf("%d bytes were sent for %d samples that nobody could see", got.Len(), last)
	}
	t.Logf("%d bytes for %d samples", got.Len(), last)
}

// Terminals that needed time once for each move of the cursor hold up nothing either: at
// 10 ms for each of a vt420's, these pictures would take minutes.
func TestPaddedTerminal(t *testing.T) {
	person, view := line(t, 200, 50)
	go func() { _, _ = io.Copy(io.Discard, person) }()
	source := newTicking()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{Source: source, Interval: time.Millisecond, In: view, Out: view, Term: "vt420"})
	}()
	source.after(t, 50)
	stop()
	<-ended
}
