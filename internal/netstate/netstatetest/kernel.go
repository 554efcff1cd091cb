// Package netstatetest holds a kernel made of data, for tests of what goes down the
// road without a machine. It refuses what Linux refuses: a route over a link that is
// down, a second link of a name, an element of a chain that is not there; and it lets
// things take with them what Linux lets them take.
package netstatetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sarn/internal/netstate"
)

// Kernel is a machine. Its methods may be called at the same time.
type Kernel struct {
	mu      sync.Mutex
	machine netstate.Machine
	pairs   map[end]end // both ways
	saw     func(netstate.Event)
	reads   []bool // of each, whether it was of everything
	// Applied are the ops that were applied so far.
	applied []netstate.Op
	// Fail, if set, is asked before each op, and its error is the op's.
	Fail func(netstate.Op) error
}

type end struct{ netns, link string }

// New returns a machine with the named interfaces, up, beside its loopback device.
func New(interfaces ...string) *Kernel {
	own := &netstate.State{Links: []netstate.Link{{Name: "lo", Up: true}}}
	for _, name := range interfaces {
		own.Links = append(own.Links, netstate.Link{Name: name, Up: true})
	}
	return &Kernel{machine: netstate.Machine{"": own}, pairs: map[end]end{}}
}

// Read returns a copy of everything.
func (k *Kernel) Read(context.Context, netstate.Machine) (netstate.Machine, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads = append(k.reads, true)
	return k.copy(), nil
}

// ReadLocal returns a copy of everything but the routes of the machine's own namespace.
func (k *Kernel) ReadLocal(context.Context, netstate.Machine) (netstate.Machine, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads = append(k.reads, false)
	m := k.copy()
	m[""].Routes = nil
	return m, nil
}

// Reads tells of each reading so far whether it was of everything.
func (k *Kernel) Reads() []bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.reads)
}

// Holds reports whether the settings are as given, as far as they are there.
func (k *Kernel) Holds(settings []netstate.Sysctl) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range settings {
		for _, h := range k.machine[""].Sysctls {
			if h.Name == s.Name && h.Value != s.Value {
				return false, nil
			}
		}
	}
	return true, nil
}

func (k *Kernel) copy() netstate.Machine {
	m := netstate.Machine{}
	for name, s := range k.machine {
		c := *s
		c.Links, c.Addresses = slices.Clone(s.Links), slices.Clone(s.Addresses)
		for i, l := range c.Links {
			if peer, ok := k.pairs[end{name, l.Name}]; ok {
				c.Links[i].Peer, c.Links[i].PeerNetns = peer.link, peer.netns
			}
		}
		c.Qdiscs = slices.Clone(s.Qdiscs)
		c.Neighbors, c.Forwards = slices.Clone(s.Neighbors), slices.Clone(s.Forwards)
		c.Routes, c.Rules, c.Sysctls = slices.Clone(s.Routes), slices.Clone(s.Rules), slices.Clone(s.Sysctls)
		c.Tables = nil
		for _, t := range s.Tables {
			t.Sets, t.Chains = slices.Clone(t.Sets), slices.Clone(t.Chains)
			for i := range t.Sets {
				t.Sets[i].Elements = slices.Clone(t.Sets[i].Elements)
			}
			for i := range t.Chains {
				t.Chains[i].Rules = slices.Clone(t.Chains[i].Rules)
			}
			c.Tables = append(c.Tables, t)
		}
		m[name] = &c
	}
	return m
}

// Apply applies ops until one fails.
func (k *Kernel) Apply(_ context.Context, ops []netstate.Op) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, op := range ops {
		if k.Fail != nil {
			if err := k.Fail(op); err != nil {
				return fmt.Errorf("%s: %w", op.Command(), err)
			}
		}
		if err := k.apply(op); err != nil {
			return fmt.Errorf("%s: %w", op.Command(), err)
		}
		k.applied = append(k.applied, op)
		e := netstate.Event{}
		if r, ok := op.Object.(netstate.Route); ok && op.Netns == "" {
			e.Route, e.Gone = &r, op.Verb == netstate.Delete
		}
		k.tell(e)
	}
	return nil
}

// Watch calls saw after each op and Edit until ctx ends, outside of both.
func (k *Kernel) Watch(ctx context.Context, saw func(netstate.Event)) error {
	events := make(chan netstate.Event, 1000)
	k.mu.Lock()
	k.saw = func(e netstate.Event) { events <- e }
	k.mu.Unlock()
	saw(netstate.Event{Routes: true}) // what came before went unseen
	for {
		select {
		case e := <-events:
			saw(e)
		case <-ctx.Done():
			k.mu.Lock()
			defer k.mu.Unlock()
			k.saw = nil
			return ctx.Err()
		}
	}
}

func (k *Kernel) tell(e netstate.Event) {
	if k.saw != nil {
		k.saw(e)
	}
}

// Applied returns the ops that were applied so far.
func (k *Kernel) Applied() []netstate.Op {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.applied)
}

// Edit changes the machine behind everybody's back, and says only that something changed.
func (k *Kernel) Edit(f func(netstate.Machine)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k.machine)
	k.tell(netstate.Event{Routes: true})
}

// EditQuietly is Edit without a word, as when a setting changes.
func (k *Kernel) EditQuietly(f func(netstate.Machine)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k.machine)
}

func (k *Kernel) apply(op netstate.Op) error {
	if ns, ok := op.Object.(netstate.Netns); ok {
		return k.namespace(op.Verb, ns)
	}
	s := k.machine[op.Netns]
	if s == nil {
		return fmt.Errorf("no namespace %q", op.Netns)
	}
	switch x := op.Object.(type) {
	case netstate.Link:
		return k.link(op.Netns, s, op.Verb, x)
	case netstate.LinkAttr:
		return setAttr(s, x)
	case netstate.NFT:
		return applyNFT(s, x.Line)
	case netstate.Sysctl:
		s.Sysctls = slices.DeleteFunc(s.Sysctls, func(y netstate.Sysctl) bool { return y.Name == x.Name })
		s.Sysctls = append(s.Sysctls, x)
		return nil
	case netstate.Route:
		return route(s, op.Verb, x)
	case netstate.Address:
		return edit(s, &s.Addresses, op.Verb, x, x.Link, func(a, b netstate.Address) bool { return a == b })
	case netstate.Qdisc:
		return qdisc(s, op.Verb, x)
	case netstate.Neighbor:
		return edit(s, &s.Neighbors, op.Verb, x, x.Link, func(a, b netstate.Neighbor) bool {
			return a.Link == b.Link && a.Address == b.Address
		})
	case netstate.Forward:
		if op.Verb == netstate.Add && at(s, x.Link) >= 0 && s.Links[at(s, x.Link)].Master == "" {
			return fmt.Errorf("%s is not a bridge port", x.Link)
		}
		return edit(s, &s.Forwards, op.Verb, x, x.Link, func(a, b netstate.Forward) bool { return a == b })
	case netstate.Rule:
		return edit(s, &s.Rules, op.Verb, x, "", func(a, b netstate.Rule) bool { return a == b })
	}
	return fmt.Errorf("unknown object %T", op.Object)
}

func (k *Kernel) namespace(v netstate.Verb, ns netstate.Netns) error {
	name := ns.Name
	if v == netstate.Delete {
		if s := k.machine[name]; s != nil {
			for _, l := range slices.Clone(s.Links) {
				k.unlink(name, l.Name)
			}
		}
		delete(k.machine, name)
		return nil
	}
	if k.machine[name] != nil {
		return fmt.Errorf("namespace exists")
	}
	k.machine[name] = &netstate.State{Alias: ns.Alias, Links: []netstate.Link{{Name: "lo"}}}
	return nil
}

func (k *Kernel) link(netns string, s *netstate.State, v netstate.Verb, l netstate.Link) error {
	if v == netstate.Delete {
		k.unlink(netns, l.Name)
		return nil
	}
	if at(s, l.Name) >= 0 {
		return fmt.Errorf("link exists")
	}
	made := netstate.Link{Name: l.Name, Kind: l.Kind, Owner: l.Owner}
	if l.Kind == netstate.Bridge {
		made.MAC = l.MAC
	}
	s.Links = append(s.Links, made)
	if l.Kind != netstate.Veth {
		return nil
	}
	other := k.machine[l.PeerNetns]
	if other == nil {
		return fmt.Errorf("no namespace %q for the peer", l.PeerNetns)
	}
	if at(other, l.Peer) >= 0 {
		return fmt.Errorf("peer %s exists", l.Peer)
	}
	other.Links = append(other.Links, netstate.Link{Name: l.Peer, Kind: netstate.Veth})
	a, b := end{netns, l.Name}, end{l.PeerNetns, l.Peer}
	k.pairs[a], k.pairs[b] = b, a
	return nil
}

// unlink removes a link, the other end of its pair, and what hangs on them.
func (k *Kernel) unlink(netns, name string) {
	s := k.machine[netns]
	if s == nil || at(s, name) < 0 {
		return
	}
	s.Links = slices.Delete(s.Links, at(s, name), at(s, name)+1)
	for i := range s.Links {
		if s.Links[i].Master == name {
			s.Links[i].Master = ""
		}
	}
	s.Qdiscs = slices.DeleteFunc(s.Qdiscs, func(q netstate.Qdisc) bool { return q.Link == name })
	s.Addresses = slices.DeleteFunc(s.Addresses, func(a netstate.Address) bool { return a.Link == name })
	s.Neighbors = slices.DeleteFunc(s.Neighbors, func(n netstate.Neighbor) bool { return n.Link == name })
	s.Forwards = slices.DeleteFunc(s.Forwards, func(f netstate.Forward) bool { return f.Link == name })
	s.Routes = slices.DeleteFunc(s.Routes, func(r netstate.Route) bool { return r.Link == name })
	s.Sysctls = slices.DeleteFunc(s.Sysctls, func(y netstate.Sysctl) bool { return strings.Contains(y.Name, "/"+name+"/") })
	me := end{netns, name}
	if peer, ok := k.pairs[me]; ok {
		delete(k.pairs, me)
		delete(k.pairs, peer)
		k.unlink(peer.netns, peer.link)
	}
}

func at(s *netstate.State, link string) int {
	return slices.IndexFunc(s.Links, func(l netstate.Link) bool { return l.Name == link })
}

func setAttr(s *netstate.State, a netstate.LinkAttr) error {
	if a.Attr == "alias" && a.Link == "lo" {
		s.Alias = a.Value
		return nil
	}
	i := at(s, a.Link)
	if i < 0 {
		return fmt.Errorf("no link")
	}
	l := &s.Links[i]
	switch a.Attr {
	case "up":
		if l.Up = a.Value == "on"; !l.Up {
			s.Routes = slices.DeleteFunc(s.Routes, func(r netstate.Route) bool { return r.Link == a.Link })
		}
	case "alias":
		l.Alias = a.Value
	case "address":
		l.MAC = a.Value
	case "mtu":
		_, err := fmt.Sscan(a.Value, &l.MTU)
		return err
	case "master":
		if a.Value != "" && at(s, a.Value) < 0 {
			return fmt.Errorf("no bridge")
		}
		l.Master, l.Isolated, l.Static = a.Value, false, false
	case "isolated", "static":
		if l.Master == "" {
			return fmt.Errorf("not a bridge port")
		}
		if a.Attr == "isolated" {
			l.Isolated = a.Value == "on"
		} else {
			l.Static = a.Value == "on"
		}
	default:
		return fmt.Errorf("unknown attribute")
	}
	return nil
}

func route(s *netstate.State, v netstate.Verb, r netstate.Route) error {
	if v != netstate.Delete && r.Link != "" {
		if i := at(s, r.Link); i < 0 || !s.Links[i].Up {
			return fmt.Errorf("link %s is not up", r.Link)
		}
	}
	same := func(a, b netstate.Route) bool { return a.Table == b.Table && a.Dst == b.Dst }
	return edit(s, &s.Routes, v, r, "", same)
}

// qdisc sets or deletes a link's only root qdisc; a set one stays of its kind.
func qdisc(s *netstate.State, v netstate.Verb, q netstate.Qdisc) error {
	i := slices.IndexFunc(s.Qdiscs, func(o netstate.Qdisc) bool { return o.Link == q.Link })
	if v != netstate.Delete && i >= 0 && s.Qdiscs[i].Kind != q.Kind {
		return fmt.Errorf("there is a %s already", s.Qdiscs[i].Kind)
	}
	if v == netstate.Add {
		v = netstate.Change // as tc qdisc replace
	}
	return edit(s, &s.Qdiscs, v, q, q.Link, func(a, b netstate.Qdisc) bool { return a.Link == b.Link })
}

func edit[T any](s *netstate.State, list *[]T, v netstate.Verb, x T, link string, same func(a, b T) bool) error {
	if v != netstate.Delete && link != "" && at(s, link) < 0 {
		return fmt.Errorf("no link %s", link)
	}
	i := slices.IndexFunc(*list, func(y T) bool { return same(x, y) })
	switch {
	case v == netstate.Delete && i >= 0:
		*list = slices.Delete(*list, i, i+1)
	case v == netstate.Add && i >= 0:
		return fmt.Errorf("exists")
	case v == netstate.Change && i >= 0:
		(*list)[i] = x
	case v != netstate.Delete:
		*list = append(*list, x)
	}
	return nil
}
