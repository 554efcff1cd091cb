package controller

import (
	"cmp"
	"encoding/binary"
	"iter"
	"maps"
	"math/bits"
	"net/netip"
	"slices"

	"sarn/internal/compile"
	"sarn/internal/intent"
)

// ledger is the World with a record of who holds what must be unique, so that a
// change of one object costs the same in a large world as in a small one.
type ledger struct {
	world *intent.World
	held  map[claim]intent.Ref
	pools map[string]pool // by subnet
	// outside are objects that cannot be in the World and hold nothing: a subnet or
	// port that lacks an address, and a port whose address another has. The API makes
	// none; a store that others wrote to may hold some.
	outside map[intent.Ref]intent.Object
	// owing are objects in the World that share something with its holder, in a store
	// that is wrong in the same way.
	owing map[intent.Ref]intent.Object
}

// claim is something that one object at most can hold within a scope.
type claim struct {
	kind  claimKind
	scope string // the subnet or node that it is unique in, or empty
	text  string
	addr  uint32
}

type claimKind uint8

const (
	claimAddress      claimKind = iota // of a port, gateway or bridge in a subnet
	claimMAC                           // of a port or bridge in a subnet
	claimNetns                         // interface in a namespace on a node
	claimDevice                        // device of a port, or of the underlay, on a node
	claimBridgeDevice                  // device of a subnet, on every host
	claimUnderlay                      // address of a node
	claimTable                         // routing table of a VPC or subnet
)

func newLedger(objects ...intent.Object) *ledger {
	l := &ledger{
		world: intent.NewWorld(), held: map[claim]intent.Ref{}, pools: map[string]pool{},
		outside: map[intent.Ref]intent.Object{}, owing: map[intent.Ref]intent.Object{},
	}
	// Ports come last: what a subnet has of its own is not a port's.
	for _, o := range byRank(slices.Values(objects)) {
		l.put(o)
	}
	return l
}

// put adds o, which must not be there. It returns those of its claims that others
// hold already; o does not get them. A port without its address stays outside: the
// World counts on an address having one holder.
func (l *ledger) put(o intent.Object) (lost []claim) {
	ref := intent.RefOf(o)
	if !whole(o) {
		l.outside[ref] = o
		return nil
	}
	lost = l.take(o)
	switch {
	case ref.Kind == intent.KindPort && slices.ContainsFunc(lost, func(c claim) bool { return c.kind == claimAddress }):
		l.release(o)
		l.outside[ref] = o
		return lost
	case len(lost) > 0:
		l.owing[ref] = o
	}
	l.world.Put(o)
	return lost
}

// take gives o what it claims and nobody holds, and returns what others hold.
func (l *ledger) take(o intent.Object) (lost []claim) {
	ref := intent.RefOf(o)
	for _, c := range claimsOf(o) {
		if holder, taken := l.held[c]; taken && holder != ref {
			lost = append(lost, c)
			continue
		}
		l.held[c] = ref
		if c.kind == claimAddress {
			if l.pools[c.scope] == nil {
				l.pools[c.scope] = pool{}
			}
			l.pools[c.scope].take(c.addr)
		}
	}
	return lost
}

// whole reports whether o has the addresses that its claims and its nodes' states are
// made of. Nodes and VPCs without theirs harm nobody here.
func whole(o intent.Object) bool {
	switch o := o.(type) {
	case *intent.Subnet:
		return o.CIDR.IsValid() && o.Gateway.IsValid() && o.Bridge.IsValid()
	case *intent.Port:
		return o.Address.IsValid()
	}
	return true
}

// settle gives those that owe what has become free, takes in those outside whose
// addresses have, and returns these. It calls entering before one may come in.
func (l *ledger) settle(entering func(intent.Object)) (in []intent.Object) {
	for _, o := range byRank(maps.Values(l.owing)) {
		if len(l.take(o)) == 0 {
			delete(l.owing, intent.RefOf(o))
		}
	}
	for _, o := range byRank(maps.Values(l.outside)) {
		ref := intent.RefOf(o)
		delete(l.outside, ref)
		entering(o)
		l.put(o)
		if l.outside[ref] == nil {
			in = append(in, o)
		}
	}
	return in
}

// byRank returns objects with those first that others depend on, each kind by name.
func byRank(objects iter.Seq[intent.Object]) []intent.Object {
	return slices.SortedFunc(objects, func(x, y intent.Object) int {
		return cmp.Or(rank(x.Kind())-rank(y.Kind()), cmp.Compare(x.Head().Name, y.Head().Name))
	})
}

// remove takes the object out and returns it, or nil if it is not there.
func (l *ledger) remove(ref intent.Ref) intent.Object {
	if o := l.outside[ref]; o != nil {
		delete(l.outside, ref)
		return o
	}
	o := l.world.Get(ref)
	if o == nil {
		return nil
	}
	l.release(o)
	delete(l.owing, ref)
	l.world.Delete(ref)
	return o
}

// release frees what o holds.
func (l *ledger) release(o intent.Object) {
	ref := intent.RefOf(o)
	for _, c := range claimsOf(o) {
		if l.held[c] != ref {
			continue
		}
		delete(l.held, c)
		if c.kind == claimAddress {
			l.pools[c.scope].free(c.addr)
			if len(l.pools[c.scope]) == 0 {
				delete(l.pools, c.scope)
			}
		}
	}
}

// taken reports whether anybody holds c.
func (l *ledger) taken(c claim) bool {
	_, taken := l.held[c]
	return taken
}

// lowestFree returns the lowest address of the subnet, not below from, that nobody
// holds.
func (l *ledger) lowestFree(s *intent.Subnet, from netip.Addr) (netip.Addr, bool) {
	a := l.pools[s.Name].lowest(number(from), number(s.CIDR.Last())-1)
	return addrOf(a), a != 0
}

func claimsOf(o intent.Object) []claim {
	switch o := o.(type) {
	case *intent.Node:
		return []claim{
			{kind: claimUnderlay, addr: number(o.Address.Addr)},
			{kind: claimDevice, scope: o.Name, text: o.Interface},
		}
	case *intent.VPC:
		return []claim{{kind: claimTable, addr: o.Table}}
	case *intent.Subnet:
		return []claim{
			{kind: claimAddress, scope: o.Name, addr: number(o.Gateway.Addr)},
			{kind: claimAddress, scope: o.Name, addr: number(o.Bridge.Addr)},
			{kind: claimMAC, scope: o.Name, text: string(intent.BridgeMAC(o.Bridge))},
			{kind: claimBridgeDevice, text: compile.BridgeDevice(o.Name)},
			{kind: claimTable, addr: o.Table},
		}
	case *intent.Port:
		claims := []claim{
			{kind: claimAddress, scope: o.Subnet, addr: number(o.Address.Addr)},
			{kind: claimMAC, scope: o.Subnet, text: string(o.MAC)},
		}
		for _, node := range o.Carriers() {
			claims = append(claims, claim{kind: claimDevice, scope: node, text: compile.Device(o)})
			if o.Attach.Type == intent.AttachNetns {
				inside := o.Attach.Namespace + "/" + o.Attach.Interface
				claims = append(claims, claim{kind: claimNetns, scope: node, text: inside})
			}
		}
		return claims
	}
	return nil
}

// pool is the set of a subnet's held addresses: for each 64 addresses that begin at
// the key times 64, a word of bits. Finding a free one skips 64 held ones a step.
type pool map[uint32]uint64

func (p pool) take(a uint32) { p[a/64] |= 1 << (a % 64) }

func (p pool) free(a uint32) {
	if p[a/64] &^= 1 << (a % 64); p[a/64] == 0 {
		delete(p, a/64)
	}
}

// lowest returns the lowest address from first to last that is free, or 0.
func (p pool) lowest(first, last uint32) uint32 {
	for word := first / 64; word <= last/64; word++ {
		used := p[word]
		if word == first/64 {
			used |= 1<<(first%64) - 1
		}
		if used != ^uint64(0) {
			if a := word*64 + uint32(bits.TrailingZeros64(^used)); a <= last {
				return a
			}
			return 0
		}
	}
	return 0
}

// number is 0 for an address that is not set: a store that others wrote to may hold one.
func number(a netip.Addr) uint32 {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func addrOf(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}
