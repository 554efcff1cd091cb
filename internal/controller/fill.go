package controller

import (
	"slices"

	"sarn/internal/compile"
	"sarn/internal/intent"
)

// fillNodes enters the change's nodes, which have no defaults.
func (a *admission) fillNodes() {
	for _, o := range a.objects {
		if n, ok := o.(*intent.Node); ok {
			a.put(n)
			a.checkRole(n)
		}
	}
}

// fillVPCs enters the change's VPCs: first those that have a table already.
func (a *admission) fillVPCs() {
	var fresh []*intent.VPC
	for _, o := range a.objects {
		v, ok := o.(*intent.VPC)
		if !ok {
			continue
		}
		old, _ := a.before[intent.RefOf(v)].(*intent.VPC)
		var table uint32
		if old != nil {
			table = old.Table
			if v.Mode == "" {
				v.Mode = old.Mode
			}
		}
		if v.Table != 0 && v.Table != table {
			a.wrong(intent.RefOf(v), "table", "cannot be chosen; leave it out")
		}
		v.Table = table
		if v.Mode == "" {
			v.Mode = intent.ModeRouter
		}
		if old == nil {
			fresh = append(fresh, v)
			continue
		}
		a.put(v)
	}
	table := uint32(compile.FirstVPCTable)
	for _, v := range fresh {
		for a.ledger.taken(claim{kind: claimTable, addr: table}) {
			table++
		}
		v.Table = table
		if table > compile.LastVPCTable {
			a.clash(intent.RefOf(v), "table", "none is free: there are %d VPCs, the most that tables %d to %d can serve",
				len(a.ledger.world.VPCs), compile.FirstVPCTable, compile.LastVPCTable)
		}
		a.put(v)
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
