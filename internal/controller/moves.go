package controller

import (
	"context"
	"errors"
	"time"

	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/store"
)

// A port moves in three steps, each a change of its intent. Admission makes the first,
// when somebody gives the port another node: both hosts carry it. When the new host has
// applied that, packets are switched to it. When all nodes have applied that, but for
// those that are away for longer than it takes to start anew, the old host lets go.
// What has been done is in the store, so that a controller that starts anew goes on
// with it.

// noteMove keeps account of the ports that move. The caller holds mu.
func (c *Controller) noteMove(before, after intent.Object) {
	if p, ok := before.(*intent.Port); ok {
		delete(c.moving, p.Name)
	}
	if p, ok := after.(*intent.Port); ok && p.Move != nil {
		c.moving[p.Name] = true
	}
}

// absence is how long a node may be away before moves go on without it: longer than an
// agent waits before it tries again to reach its controller.
const absence = 10 * time.Second

// watchAbsence has moves looked at again and again while there are any, since time alone
// may let them go on, until ctx ends.
func (c *Controller) watchAbsence(ctx context.Context) {
	var pause time.Duration
	for c.await(ctx, func() bool { pause = c.absence / 10; return len(c.moving) > 0 }) == nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			c.mu.Lock()
			c.broadcast()
			c.mu.Unlock()
		}
	}
}

// moveLoop takes the steps of moves, as the nodes' reports allow, until ctx ends.
func (c *Controller) moveLoop(ctx context.Context) {
	for ctx.Err() == nil {
		var ready []intent.Object
		var at int64
		err := c.await(ctx, func() bool {
			ready, at = c.steps(), c.revision
			return len(ready) > 0
		})
		if err != nil {
			return
		}
		if err := c.step(ctx, at, ready); err != nil && ctx.Err() == nil {
			c.log.Warn("a move does not go on; trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(retry):
			}
		}
	}
}

// step commits the next steps of ports. If something else changed meanwhile, they are
// looked at again.
func (c *Controller) step(ctx context.Context, at int64, ready []intent.Object) error {
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	revision, err := c.store.Commit(ctx, at, ready, nil)
	var conflict *store.ConflictError
	if errors.As(err, &conflict) {
		revision, err = conflict.Revision, nil
	}
	if err != nil {
		return err
	}
	return c.await(ctx, func() bool { return c.revision >= revision })
}

// steps returns the ports of which the next step can be taken, as they are after it.
// The caller holds mu.
func (c *Controller) steps() []intent.Object {
	if c.told < c.revision {
		return nil
	}
	var ready []intent.Object
	for name := range c.moving {
		p := c.ledger.world.Ports[name]
		if p == nil || p.Move == nil || !c.holds(p.Node, p.Revision) {
			continue
		}
		next := *p
		switch {
		case !p.Move.Switched:
			next.Move = &intent.Move{From: p.Move.From, Switched: true}
		case c.allHold(p):
			next.Move = nil
		default:
			continue
		}
		next.Revision = 0 // the store counts it
		ready = append(ready, &next)
	}
	return ready
}

// holds reports whether the node is connected and has applied the revision.
func (c *Controller) holds(node string, revision int64) bool {
	n := c.nodes[node]
	return n != nil && len(n.followers) > 0 && n.report.Revision >= revision
}

// allHold reports whether all nodes that know the port know where it is now. The old
// host may be away, or fail at something else: it lets go when it can. Others still send to the old host,
// maybe, while they are away, so they are waited for unless that takes too long.
func (c *Controller) allHold(p *intent.Port) bool {
	var concern compile.Concern
	concern.Touch(c.ledger.world, nil, p)
	knows := func(node string) bool {
		n := c.nodes[node]
		switch {
		case node == p.Move.From:
			return true
		case n == nil:
			return time.Since(c.began) >= c.absence
		case len(n.followers) > 0 || n.report.Revision >= p.Revision:
			return n.report.Revision >= p.Revision
		}
		return time.Since(n.left) >= c.absence && time.Since(c.began) >= c.absence
	}
	for node := range concern.Whole {
		if !knows(node) {
			return false
		}
	}
	for node := range concern.Parts {
		if !knows(node) {
			return false
		}
	}
	return true
}
