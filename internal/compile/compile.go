package compile

import (
	"encoding/base32"
	"hash/fnv"
	"net/netip"
	"strings"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

const (
	// FirstVPCTable and LastVPCTable bound the tables, and the priorities of the
	// rules, of VPCs: they are asked before their subnets'.
	FirstVPCTable = 5001
	LastVPCTable  = 9999
	// UnderlayTable is the routing table, and the priority of the rule, for
	// packets that come in from the underlay. Subnets' tables follow it.
	UnderlayTable = 10000
	// FirstSubnetTable and LastSubnetTable bound the subnets' tables and rules.
	FirstSubnetTable = 10001
	LastSubnetTable  = 19999
)

// Key names a part of a node's state.
type Key string

// Base is the key of the part that no single port or subnet decides: the underlay, the
// bridges, NAT, and the ends of VPCs.
const Base Key = "node"

const (
	subnetKey = "subnet "
	portKey   = "port "
)

// SubnetKey is the key of the part that leads to a subnet as a whole.
func SubnetKey(subnet string) Key { return Key(subnetKey + subnet) }

// PortKey is the key of the part that is there for a port.
func PortKey(port string) Key { return Key(portKey + port) }

// Node returns what the kernel of the named node should hold, or nil if the world
// has no such node: all its parts together.
func Node(w *intent.World, name string) netstate.Machine {
	keys := Keys(w, name)
	if len(keys) == 0 {
		return nil
	}
	parts := make([]netstate.Machine, len(keys))
	for i, k := range keys {
		parts[i] = Part(w, name, k)
	}
	return netstate.Merge(parts...)
}

// Keys lists the parts of the named node, Base first; none if the world has no such
// node.
func Keys(w *intent.World, name string) []Key {
	keys := OwnKeys(w, name)
	for _, v := range DirectVPCs(w, name) {
		for _, s := range w.SubnetsOf(v.Name) {
			for _, p := range w.PortsIn(s.Name) {
				if !carries(p, name) {
					keys = append(keys, PortKey(p.Name))
				}
			}
		}
	}
	return keys
}

// OwnKeys lists those of the named node's parts that are not Distant.
func OwnKeys(w *intent.World, name string) []Key {
	node := w.Nodes[name]
	if node == nil {
		return nil
	}
	keys := []Key{Base}
	for _, s := range w.AllSubnets() {
		keys = append(keys, SubnetKey(s.Name))
	}
	add := func(ports []*intent.Port) {
		for _, p := range ports {
			keys = append(keys, PortKey(p.Name))
		}
	}
	if node.Role == intent.RoleRouter {
		for _, s := range w.AllSubnets() {
			if s.Router == name {
				add(w.PortsIn(s.Name))
			}
		}
		return keys
	}
	add(w.PortsOn(name))
	return keys
}

// Distant returns the part that is there for a port of a direct VPC on hosts that carry
// other ports of the VPC. It is the same on all whose underlay interface has this name.
func Distant(w *intent.World, v *intent.VPC, p *intent.Port, underlay string) netstate.Machine {
	b := newBuilder(w, &intent.Node{Interface: underlay})
	b.toHost(v.Table, p)
	if b.empty() {
		return nil
	}
	return b.machine
}

// Part returns one part of what the kernel of the named node should hold. It is nil if
// the node has no such part, now or any more.
func Part(w *intent.World, name string, key Key) netstate.Machine {
	node := w.Nodes[name]
	if node == nil {
		return nil
	}
	b := newBuilder(w, node)
	if key == Base {
		b.routed = map[routeKey]bool{}
		if node.Role == intent.RoleRouter {
			b.router()
		} else {
			b.host()
		}
		return b.machine
	}
	if name, ok := strings.CutPrefix(string(key), subnetKey); ok {
		b.subnet(w.Subnets[name])
	} else {
		b.anyPort(w.Ports[strings.TrimPrefix(string(key), portKey)])
	}
	if b.empty() {
		return nil
	}
	return b.machine
}

// subnet compiles the part that is there for a subnet, if it is.
func (b *builder) subnet(s *intent.Subnet) {
	switch {
	case s == nil:
	case b.node.Role == intent.RoleHost:
		b.toSubnet(s)
	case s.Router == b.node.Name:
		b.gateway(s)
	default:
		b.via(netstate.MainTable, s.CIDR.Prefix, s, netip.Addr{})
	}
}

// anyPort compiles the part that is there for a port, if it is.
func (b *builder) anyPort(p *intent.Port) {
	if p == nil {
		return
	}
	w, name := b.world, b.node.Name
	s := w.Subnets[p.Subnet]
	switch {
	case s == nil || w.VPCs[s.VPC] == nil: // only a store that others wrote to has such a port
	case b.node.Role == intent.RoleRouter:
		if s.Router == name {
			b.toHost(netstate.MainTable, p)
		}
	case carries(p, name):
		b.port(p, s)
	default:
		if v := w.VPCs[s.VPC]; v.Mode == intent.ModeDirect && w.CarriesVPC(name, v.Name) {
			b.toHost(v.Table, p)
		}
	}
}

// DirectVPCs lists the VPCs whose every port the node knows: none if it is a router.
func DirectVPCs(w *intent.World, host string) []*intent.VPC {
	if n := w.Nodes[host]; n == nil || n.Role != intent.RoleHost {
		return nil
	}
	var direct []*intent.VPC
	for _, v := range w.AllVPCs() {
		if v.Mode == intent.ModeDirect && w.CarriesVPC(host, v.Name) {
			direct = append(direct, v)
		}
	}
	return direct
}

func carries(p *intent.Port, host string) bool {
	return p.Node == host || p.Move != nil && p.Move.From == host
}

// BridgeDevice returns the name of a subnet's bridge on every host.
func BridgeDevice(subnet string) string { return deviceName(netstate.BridgePrefix, subnet) }

// PortDevice returns the name of the device that Sarn makes for a port on its host.
func PortDevice(port string) string { return deviceName(netstate.PortPrefix, port) }

// Device returns the name of the port's device on its host.
func Device(p *intent.Port) string {
	if p.Attach.Type == intent.AttachInterface {
		return p.Attach.Interface
	}
	return PortDevice(p.Name)
}

// deviceName fits a name into the kernel's 15 characters (IFNAMSIZ less its zero):
// whole if it can, otherwise its beginning and a hash.
func deviceName(prefix, name string) string {
	const most = 15
	if len(prefix)+len(name) <= most {
		return prefix + name
	}
	h := fnv.New32a()
	h.Write([]byte(name)) //nolint:errcheck // a hash.Hash never fails
	sum := strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil)))[:5]
	return prefix + name[:most-len(prefix)-len(sum)-1] + "-" + sum
}

// builder gathers one part of the state of a node.
type builder struct {
	world   *intent.World
	node    *intent.Node
	machine netstate.Machine
	own     *netstate.State   // the node's own namespace
	routed  map[routeKey]bool // by the base; nil in other parts
}

type routeKey struct {
	table uint32
	dst   netip.Prefix
}

func newBuilder(w *intent.World, node *intent.Node) *builder {
	own := &netstate.State{}
	return &builder{world: w, node: node, own: own, machine: netstate.Machine{"": own}}
}

func (b *builder) empty() bool { return len(b.machine) == 1 && len(b.own.Links)+len(b.own.Routes) == 0 }

// route adds r. In the base, which is made of many objects, it does so unless the table
// has a route to the same destination: what is added first wins.
func (b *builder) route(r netstate.Route) {
	if b.routed != nil {
		key := routeKey{r.Table, r.Dst}
		if b.routed[key] {
			return
		}
		b.routed[key] = true
	}
	b.own.Routes = append(b.own.Routes, r)
}

func (b *builder) sysctl(value string, names ...string) {
	for _, n := range names {
		b.own.Sysctls = append(b.own.Sysctls, netstate.Sysctl{Name: n, Value: value})
	}
}

// underlay makes the node forward between the underlay and the fabric.
func (b *builder) underlay() {
	dev := b.node.Interface
	b.own.Links = append(b.own.Links, netstate.Link{Name: dev})
	conf := "net/ipv4/conf/" + dev + "/"
	b.sysctl("1", conf+"forwarding")
	// A redirect would teach hosts and VMs routes past the router. The kernel sends
	// them if either the interface's switch or "all" is on (IN_DEV_TX_REDIRECTS,
	// include/linux/inetdevice.h).
	b.sysctl("0", "net/ipv4/conf/all/send_redirects", conf+"send_redirects", conf+"accept_redirects")
	// Packets may come back by another way than they left. Loose is the least that
	// is sure to win: the kernel takes the larger of this and "all".
	b.sysctl("2", conf+"rp_filter")
}

// routerOf returns the node that owns the subnet's gateway.
func (b *builder) routerOf(s *intent.Subnet) *intent.Node { return b.world.Nodes[s.Router] }

// toHost routes a port's address to the host that serves it.
func (b *builder) toHost(table uint32, p *intent.Port) {
	if host := b.world.Nodes[p.Serving()]; host != nil {
		b.route(netstate.Route{Table: table, Dst: p.Address.Host(), Via: host.Address.Addr, Link: b.node.Interface})
	}
}

// unreachableVPCs ends what no subnet has claimed of the VPCs' addresses, so that it
// does not leave by a default route.
func (b *builder) unreachableVPCs(table uint32) {
	for _, v := range b.world.AllVPCs() {
		b.endVPC(table, v, netstate.Unreachable, table == netstate.MainTable)
	}
}

// endVPC ends what the table does not lead on of the VPC's addresses. Where the table
// has the VPC's subnets, one that is a whole block leaves nothing of it to end.
func (b *builder) endVPC(table uint32, v *intent.VPC, end netstate.RouteType, subnets bool) {
	for _, c := range v.CIDRs {
		if !subnets || !b.world.HasSubnet(v.Name, c) {
			b.route(netstate.Route{Table: table, Dst: c.Prefix, Type: end})
		}
	}
}
