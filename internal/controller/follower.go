package controller

import (
	"maps"
	"time"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/netstate"
)

// most is how many parts one event holds at most: as many as can be compiled while
// changes wait.
const most = 1000

// follower is one open stream. It gathers the names of parts that it has to send, and
// what they are is looked up when it sends them: a slow one misses what is out of date,
// and holds up nobody. Its fields belong to the controller's mu.
type follower struct {
	node *node
	name string // of the node

	whole   bool          // the next event begins anew
	listed  []compile.Key // all parts, if they have been listed since that was said
	backlog []compile.Key
	fresh   map[compile.Key]bool
	last    bool          // the node is deleted: what comes is the end
	wake    chan struct{} // capacity 1: there is something to send
}

// add notes that the parts, or without keys all, may have changed.
func (f *follower) add(keys map[compile.Key]bool) {
	if keys == nil {
		f.whole, f.listed, f.backlog, f.fresh = true, nil, nil, map[compile.Key]bool{}
	}
	maps.Copy(f.fresh, keys)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// follow opens a stream of the node's wanted state, whose fingerprint is have on the
// other side; leave closes it.
func (c *Controller) follow(name, have string) (f *follower, leave func(), err error) {
	c.mu.Lock()
	if c.ledger.world.Nodes[name] == nil {
		c.mu.Unlock()
		return nil, nil, errNoNode
	}
	n := c.node(name)
	f = &follower{node: n, name: name, fresh: map[compile.Key]bool{}, wake: make(chan struct{}, 1)}
	n.followers[f] = struct{}{}
	c.broadcast()
	c.mu.Unlock()
	// What changes from here on is noted, so this look may be late but not early.
	known := have != "" && have == c.fingerprint(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if known {
		f.add(map[compile.Key]bool{})
	} else {
		f.add(nil)
	}
	return f, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(n.followers, f)
		n.left = time.Now()
		c.broadcast()
	}, nil
}

// next returns the follower's next event, and whether the stream ends with it.
func (c *Controller) next(f *follower) (e api.NodeEvent, last bool) {
	c.listParts(f)
	keys, e, last := c.take(f)
	if len(keys) == 0 {
		return e, last
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	e.Parts = make(map[string]netstate.Machine, len(keys))
	for _, k := range keys {
		e.Parts[string(k)] = compile.Part(c.ledger.world, f.name, k)
	}
	return e, last
}

// listParts lists all parts of the node if the follower's next event begins anew. That can
// take long, so it holds up no other reader: a part that comes meanwhile is told of by
// itself, and if so much changes that the event has to begin anew again, take lists anew.
// Only the stream itself calls it, and what else writes to the follower holds mu alone.
func (c *Controller) listParts(f *follower) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if f.whole {
		f.listed = compile.Keys(c.ledger.world, f.name)
	}
}

// take takes from the follower what the next event is to hold.
func (c *Controller) take(f *follower) (keys []compile.Key, e api.NodeEvent, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e = api.NodeEvent{Revision: f.node.wanted, Whole: f.whole}
	if f.whole && !f.last {
		if f.listed == nil {
			f.listed = compile.Keys(c.ledger.world, f.name)
		}
		f.backlog, f.listed = f.listed, nil
	}
	for k := range f.fresh {
		f.backlog = append(f.backlog, k)
	}
	f.whole, f.fresh = false, map[compile.Key]bool{}
	n := min(len(f.backlog), most)
	keys, f.backlog = f.backlog[:n], f.backlog[n:]
	if len(f.backlog) > 0 {
		e.More = true
		f.add(map[compile.Key]bool{}) // come again
	}
	return keys, e, f.last
}
