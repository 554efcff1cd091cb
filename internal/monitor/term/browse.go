package term

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gdamore/tcell/v2"

	"sarn/internal/monitor/sample"
)

// HostStatus is a host in the list. A host that is not up has no Summary.
type HostStatus struct {
	Name, Address string
	State         string // up, down or connecting
	Since         time.Time
	Error         string // why it is down
	Summary       *sample.Summary
}

// BrowseConfig is what Browse needs.
type BrowseConfig struct {
	Hosts func() []HostStatus // must not wait, and not change what it has given
	Notes func() []string     // of hosts that cannot be found, and why
	// Open makes the view of a host, and says what ends it. Browse shows it on its own
	// terminal.
	Open func(name string) (Config, func(), error)

	In, Out *os.File
	Term    string
	NoColor bool
	Version string
}

// Browse shows the list of hosts, and each host that a person opens, until one quits
// (nil), the terminal fails, or ctx ends (its error).
func Browse(ctx context.Context, c BrowseConfig) error {
	b := newBrowser(&c)
	for {
		screen, out, err := newScreen(c.In, c.Out, c.Term)
		if err != nil {
			return err
		}
		if err := b.show(ctx, screen, out, &c); err != nil || b.opened == "" {
			return err
		}
		view, end, err := c.Open(b.opened)
		if err != nil {
			b.fail(err)
			continue
		}
		view.In, view.Out, view.Term, view.NoColor, view.Version, view.Back = c.In, c.Out, c.Term, c.NoColor, c.Version, true
		err = Run(ctx, view)
		end()
		if !errors.Is(err, ErrBack) {
			return err
		}
	}
}

// show shows the list until a host is opened or a person quits.
func (b *browser) show(ctx context.Context, screen tcell.Screen, out *output, c *BrowseConfig) error {
	if err := screen.Init(); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer screen.Fini()
	screen.EnableMouse(tcell.MouseButtonEvents)
	screen.EnablePaste()
	looks := styles(c.NoColor)
	events := make(chan tcell.Event, 64)
	go screen.ChannelEvents(events, nil) // until Fini
	b.opened, b.list.g = "", grid{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	b.take(c.Hosts(), c.Notes())
	for !b.list.quit && b.opened == "" {
		if w, h := screen.Size(); w > 0 && h > 0 && !out.stalled() {
			b.draw(w, h)
			b.list.flush(screen, &looks)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-out.idle: // it takes the latest picture now
		case <-tick.C:
			b.take(c.Hosts(), c.Notes())
		case ev, ok := <-events:
			if err := b.handle(screen, events, ev, ok); err != nil {
				return err
			}
		}
	}
	return nil
}

// handle takes an event and those that wait behind it.
func (b *browser) handle(screen tcell.Screen, events <-chan tcell.Event, ev tcell.Event, ok bool) error {
	for {
		switch ev := ev.(type) {
		case nil:
			if !ok {
				return errors.New("the terminal has gone")
			}
		case *tcell.EventError:
			return fmt.Errorf("the terminal has gone: %s", ev.Error())
		default:
			if key, is := ev.(*tcell.EventKey); is && key.Key() == tcell.KeyCtrlL {
				screen.Sync()
			}
			b.event(ev)
		}
		if b.list.quit || b.opened != "" {
			return nil
		}
		select {
		case ev, ok = <-events:
		default:
			return nil
		}
	}
}

// flush brings the screen to what was drawn.
func (v *view) flush(screen tcell.Screen, looks *[looks]tcell.Style) {
	changed := v.g.flush(screen, looks)
	if v.prompt != nil && v.prompt.cursor >= 0 {
		screen.ShowCursor(v.prompt.cursor, v.g.h-1)
		changed = true
	} else {
		screen.HideCursor()
	}
	if changed {
		screen.Show()
	}
}
