package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sarn/internal/timetest"
)

func TestMain(m *testing.M) { timetest.Main(m) }

// task is ready at once and ends with err when end is closed or its context ends.
type task struct {
	name  string
	ready chan struct{}
	end   chan struct{}
	err   error
	saw   bool // its context end
}

func newTask(name string) *task {
	t := &task{name: name, ready: make(chan struct{}), end: make(chan struct{})}
	close(t.ready)
	return t
}

func (t *task) String() string         { return t.name }
func (t *task) Ready() <-chan struct{} { return t.ready }
func (t *task) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		t.saw = true
		return ctx.Err()
	case <-t.end:
		return t.err
	}
}

func TestOneThatFailsStopsAll(t *testing.T) {
	good, bad := newTask("good"), newTask("bad")
	bad.err = errors.New("disk full")
	close(bad.end)
	err := Run(t.Context(), slog.New(slog.DiscardHandler), "", good, bad)
	if err == nil || err.Error() != "bad: disk full" {
		t.Errorf("err = %v, want the failed task's error alone", err)
	}
	if !good.saw {
		t.Error("the other task was not told to stop")
	}
}

func TestOneThatEndsIsAnError(t *testing.T) {
	short := newTask("short")
	close(short.end)
	if err := Run(t.Context(), slog.New(slog.DiscardHandler), "", short); err == nil || !strings.Contains(err.Error(), "short ended by itself") {
		t.Errorf("err = %v", err)
	}
}

func TestStopIsNoErrorAndTheServiceManagerHears(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	sock, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	hear := func() string {
		b := make([]byte, 64)
		_ = sock.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := sock.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	late := newTask("late")
	late.ready = make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- Run(ctx, slog.New(slog.DiscardHandler), path, newTask("early"), late) }()
	close(late.ready)
	if got := hear(); got != "READY=1" {
		t.Errorf("heard %q, want READY=1", got)
	}
	stop()
	if got := hear(); got != "STOPPING=1" {
		t.Errorf("heard %q, want STOPPING=1", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run = %v, want nil after a stop", err)
	}
}

func TestSignalEndsTheContext(t *testing.T) {
	ctx, stop := Interruptible(t.Context())
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
}
