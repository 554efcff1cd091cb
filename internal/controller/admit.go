package controller

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"

	"sarn/internal/api"
	"sarn/internal/intent"
)

// plan is an admitted change: what to write and what to answer.
type plan struct {
	puts     []intent.Object
	deletes  []intent.Ref
	outcomes []api.Outcome
	objects  []intent.Object // all that the change gave, with defaults
}

// admission is one change on its way to a plan.
type admission struct {
	findings
	ledger  *ledger
	change  api.Change
	objects []intent.Object              // copies of what the change gives, filled in
	given   map[intent.Ref]bool          // what the change gives
	before  map[intent.Ref]intent.Object // what was there of these and of the deleted
	outside map[intent.Ref]bool          // which of before were outside the World
	cursor  map[string]netip.Addr        // by subnet: no address below is free
}

// admit returns what the change, which is wellFormed, comes to, or a *Refusal. The
// change is seen as a whole: it is put into the ledger, the world after it is looked
// at, and then the ledger is put back, so that for the caller nothing has moved.
func (l *ledger) admit(c api.Change) (plan, error) {
	a := &admission{
		ledger: l, change: c, given: map[intent.Ref]bool{},
		before: map[intent.Ref]intent.Object{}, outside: map[intent.Ref]bool{}, cursor: map[string]netip.Addr{},
	}
	for _, o := range c.Objects() {
		a.objects = append(a.objects, clone(o))
		a.given[intent.RefOf(o)] = true
	}
	defer a.putBack()
	a.takeOut()
	a.fillNodes()
	a.fillVPCs()
	a.fillSubnets()
	a.fillPorts()
	a.checkBlocks()
	a.checkMoved()
	a.checkDeleted()
	if err := a.refusal(); err != nil {
		return plan{}, err
	}
	return a.plan(), nil
}

// wellFormed returns a *Refusal of what is wrong with the change whatever the world is
// like. It takes as long as the change is large, and nobody has to wait for it.
func wellFormed(c api.Change) error {
	var f findings
	if slices.Contains(c.Nodes, nil) || slices.Contains(c.VPCs, nil) ||
		slices.Contains(c.Subnets, nil) || slices.Contains(c.Ports, nil) {
		f.wrong(intent.Ref{}, "", "the change holds a null where an object should be")
		return f.refusal()
	}
	for _, p := range c.Check() {
		f.wrong(p.Ref, p.Field, "%s", p.Message)
	}
	given, deleted := map[intent.Ref]bool{}, map[intent.Ref]bool{}
	for _, o := range c.Objects() {
		given[intent.RefOf(o)] = true
	}
	for _, ref := range c.Delete {
		switch {
		case !slices.Contains(intent.Kinds, ref.Kind):
			f.wrong(ref, "kind", "%q is not a kind; use one of %v", ref.Kind, intent.Kinds)
		case given[ref]:
			f.wrong(ref, "", "is both given and deleted in one change")
		case deleted[ref]:
			f.wrong(ref, "", "is deleted twice in one change")
		}
		var bad intent.Problems
		if errors.As(api.CheckName(ref), &bad) {
			f.wrong(ref, bad[0].Field, "%s", bad[0].Message)
		}
		deleted[ref] = true
	}
	return f.refusal()
}

// takeOut removes from the ledger what the change replaces or deletes.
func (a *admission) takeOut() {
	for _, o := range a.objects {
		ref, head := intent.RefOf(o), o.Head()
		old := a.remove(ref)
		switch {
		case old == nil && head.Revision != 0:
			a.clash(ref, "revision", "is %d, but it has been deleted since; leave revision out to create it", head.Revision)
		case old == nil:
		case a.change.Create:
			a.clash(ref, "name", "is taken: the %s exists already", ref.Kind.Noun())
		case head.Revision != 0 && head.Revision != old.Head().Revision:
			a.clash(ref, "revision", "is %d, but the %s has changed since, at revision %d; read it again and repeat the change",
				head.Revision, ref.Kind.Noun(), old.Head().Revision)
		}
		head.Revision = 0
		if old != nil {
			a.before[ref] = old
			head.Revision = old.Head().Revision
		}
	}
	for _, ref := range a.change.Delete {
		old := a.remove(ref)
		if old == nil {
			a.missing(ref, "there is no such %s", ref.Kind.Noun())
			continue
		}
		a.before[ref] = old
	}
}

// remove takes the object out of the ledger and notes whether it was outside.
func (a *admission) remove(ref intent.Ref) intent.Object {
	if a.ledger.outside[ref] != nil {
		a.outside[ref] = true
	}
	return a.ledger.remove(ref)
}

// putBack restores the ledger as it was before takeOut.
func (a *admission) putBack() {
	for _, o := range a.objects {
		a.ledger.remove(intent.RefOf(o))
	}
	for ref, o := range a.before {
		if a.outside[ref] {
			a.ledger.outside[ref] = o
		} else {
			a.ledger.put(o)
		}
	}
}

// plan says what has to be written.
func (a *admission) plan() plan {
	p := plan{objects: a.objects, deletes: a.change.Delete, outcomes: []api.Outcome{}}
	for _, o := range a.objects {
		ref := intent.RefOf(o)
		action := api.Created
		if old := a.before[ref]; old != nil {
			action = api.Updated
			if reflect.DeepEqual(old, o) {
				action = api.Unchanged
			}
		}
		if action != api.Unchanged {
			o.Head().Revision = 0 // the store counts it
			p.puts = append(p.puts, o)
		}
		p.outcomes = append(p.outcomes, api.Outcome{Ref: ref, Action: action})
	}
	for _, ref := range p.deletes {
		p.outcomes = append(p.outcomes, api.Outcome{Ref: ref, Action: api.Deleted})
	}
	return p
}

// put enters a filled-in object and finds a problem for each thing that it would
// hold and another has.
func (a *admission) put(o intent.Object) {
	ref := intent.RefOf(o)
	for _, c := range a.ledger.put(o) {
		a.taken(ref, o, c, a.ledger.held[c])
	}
}

// taken finds the problem that ref cannot have c because of holder.
func (a *admission) taken(ref intent.Ref, o intent.Object, c claim, holder intent.Ref) {
	switch c.kind {
	case claimAddress:
		field := "address"
		if s, ok := o.(*intent.Subnet); ok {
			field = roleOf(s, c.addr)
		}
		a.clash(ref, field, "%s is %s", addrOf(c.addr), a.holding(holder, c.addr))
	case claimMAC:
		field, of := "mac", holder.String()
		if ref.Kind == intent.KindSubnet {
			field = "bridge"
		} else if holder.Kind == intent.KindSubnet {
			of = "the bridge of " + of
		}
		a.clash(ref, field, "%s is the MAC of %s", c.text, of)
	case claimNetns:
		a.clash(ref, "attach", "namespace and interface %s on node %q are those of %s", c.text, c.scope, holder)
	case claimDevice:
		a.takenDevice(ref, o, c, holder)
	case claimBridgeDevice:
		a.clash(ref, "name", "its bridge %s would be the same as that of %s; use another name", c.text, holder)
	case claimUnderlay:
		a.clash(ref, "address", "%s is the address of %s", addrOf(c.addr), holder)
	case claimTable:
		a.clash(ref, "table", "%d is the table of %s", c.addr, holder)
	}
}

// takenDevice finds the problem that a node or port cannot have the device c.
func (a *admission) takenDevice(ref intent.Ref, o intent.Object, c claim, holder intent.Ref) {
	field := "name"
	if p, ok := o.(*intent.Port); ok && p.Attach.Type == intent.AttachInterface {
		field = "attach.interface"
	}
	switch {
	case ref.Kind == intent.KindNode:
		a.clash(ref, "interface", "%s is the device of %s there", c.text, holder)
	case holder.Kind == intent.KindNode:
		a.clash(ref, field, "%s is the underlay interface of %s", c.text, holder)
	default:
		a.clash(ref, field, "its device on node %q, %s, would be the same as that of %s; use another name", c.scope, c.text, holder)
	}
}

// holding says in words how the holder has the address.
func (a *admission) holding(holder intent.Ref, addr uint32) string {
	if s := a.ledger.world.Subnets[holder.Name]; holder.Kind == intent.KindSubnet && s != nil {
		return "the " + roleOf(s, addr) + " of " + holder.String()
	}
	return "held by " + holder.String()
}

// roleOf returns "gateway" or "bridge", whichever of the two the address is.
func roleOf(s *intent.Subnet, addr uint32) string {
	if number(s.Gateway.Addr) == addr {
		return "gateway"
	}
	return "bridge"
}

func clone(o intent.Object) intent.Object {
	switch o := o.(type) {
	case *intent.Node:
		c := *o
		return &c
	case *intent.VPC:
		c := *o
		return &c
	case *intent.Subnet:
		c := *o
		return &c
	case *intent.Port:
		c := *o
		return &c
	}
	return nil
}
