package netstate

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// step is the place of an op in a pass. Steps run in this order, over all
// namespaces together: what filters comes before what carries, what is added comes
// before what is deleted, and what points at something comes after it.
type step int

const (
	addNamespaces step = iota
	releaseLinks
	filters
	deleteBrokenLinks
	addLinks
	setLinks
	deleteQdiscs
	addQdiscs
	setSysctls
	addAddresses
	upLinks
	addNeighbors
	addRoutes
	addRules
	upPorts
	deleteRules
	deleteRoutes
	deleteNeighbors
	deleteAddresses
	deleteLinks
	deleteNamespaces
	stepCount
)

// plan gathers ops by step.
type plan struct {
	owner    Owner
	mtus     map[string]Link // links of the machine's own namespace
	attached map[string]bool // those of them that are ports and somebody else's
	steps    [stepCount][]Op
}

func (p *plan) add(s step, netns string, v Verb, object any) {
	op := Op{Netns: netns, Verb: v, Object: object}
	op.attached = netns == "" && p.attached[op.link()]
	p.steps[s] = append(p.steps[s], op)
}

// Diff returns the ops that turn have into want. Only what is Sarn's in have is
// changed or deleted. If want needs a link that is not there or a name that somebody
// else's link has, that is an error: in the machine's own namespace nothing can be
// done then, and there are no ops; any other namespace is left as it is, and the ops
// are for the rest.
func Diff(want, have Machine) ([]Op, error) { return Sarn().Diff(want, have) }

// Diff is Diff for what is the owner's instead of Sarn's.
func (o Owner) Diff(want, have Machine) ([]Op, error) {
	p := plan{owner: o, mtus: have.links("")}
	rebuilt := o.broken(want, have)
	var errs []error
	for _, name := range namespaces(want, have) {
		w, h := want[name], have[name]
		switch {
		case w == nil && h.Alias != "":
			p.add(deleteNamespaces, name, Delete, Netns{Name: name})
			continue
		case w == nil:
			continue // somebody else's namespace
		case h == nil && name != "":
			p.add(addNamespaces, name, Add, Netns{name, w.Alias})
		}
		if h == nil {
			h = &State{}
		}
		peers, gone := peersIn(name, want), rebuilt[name]
		if err := o.conflict(w, h, peers); err != nil && name == "" {
			return nil, err
		} else if err != nil {
			errs = append(errs, fmt.Errorf("in network namespace %s: %w", name, err))
			continue
		}
		w, err := p.attach(w, h)
		if err != nil {
			errs = append(errs, err)
		}
		p.links(name, w, h, peers, gone)
		p.objects(name, w, h.without(gone))
		p.tables(name, w.Tables, h.Tables)
	}
	return slices.Concat(p.steps[:]...), errors.Join(errs...)
}

// conflict says which link of w can be had neither from h nor by making it.
func (o Owner) conflict(w, h *State, peers map[string]bool) error {
	there := byName(h.Links)
	for _, l := range w.Links {
		old, ok := there[l.Name]
		switch {
		case !ok && l.attached(): // it may come
		case !ok && !l.made(peers) && l.Name != "lo":
			return fmt.Errorf("there is no link %q", l.Name)
		case !ok || l.Kind == Existing || o.Owns(old.Alias) || old.Adoptable(l):
		case peers[l.Name] && old.Peer != "": // the other end tells that it is ours
		default:
			return fmt.Errorf("there is a link %q that is not Sarn's; rename it or delete it", l.Name)
		}
	}
	return nil
}

// made reports whether a link comes into being by our doing: by its own op, or with
// the other end of its pair.
func (l Link) made(peers map[string]bool) bool {
	return l.Kind != Existing && (l.Kind != Veth || l.Peer != "" || peers[l.Name])
}

func namespaces(want, have Machine) []string {
	all := maps.Clone(have)
	if all == nil {
		all = Machine{}
	}
	maps.Copy(all, want)
	return slices.Sorted(maps.Keys(all))
}

// links plans the links of a namespace. Those in peers come into being with the
// other end of their pair; those in gone are deleted, and made anew if wanted.
func (p *plan) links(netns string, w, h *State, peers, gone map[string]bool) {
	there := byName(h.Links)
	for _, l := range inOrder(w.Links) {
		old, ok := there[l.Name]
		if ok && gone[l.Name] {
			p.add(deleteBrokenLinks, netns, Delete, Link{Name: l.Name, Kind: old.Kind})
			ok = false
		}
		if !ok {
			old = Link{Name: l.Name, Kind: l.Kind, MTU: defaultMTU}
			if l.Kind == Bridge {
				old.MAC = l.MAC // given when it is made
			}
			if l.made(peers) && !peers[l.Name] {
				p.add(addLinks, netns, Add, l)
			}
		}
		p.attributes(netns, l, old)
	}
	wanted := byName(w.Links)
	for _, l := range slices.Backward(inOrder(h.Links)) {
		_, ok := wanted[l.Name]
		switch {
		case ok || l.Name == "lo":
		case p.owner.Owns(l.Alias):
			p.add(deleteLinks, netns, Delete, Link{Name: l.Name, Kind: l.Kind})
		case l.Isolated && l.Static && p.owner.Owns(there[l.Master].Alias): // as only we put a device there
			p.add(releaseLinks, netns, Change, LinkAttr{l.Name, "master", ""})
		}
	}
}

func (p *plan) attributes(netns string, want, have Link) {
	set := func(s step, attr, value string) {
		p.add(s, netns, Change, LinkAttr{want.Name, attr, value})
	}
	if want.Alias != "" && want.Alias != have.Alias {
		set(setLinks, "alias", want.Alias)
	}
	if want.MAC != "" && want.MAC != have.MAC {
		set(setLinks, "address", want.MAC)
	}
	if want.MTUOf != "" {
		want.MTU = p.mtus[want.MTUOf].MTU
	}
	if want.MTU != 0 && want.MTU != have.MTU {
		set(setLinks, "mtu", fmt.Sprint(want.MTU))
	}
	if (want.Kind != Existing || want.attached()) && want.Master != have.Master {
		if have.Up {
			set(setLinks, "up", "off") // it must not carry before it is isolated
			have.Up = false
		}
		set(setLinks, "master", want.Master)
		have.Isolated, have.Static = false, false // they belong to the membership
	}
	if want.Master != "" && want.Isolated != have.Isolated {
		set(setLinks, "isolated", onOff(want.Isolated))
	}
	if want.Master != "" && want.Static != have.Static {
		set(setLinks, "static", onOff(want.Static))
	}
	if want.Up && !have.Up {
		// A bridge's port carries nothing before all that decides about its
		// packets is there; routes, on the other hand, need their bridge up.
		up := upLinks
		if want.Master != "" {
			up = upPorts
		}
		set(up, "up", "on")
	}
}

func (p *plan) objects(netns string, want, have *State) {
	change(p, netns, want.Sysctls, have.Sysctls, setSysctls, -1,
		func(s Sysctl) string { return s.Name })
	// One of another kind has to go first: the kernel does not turn one into another.
	change(p, netns, want.Qdiscs, have.Qdiscs, addQdiscs, deleteQdiscs,
		func(q Qdisc) Qdisc { return Qdisc{Link: q.Link, Kind: q.Kind} })
	change(p, netns, want.Addresses, have.Addresses, addAddresses, deleteAddresses,
		func(a Address) Address { return a })
	change(p, netns, want.Neighbors, have.Neighbors, addNeighbors, deleteNeighbors,
		func(n Neighbor) Neighbor { return Neighbor{Link: n.Link, Address: n.Address} })
	change(p, netns, want.Forwards, have.Forwards, addNeighbors, deleteNeighbors,
		func(f Forward) Forward { return f })
	change(p, netns, want.Routes, have.Routes, addRoutes, deleteRoutes,
		func(r Route) Route { return Route{Table: r.Table, Dst: r.Dst} })
	if netns != "" {
		// Who lives in the namespace may have a route there; ours has its place.
		for i, op := range p.steps[addRoutes] {
			if op.Netns == netns {
				p.steps[addRoutes][i].Verb = Change
			}
		}
	}
	change(p, netns, want.Rules, have.Rules, addRules, deleteRules,
		func(r Rule) Rule { return r })
}

// change plans one list of objects. Objects of equal key replace each other. A
// negative del means that nothing is ever deleted.
func change[T, K comparable](p *plan, netns string, want, have []T, add, del step, key func(T) K) {
	if len(have) == 0 {
		p.steps[add] = slices.Grow(p.steps[add], len(want))
		for _, w := range want {
			p.add(add, netns, Add, w)
		}
		return
	}
	there := make(map[K]T, len(have))
	for _, h := range have {
		there[key(h)] = h
	}
	kept := make(map[K]bool, len(want))
	for _, w := range want {
		k := key(w)
		kept[k] = true
		switch h, ok := there[k]; {
		case !ok:
			p.add(add, netns, Add, w)
		case h != w:
			p.add(add, netns, Change, w)
		}
	}
	if del < 0 {
		return
	}
	for _, h := range have {
		if !kept[key(h)] {
			p.add(del, netns, Delete, h)
		}
	}
}

// Adoptable reports whether l, which bears no mark, is ours all the same: with the
// MAC or in the bridge that we gave it, so somebody has taken the mark away; or a
// port's device half-made, since the mark comes right after the link and long before
// it is up. (A bridge has its MAC from the beginning.)
func (l Link) Adoptable(want Link) bool {
	alike := want.MAC != "" && l.MAC == want.MAC || want.Master != "" && l.Master == want.Master
	halfMade := !l.Up && l.Kind != Bridge
	return l.Alias == "" && l.Kind == want.Kind && (alike || halfMade)
}

// broken returns, by namespace, the links that are there but cannot become what is
// wanted: they are of another kind, or the two ends of a pair are not one pair.
func (o Owner) broken(want, have Machine) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	mark := func(netns, link string) {
		if all[netns] == nil {
			all[netns] = map[string]bool{}
		}
		all[netns][link] = true
	}
	for name, s := range want {
		there := have.links(name)
		for _, l := range s.Links {
			old, ok := there[l.Name]
			peer, peerOK := Link{}, false
			if l.Peer != "" {
				peer, peerOK = have.links(l.PeerNetns)[l.Peer]
			}
			otherKind := ok && o.Owns(old.Alias) && l.Kind != Existing && (old.Kind != l.Kind || old.Owner != l.Owner)
			apart := l.Peer != "" && (ok != peerOK || ok && (old.Peer != l.Peer || old.PeerNetns != l.PeerNetns))
			if otherKind || apart {
				mark(name, l.Name)
				if l.Peer != "" && (!peerOK || o.Owns(peer.Alias)) {
					mark(l.PeerNetns, l.Peer)
				}
			}
		}
	}
	return all
}

func (m Machine) links(netns string) map[string]Link {
	if s := m[netns]; s != nil {
		return byName(s.Links)
	}
	return nil
}

// peersIn returns the names of the links of a namespace that come into being with
// the other end of their pair.
func peersIn(netns string, want Machine) map[string]bool {
	peers := map[string]bool{}
	for _, s := range want {
		for _, l := range s.Links {
			if l.Peer != "" && l.PeerNetns == netns {
				peers[l.Peer] = true
			}
		}
	}
	return peers
}

// inOrder returns links with bridges first, since ports name them.
func inOrder(links []Link) []Link {
	return slices.SortedStableFunc(slices.Values(links), func(a, b Link) int {
		return cmp.Compare(rank(a), rank(b))
	})
}

func rank(l Link) int {
	if l.Kind == Bridge {
		return 0
	}
	return 1
}

func byName(links []Link) map[string]Link {
	m := make(map[string]Link, len(links))
	for _, l := range links {
		m[l.Name] = l
	}
	return m
}

// without returns s less what hangs on the links.
func (s *State) without(links map[string]bool) *State {
	if len(links) == 0 {
		return s
	}
	c := *s
	c.Qdiscs = slices.DeleteFunc(slices.Clone(s.Qdiscs), func(q Qdisc) bool { return links[q.Link] })
	c.Addresses = slices.DeleteFunc(slices.Clone(s.Addresses), func(a Address) bool { return links[a.Link] })
	c.Neighbors = slices.DeleteFunc(slices.Clone(s.Neighbors), func(n Neighbor) bool { return links[n.Link] })
	c.Forwards = slices.DeleteFunc(slices.Clone(s.Forwards), func(f Forward) bool { return links[f.Link] })
	c.Routes = slices.DeleteFunc(slices.Clone(s.Routes), func(r Route) bool { return links[r.Link] })
	c.Sysctls = slices.DeleteFunc(slices.Clone(s.Sysctls), func(y Sysctl) bool { return links[sysctlLink(y.Name)] })
	return &c
}

func sysctlLink(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}
