package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/store"
)

// retry is how long the controller waits before it asks a store again that did not
// answer. Meanwhile it goes on with the World that it has.
const retry = time.Second

// Deps is what a controller works with.
type Deps struct {
	Store *store.Store
	Log   *slog.Logger
}

// Controller admits changes and tells nodes what they should be. Make one with New.
type Controller struct {
	cfg   Config
	store *store.Store
	log   *slog.Logger

	ready    chan struct{} // closed when it serves
	stopping chan struct{} // closed when streams and waits should end
	writing  chan struct{} // capacity 1: held by the change that is being written

	heartbeat time.Duration // of node streams
	grace     time.Duration // for changes under way when it stops
	absence   time.Duration // after which a node's word is not waited for
	began     time.Time     // when nodes could first come
	addresses []string      // that it listens on; set before ready

	mu       sync.RWMutex
	ledger   *ledger
	revision int64           // of the ledger's world
	told     int64           // revision whose every concern the nodes' streams know
	concern  compile.Concern // of what came since
	moving   map[string]bool // ports on their way from one host to another
	nodes    map[string]*node
	distant  distant
	moved    chan struct{} // closed, and replaced, when any of the above changes
}

// New returns a controller that does nothing until Run.
func New(cfg Config, deps Deps) (*Controller, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Controller{
		cfg: cfg, store: deps.Store, log: deps.Log,
		ready: make(chan struct{}), stopping: make(chan struct{}), writing: make(chan struct{}, 1),
		heartbeat: 15 * time.Second, grace: grace, absence: absence,
		ledger: newLedger(), nodes: map[string]*node{}, moved: make(chan struct{}),
	}, nil
}

// String names the task for logs.
func (c *Controller) String() string { return "controller" }

// Ready is closed when the controller serves its API.
func (c *Controller) Ready() <-chan struct{} { return c.ready }

// Run serves until ctx ends or the store fails. It may be called once.
func (c *Controller) Run(ctx context.Context) error {
	doors, err := c.listen()
	if err != nil {
		return err
	}
	defer doors.close()
	if err := c.reload(ctx); err != nil {
		return err
	}
	c.tell()
	c.began = time.Now()

	// Changes that are under way when ctx ends still need the watch.
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	failed := make(chan error, 1+len(doors))
	wg.Go(func() {
		if err := c.watch(inner); err != nil {
			failed <- err
		}
	})
	wg.Go(func() { c.tellLoop(inner) })
	wg.Go(func() { c.moveLoop(inner) })
	wg.Go(func() { c.watchAbsence(inner) })
	for _, d := range doors {
		wg.Go(func() {
			if err := d.serve(); err != nil {
				failed <- err
			}
		})
	}
	close(c.ready)
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	close(c.stopping)
	doors.shutdown(inner, c.grace)
	stop()
	wg.Wait()
	return err
}

// reload takes the whole World from the store.
func (c *Controller) reload(ctx context.Context) error {
	objects, revision, err := c.store.Load(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ledger, c.revision = newLedger(objects...), revision
	c.concern, c.moving = compile.Concern{Whole: map[string]bool{}}, map[string]bool{}
	for name := range c.ledger.world.Nodes {
		c.concern.Whole[name] = true
	}
	for name := range c.nodes { // deleted ones too
		c.concern.Whole[name] = true
	}
	for name, p := range c.ledger.world.Ports {
		if p.Move != nil {
			c.moving[name] = true
		}
	}
	c.broadcast()
	return nil
}

// watch keeps the World as the store has it, over as many watches as it takes.
func (c *Controller) watch(ctx context.Context) error {
	for {
		c.mu.RLock()
		from := c.revision
		c.mu.RUnlock()
		err := c.store.Watch(ctx, from, c.apply)
		for err != nil && ctx.Err() == nil {
			if errors.Is(err, store.ErrFailed) {
				return err
			}
			c.log.Warn("lost the store; loading it again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(retry):
				err = c.reload(ctx)
			}
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // being told to stop is no failure
		}
	}
}

// apply moves the World to the next revision. It is the only way in which it moves.
func (c *Controller) apply(b store.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, after := make([]intent.Object, len(b.Puts)), b.Puts
	for i, o := range b.Puts {
		before[i] = c.ledger.world.Get(intent.RefOf(o))
	}
	for _, ref := range b.Deletes {
		before, after = append(before, c.ledger.world.Get(ref)), append(after, nil)
	}
	touch := func() {
		for i := range before {
			if before[i] != nil || after[i] != nil {
				c.concern.Touch(c.ledger.world, before[i], after[i])
			}
		}
	}
	touch()
	// Everything old goes before anything new comes: objects may have exchanged
	// addresses.
	for _, ref := range b.Deletes {
		c.ledger.remove(ref)
	}
	for _, o := range b.Puts {
		c.ledger.remove(intent.RefOf(o))
	}
	for _, o := range b.Puts {
		c.ledger.put(o)
	}
	entering := func(o intent.Object) { c.concern.Touch(c.ledger.world, nil, o) }
	for _, o := range c.ledger.settle(entering) {
		before, after = append(before, nil), append(after, o)
	}
	touch()
	for i := range before {
		c.noteMove(before[i], after[i])
	}
	c.revision = b.Revision
	c.broadcast()
	return nil
}

// broadcast wakes all that await something. The caller holds mu.
func (c *Controller) broadcast() {
	close(c.moved)
	c.moved = make(chan struct{})
}

// await returns when cond, which is called under mu, holds.
func (c *Controller) await(ctx context.Context, cond func() bool) error {
	for {
		c.mu.RLock()
		ok, moved := cond(), c.moved
		c.mu.RUnlock()
		if ok {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Change makes a change of intent, all of it or, with a *Refusal, nothing. When it
// returns, the nodes that it concerns count as behind until they have applied it.
func (c *Controller) Change(ctx context.Context, change api.Change) (api.Result, error) {
	result, err := c.write(ctx, change)
	if err != nil || change.DryRun {
		return result, err
	}
	err = c.await(ctx, func() bool { return c.told >= result.Revision })
	if err != nil {
		return api.Result{}, fmt.Errorf("change is stored as revision %d but the nodes are not told yet: %w", result.Revision, err)
	}
	return result, nil
}

// write admits the change and commits it, one change at a time, again if another
// controller was faster. It returns when the World holds the change.
func (c *Controller) write(ctx context.Context, change api.Change) (api.Result, error) {
	if err := wellFormed(change); err != nil {
		return api.Result{}, err
	}
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-ctx.Done():
		return api.Result{}, ctx.Err()
	}
	for {
		c.mu.Lock()
		at := c.revision
		p, err := c.ledger.admit(change)
		c.mu.Unlock()
		if err != nil {
			return api.Result{}, err
		}
		if change.DryRun || len(p.puts)+len(p.deletes) == 0 {
			return p.result(at), nil
		}
		revision, err := c.store.Commit(ctx, at, p.puts, p.deletes)
		var conflict *store.ConflictError
		if errors.As(err, &conflict) {
			revision = conflict.Revision
		} else if err != nil {
			return api.Result{}, err
		}
		if err := c.await(ctx, func() bool { return c.revision >= revision }); err != nil {
			return api.Result{}, fmt.Errorf("store is at revision %d, which has not arrived: %w", revision, err)
		}
		if conflict == nil {
			for _, o := range p.puts {
				o.Head().Revision = revision
			}
			return p.result(revision), nil
		}
	}
}

// result says what the plan came to at a revision.
func (p plan) result(revision int64) api.Result {
	r := api.Result{Revision: revision, Outcomes: p.outcomes}
	for _, o := range p.objects {
		r.Objects.Add(o)
	}
	return r
}

// get returns one object, or nil.
func (c *Controller) get(ref intent.Ref) intent.Object {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ledger.world.Get(ref)
}

// list returns the objects of a kind by name.
func (c *Controller) list(k intent.Kind) []intent.Object {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ledger.world.List(k)
}
