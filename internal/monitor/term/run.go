package term

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gdamore/tcell/v2"

	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

// Source gives samples. Run asks for one at each interval; Next may take as long as it
// wants, and may wait until there is a newer one. What it has given it must not change
// any more. An error ends Run, so a source that can connect again does that by itself.
type Source interface {
	Next(ctx context.Context) (*sample.Sample, error)
}

// Config is what Run needs.
type Config struct {
	Source   Source
	Actions  Actions       // nil: nothing can be changed
	Interval time.Duration // between passes at the start; 0 is 2 s
	In, Out  *os.File      // the terminal
	Term     string        // its type, $TERM
	NoColor  bool          // https://no-color.org
	Version  string        // of Sarn, for the help

	History History       // nil: none is kept
	Alerts  func() Alerts // nil: nobody watches. It must not wait
	Status  func() Status // nil: samples are of this machine. It must not wait
	// Back says that the view was opened from another one: q and Esc go back to it, and
	// Run returns ErrBack.
	Back bool
}

// ErrBack is what Run returns when a person goes back to where the view was opened.
var ErrBack = errors.New("back")

// History answers for the past, as package history's Store does. It is asked in a
// goroutine of its own, and ctx has a deadline.
type History interface {
	Bounds(ctx context.Context) ([]history.Extent, error)
	At(ctx context.Context, t time.Time, resolution time.Duration) (*history.Record, error)
	Range(ctx context.Context, from, to time.Time, step time.Duration, fields ...string) (*history.Series, error)
}

// Status is where samples come from, and whether they do.
type Status struct {
	From  string
	Down  bool
	Since time.Time // of the connection's loss
	Error string
}

// Run shows the source's samples until a person quits (nil), the source or the terminal
// fails, or ctx ends (its error). The terminal is as before when it returns, or panics.
// To have that at SIGTERM too, let it end ctx.
func Run(ctx context.Context, c Config) error {
	screen, out, err := newScreen(c.In, c.Out, c.Term)
	if err != nil {
		return err
	}
	return show(ctx, screen, out, &c)
}

// newScreen is the terminal of that type and what writes to it, or why nothing can be
// shown on it.
func newScreen(in, out *os.File, kind string) (tcell.Screen, *output, error) {
	if kind == "" || kind == "dumb" {
		return nil, nil, fmt.Errorf("this terminal (TERM=%q) cannot place text on the screen: use another one, or print once without it", kind)
	}
	info, err := tcell.LookupTerminfo(kind)
	if err != nil {
		return nil, nil, fmt.Errorf("nothing is known about this terminal (TERM=%q): try TERM=xterm, or install the package ncurses-term", kind)
	}
	// tcell sleeps where terminfo says that a terminal needs time, as after each move of a
	// vt100's cursor: seconds for a picture. None that is in use needs it.
	unpadded := *info
	unpadded.PadChar = ""
	tty, err := newTTY(in, out)
	if err != nil {
		return nil, nil, err
	}
	// In a locale that tcell does not know, characters beyond ASCII become "?".
	tcell.SetEncodingFallback(tcell.EncodingFallbackASCII)
	screen, err := tcell.NewTerminfoScreenFromTtyTerminfo(tty, &unpadded)
	if err != nil {
		return nil, nil, fmt.Errorf("terminal: %w", err)
	}
	return screen, tty.written, nil
}

// show runs the view on a screen, which writes to out.
func show(ctx context.Context, screen tcell.Screen, out *output, c *Config) error {
	if c.Interval <= 0 {
		c.Interval = 2 * time.Second
	}
	if err := screen.Init(); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer screen.Fini()
	screen.EnableMouse(tcell.MouseButtonEvents)
	screen.EnablePaste()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l := &loop{out: out, status: c.Status, alerts: c.Alerts, historian: newHistorian(c.History), screen: screen, view: newView(c), styles: styles(c.NoColor),
		events: make(chan tcell.Event, 64), samples: make(chan delivery), results: make(chan result, 1), paces: make(chan time.Duration, 1)}
	go screen.ChannelEvents(l.events, nil) // until Fini
	if c.History != nil {
		go l.historian.run(ctx)
	}
	go pump(ctx, c.Source, c.Interval, l.paces, l.samples)
	l.view.do = func(action func() result) {
		go l.act(ctx, action)
	}
	return l.run(ctx)
}

// act runs an action and hands its result to the loop. One that panics has failed: the
// terminal must be left whole.
func (l *loop) act(ctx context.Context, action func() result) {
	r := result{wrong: true}
	defer func() {
		if p := recover(); p != nil {
			r.message = fmt.Sprintf("that failed, which is a fault of Sarn: %v", p)
		}
		select {
		case l.results <- r:
		case <-ctx.Done():
		}
	}()
	r = action()
}

// loop is Run's: what it waits for, and the state.
type loop struct {
	screen  tcell.Screen
	out     *output
	again   bool // the whole screen, once the terminal takes it
	view    *view
	styles  [looks]tcell.Style
	events  chan tcell.Event
	samples chan delivery
	results chan result
	paces   chan time.Duration
	status  func() Status // nil: of this machine
	alerts  func() Alerts // nil: nobody watches

	historian *historian
	last      time.Time   // when a sample came
	late      *time.Timer // says that none comes any more
}

// patience is how long no sample may come before that is said.
func (l *loop) patience() time.Duration { return max(3*l.view.interval, time.Second) }

func (l *loop) run(ctx context.Context) error {
	l.last, l.late = time.Now(), time.NewTimer(l.patience())
	defer l.late.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		l.look()
		l.draw()
		interval := l.view.interval
		select {
		case <-ctx.Done():
			return ctx.Err()
		case d := <-l.samples:
			if ctx.Err() != nil { // then the source's error says no more than that
				return ctx.Err()
			}
			if d.err != nil {
				return d.err
			}
			l.last, l.view.late = time.Now(), 0
			l.late.Reset(l.patience())
			l.view.take(d.sample)
		case <-l.late.C:
			l.view.late = time.Since(l.last)
			l.late.Reset(time.Second)
		case a := <-l.historian.answers:
			l.view.answered(a)
		case <-l.out.idle: // it takes the latest picture now
		case <-look.C:
		case r := <-l.results:
			l.view.done(r)
		case ev, ok := <-l.events:
			if err := l.handle(ev, ok); err != nil {
				return err
			}
		}
		if l.view.back {
			return ErrBack
		}
		if l.view.quit {
			return nil
		}
		if l.view.interval != interval {
			select { // the latest counts
			case <-l.paces:
			default:
			}
			l.paces <- l.view.interval
			l.late.Reset(l.patience())
		}
	}
}

// look takes what is known beside the samples, and asks history what the view wants to
// know.
func (l *loop) look() {
	if l.status != nil {
		l.view.origin = l.status()
	}
	if l.alerts != nil {
		l.view.alerts = l.alerts()
	}
	if q, ok := l.view.question(); ok {
		l.historian.ask(q)
	}
}

// handle takes an event and those that wait behind it, as a wheel sends many.
func (l *loop) handle(ev tcell.Event, ok bool) error {
	for {
		switch ev := ev.(type) {
		case nil:
			if !ok {
				return errors.New("the terminal has gone")
			}
		case *tcell.EventError:
			return fmt.Errorf("the terminal has gone: %s", ev.Error())
		case *tcell.EventKey:
			l.again = l.again || ev.Key() == tcell.KeyCtrlL
			l.view.event(ev)
		default:
			l.view.event(ev)
		}
		if l.view.quit || l.view.back {
			return nil
		}
		select {
		case ev, ok = <-l.events:
		default:
			return nil
		}
	}
}

// draw brings the screen to what the view is now. It sends nothing if nothing differs,
// and nothing to a terminal that has not taken what was sent before: when it has, it gets
// the latest.
func (l *loop) draw() {
	if l.out.stalled() {
		return
	}
	if l.again {
		l.again = false
		l.screen.Sync()
	}
	v := l.view
	w, h := l.screen.Size()
	if w < 1 || h < 1 {
		return
	}
	v.draw(w, h)
	v.flush(l.screen, &l.styles)
}

// delivery is what a source has given.
type delivery struct {
	sample *sample.Sample
	err    error
}

// firstRates is how long after the first pass the second is, as the first has no rates.
const firstRates = time.Second / 2

// pump asks the source at each interval, until it fails or ctx ends. A source that
// panics has failed: the terminal must be left whole.
func pump(ctx context.Context, source Source, interval time.Duration, paces <-chan time.Duration, out chan<- delivery) {
	give := func(d delivery) {
		select {
		case out <- d:
		case <-ctx.Done():
		}
	}
	defer func() {
		if p := recover(); p != nil {
			give(delivery{err: fmt.Errorf("taking a sample failed, which is a fault of Sarn: %v", p)})
		}
	}()
	for {
		began := time.Now()
		s, err := source.Next(ctx)
		give(delivery{s, err})
		if err != nil {
			return
		}
		wait := interval
		if s != nil && s.Interval == 0 {
			wait = min(interval, firstRates)
		}
		for waiting := true; waiting; {
			timer := time.NewTimer(time.Until(began.Add(wait)))
			select {
			case <-timer.C:
				waiting = false
			case interval = <-paces:
				wait = interval
			case <-ctx.Done():
				timer.Stop()
				return
			}
			timer.Stop()
		}
	}
}
