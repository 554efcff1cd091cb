package term

import (
	"io"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
)

// meter is a terminal that only counts what is sent to it.
type meter struct {
	w, h   int
	sent   atomic.Int64
	closed chan struct{}
}

func (m *meter) Start() error        { return nil }
func (m *meter) Stop() error         { return nil }
func (m *meter) Drain() error        { close(m.closed); return nil }
func (m *meter) Close() error        { return nil }
func (m *meter) NotifyResize(func()) {}
func (m *meter) Read([]byte) (int, error) {
	<-m.closed
	return 0, nil
}

func (m *meter) Write(b []byte) (int, error) {
	m.sent.Add(int64(len(b)))
	return len(b), nil
}

func (m *meter) WindowSize() (tcell.WindowSize, error) {
	return tcell.WindowSize{Width: m.w, Height: m.h}, nil
}

// metered is a loop on a real tcell screen, whose terminal is a meter.
func metered(t testing.TB, w, h int) (*loop, *meter) {
	t.Helper()
	m := &meter{w: w, h: h, closed: make(chan struct{})}
	info, err := tcell.LookupTerminfo("xterm-256color")
	if err != nil {
		t.Fatal(err)
	}
	screen, err := tcell.NewTerminfoScreenFromTtyTerminfo(m, info)
	if err != nil {
		t.Fatal(err)
	}
	if err := screen.Init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(screen.Fini)
	return &loop{screen: screen, out: newOutput(io.Discard), styles: styles(false), view: newView(&Config{Interval: 2 * time.Second})}, m
}

// What goes over the line is what has changed: nothing for nothing, little for a quiet
// machine, and never more than the whole screen.
func TestBytesOfARefresh(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		bytesOfARefresh(t, size[0], size[1])
	}
}

func bytesOfARefresh(t *testing.T, w, h int) {
	l, m := metered(t, w, h)
	s := busy(8, 1000, 3)
	l.view.take(s)
	refresh := func() int64 {
		before := m.sent.Load()
		l.draw()
		return m.sent.Load() - before
	}
	full := refresh()
	same := refresh()
	s = moved(s, 0.003) // the clock, and three processes of a thousand
	l.view.take(s)
	quiet := refresh()
	s = moved(s, 1)
	l.view.take(s)
	loud := refresh()
	l.view.hasHistory = true
	l.view.enterPast()
	past := refresh()
	t.Logf("%dx%d: first %d bytes, nothing new %d, quiet %d, all processes changed %d, into the past %d", w, h, full, same, quiet, loud, past)
	if same != 0 {
		t.Errorf("%d bytes for nothing new", same)
	}
	if quiet*10 > full {
		t.Errorf("a quiet refresh sends %d bytes, and the whole screen is %d", quiet, full)
	}
	if loud > full {
		t.Errorf("a refresh sends %d bytes, more than the whole screen, %d", loud, full)
	}
}

// A refresh of 2,000 processes allocates what few closures and changed names need,
// not something for each process or cell.
func TestRefreshAllocatesLittle(t *testing.T) {
	b := newBench(t, 120, 40, nil)
	a := busy(8, 2000, 3)
	c := moved(a, 0)
	n := 0
	got := math.Inf(1)
	for range 5 { // the least: what other tests have left may end meanwhile
		got = min(got, testing.AllocsPerRun(20, func() {
			n++
			if n%2 == 0 {
				b.view.take(a)
			} else {
				b.view.take(c)
			}
			b.view.draw(120, 40)
		}))
	}
	t.Logf("%.0f allocations", got)
	if got > 100 {
		t.Errorf("a refresh allocates %.0f times", got)
	}
}

func BenchmarkRefresh(b *testing.B) {
	l, _ := metered(b, 80, 24)
	s := busy(8, 1000, 3)
	next := moved(s, 1)
	b.ReportAllocs()
	for b.Loop() {
		s, next = next, s
		l.view.take(s)
		l.draw()
	}
}
