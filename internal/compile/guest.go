package compile

import (
	"net/netip"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// guest sets up the inside of the port's namespace as a cloud sets up a VM: its
// interface, its address with the subnet's mask, its gateway. Of several ports of one
// namespace the first, by name, brings the namespace and the default route.
func (b *builder) guest(p *intent.Port, s *intent.Subnet) {
	g, dev := &netstate.State{}, p.Attach.Interface
	b.machine[p.Attach.Namespace] = g
	g.Addresses = append(g.Addresses, netstate.Address{
		Link: dev, Prefix: netip.PrefixFrom(p.Address.Addr, s.CIDR.Bits()),
	})
	if b.world.Guests(b.node.Name, p.Attach.Namespace)[0] == p {
		g.Alias = netstate.Mark + " port " + p.Name
		g.Links = append(g.Links, netstate.Link{Name: "lo", Up: true})
		g.Routes = append(g.Routes, netstate.Route{
			Table: netstate.MainTable, Dst: anywhere, Via: s.Gateway.Addr, Link: dev,
		})
	}
	g.Links = append(g.Links, netstate.Link{
		Name: dev, Kind: netstate.Veth, Up: true, MAC: string(p.MAC), MTUOf: b.node.Interface,
		Alias: netstate.Mark + " port " + p.Name,
	})
}
