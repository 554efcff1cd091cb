package controller

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"sarn/internal/intent"
)

// block is an address block and the VPC or subnet that it belongs to.
type block struct {
	netip.Prefix
	owner intent.Ref
	field string
}

// checkBlocks checks that in the world after the change no address block is in the
// way of another or of a node. It looks only at the kinds that the change touches.
func (a *admission) checkBlocks() {
	var nodes []*intent.Node
	var vpcs []*intent.VPC
	var subnets []*intent.Subnet
	for _, o := range a.objects {
		switch o := o.(type) {
		case *intent.Node:
			nodes = append(nodes, o)
		case *intent.VPC:
			vpcs = append(vpcs, o)
		case *intent.Subnet:
			subnets = append(subnets, o)
		}
	}
	if len(vpcs) > 0 {
		a.checkOverlaps(vpcBlocks(a.ledger.world))
		a.checkCovered(vpcs)
	}
	if len(vpcs)+len(nodes) > 0 {
		a.checkUnderlay(nodes)
	}
	if len(subnets) > 0 {
		a.checkOverlaps(subnetBlocks(a.ledger.world))
		for _, s := range subnets {
			a.checkInVPC(s)
		}
	}
}

func vpcBlocks(w *intent.World) []block {
	var blocks []block
	for _, v := range w.VPCs {
		for _, c := range v.CIDRs {
			blocks = append(blocks, block{c.Prefix, intent.RefOf(v), "cidrs"})
		}
	}
	return blocks
}

func subnetBlocks(w *intent.World) []block {
	var blocks []block
	for _, s := range w.Subnets {
		blocks = append(blocks, block{s.CIDR.Prefix, intent.RefOf(s), "cidr"})
	}
	return blocks
}

// checkOverlaps finds the blocks that lie inside one of another owner. Of two blocks
// one holds the other or they are apart, so in order of address, larger first, each
// block needs to be compared only with those that are open around it.
func (a *admission) checkOverlaps(blocks []block) {
	slices.SortFunc(blocks, func(x, y block) int {
		return cmp.Or(x.Addr().Compare(y.Addr()), x.Bits()-y.Bits(), strings.Compare(x.owner.Name, y.owner.Name))
	})
	var around []block
	for _, b := range blocks {
		for len(around) > 0 && !around[len(around)-1].Overlaps(b.Prefix) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 && around[len(around)-1].owner != b.owner {
			given, other := b, around[len(around)-1]
			if !a.given[given.owner] {
				given, other = other, given
			}
			a.clash(given.owner, given.field, "%s overlaps %s of %s", given, other, other.owner)
		}
		around = append(around, b)
	}
}

// checkUnderlay finds the nodes whose address lies in a VPC's block: what they send
// each other would be taken for the VPC's. Only pairs of which the change gives one
// can be wrong.
func (a *admission) checkUnderlay(given []*intent.Node) {
	all := slices.Collect(maps.Values(a.ledger.world.Nodes))
	for _, v := range a.ledger.world.AllVPCs() {
		nodes := given
		if a.given[intent.RefOf(v)] {
			nodes = all
		}
		for _, c := range v.CIDRs {
			for _, n := range nodes {
				switch {
				case !c.Contains(n.Address.Addr):
				case a.given[intent.RefOf(n)]:
					a.clash(intent.RefOf(n), "address", "%s lies in %s of %s; the nodes' network and the VPCs must be apart", n.Address, c, intent.RefOf(v))
				default:
					a.clash(intent.RefOf(v), "cidrs", "%s holds %s, the address of %s; the nodes' network and the VPCs must be apart", c, n.Address, intent.RefOf(n))
				}
			}
		}
	}
}

// checkCovered finds the subnets that a changed VPC no longer covers.
func (a *admission) checkCovered(vpcs []*intent.VPC) {
	for _, v := range vpcs {
		for _, s := range a.ledger.world.SubnetsOf(v.Name) {
			if !covers(v, s) && !a.given[intent.RefOf(s)] {
				a.clash(intent.RefOf(v), "cidrs", "no longer covers %s of %s", s.CIDR, intent.RefOf(s))
			}
		}
	}
}

func (a *admission) checkInVPC(s *intent.Subnet) {
	switch v := a.ledger.world.VPCs[s.VPC]; {
	case v == nil:
		a.wrong(intent.RefOf(s), "vpc", "there is no vpc %q", s.VPC)
	case !covers(v, s):
		a.wrong(intent.RefOf(s), "cidr", "%s is not inside an address block of vpc %q, which has %s", s.CIDR, v.Name, words(v.CIDRs))
	}
}

func covers(v *intent.VPC, s *intent.Subnet) bool {
	return slices.ContainsFunc(v.CIDRs, func(c intent.CIDR) bool { return c.Covers(s.CIDR) })
}

// checkRole finds the objects that a node's new role does not suit. The change's own
// subnets and ports are not in the ledger yet: they are checked as they enter it.
func (a *admission) checkRole(n *intent.Node) {
	ref := intent.RefOf(n)
	if old, ok := a.before[ref].(*intent.Node); ok && old.Role != n.Role {
		a.mustBeIdle(ref, "role", fmt.Sprintf("cannot change from %s to %s: it ", old.Role, n.Role), dependents(a.ledger.world, ref))
	}
}

// checkMoved finds the subnets that changed their addresses or VPC under their ports.
func (a *admission) checkMoved() {
	for _, o := range a.objects {
		ref := intent.RefOf(o)
		now, _ := o.(*intent.Subnet)
		old, _ := a.before[ref].(*intent.Subnet)
		if now == nil || old == nil || now.CIDR == old.CIDR && now.VPC == old.VPC {
			continue
		}
		stay := slices.DeleteFunc(dependents(a.ledger.world, ref), func(port intent.Ref) bool {
			return a.given[port] && a.before[port] == nil
		})
		if now.CIDR != old.CIDR {
			a.mustBeIdle(ref, "cidr", fmt.Sprintf("cannot change from %s to %s: it ", old.CIDR, now.CIDR), stay)
		}
		if now.VPC != old.VPC {
			a.mustBeIdle(ref, "vpc", fmt.Sprintf("cannot change from %s to %s: it ", old.VPC, now.VPC), stay)
		}
	}
}

// checkDeleted finds the deleted objects that others still refer to.
func (a *admission) checkDeleted() {
	for _, ref := range a.change.Delete {
		if a.before[ref] != nil {
			a.mustBeIdle(ref, "", "", dependents(a.ledger.world, ref))
		}
	}
}

// mustBeIdle finds a problem with the object if it has users.
func (a *admission) mustBeIdle(ref intent.Ref, field, why string, users []intent.Ref) {
	if len(users) == 0 {
		return
	}
	named := make([]string, 0, 3)
	for _, u := range users[:min(3, len(users))] {
		named = append(named, u.String())
	}
	text := strings.Join(named, ", ")
	if more := len(users) - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more, %d in all", more, len(users))
	}
	a.clash(ref, field, "%sis used by %s; delete what uses it first", why, text)
}

// dependents lists the objects that refer to ref.
func dependents(w *intent.World, ref intent.Ref) []intent.Ref {
	var refs []intent.Ref
	switch ref.Kind {
	case intent.KindVPC:
		for _, s := range w.SubnetsOf(ref.Name) {
			refs = append(refs, intent.RefOf(s))
		}
	case intent.KindSubnet:
		for _, p := range w.PortsIn(ref.Name) {
			refs = append(refs, intent.RefOf(p))
		}
	case intent.KindNode:
		for _, s := range w.AllSubnets() {
			if s.Router == ref.Name {
				refs = append(refs, intent.RefOf(s))
			}
		}
		for _, p := range w.PortsOn(ref.Name) {
			refs = append(refs, intent.RefOf(p))
		}
	}
	return refs
}

// routers lists the names of the router nodes.
func (a *admission) routers() []string {
	var names []string
	for _, n := range a.ledger.world.Nodes {
		if n.Role == intent.RoleRouter {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (a *admission) routersInWords() string {
	names := a.routers()
	if len(names) == 0 {
		return "; create a node with role router first"
	}
	return "; the routers are " + strings.Join(names, ", ")
}

func words(cidrs []intent.CIDR) string {
	all := make([]string, len(cidrs))
	for i, c := range cidrs {
		all[i] = c.String()
	}
	return strings.Join(all, ", ")
}
