package compile

import (
	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// router compiles what a node that owns gateways holds beside what is there for
// subnets and ports.
func (b *builder) router() {
	b.underlay()
	if b.separateUplink() {
		b.own.Links = append(b.own.Links, netstate.Link{Name: b.node.Uplink})
		b.sysctl("1", "net/ipv4/conf/"+b.node.Uplink+"/forwarding")
	}
	b.unreachableVPCs(netstate.MainTable)
	b.nat()
}

func (b *builder) separateUplink() bool {
	return b.node.Uplink != "" && b.node.Uplink != b.node.Interface
}

// gateway puts a subnet's gateway on the loopback device, as reachable as the router
// itself. Of the subnet's addresses, those that no port holds are unreachable.
func (b *builder) gateway(s *intent.Subnet) {
	b.own.Addresses = append(b.own.Addresses, netstate.Address{
		Link: "lo", Prefix: s.Gateway.Host(), Label: "lo:" + netstate.Mark,
	})
	b.route(netstate.Route{Table: netstate.MainTable, Dst: s.CIDR.Prefix, Type: netstate.Unreachable})
}
