package controller

import (
	"net/netip"
	"slices"
	"strings"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

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
	a.fillMove(p, old)
	if p.Attach.Type == intent.AttachInterface {
		a.checkDevice(p)
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
	if p.Attach.Type == intent.AttachInterface && p.Attach.Interface == "" {
		p.Attach.Interface = old.Attach.Interface
	}
	if !p.Address.IsValid() {
		p.Address = old.Address
	}
	if p.MAC == "" && p.Address == old.Address {
		p.MAC = old.MAC
	}
}

// fillMove makes a port that has another node than before one that moves.
func (a *admission) fillMove(p, old *intent.Port) {
	given := p.Move
	p.Move = nil
	switch {
	case old == nil:
	case p.Node == old.Node:
		p.Move = old.Move
	case old.Move == nil:
		p.Move = &intent.Move{From: old.Node}
	case p.Node == old.Move.From:
		// Back again: the hosts exchange their parts, and packets go where they went.
		p.Move = &intent.Move{From: old.Node, Switched: !old.Move.Switched}
	default:
		a.clash(intent.RefOf(p), "node", "cannot change to %q while the port moves from %q to %q; wait until it is there, or move it back",
			p.Node, old.Move.From, old.Node)
	}
	if given != nil && (p.Move == nil || *given != *p.Move) {
		a.wrong(intent.RefOf(p), "move", "cannot be chosen; leave it out")
	}
}

// checkDevice finds a device that Sarn needs for itself.
func (a *admission) checkDevice(p *intent.Port) {
	for _, prefix := range []string{netstate.BridgePrefix, netstate.PortPrefix} {
		if strings.HasPrefix(p.Attach.Interface, prefix) {
			a.wrong(intent.RefOf(p), "attach.interface", "%s is named as Sarn names its own devices; only a device of somebody else's can be taken in", p.Attach.Interface)
		}
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
