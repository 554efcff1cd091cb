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
	// UnderlayTable is the routing table, and the priority of the rule, for
	// packets that come in from the underlay. Subnets' tables follow it.
	UnderlayTable = 10000
	// FirstSubnetTable and LastSubnetTable bound the subnets' tables and rules.
	FirstSubnetTable = 10001
	LastSubnetTable  = 19999
)

// Node returns what the kernel of the named node should hold, or nil if the world
// has no such node.
func Node(w *intent.World, name string) netstate.Machine {
	node := w.Nodes[name]
	if node == nil {
		return nil
	}
	b := newBuilder(w, node)
	switch node.Role {
	case intent.RoleHost:
		b.host()
	case intent.RoleRouter:
		b.router()
	}
	return b.machine
}

// BridgeDevice returns the name of a subnet's bridge on every host.
func BridgeDevice(subnet string) string { return deviceName(netstate.BridgePrefix, subnet) }

// PortDevice returns the name of a port's device on its host.
func PortDevice(port string) string { return deviceName(netstate.PortPrefix, port) }

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

// builder gathers the state of one node.
type builder struct {
	world   *intent.World
	node    *intent.Node
	machine netstate.Machine
	own     *netstate.State // the node's own namespace
	routed  map[routeKey]bool
}

type routeKey struct {
	table uint32
	dst   netip.Prefix
}

func newBuilder(w *intent.World, node *intent.Node) *builder {
	own := &netstate.State{}
	return &builder{
		world: w, node: node, own: own,
		machine: netstate.Machine{"": own},
		routed:  map[routeKey]bool{},
	}
}

// route adds r unless its table has a route to the same destination: what is added
// first wins.
func (b *builder) route(r netstate.Route) {
	key := routeKey{r.Table, r.Dst}
	if b.routed[key] {
		return
	}
	b.routed[key] = true
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

// unreachableVPCs ends what no subnet has claimed of the VPCs' addresses, so that
// it does not leave by a default route.
func (b *builder) unreachableVPCs(table uint32) {
	for _, v := range b.world.AllVPCs() {
		for _, c := range v.CIDRs {
			b.route(netstate.Route{Table: table, Dst: c.Prefix, Type: netstate.Unreachable})
		}
	}
}
