package agent

import (
	"context"
	"errors"
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
	// fingerprint is have, the first event comes without parts.
	Follow(ctx context.Context, node, have string, fn func(api.NodeEvent) error) error
	Report(ctx context.Context, node string, r api.NodeReport) error
}

// Kernel is the machine's network: *kernel.Kernel.
type Kernel interface {
	Read(ctx context.Context, want netstate.Machine) (netstate.Machine, error)
	// ReadLocal is Read without the routes of the machine's own namespace.
	ReadLocal(ctx context.Context, want netstate.Machine) (netstate.Machine, error)
	Apply(ctx context.Context, ops []netstate.Op) error
	// Watch calls saw after each change of the kernel's state, until ctx ends. It
	// begins with an event that puts everything in doubt.
	Watch(ctx context.Context, saw func(netstate.Event)) error
	// Holds reports whether the settings, of which no event tells, are as given.
	Holds(settings []netstate.Sysctl) (bool, error)
}

// Config says which node the agent is for.
type Config struct {
	Node    string
	Version string
	// Check is how often the whole state is read even if nothing seems to have
	// changed. Default: a minute.
	Check time.Duration
	// Glance is how often the settings are read of which no event tells. Default:
	// 0.4 s.
	Glance time.Duration
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

	wake chan struct{} // capacity 1: something calls for a pass
	mu   sync.Mutex
	wish wish

	// Only reconcile uses what follows.
	told    said  // what the last report said
	repairs int64 // ops that undid what others had done
}

// New returns an agent that does nothing until Run.
func New(cfg Config, deps Deps) (*Agent, error) {
	if cfg.Node == "" {
		return nil, errors.New("an agent needs the name of its node")
	}
	if cfg.Check == 0 {
		cfg.Check = time.Minute
	}
	if cfg.Glance == 0 {
		cfg.Glance = 400 * time.Millisecond
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
		err := a.source.Follow(ctx, a.cfg.Node, a.have(), func(e api.NodeEvent) error {
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

// have says to the controller which parts the agent has.
func (a *Agent) have() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wish.coming = nil // what a broken stream has left
	return a.wish.fingerprint()
}

func (a *Agent) take(e api.NodeEvent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	complete, err := a.wish.take(e)
	if complete {
		a.poke()
	}
	return err
}

func (a *Agent) saw(e netstate.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wish.see(e) {
		a.poke()
	}
}

func (a *Agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *Agent) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.kernel.Watch(ctx, a.saw)
		if ctx.Err() != nil {
			return
		}
		a.log.Warn("kernel changes go unseen until the next full check", "error", err)
		if !sleep(ctx, lastRetry) {
			return
		}
	}
}

func (a *Agent) becomeReady() {
	select {
	case <-a.ready:
	default:
		close(a.ready)
	}
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
