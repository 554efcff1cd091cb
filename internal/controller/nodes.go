package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/netstate"
)

var (
	// errNoNode says that a node is not, or no longer, in the World.
	errNoNode = errors.New("there is no such node")
	// errReport says that a report cannot be true.
	errReport = errors.New("the report cannot be true")
)

// maxError bounds the error text of a report, in bytes.
const maxError = 4 << 10

// node is what the controller knows of one node beside its intent. What the node should
// hold is not kept: it is compiled, part by part, when a stream sends it.
type node struct {
	wanted    int64  // revision at which what it should hold last changed; 0: never told
	base      string // fingerprint of its part compile.Base
	followers map[*follower]struct{}
	left      time.Time      // when the last follower left, if one ever did
	report    api.NodeReport // the last one; its revision and time those of the last success
}

// tellLoop tells the nodes' streams of what the watch brings until ctx ends. Changes
// that come while it is at work are told together.
func (c *Controller) tellLoop(ctx context.Context) {
	for c.await(ctx, func() bool { return c.told < c.revision || len(c.concern.Whole) > 0 }) == nil {
		c.tell()
	}
}

// tell marks the nodes that have something new to hold.
func (c *Controller) tell() {
	c.mu.Lock()
	concern, revision := c.concern, c.revision
	c.concern = compile.Concern{}
	c.mu.Unlock()
	for name := range concern.Whole {
		delete(concern.Parts, name)
		base := c.baseOf(name)
		c.mark(name, base, revision, nil)
	}
	for name, keys := range concern.Parts {
		// Many changes touch everybody's base and few change it.
		base := ""
		if keys[compile.Base] {
			base = c.baseOf(name)
		}
		c.mark(name, base, revision, keys)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = revision
	c.broadcast()
}

func (c *Controller) baseOf(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var f netstate.Fingerprint
	f.Add("", compile.Part(c.ledger.world, name, compile.Base))
	return f.String()
}

// mark notes that parts of what the node should hold, or without keys all, may be new
// since the revision, and wakes its streams. base is the fingerprint of its base if that
// is among them.
func (c *Controller) mark(name, base string, revision int64, keys map[compile.Key]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ledger.world.Nodes[name] == nil {
		c.farewell(name, revision)
		return
	}
	n := c.node(name)
	if base != "" {
		if n.base == base {
			delete(keys, compile.Base)
		}
		n.base = base
	}
	if keys != nil && len(keys) == 0 {
		return
	}
	n.wanted = revision
	for f := range n.followers {
		f.add(keys)
	}
}

// farewell ends the streams of a deleted node, after a last event by which its agent
// takes away all that is Sarn's. The caller holds mu.
func (c *Controller) farewell(name string, revision int64) {
	n := c.nodes[name]
	if n == nil {
		return
	}
	delete(c.nodes, name)
	n.wanted = revision
	for f := range n.followers {
		f.add(nil)
		f.last = true
	}
}

// node returns the node's record, a new one if need be. The caller holds mu.
func (c *Controller) node(name string) *node {
	n := c.nodes[name]
	if n == nil {
		n = &node{followers: map[*follower]struct{}{}}
		c.nodes[name] = n
	}
	return n
}

// report notes what the node's agent says of its last pass.
func (c *Controller) report(name string, r api.NodeReport) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ledger.world.Nodes[name] == nil {
		return errNoNode
	}
	n := c.node(name)
	if r.Revision < 0 || r.Revision > n.wanted {
		return fmt.Errorf("%w: it is about revision %d, and node %q is to be at %d", errReport, r.Revision, name, n.wanted)
	}
	if len(r.Error) > maxError {
		r.Error = strings.ToValidUTF8(r.Error[:maxError], "") + " …"
	}
	if r.Error != "" {
		r.Revision, r.AppliedAt = n.report.Revision, n.report.AppliedAt
	}
	n.report = r
	c.broadcast()
	return nil
}

// Status says how far each node is, by name.
func (c *Controller) Status() []api.NodeStatus {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := make([]api.NodeStatus, 0, len(c.ledger.world.Nodes))
	for name, o := range c.ledger.world.Nodes {
		s := api.NodeStatus{Node: name, Role: string(o.Role), Ports: c.ledger.world.CountOn(name)}
		if n := c.nodes[name]; n != nil {
			s.Connected = len(n.followers) > 0
			s.Wanted = n.wanted
			s.Applied, s.AppliedAt = n.report.Revision, n.report.AppliedAt
			s.Error, s.Version, s.Repairs = n.report.Error, n.report.Version, n.report.Repairs
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b api.NodeStatus) int { return cmp.Compare(a.Node, b.Node) })
	return all
}

// Wait returns when every node has applied and verified what the revision wants of it,
// and the ports that move have arrived, or when ctx ends. Later changes do not prolong it.
func (c *Controller) Wait(ctx context.Context, revision int64) error {
	if err := c.await(ctx, func() bool { return c.told >= revision }); err != nil {
		return err
	}
	c.mu.RLock()
	moving := maps.Clone(c.moving)
	c.mu.RUnlock()
	err := c.await(ctx, func() bool {
		under := len(moving)
		maps.DeleteFunc(moving, func(port string, _ bool) bool { return !c.moving[port] })
		if len(moving) < under {
			revision = c.revision // the last step of a move is a change too
		}
		return len(moving) == 0 && c.told >= revision
	})
	if err != nil {
		return err
	}
	behind := c.behind()
	return c.await(ctx, func() bool {
		// As long as one is behind, each report costs a look at that one alone.
		for name, wanted := range behind {
			if !c.reached(name, wanted) {
				return false
			}
			delete(behind, name)
		}
		return true
	})
}

// behind returns the nodes that do not hold what they should, and at which revision they
// should.
func (c *Controller) behind() map[string]int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	behind := map[string]int64{}
	for name, n := range c.nodes {
		if !c.reached(name, n.wanted) {
			behind[name] = n.wanted
		}
	}
	return behind
}

// reached reports whether the node holds, verified, what was wanted of it at the
// revision, or is not there any more. The caller holds mu.
func (c *Controller) reached(name string, wanted int64) bool {
	n := c.nodes[name]
	return n == nil || n.report.Revision >= wanted && n.report.Error == ""
}
