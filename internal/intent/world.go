package intent

import (
	"cmp"
	"maps"
	"slices"
)

// World is one consistent set of objects with the indexes that the compiler and
// admission need. Its objects are shared: nobody changes one that is in a World.
// It is not safe for concurrent use.
type World struct {
	VPCs    map[string]*VPC
	Subnets map[string]*Subnet
	Nodes   map[string]*Node
	Ports   map[string]*Port

	subnetsOf map[string]map[string]*Subnet // VPC
	portsOn   map[string]map[string]*Port   // Node
	portsIn   map[string]map[string]*Port   // Subnet
	guests    map[guest]map[string]*Port
	carried   map[string]map[string]int // Subnet, Node: how many of its ports the node carries
	carries   map[string]map[string]int // the same, by Node and Subnet
}

// guest is a network namespace that netns ports of a node end in.
type guest struct{ node, namespace string }

// NewWorld returns a World that holds the objects.
func NewWorld(objects ...Object) *World {
	w := &World{
		VPCs: map[string]*VPC{}, Subnets: map[string]*Subnet{},
		Nodes: map[string]*Node{}, Ports: map[string]*Port{},
		subnetsOf: map[string]map[string]*Subnet{},
		portsOn:   map[string]map[string]*Port{},
		portsIn:   map[string]map[string]*Port{},
		guests:    map[guest]map[string]*Port{},
		carried:   map[string]map[string]int{},
		carries:   map[string]map[string]int{},
	}
	for _, o := range objects {
		w.Put(o)
	}
	return w
}

// Get returns the object that ref names, or nil.
func (w *World) Get(ref Ref) Object {
	switch ref.Kind {
	case KindVPC:
		if o, ok := w.VPCs[ref.Name]; ok {
			return o
		}
	case KindSubnet:
		if o, ok := w.Subnets[ref.Name]; ok {
			return o
		}
	case KindNode:
		if o, ok := w.Nodes[ref.Name]; ok {
			return o
		}
	case KindPort:
		if o, ok := w.Ports[ref.Name]; ok {
			return o
		}
	}
	return nil
}

// Put adds o, or replaces the object of the same kind and name.
func (w *World) Put(o Object) {
	w.Delete(RefOf(o))
	switch o := o.(type) {
	case *VPC:
		w.VPCs[o.Name] = o
	case *Subnet:
		w.Subnets[o.Name] = o
		index(w.subnetsOf, o.VPC, o.Name, o)
	case *Node:
		w.Nodes[o.Name] = o
	case *Port:
		w.Ports[o.Name] = o
		index(w.portsIn, o.Subnet, o.Name, o)
		for _, node := range o.Carriers() {
			index(w.portsOn, node, o.Name, o)
			if o.Attach.Namespace != "" {
				index(w.guests, guest{node, o.Attach.Namespace}, o.Name, o)
			}
			w.count(o.Subnet, node, 1)
		}
	}
}

// Delete removes the object that ref names, if there is one.
func (w *World) Delete(ref Ref) {
	switch o := w.Get(ref).(type) {
	case *VPC:
		delete(w.VPCs, o.Name)
	case *Subnet:
		delete(w.Subnets, o.Name)
		unindex(w.subnetsOf, o.VPC, o.Name)
	case *Node:
		delete(w.Nodes, o.Name)
	case *Port:
		delete(w.Ports, o.Name)
		unindex(w.portsIn, o.Subnet, o.Name)
		for _, node := range o.Carriers() {
			unindex(w.portsOn, node, o.Name)
			unindex(w.guests, guest{node, o.Attach.Namespace}, o.Name)
			w.count(o.Subnet, node, -1)
		}
	}
}

func (w *World) count(subnet, node string, more int) {
	n := w.carried[subnet][node] + more
	if n == 0 {
		unindex(w.carried, subnet, node)
		unindex(w.carries, node, subnet)
		return
	}
	index(w.carried, subnet, node, n)
	index(w.carries, node, subnet, n)
}

// HasSubnet reports whether a subnet of the VPC is the whole address block.
func (w *World) HasSubnet(vpc string, block CIDR) bool {
	for _, s := range w.subnetsOf[vpc] {
		if s.CIDR == block {
			return true
		}
	}
	return false
}

// PortsOn lists the ports that the node carries, by name.
func (w *World) PortsOn(node string) []*Port { return sorted(w.portsOn[node]) }

// CountOn returns how many ports the node carries.
func (w *World) CountOn(node string) int { return len(w.portsOn[node]) }

// Guests lists the ports that end in the namespace of the node, by name.
func (w *World) Guests(node, namespace string) []*Port {
	return sorted(w.guests[guest{node, namespace}])
}

// Carried returns how many ports of the subnet the node carries.
func (w *World) Carried(node, subnet string) int { return w.carried[subnet][node] }

// CarriesVPC reports whether the node carries a port of the VPC.
func (w *World) CarriesVPC(node, vpc string) bool {
	for subnet := range w.carries[node] {
		if s := w.Subnets[subnet]; s != nil && s.VPC == vpc {
			return true
		}
	}
	return false
}

// SubnetsOn lists the subnets whose ports the node carries, by name: all, or those of
// the VPC.
func (w *World) SubnetsOn(node, vpc string) []*Subnet {
	var all []*Subnet
	for name := range w.carries[node] {
		if s := w.Subnets[name]; s != nil && (vpc == "" || s.VPC == vpc) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *Subnet) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// HostsOf returns the nodes that carry ports of the VPC.
func (w *World) HostsOf(vpc string) map[string]bool {
	hosts := map[string]bool{}
	for subnet := range w.subnetsOf[vpc] {
		for node := range w.carried[subnet] {
			hosts[node] = true
		}
	}
	return hosts
}

// PortsIn lists the ports of the subnet, by name.
func (w *World) PortsIn(subnet string) []*Port { return sorted(w.portsIn[subnet]) }

// SubnetsOf lists the subnets of the VPC, by name.
func (w *World) SubnetsOf(vpc string) []*Subnet { return sorted(w.subnetsOf[vpc]) }

// Set returns everything in the world, ordered by name.
func (w *World) Set() *Set {
	return &Set{
		Nodes: sorted(w.Nodes), VPCs: sorted(w.VPCs),
		Subnets: sorted(w.Subnets), Ports: sorted(w.Ports),
	}
}

// All returns every object, dependencies first and otherwise in no order.
func (w *World) All() []Object {
	s := Set{
		Nodes: slices.Collect(maps.Values(w.Nodes)), VPCs: slices.Collect(maps.Values(w.VPCs)),
		Subnets: slices.Collect(maps.Values(w.Subnets)), Ports: slices.Collect(maps.Values(w.Ports)),
	}
	return s.Objects()
}

// List returns the objects of one kind, ordered by name.
func (w *World) List(k Kind) []Object {
	var s Set
	switch k {
	case KindVPC:
		s.VPCs = sorted(w.VPCs)
	case KindSubnet:
		s.Subnets = sorted(w.Subnets)
	case KindNode:
		s.Nodes = sorted(w.Nodes)
	case KindPort:
		s.Ports = sorted(w.Ports)
	}
	return s.Objects()
}

// AllVPCs lists every VPC, by name.
func (w *World) AllVPCs() []*VPC { return sorted(w.VPCs) }

// AllSubnets lists every subnet, by name.
func (w *World) AllSubnets() []*Subnet { return sorted(w.Subnets) }

// AllNodes lists every node, by name.
func (w *World) AllNodes() []*Node { return sorted(w.Nodes) }

func sorted[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, k := range slices.SortedFunc(maps.Keys(m), cmp.Compare[string]) {
		out = append(out, m[k])
	}
	return out
}

func index[O, K comparable, V any](m map[O]map[K]V, outer O, inner K, v V) {
	if m[outer] == nil {
		m[outer] = map[K]V{}
	}
	m[outer][inner] = v
}

func unindex[O, K comparable, V any](m map[O]map[K]V, outer O, inner K) {
	delete(m[outer], inner)
	if len(m[outer]) == 0 {
		delete(m, outer)
	}
}
