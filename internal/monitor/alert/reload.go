package alert

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"sarn/internal/monitor/sample"
)

// File is an Engine with the rules of a file, which can be read anew. Its methods may be
// called from several goroutines.
type File struct {
	path   string
	deps   Deps
	engine atomic.Pointer[Engine]
	anew   chan struct{}
}

// OpenFile reads a file of alerts and makes an engine of it. The error is Problems if
// the file is wrong.
func OpenFile(path string, d Deps) (*File, error) {
	f := &File{path: path, deps: d, anew: make(chan struct{}, 1)}
	c, err := f.read()
	if err != nil {
		return nil, err
	}
	e, err := New(*c, d)
	if err != nil {
		return nil, err
	}
	f.engine.Store(e)
	return f, nil
}

func (f *File) read() (*Config, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("read the alerts: %w", err)
	}
	return Parse(f.path, text)
}

// Reload asks Run to read the file again.
func (f *File) Reload() {
	select {
	case f.anew <- struct{}{}:
	default:
	}
}

// Run is Engine.Run. A file that is wrong when it is read again changes nothing. One
// that is right goes on with the state that the rules before it have saved; without a
// state file it begins anew.
func (f *File) Run(ctx context.Context) error {
	for {
		next, err := f.serve(ctx)
		if next == nil {
			return err
		}
		if err != nil { // of saving: what is in memory cannot be handed over
			f.engine.Load().deps.Log.Error("the state of alerts was not saved", "error", err)
		}
		e, err := New(*next, f.deps)
		if err != nil {
			f.engine.Load().deps.Log.Error("the alerts go on as they were", "error", err)
			continue
		}
		f.engine.Store(e)
		e.deps.Log.Info("the alerts were read again", "file", f.path, "rules", e.Rules())
	}
}

// serve runs the engine until ctx ends, or until there is another config.
func (f *File) serve(ctx context.Context) (next *Config, err error) {
	e := f.engine.Load()
	running, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- e.Run(running) }()
	for {
		select {
		case err := <-done:
			return nil, err
		case <-f.anew:
		}
		c, err := f.read()
		if err == nil {
			// What New has to say is known before the engine that runs is stopped.
			trial := f.deps
			trial.StateFile = ""
			_, err = New(*c, trial)
		}
		if err != nil {
			e.deps.Log.Error("the file of alerts is wrong; the rules stay as they were", "error", err)
			continue
		}
		stop()
		return c, <-done
	}
}

// Observe is Engine's.
func (f *File) Observe(s *sample.Sample) { f.engine.Load().Observe(s) }

// Rules is Engine's.
func (f *File) Rules() int { return f.engine.Load().Rules() }

// Active is Engine's.
func (f *File) Active() []Alert { return f.engine.Load().Active() }

// Pending is Engine's.
func (f *File) Pending() []Alert { return f.engine.Load().Pending() }

// Past is Engine's.
func (f *File) Past(n int) []Alert { return f.engine.Load().Past(n) }

// Deliveries is Engine's.
func (f *File) Deliveries() []Delivery { return f.engine.Load().Deliveries() }
