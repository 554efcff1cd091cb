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
	// A kernel change waits for more to come before a pass: at first not long, and
	// longer as long as passes find nothing to do, since then it is others who make
	// the kernel busy.
	firstSettle, lastSettle = 50 * time.Millisecond, time.Second
	// telling bounds how long a report may hold up passes.
	telling = 5 * time.Second
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
		a.log.Warn("not following the controller; the network stays as it is", "error", err, "retry", retry)
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

// reconcile makes a pass whenever something calls for it: at once for a new wish,
// after a while for a change of the kernel, and after a failed pass not before its
// time, since what the pass did is a change of the kernel too.
func (a *Agent) reconcile(ctx context.Context) {
	check := time.NewTicker(a.cfg.Check)
	defer check.Stop()
	retry, settle := firstRetry, firstSettle
	var again <-chan time.Time // set after a failed pass
	var seen *api.NodeEvent
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
			if a.event() == seen && again != nil {
				continue
			}
		case <-check.C:
		case <-again:
		}
		if a.event() == seen && !a.settled(ctx, settle) {
			return
		}
		wanted := a.event()
		if wanted == nil {
			continue
		}
		if wanted != seen {
			retry = firstRetry
		}
		seen, again = wanted, nil
		ops, err := a.pass(ctx, wanted)
		settle = min(2*settle, lastSettle)
		if ops > 0 {
			settle = firstSettle
		}
		if err != nil {
			again = time.After(retry)
			retry = min(2*retry, lastRetry)
		} else {
			retry = firstRetry
		}
	}
}

// settled gives a burst of kernel changes time to end, unless a new wish comes. What it
// drains is looked at after it.
func (a *Agent) settled(ctx context.Context, settle time.Duration) bool {
	before, end := a.event(), time.After(settle)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-a.wake:
			if a.event() != before {
				return true
			}
		case <-end:
			return true
		}
	}
}

// pass makes the kernel hold what is wanted, reports how that went, and returns how
// many ops it took. Its error is for trying again; it has been logged.
func (a *Agent) pass(ctx context.Context, wanted *api.NodeEvent) (int, error) {
	began := time.Now()
	n, err := a.converge(ctx, wanted.State)
	if ctx.Err() != nil {
		return n, ctx.Err()
	}
	if n > 0 {
		a.log.Info("applied", "revision", wanted.Revision, "ops", n, "took", time.Since(began).Round(time.Microsecond))
	}
	if err != nil {
		a.log.Error("pass failed", "revision", wanted.Revision, "error", err)
	} else {
		a.becomeReady()
	}
	if rerr := a.report(ctx, wanted, err); rerr != nil && ctx.Err() == nil {
		a.log.Warn("report not delivered", "error", rerr)
		return n, errors.Join(err, rerr)
	}
	return n, err
}

// report tells the controller how a pass went, unless it said so before.
func (a *Agent) report(ctx context.Context, wanted *api.NodeEvent, err error) error {
	r := api.NodeReport{Revision: wanted.Revision, AppliedAt: time.Now(), Version: a.cfg.Version}
	if err != nil {
		r.Error = err.Error()
	}
	now := said{wanted, r.Error}
	if now == a.told {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, telling)
	defer stop()
	if err := a.source.Report(ctx, a.cfg.Node, r); err != nil {
		return err
	}
	a.told = now
	return nil
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
	for range rounds {
		have, err := a.kernel.Read(ctx, want)
		if err != nil {
			return done, fmt.Errorf("read the kernel's state: %w", err)
		}
		// An error with ops is about a part of the machine; the rest is done.
		ops, conflict := netstate.Diff(want, have)
		if len(ops) == 0 {
			return done, conflict
		}
		for _, op := range ops {
			a.log.Debug("apply", "command", op.Command())
		}
		if err := a.kernel.Apply(ctx, ops); err != nil {
			return done, errors.Join(conflict, err)
		}
		done += len(ops)
	}
	return done, fmt.Errorf("after %d rounds the kernel still differs from what is wanted", rounds)
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
