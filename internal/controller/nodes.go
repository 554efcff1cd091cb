package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
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

// node is what the controller knows of one node beside its intent.
type node struct {
	wanted    int64 // revision at which hash last changed; 0: not compiled yet
	hash      string
	state     netstate.Machine
	ports     int
	followers map[*follower]struct{}
	report    api.NodeReport // the last one; its revision and time those of the last success
}

// follower is one open stream. Its box holds the latest event that it has not sent:
// a slow one misses what is out of date, and holds up nobody.
type follower struct {
	have string             // hash that it came with; only for the first event
	box  chan api.NodeEvent // capacity 1; closed, after a last event, when the node is deleted
}

// dirt is what has to be compiled again.
type dirt struct {
	all     bool
	nodes   map[string]bool
	subnets map[string]bool // whose router is meant
}

func (d *dirt) everything() { d.all = true }

// touch notes the nodes that a change of o concerns. A port concerns its host and its
// subnet's router, anything else all nodes.
func (d *dirt) touch(o intent.Object) {
	if o == nil {
		return
	}
	p, ok := o.(*intent.Port)
	if !ok {
		d.all = true
		return
	}
	if d.nodes == nil {
		d.nodes, d.subnets = map[string]bool{}, map[string]bool{}
	}
	d.nodes[p.Node], d.subnets[p.Subnet] = true, true
}

// compileLoop compiles what the watch made dirty until ctx ends. Changes that come
// while it is at work are compiled together.
func (c *Controller) compileLoop(ctx context.Context) {
	for c.await(ctx, func() bool { return c.dirty.all || c.compiled < c.revision }) == nil {
		c.compileDirty()
	}
}

func (c *Controller) compileDirty() {
	names, revision := c.takeDirty()
	for _, name := range names {
		c.mu.RLock()
		at := c.revision // not less than revision
		ports := len(c.ledger.world.PortsOn(name))
		state := compile.Node(c.ledger.world, name)
		c.mu.RUnlock()
		c.publish(name, at, ports, state)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compiled = revision
	c.broadcast()
}

// takeDirty returns the names of the nodes to compile, and for which revision.
func (c *Controller) takeDirty() ([]string, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := map[string]bool{}
	if c.dirty.all {
		for name := range c.ledger.world.Nodes {
			names[name] = true
		}
		for name := range c.nodes { // deleted ones too
			names[name] = true
		}
	}
	maps.Copy(names, c.dirty.nodes)
	for subnet := range c.dirty.subnets {
		if s := c.ledger.world.Subnets[subnet]; s != nil {
			names[s.Router] = true
		}
	}
	c.dirty = dirt{}
	return slices.Sorted(maps.Keys(names)), c.revision
}

// publish makes state, which is nil for a deleted node, what the node should hold
// since the revision. A state that is as before is no news.
func (c *Controller) publish(name string, at int64, ports int, state netstate.Machine) {
	hash := netstate.Hash(state)
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == nil {
		c.farewell(name, at)
		return
	}
	n := c.node(name)
	n.ports = ports
	if n.hash == hash {
		return
	}
	n.wanted, n.hash, n.state = at, hash, state
	for f := range n.followers {
		f.offer(n)
	}
}

// farewell ends the streams of a deleted node, after a last event by which its agent
// takes away all that is Sarn's. The caller holds mu.
func (c *Controller) farewell(name string, at int64) {
	n := c.nodes[name]
	if n == nil {
		return
	}
	delete(c.nodes, name)
	nothing := netstate.Machine{"": {}}
	last := &node{wanted: at, hash: netstate.Hash(nothing), state: nothing}
	for f := range n.followers {
		f.offer(last)
		close(f.box)
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

// offer puts the node's wanted state into the follower's box, in place of an older
// one. The caller holds mu, so nobody else puts.
func (f *follower) offer(n *node) {
	e := api.NodeEvent{Revision: n.wanted, Hash: n.hash, State: n.state}
	if f.have == n.hash {
		e.State = nil
	}
	f.have = ""
	select {
	case <-f.box:
	default:
	}
	f.box <- e
}

// follow opens a stream of the node's wanted state; leave closes it.
func (c *Controller) follow(name, have string) (f *follower, leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ledger.world.Nodes[name] == nil {
		return nil, nil, errNoNode
	}
	n := c.node(name)
	f = &follower{have: have, box: make(chan api.NodeEvent, 1)}
	n.followers[f] = struct{}{}
	if n.hash != "" {
		f.offer(n)
	}
	c.broadcast()
	return f, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(n.followers, f)
		c.broadcast()
	}, nil
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
	return c.status()
}

func (c *Controller) status() []api.NodeStatus {
	all := make([]api.NodeStatus, 0, len(c.ledger.world.Nodes))
	for name, o := range c.ledger.world.Nodes {
		s := api.NodeStatus{Node: name, Role: string(o.Role)}
		if n := c.nodes[name]; n != nil {
			s.Connected = len(n.followers) > 0
			s.Wanted, s.Ports = n.wanted, n.ports
			s.Applied, s.AppliedAt = n.report.Revision, n.report.AppliedAt
			s.Error, s.Version = n.report.Error, n.report.Version
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b api.NodeStatus) int { return cmp.Compare(a.Node, b.Node) })
	return all
}

// Wait returns when every node holds, verified, what the revision wants of it, or
// when ctx ends. Later changes do not prolong it.
func (c *Controller) Wait(ctx context.Context, revision int64) ([]api.NodeStatus, error) {
	if err := c.await(ctx, func() bool { return c.compiled >= revision }); err != nil {
		return c.Status(), err
	}
	goal := map[string]int64{}
	for _, s := range c.Status() {
		goal[s.Node] = s.Wanted
	}
	var last []api.NodeStatus
	err := c.await(ctx, func() bool {
		last = c.status()
		return !slices.ContainsFunc(last, func(s api.NodeStatus) bool {
			wanted, asked := goal[s.Node]
			return asked && (s.Applied < wanted || s.Error != "")
		})
	})
	return last, err
}
