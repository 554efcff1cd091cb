package compile

import (
	"net/netip"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

var anywhere = netip.MustParsePrefix("0.0.0.0/0")

// host compiles what a node that carries ports holds beside them.
func (b *builder) host() {
	b.underlay()
	var local []*intent.Subnet
	for _, s := range b.world.SubnetsOn(b.node.Name, "") {
		if b.world.VPCs[s.VPC] != nil {
			local = append(local, s)
		}
	}
	for _, s := range local {
		b.bridge(s)
	}
	b.unreachableVPCs(netstate.MainTable)
	b.underlayTable()
	for _, s := range local {
		b.subnetTable(s)
	}
	b.antispoof()
}

// bridge makes the subnet's bridge. It has the same address and MAC on every host
// and answers ARP for every address that its tables can reach: first the VPC's, with
// the ports whose host is known, then the subnet's own.
func (b *builder) bridge(s *intent.Subnet) {
	dev := BridgeDevice(s.Name)
	b.own.Links = append(b.own.Links, netstate.Link{
		Name: dev, Kind: netstate.Bridge, Up: true,
		Alias: netstate.Mark + " subnet " + s.Name,
		MAC:   string(intent.BridgeMAC(s.Bridge)), MTUOf: b.node.Interface,
	})
	b.own.Addresses = append(b.own.Addresses, netstate.Address{Link: dev, Prefix: s.Bridge.Host()})
	conf := "net/ipv4/conf/" + dev + "/"
	// proxy_arp answers for what lies beyond other interfaces, proxy_arp_pvlan for
	// what lies beyond this one: its isolated ports (arp_fwd_pvlan, net/ipv4/arp.c).
	b.sysctl("1", conf+"forwarding", conf+"proxy_arp", conf+"proxy_arp_pvlan")
	// Beside policy rules the kernel looks every sender up in the routes, even where the
	// reverse-path filter is off, unless local senders are welcome (fib_validate_source,
	// net/ipv4/fib_frontend.c). antispoof has checked the sender already, and better.
	b.sysctl("1", conf+"accept_local")
	b.sysctl("0", conf+"rp_filter")
	b.sysctl("0", conf+"send_redirects", conf+"accept_redirects")
	// The kernel would wait up to 0.8 s before it answers for somebody else.
	b.sysctl("0", "net/ipv4/neigh/"+dev+"/proxy_delay")
	b.sysctl("1", "net/ipv6/conf/"+dev+"/disable_ipv6")
	for _, table := range []uint32{b.world.VPCs[s.VPC].Table, s.Table} {
		b.own.Rules = append(b.own.Rules, netstate.Rule{Priority: int(table), Iif: dev, Table: table})
	}
}

// port makes the host's end of a port, and the routes to it. Ports are isolated from
// each other: what one sends to another is routed by the host like everything else.
func (b *builder) port(p *intent.Port, s *intent.Subnet) {
	bridge, dev := BridgeDevice(s.Name), Device(p)
	link := netstate.Link{
		Name: dev, Up: true, Master: bridge, Isolated: true, Static: true, MTUOf: b.node.Interface,
	}
	switch p.Attach.Type {
	case intent.AttachInterface:
	case intent.AttachTap:
		link.Kind, link.Alias, link.Owner = netstate.Tap, netstate.Mark+" port "+p.Name, p.Attach.Owner
	default:
		link.Kind, link.Alias = netstate.Veth, netstate.Mark+" port "+p.Name
		link.Peer, link.PeerNetns = p.Attach.Interface, p.Attach.Namespace
		b.guest(p, s)
	}
	b.own.Links = append(b.own.Links, link)
	b.sysctl("1", "net/ipv6/conf/"+dev+"/disable_ipv6")
	// The host knows who has which address, so it need not ask the ports, and none
	// of them can answer for another.
	b.own.Neighbors = append(b.own.Neighbors, netstate.Neighbor{Link: bridge, Address: p.Address.Addr, MAC: string(p.MAC)})
	b.own.Forwards = append(b.own.Forwards, netstate.Forward{Link: dev, MAC: string(p.MAC)})
	b.sender(p)
	b.routes(p, s)
}

// routes lets others reach a port that is here. While it moves, packets from the
// underlay reach it on both hosts, so that none can go to and fro between them, and
// what starts here goes where all others send it.
func (b *builder) routes(p *intent.Port, s *intent.Subnet) {
	v := b.world.VPCs[s.VPC]
	b.toPort(UnderlayTable, p)
	switch {
	case p.Serving() == b.node.Name:
		b.toPort(netstate.MainTable, p)
		b.toPort(v.Table, p)
	case v.Mode == intent.ModeDirect:
		b.toHost(v.Table, p)
	}
}

func (b *builder) toPort(table uint32, p *intent.Port) {
	b.route(netstate.Route{Table: table, Dst: p.Address.Host(), Link: BridgeDevice(p.Subnet)})
}

// via routes dst to the subnet's router. Without one it is unreachable.
func (b *builder) via(table uint32, dst netip.Prefix, s *intent.Subnet, src netip.Addr) {
	route := netstate.Route{Table: table, Dst: dst, Type: netstate.Unreachable}
	if r := b.routerOf(s); r != nil {
		route = netstate.Route{Table: table, Dst: dst, Via: r.Address.Addr, Link: b.node.Interface, Src: src}
	}
	b.route(route)
}

// toSubnet leads to the subnet's router what no more exact route does: from the host
// itself, and from the ports of the subnet's VPC. The host speaks from its underlay
// address: the bridge's is the same on all hosts, so answers would not come back.
func (b *builder) toSubnet(s *intent.Subnet) {
	b.via(netstate.MainTable, s.CIDR.Prefix, s, b.node.Address.Addr)
	if b.world.VPCs[s.VPC] == nil {
		return
	}
	for _, local := range b.world.SubnetsOn(b.node.Name, s.VPC) {
		b.via(local.Table, s.CIDR.Prefix, s, netip.Addr{})
	}
}

// underlayTable is for packets from other machines: they reach the ports that are
// here, and none is sent back to where it came from.
func (b *builder) underlayTable() {
	b.own.Rules = append(b.own.Rules, netstate.Rule{
		Priority: UnderlayTable, Iif: b.node.Interface, Table: UnderlayTable,
	})
	b.unreachableVPCs(UnderlayTable)
}

// subnetTable is what the ports of a subnet can reach beside the ports that the VPC's
// table has, and the VPC's subnets: the world through the router, other VPCs not.
func (b *builder) subnetTable(s *intent.Subnet) {
	for _, v := range b.world.AllVPCs() {
		if v.Name == s.VPC {
			b.endVPC(s.Table, v, netstate.Unreachable, true)
		} else {
			b.endVPC(s.Table, v, netstate.Prohibit, false)
		}
	}
	b.via(s.Table, anywhere, s, netip.Addr{})
}
