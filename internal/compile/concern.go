package compile

import (
	"slices"

	"sarn/internal/intent"
)

// Concern gathers which parts of which nodes a change of intent may change. It may name
// too much, never too little.
type Concern struct {
	// Whole nodes: so much of them may change that it is not worth telling what.
	Whole map[string]bool
	// Parts of nodes.
	Parts map[string]map[Key]bool
}

// Touch adds what depends on one object of the change, of which one of before and after
// is nil if it is created or deleted. It is to be called for every object twice: with
// the world before the change, and with the world after it.
func (c *Concern) Touch(w *intent.World, before, after intent.Object) {
	o := after
	if o == nil {
		o = before
	}
	switch o.(type) {
	case *intent.Port:
		c.port(w, before)
		c.port(w, after)
	case *intent.Subnet:
		c.subnet(w, before, after)
	case *intent.VPC:
		c.vpc(w, before, after)
	case *intent.Node:
		c.node(w, before, after)
	}
}

// port adds the nodes that have a part for the port o, if w has it.
func (c *Concern) port(w *intent.World, o intent.Object) {
	p, _ := o.(*intent.Port)
	if p == nil {
		return
	}
	for _, host := range p.Carriers() {
		// With the first ports of a subnet comes its bridge, and what is known of its
		// VPC; with the last they go.
		if w.Carried(host, p.Subnet) == 0 {
			c.whole(host)
		}
	}
	if w.Ports[p.Name] != p {
		return
	}
	for _, host := range p.Carriers() {
		c.part(host, PortKey(p.Name))
		// With the first port of a namespace comes its default route.
		if p.Attach.Namespace == "" {
			continue
		}
		for _, other := range w.Guests(host, p.Attach.Namespace) {
			c.part(host, PortKey(other.Name))
		}
	}
	s := w.Subnets[p.Subnet]
	if s == nil {
		return
	}
	c.part(s.Router, PortKey(p.Name))
	if v := w.VPCs[s.VPC]; v != nil && v.Mode == intent.ModeDirect {
		for host := range w.HostsOf(v.Name) {
			c.part(host, PortKey(p.Name))
		}
	}
}

func (c *Concern) subnet(w *intent.World, before, after intent.Object) {
	old, _ := before.(*intent.Subnet)
	now, _ := after.(*intent.Subnet)
	for _, s := range []*intent.Subnet{old, now} {
		if s == nil {
			continue
		}
		c.all(w, SubnetKey(s.Name))
		c.part(s.Router, Base) // NAT
		// The ends of the VPC's addresses are as many as no subnet takes whole.
		if v := w.VPCs[s.VPC]; v != nil && slices.Contains(v.CIDRs, s.CIDR) {
			c.all(w, Base)
		}
	}
	if old == nil || now == nil {
		return // it has no ports
	}
	c.all(w, Base)
	if old.Router != now.Router {
		c.whole(old.Router)
		c.whole(now.Router)
	}
	if old.Gateway != now.Gateway || old.CIDR != now.CIDR || old.VPC != now.VPC {
		for _, p := range w.PortsIn(now.Name) {
			c.port(w, p)
		}
	}
}

func (c *Concern) vpc(w *intent.World, before, after intent.Object) {
	c.all(w, Base)
	old, _ := before.(*intent.VPC)
	now, _ := after.(*intent.VPC)
	if old != nil && now != nil && (old.Mode != now.Mode || old.Table != now.Table) {
		for host := range w.HostsOf(now.Name) {
			c.whole(host)
		}
	}
}

func (c *Concern) node(w *intent.World, before, after intent.Object) {
	old, _ := before.(*intent.Node)
	now, _ := after.(*intent.Node)
	for _, n := range []*intent.Node{old, now} {
		if n != nil {
			c.whole(n.Name)
			c.router(w, n)
		}
	}
	for _, n := range w.Nodes {
		if n.Role == intent.RoleRouter {
			c.part(n.Name, Base) // what it does not translate
		}
	}
	if old == nil || now == nil || old.Address == now.Address {
		return // without a change of address, its ports are where they were
	}
	for _, p := range w.PortsOn(now.Name) {
		c.port(w, p)
	}
}

// router adds what leads to the node's subnets, if it is the router of any.
func (c *Concern) router(w *intent.World, n *intent.Node) {
	for _, s := range w.Subnets {
		if s.Router == n.Name {
			c.all(w, SubnetKey(s.Name))
			c.all(w, Base) // default routes
		}
	}
}

// all adds a part of every node.
func (c *Concern) all(w *intent.World, key Key) {
	for name := range w.Nodes {
		c.part(name, key)
	}
}

func (c *Concern) whole(node string) {
	if c.Whole == nil {
		c.Whole = map[string]bool{}
	}
	c.Whole[node] = true
}

func (c *Concern) part(node string, key Key) {
	if c.Parts == nil {
		c.Parts = map[string]map[Key]bool{}
	}
	if c.Parts[node] == nil {
		c.Parts[node] = map[Key]bool{}
	}
	c.Parts[node][key] = true
}
