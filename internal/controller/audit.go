package controller

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
)

// audit finds what is wrong with objects that a store holds. It judges them as one
// change that keeps everything as it is, by the rules and in the words of admission.
func audit(objects []intent.Object) []api.Finding {
	a := &admission{
		findings: findings{all: true}, ledger: newLedger(), given: map[intent.Ref]bool{},
		before: map[intent.Ref]intent.Object{}, cursor: map[string]netip.Addr{},
	}
	for _, o := range a.sound(objects) {
		ref := intent.RefOf(o)
		a.objects = append(a.objects, clone(o))
		a.given[ref], a.before[ref] = true, o
	}
	a.fillNodes()
	a.fillVPCs()
	a.fillSubnets()
	a.fillPorts()
	a.checkBlocks()
	found := make([]api.Finding, len(a.problems))
	for i, p := range a.problems {
		found[i] = api.Finding{Ref: p.Ref, Field: p.Field, Message: p.Message, Mend: mend(p.Ref, p.Field)}
	}
	return found
}

// sound returns the objects that can be judged together: those that are right in
// themselves, and so is what they refer to. It finds what is wrong with the others.
func (a *admission) sound(objects []intent.Object) []intent.Object {
	broken := map[intent.Ref]bool{}
	var sound []intent.Object
	for _, kind := range intent.Kinds {
		for _, o := range objects {
			if o.Kind() != kind {
				continue
			}
			ref := intent.RefOf(o)
			wrong := append(o.Validate(), unfilled(o)...)
			for _, e := range wrong {
				a.wrong(ref, e.Field, "%s", e.Message)
			}
			if len(wrong) > 0 || slices.ContainsFunc(needs(o), func(r intent.Ref) bool { return broken[r] }) {
				broken[ref] = true
			} else {
				sound = append(sound, o)
			}
		}
	}
	return sound
}

// needs lists what o refers to.
func needs(o intent.Object) []intent.Ref {
	switch o := o.(type) {
	case *intent.Subnet:
		return []intent.Ref{{Kind: intent.KindVPC, Name: o.VPC}, {Kind: intent.KindNode, Name: o.Router}}
	case *intent.Port:
		return []intent.Ref{{Kind: intent.KindSubnet, Name: o.Subnet}, {Kind: intent.KindNode, Name: o.Node}}
	}
	return nil
}

// unfilled finds what admission fills in and a stored object lacks.
func unfilled(o intent.Object) (wrong []intent.FieldError) {
	lacks := func(field string, missing bool) {
		if missing {
			wrong = append(wrong, intent.FieldError{Field: field, Message: "is missing in the store"})
		}
	}
	switch o := o.(type) {
	case *intent.Subnet:
		lacks("gateway", !o.Gateway.IsValid())
		lacks("bridge", !o.Bridge.IsValid())
		lacks("router", o.Router == "")
		lacks("table", o.Table == 0)
		if o.Table != 0 && (o.Table < compile.FirstSubnetTable || o.Table > compile.LastSubnetTable) {
			wrong = append(wrong, intent.FieldError{Field: "table", Message: fmt.Sprintf(
				"%d is not between %d and %d", o.Table, compile.FirstSubnetTable, compile.LastSubnetTable)})
		}
	case *intent.Port:
		lacks("address", !o.Address.IsValid())
		lacks("mac", o.MAC == "")
		lacks("attach.type", o.Attach.Type == "")
		if o.Attach.Type == intent.AttachNetns {
			lacks("attach.namespace", o.Attach.Namespace == "")
			lacks("attach.interface", o.Attach.Interface == "")
		}
	}
	return wrong
}

// mend says how to mend a field of an object.
func mend(ref intent.Ref, field string) string {
	drop := fmt.Sprintf("`sarn %s delete %s`", ref.Kind.Noun(), ref.Name)
	switch {
	case field == "name":
		return drop + " and create it anew under another name"
	case ref.Kind == intent.KindPort && field == "subnet":
		return drop + ", or create the subnet"
	case ref.Kind == intent.KindPort && field == "node":
		return "apply it with a host that is there, or " + drop
	case ref.Kind == intent.KindSubnet && field == "vpc":
		return "create the VPC, or delete the subnet's ports, " + drop + " and create it anew"
	case ref.Kind == intent.KindSubnet && (field == "cidr" || field == "table"):
		return "delete its ports, " + drop + " and create it anew"
	case field == "":
		return drop + " and create it anew"
	}
	return fmt.Sprintf("apply it with the right %s, or %s", field, drop)
}

// amiss says how to mend a record that is not what the store says.
const amiss = "restart this controller, which reads the store anew, and report it: it is a fault of Sarn's"

// compare finds where a ledger's records differ from what the objects claim.
func compare(ours records, objects []intent.Object) []api.Finding {
	var found []api.Finding
	find := func(ref intent.Ref, c claim, message string) {
		field, value := c.inWords()
		if c.kind == claimDevice && ref.Kind == intent.KindNode {
			field = "interface"
		}
		found = append(found, api.Finding{Ref: ref, Field: field, Message: fmt.Sprintf(message, value), Mend: amiss})
	}
	claimants := map[claim][]intent.Ref{}
	for _, o := range objects {
		if whole(o) {
			for _, c := range claimsOf(o) {
				claimants[c] = append(claimants[c], intent.RefOf(o))
			}
		}
	}
	for c, holder := range ours.held {
		if !slices.Contains(claimants[c], holder) {
			find(holder, c, "the controller holds %s for it, and it does not have that")
		}
	}
	for c, refs := range claimants {
		if _, held := ours.held[c]; held {
			continue
		}
		// What is outside holds nothing, but is let in when its address is free.
		for _, ref := range refs {
			if c.kind == claimAddress || !ours.outside[ref] {
				find(ref, c, "it has %s, and the controller does not know that and may give it away")
			}
		}
	}
	for subnet, p := range ours.pools {
		for word, used := range p {
			for ; used != 0; used &= used - 1 {
				c := claim{kind: claimAddress, scope: subnet, addr: word*64 + uint32(bits.TrailingZeros64(used))}
				if _, held := ours.held[c]; !held {
					find(intent.Ref{Kind: intent.KindSubnet, Name: subnet}, c, "the controller keeps %s for nobody")
				}
			}
		}
	}
	for c, holder := range ours.held {
		if c.kind == claimAddress && ours.pools[c.scope][c.addr/64]>>(c.addr%64)&1 == 0 {
			find(holder, c, "it has %s, and the controller takes that for free")
		}
	}
	return found
}

// inWords returns the field that makes the claim, and what it claims.
func (c claim) inWords() (field, value string) {
	switch c.kind {
	case claimAddress:
		return "address", fmt.Sprintf("%s in subnet %q", addrOf(c.addr), c.scope)
	case claimMAC:
		return "mac", fmt.Sprintf("%s in subnet %q", c.text, c.scope)
	case claimNetns:
		return "attach", fmt.Sprintf("namespace and interface %s on node %q", c.text, c.scope)
	case claimDevice:
		return "name", fmt.Sprintf("device %s on node %q", c.text, c.scope)
	case claimBridgeDevice:
		return "name", "bridge " + c.text
	case claimUnderlay:
		return "address", addrOf(c.addr).String()
	default:
		return "table", fmt.Sprintf("table %d", c.addr)
	}
}
