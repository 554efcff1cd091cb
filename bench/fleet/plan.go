package main

import (
	"fmt"
	"net/netip"

	"sarn/internal/intent"
)

const (
	perRouter = 100 // nodes
	perSubnet = 250 // ports, about
	mostVPCs  = 10
	spread    = 5 // subnets that a host's ports are in
)

// plan is a fleet on paper. Its ports go round its hosts, and hosts belong to VPCs in
// turn, so that a VPC of 5,000 ports is on 100 hosts.
type plan struct {
	nodes   []*intent.Node
	vpcs    []*intent.VPC
	subnets []*intent.Subnet
	ports   []*intent.Port

	routers []string
	hosts   []string
	blocks  int // subnets of each VPC
}

func newPlan(nodes, portsPerNode int, mode intent.Mode) *plan {
	p := &plan{}
	for i := range max(1, nodes/perRouter) {
		p.routers = append(p.routers, fmt.Sprintf("router%d", i))
		p.nodes = append(p.nodes, node(p.routers[i], intent.RoleRouter, i))
	}
	for i := range nodes - len(p.routers) {
		p.hosts = append(p.hosts, fmt.Sprintf("host%d", i))
		p.nodes = append(p.nodes, node(p.hosts[i], intent.RoleHost, len(p.routers)+i))
	}
	total := nodes * portsPerNode
	for i := range min(mostVPCs, len(p.hosts)) {
		v := &intent.VPC{Mode: mode, CIDRs: []intent.CIDR{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16)}}}
		v.Name = fmt.Sprintf("vpc%d", i)
		p.vpcs = append(p.vpcs, v)
	}
	p.blocks = (total/len(p.vpcs) + perSubnet - 1) / perSubnet
	for i := range p.blocks {
		for v := range p.vpcs {
			p.subnets = append(p.subnets, p.subnet(v, i))
		}
	}
	for i := range total {
		p.ports = append(p.ports, p.port(i))
	}
	return p
}

func node(name string, role intent.Role, i int) *intent.Node {
	n := &intent.Node{Role: role, Interface: "eth1"}
	n.Name, n.Address.Addr = name, netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)})
	return n
}

// subnet is the nth of the VPC: a /23.
func (p *plan) subnet(vpc, nth int) *intent.Subnet {
	s := &intent.Subnet{VPC: p.vpcs[vpc].Name, Router: p.routers[(vpc+nth)%len(p.routers)]}
	s.Name = fmt.Sprintf("net%d-%d", vpc, nth)
	s.CIDR.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(vpc), byte(2 * nth), 0}), 23)
	return s
}

// port is the ith of the fleet.
func (p *plan) port(i int) *intent.Port {
	host, nth := i%len(p.hosts), i/len(p.hosts)
	vpc := host % len(p.vpcs)
	o := &intent.Port{Node: p.hosts[host], Subnet: fmt.Sprintf("net%d-%d", vpc, (host/len(p.vpcs)+nth%spread)%p.blocks)}
	o.Name = fmt.Sprintf("port%d", i)
	return o
}

// concerned lists the nodes that a change of the port has something to tell.
func (p *plan) concerned(o *intent.Port) []string {
	var vpc, nth int
	if _, err := fmt.Sscanf(o.Subnet, "net%d-%d", &vpc, &nth); err != nil {
		panic(err) // the name is this program's own
	}
	names := []string{o.Node, p.routers[(vpc+nth)%len(p.routers)]}
	if p.vpcs[vpc].Mode == intent.ModeDirect {
		for i := vpc; i < len(p.hosts); i += len(p.vpcs) {
			names = append(names, p.hosts[i])
		}
	}
	return names
}
