package controller

import (
	"net/netip"
	"slices"

	"sarn/internal/compile"
	"sarn/internal/intent"
)

// fillNodesAndVPCs enters the change's nodes and VPCs, which have no defaults.
func (a *admission) fillNodesAndVPCs() {
	for _, o := range a.objects {
		switch o := o.(type) {
		case *intent.Node:
			a.put(o)
			a.checkRole(o)
		case *intent.VPC:
			a.put(o)
		}
	}
}

// fillSubnets enters the change's subnets. What they leave out they keep, or get: a
// gateway, a bridge address, a router and a table. Those that were there come first:
// what they keep is not to be given to a new one.
func (a *admission) fillSubnets() {
	var subnets []*intent.Subnet
	for _, o := range a.objects {
		if s, ok := o.(*intent.Subnet); ok {
			subnets = append(subnets, s)
		}
	}
	isNew := func(s *intent.Subnet) int {
		if a.before[intent.RefOf(s)] == nil {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(subnets, func(s, t *intent.Subnet) int { return isNew(s) - isNew(t) })
	table := uint32(compile.FirstSubnetTable)
	for _, s := range subnets {
		old, _ := a.before[intent.RefOf(s)].(*intent.Subnet)
		given := s.Table
		if old != nil {
			a.keepSubnet(s, old)
		} else {
			for a.ledger.taken(claim{kind: claimTable, addr: table}) {
				table++
			}
			s.Table = table
		}
		ref := intent.RefOf(s)
		switch {
		case s.Table > compile.LastSubnetTable:
			a.clash(ref, "table", "none is free: there are %d subnets, the most that tables %d to %d can serve",
				len(a.ledger.world.Subnets), compile.FirstSubnetTable, compile.LastSubnetTable)
		case given != 0 && given != s.Table:
			a.wrong(ref, "table", "cannot be chosen; leave it out")
		}
		fillAddresses(s)
		a.fillRouter(s)
		for _, e := range s.Validate() { // the defaults against what was given
			a.wrong(ref, e.Field, "%s", e.Message)
		}
		a.put(s)
	}
}

// keepSubnet fills in from the subnet as it was what an update leaves out.
func (a *admission) keepSubnet(s, old *intent.Subnet) {
	s.Table = old.Table
	if s.Router == "" {
		s.Router = old.Router
	}
	if s.CIDR == old.CIDR {
		if !s.Gateway.IsValid() {
			s.Gateway = old.Gateway
		}
		if !s.Bridge.IsValid() {
			s.Bridge = old.Bridge
		}
	}
}

func fillAddresses(s *intent.Subnet) {
	usable := s.CIDR.First().Next()
	if !s.Gateway.IsValid() {
		s.Gateway.Addr = usable
		if s.Gateway == s.Bridge {
			s.Gateway.Addr = usable.Next()
		}
	}
	if !s.Bridge.IsValid() {
		s.Bridge.Addr = usable
		if s.Bridge == s.Gateway {
			s.Bridge.Addr = usable.Next()
		}
	}
}

func (a *admission) fillRouter(s *intent.Subnet) {
	ref := intent.RefOf(s)
	if s.Router != "" {
		switch n := a.ledger.world.Nodes[s.Router]; {
		case n == nil:
			a.wrong(ref, "router", "there is no node %q%s", s.Router, a.routersInWords())
		case n.Role != intent.RoleRouter:
			a.wrong(ref, "router", "node %q is a %s%s", s.Router, n.Role, a.routersInWords())
		}
		return
	}
	routers := a.routers()
	if len(routers) == 1 {
		s.Router = routers[0]
		return
	}
	a.wrong(ref, "router", "is missing%s", a.routersInWords())
}

// fillPorts enters the change's ports: first those that ask for an address or have
// one, so that none of these is given away, then those that take what is free. Of the
// latter those that ask for a MAC come first, for the same reason.
func (a *admission) fillPorts() {
	var open []*intent.Port
	for _, o := range a.objects {
		p, ok := o.(*intent.Port)
		if !ok || !a.fillPort(p) {
			continue
		}
		if !p.Address.IsValid() {
			open = append(open, p)
			continue
		}
		a.put(p)
	}
	slices.SortStableFunc(open, func(p, q *intent.Port) int {
		switch {
		case p.MAC != "" && q.MAC == "":
			return -1
		case p.MAC == "" && q.MAC != "":
			return 1
		}
		return 0
	})
	for _, p := range open {
		if a.allocate(p) {
			a.put(p)
		}
	}
}

// allocate gives the port the lowest free address of its subnet, if there is one.
func (a *admission) allocate(p *intent.Port) bool {
	s := a.ledger.world.Subnets[p.Subnet]
	from, begun := a.cursor[s.Name]
	if !begun {
		from = s.CIDR.First().Next()
	}
	for {
		free, ok := a.ledger.lowestFree(s, from)
		if !ok {
			a.clash(intent.RefOf(p), "address", "none is free: all %d addresses of subnet %q (%s) are held; delete ports or use another subnet",
				s.CIDR.Size()-2, s.Name, s.CIDR)
			return false
		}
		from = free.Next()
		a.cursor[s.Name] = from
		p.Address.Addr = free
		if p.MAC != "" {
			return true
		}
		// Somebody may have chosen the MAC that belongs to this address.
		if mac := intent.PortMAC(p.Address); !a.ledger.taken(claim{kind: claimMAC, scope: s.Name, text: string(mac)}) {
			p.MAC = mac
			return true
		}
	}
}

// fillPort checks a port's references and fills in all but an address to allocate
// and its MAC. It reports whether the port can be entered.
func (a *admission) fillPort(p *intent.Port) bool {
	ref := intent.RefOf(p)
	s := a.ledger.world.Subnets[p.Subnet]
	if s == nil {
		a.wrong(ref, "subnet", "there is no subnet %q", p.Subnet)
	}
	switch n := a.ledger.world.Nodes[p.Node]; {
	case n == nil:
		a.wrong(ref, "node", "there is no node %q", p.Node)
	case n.Role != intent.RoleHost:
		a.wrong(ref, "node", "node %q is a %s; only hosts carry ports", p.Node, n.Role)
	}
	old, _ := a.before[ref].(*intent.Port)
	if old != nil {
		a.keepPort(p, old)
	}
	if p.Attach.Type == "" {
		p.Attach.Type = intent.AttachNetns
	}
	if p.Attach.Type == intent.AttachNetns {
		if p.Attach.Namespace == "" {
			p.Attach.Namespace = p.Name
		}
		if p.Attach.Interface == "" {
			p.Attach.Interface = "eth0"
		}
	}
	if s == nil {
		return false
	}
	if !p.Address.IsValid() {
		return true
	}
	if p.MAC == "" {
		p.MAC = intent.PortMAC(p.Address)
	}
	return a.inSubnet(ref, p.Address.Addr, s)
}

// keepPort fills in from the port as it was what an update leaves out.
func (a *admission) keepPort(p, old *intent.Port) {
	ref := intent.RefOf(p)
	if p.Subnet != old.Subnet {
		a.wrong(ref, "subnet", "cannot change from %q to %q; delete the port and create it anew", old.Subnet, p.Subnet)
		return
	}
	if p.Attach.Type == "" {
		p.Attach.Type = old.Attach.Type
		for _, e := range p.Validate() { // a field of the other type may be set
			a.wrong(ref, e.Field, "%s", e.Message)
		}
	}
	if p.Attach.Type != old.Attach.Type {
		a.wrong(ref, "attach.type", "cannot change from %s to %s; delete the port and create it anew", old.Attach.Type, p.Attach.Type)
	}
	if !p.Address.IsValid() {
		p.Address = old.Address
	}
	if p.MAC == "" && p.Address == old.Address {
		p.MAC = old.MAC
	}
}

// inSubnet reports whether a port of s may have the address, as far as s goes. Who
// holds it is the ledger's word.
func (a *admission) inSubnet(ref intent.Ref, addr netip.Addr, s *intent.Subnet) bool {
	switch {
	case !s.CIDR.Contains(addr):
		a.wrong(ref, "address", "%s is outside subnet %q (%s)", addr, s.Name, s.CIDR)
	case addr == s.CIDR.First():
		a.wrong(ref, "address", "%s is the network address of subnet %q", addr, s.Name)
	case addr == s.CIDR.Last():
		a.wrong(ref, "address", "%s is the broadcast address of subnet %q", addr, s.Name)
	default:
		return true
	}
	return false
}
