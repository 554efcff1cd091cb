package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sarn/internal/api"
	"sarn/internal/netstate"
)

// Source is where wanted states come from and reports go to: *api.Client.
type Source interface {
	// Follow calls fn with the node's wanted state now and at each change, until
	// ctx ends or the stream breaks; it always returns an error. If the state's
	// hash is have, the first event comes without the state.
	Follow(ctx context.Context, node, have string, fn func(api.NodeEvent) error) error
	Report(ctx context.Context, node string, r api.NodeReport) error
}

// Kernel is the machine's network: *kernel.Kernel.
type Kernel interface {
	Read(ctx context.Context, want netstate.Machine) (netstate.Machine, error)
	Apply(ctx context.Context, ops []netstate.Op) error
	// Watch calls changed after each change of the kernel's state, until ctx ends.
	Watch(ctx context.Context, changed func()) error
}

// Config says which node the agent is for.
type Config struct {
	Node    string
	Version string
	// Check is how often the whole state is read even if nothing seems to have
	// changed. Default: a minute.
	Check time.Duration
}

// Deps is what an agent works with.
type Deps struct {
	Source Source
	Kernel Kernel
	Log    *slog.Logger
}

// Agent is one node's agent.
type Agent struct {
	cfg    Config
	source Source
	kernel Kernel
	log    *slog.Logger
	ready  chan struct{}

	wake   chan struct{} // capacity 1: something calls for a pass
	mu     sync.Mutex
	wanted *api.NodeEvent // nil until the first whole state

	told said // what the last report said; only reconcile uses it
}

// said is the part of a report that is worth saying once.
type said struct {
	wanted *api.NodeEvent
	err    string
}

const (
	// settle is how long a kernel change waits for more to come before a pass.
	settle = 50 * time.Millisecond
	// rounds bounds how often a pass applies until the diff is empty. One is
	// enough unless an op takes others' work with it.
	rounds                = 3
	firstRetry, lastRetry = 200 * time.Millisecond, 5 * time.Second
)

// New returns an agent that does nothing until Run.
func New(cfg Config, deps Deps) (*Agent, error) {
	if cfg.Node == "" {
		return nil, errors.New("an agent needs the name of its node")
	}
	if cfg.Check == 0 {
		cfg.Check = time.Minute
	}
	return &Agent{
		cfg: cfg, source: deps.Source, kernel: deps.Kernel, log: deps.Log,
		ready: make(chan struct{}), wake: make(chan struct{}, 1),
	}, nil
}

// String names the task for logs.
func (a *Agent) String() string { return "agent of node " + a.cfg.Node }

// Ready is closed when the first wanted state has been applied and verified.
func (a *Agent) Ready() <-chan struct{} { return a.ready }

// Run works until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { a.follow(ctx) })
	wg.Go(func() { a.watch(ctx) })
	a.reconcile(ctx)
	wg.Wait()
	return nil
}

// follow keeps the wanted state current, over as many streams as it takes.
func (a *Agent) follow(ctx context.Context) {
	retry := firstRetry
	for ctx.Err() == nil {
		err := a.source.Follow(ctx, a.cfg.Node, a.hash(), func(e api.NodeEvent) error {
			retry = firstRetry
			return a.take(e)
		})
		if ctx.Err() != nil {
			return
		}
		a.log.Warn("no controller; the network stays as it is", "error", err, "retry", retry)
		if !sleep(ctx, retry) {
			return
		}
		retry = min(2*retry, lastRetry)
	}
}

// event returns the newest event with a state, or nil.
func (a *Agent) event() *api.NodeEvent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wanted
}

func (a *Agent) hash() string {
	if e := a.event(); e != nil {
		return e.Hash
	}
	return ""
}

func (a *Agent) take(e api.NodeEvent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.State == nil {
		if a.wanted == nil || a.wanted.Hash != e.Hash {
			return fmt.Errorf("revision %d came without the state %s", e.Revision, e.Hash)
		}
		e.State = a.wanted.State
	}
	a.wanted = &e
	a.poke()
	return nil
}

func (a *Agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *Agent) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.kernel.Watch(ctx, a.poke)
		if ctx.Err() != nil {
			return
		}
		a.log.Warn("kernel changes go unseen until the next full check", "error", err)
		if !sleep(ctx, lastRetry) {
			return
		}
	}
}

// reconcile makes a pass whenever something calls for it.
func (a *Agent) reconcile(ctx context.Context) {
	check := time.NewTicker(a.cfg.Check)
	defer check.Stop()
	retry := firstRetry
	var again <-chan time.Time
	var seen *api.NodeEvent
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-check.C:
		case <-again:
		}
		if a.event() == seen && !a.settled(ctx) { // not the wish but the kernel has changed
			return
		}
		wanted := a.event()
		if wanted == nil {
			continue
		}
		seen = wanted
		again = nil
		if err := a.pass(ctx, wanted); err != nil && ctx.Err() == nil {
			a.log.Error("pass failed", "revision", wanted.Revision, "error", err, "retry", retry)
			again = time.After(retry)
			retry = min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
	}
}

// settled gives a burst of kernel changes time to end. What it drains is looked at
// after it.
func (a *Agent) settled(ctx context.Context) bool {
	if !sleep(ctx, settle) {
		return false
	}
	select {
	case <-a.wake:
	default:
	}
	return true
}

// pass makes the kernel hold what is wanted and reports how that went.
func (a *Agent) pass(ctx context.Context, wanted *api.NodeEvent) error {
	began := time.Now()
	n, err := a.converge(ctx, wanted.State)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if n > 0 {
		a.log.Info("applied", "revision", wanted.Revision, "ops", n, "took", time.Since(began).Round(time.Microsecond))
	}
	if err == nil {
		a.becomeReady()
	}
	a.report(ctx, wanted, err)
	return err
}

// report tells the controller how a pass went, unless it said so before. A report
// that is lost is made up for when the stream comes back, with a new event.
func (a *Agent) report(ctx context.Context, wanted *api.NodeEvent, err error) {
	r := api.NodeReport{Revision: wanted.Revision, AppliedAt: time.Now(), Version: a.cfg.Version}
	if err != nil {
		r.Error = err.Error()
	}
	if now := (said{wanted, r.Error}); now != a.told {
		if err := a.source.Report(ctx, a.cfg.Node, r); err != nil {
			a.log.Warn("report not delivered", "error", err)
			return
		}
		a.told = now
	}
}

func (a *Agent) becomeReady() {
	select {
	case <-a.ready:
	default:
		close(a.ready)
	}
}

// converge reads, diffs and applies until the diff is empty, and returns how many
// ops that took.
func (a *Agent) converge(ctx context.Context, want netstate.Machine) (int, error) {
	done := 0
	var ops []netstate.Op
	for range rounds {
		have, err := a.kernel.Read(ctx, want)
		if err != nil {
			return done, fmt.Errorf("read the kernel's state: %w", err)
		}
		if ops, err = netstate.Diff(want, have); err != nil || len(ops) == 0 {
			return done, err
		}
		for _, op := range ops {
			a.log.Debug("apply", "command", op.Command())
		}
		if err := a.kernel.Apply(ctx, ops); err != nil {
			return done, err
		}
		done += len(ops)
	}
	return done, fmt.Errorf("after %d rounds the kernel still differs: %s", rounds, ops[0].Command())
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
