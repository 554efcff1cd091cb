package compile

import (
	"net/netip"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// guest sets up the inside of the port's namespace as a cloud sets up a VM: its
// interface, its address with the subnet's mask, its gateway.
func (b *builder) guest(p *intent.Port, s *intent.Subnet) {
	g := b.machine[p.Attach.Namespace]
	if g == nil {
		g = &netstate.State{
			Alias: netstate.Mark + " port " + p.Name,
			Links: []netstate.Link{{Name: "lo", Up: true}},
		}
		b.machine[p.Attach.Namespace] = g
	}
	dev := p.Attach.Interface
	g.Links = append(g.Links, netstate.Link{
		Name: dev, Kind: netstate.Veth, Up: true, MAC: string(p.MAC),
		Alias: netstate.Mark + " port " + p.Name,
	})
	g.Addresses = append(g.Addresses, netstate.Address{
		Link: dev, Prefix: netip.PrefixFrom(p.Address.Addr, s.CIDR.Bits()),
	})
	for _, r := range g.Routes {
		if r.Dst == anywhere {
			return // a second port of the namespace: the first has the default route
		}
	}
	g.Routes = append(g.Routes, netstate.Route{
		Table: netstate.MainTable, Dst: anywhere, Via: s.Gateway.Addr, Link: dev,
	})
}
