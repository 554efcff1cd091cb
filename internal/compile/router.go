package compile

import (
	"net/netip"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// router compiles a node that owns gateways: it knows the host of every port of its
// subnets and sends each packet there.
func (b *builder) router() {
	b.underlay()
	if b.separateUplink() {
		b.own.Links = append(b.own.Links, netstate.Link{Name: b.node.Uplink})
		b.sysctl("1", "net/ipv4/conf/"+b.node.Uplink+"/forwarding")
	}
	var mine []*intent.Subnet
	for _, s := range b.world.AllSubnets() {
		if s.Router != b.node.Name {
			b.via(netstate.MainTable, s.CIDR.Prefix, s, netip.Addr{})
			continue
		}
		mine = append(mine, s)
		b.gateway(s)
	}
	b.unreachableVPCs(netstate.MainTable)
	b.nat(mine)
}

func (b *builder) separateUplink() bool {
	return b.node.Uplink != "" && b.node.Uplink != b.node.Interface
}

// gateway puts a subnet's gateway on the loopback device, as reachable as the router
// itself, and adds a host route for each port. What nobody holds is unreachable.
func (b *builder) gateway(s *intent.Subnet) {
	b.own.Addresses = append(b.own.Addresses, netstate.Address{
		Link: "lo", Prefix: s.Gateway.Host(), Label: "lo:" + netstate.Mark,
	})
	for _, p := range b.world.PortsIn(s.Name) {
		if host := b.world.Nodes[p.Node]; host != nil {
			b.route(netstate.Route{
				Table: netstate.MainTable, Dst: p.Address.Host(),
				Via: host.Address.Addr, Link: b.node.Interface,
			})
		}
	}
	b.route(netstate.Route{Table: netstate.MainTable, Dst: s.CIDR.Prefix, Type: netstate.Unreachable})
}
