package lab

import (
	"encoding/base32"
	"hash/fnv"
	"net/netip"
	"strings"

	"sarn/internal/netstate"
)

// Owner marks what the lab's wiring consists of. It is not the agents' mark: they
// delete what bears theirs and is not wanted, and would cut the cables they run on.
func Owner() netstate.Owner { return netstate.Owner{Mark: "lab", Protocol: 84} }

// bridgeDevice is the bridge of a network, in the network's namespace. The devices
// beside it all begin with cablePrefix.
const (
	bridgeDevice = "bridge"
	cablePrefix  = "to-"
)

// Wiring returns what the kernel holds for the plan before any agent runs: a
// namespace with a bridge for each network, a namespace for each machine, and the
// cables between them.
func (p *Plan) Wiring() netstate.Machine {
	alias := Owner().Mark + " " + p.Name
	m := netstate.Machine{}
	for _, n := range p.Networks {
		s := namespace(alias)
		s.Links = append(s.Links, netstate.Link{
			Name: bridgeDevice, Kind: netstate.Bridge, Alias: alias, Up: true,
		})
		m[n.Name] = s
	}
	for _, n := range p.Networks {
		if n.Uplink != "" {
			p.trunk(m, n, alias)
		}
	}
	for _, c := range p.Machines {
		s := namespace(alias)
		for _, f := range c.Interfaces {
			p.cable(m[f.Network], s, c, f, alias)
		}
		if c.Gateway.IsValid() {
			s.Routes = append(s.Routes, netstate.Route{
				Table: netstate.MainTable, Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0),
				Via: c.Gateway.Addr, Link: p.towards(c, c.Gateway.Addr).Name,
			})
		}
		m[c.Name] = s
	}
	return m
}

// namespace returns a fresh one: loopback up, no IPv6 chatter in anybody's capture.
func namespace(alias string) *netstate.State {
	return &netstate.State{
		Alias: alias,
		Links: []netstate.Link{{Name: "lo", Up: true}},
		Sysctls: []netstate.Sysctl{
			{Name: "net/ipv6/conf/all/disable_ipv6", Value: "1"},
			{Name: "net/ipv6/conf/default/disable_ipv6", Value: "1"},
			// Measuring hops asks one machine for many ICMP errors in a row. Limited, it
			// would pause after six (icmpv4_xrlim_allow, net/ipv4/icmp.c).
			{Name: "net/ipv4/icmp_ratemask", Value: "0"},
		},
	}
}

// cable connects a machine's interface to its network's bridge.
func (p *Plan) cable(network, machine *netstate.State, m Machine, f Interface, alias string) {
	network.Links = append(network.Links, netstate.Link{
		Name: cableDevice(m, f), Kind: netstate.Veth, Alias: alias, Up: true,
		Master: bridgeDevice, Peer: f.Name, PeerNetns: m.Name,
	})
	machine.Links = append(machine.Links, netstate.Link{
		Name: f.Name, Kind: netstate.Veth, Alias: alias, Up: true,
	})
	machine.Addresses = append(machine.Addresses, netstate.Address{
		Link: f.Name, Prefix: netip.PrefixFrom(f.Address.Addr, p.cidr(*p.network(f.Network)).Bits()),
	})
	network.Qdiscs = append(network.Qdiscs, f.qdiscs(cableDevice(m, f))...)
	machine.Qdiscs = append(machine.Qdiscs, f.qdiscs(f.Name)...)
}

// trunk connects a network's bridge to its uplink's.
func (p *Plan) trunk(m netstate.Machine, n Network, alias string) {
	upper, lower := m[n.Uplink], m[n.Name]
	there, here := fit(cablePrefix+n.Name), fit(cablePrefix+n.Uplink)
	upper.Links = append(upper.Links, netstate.Link{
		Name: there, Kind: netstate.Veth, Alias: alias, Up: true,
		Master: bridgeDevice, Peer: here, PeerNetns: n.Name,
	})
	lower.Links = append(lower.Links, netstate.Link{
		Name: here, Kind: netstate.Veth, Alias: alias, Up: true, Master: bridgeDevice,
	})
	upper.Qdiscs = append(upper.Qdiscs, n.qdiscs(there)...)
	lower.Qdiscs = append(lower.Qdiscs, n.qdiscs(here)...)
}

// cableDevice names the network's end of a cable after the machine, and after its
// interface too where the machine has several on that network.
func cableDevice(m Machine, f Interface) string {
	name, legs := m.Name, 0
	for _, o := range m.Interfaces {
		if o.Network == f.Network {
			legs++
		}
	}
	if legs > 1 {
		name += "." + f.Name
	}
	return fit(cablePrefix + name)
}

// fit returns a name that the kernel takes (at most 15 characters): the name itself,
// or its beginning and a hash of the whole.
func fit(name string) string {
	const most, hash = 15, 5
	if len(name) <= most {
		return name
	}
	h := fnv.New32a()
	h.Write([]byte(name)) //nolint:errcheck // a hash.Hash never fails
	sum := strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil)))[:hash]
	return name[:most-hash-1] + "-" + sum
}
