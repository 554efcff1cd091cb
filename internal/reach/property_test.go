package reach_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"sarn/internal/intent"
	"sarn/internal/reach"
)

// randomWorld draws a fabric: hosts, routers with an uplink or without, VPCs and their
// subnets, ports of both kinds anywhere.
func randomWorld(t *rapid.T) *intent.World {
	w := intent.NewWorld()
	add := func(role intent.Role, name string, i int) {
		n := &intent.Node{Header: intent.Header{Name: name}, Role: role, Interface: "eth0"}
		n.Address = intent.MustAddr(fmt.Sprintf("192.168.56.%d", 100+i))
		if role == intent.RoleRouter && rapid.Bool().Draw(t, "uplink") {
			n.Uplink = "eth1"
		}
		w.Put(n)
	}
	hosts, routers := rapid.IntRange(1, 3).Draw(t, "hosts"), rapid.IntRange(1, 2).Draw(t, "routers")
	for i := range hosts {
		add(intent.RoleHost, fmt.Sprintf("host%d", i), i)
	}
	for i := range routers {
		add(intent.RoleRouter, fmt.Sprintf("router%d", i), 50+i)
	}
	for v := range rapid.IntRange(1, 3).Draw(t, "VPCs") {
		vpc := fmt.Sprintf("v%d", v)
		w.Put(&intent.VPC{Header: intent.Header{Name: vpc}, CIDRs: []intent.CIDR{intent.MustCIDR(fmt.Sprintf("10.%d.0.0/16", 10+v))},
			Mode: rapid.SampledFrom([]intent.Mode{intent.ModeRouter, intent.ModeDirect}).Draw(t, "mode"), Table: uint32(5001 + v)})
		for s := range rapid.IntRange(1, 3).Draw(t, "subnets") {
			net := &intent.Subnet{
				Header: intent.Header{Name: fmt.Sprintf("%ss%d", vpc, s)}, VPC: vpc,
				CIDR:   intent.MustCIDR(fmt.Sprintf("10.%d.%d.0/24", 10+v, s)),
				Router: fmt.Sprintf("router%d", rapid.IntRange(0, routers-1).Draw(t, "router")),
				NAT:    rapid.Bool().Draw(t, "nat"), Table: uint32(10001 + 10*v + s),
			}
			net.Gateway.Addr = net.CIDR.First().Next()
			net.Bridge.Addr = net.Gateway.Next()
			w.Put(net)
		}
	}
	subnets := w.AllSubnets()
	for i := range rapid.IntRange(2, 8).Draw(t, "ports") {
		s := rapid.SampledFrom(subnets).Draw(t, "in")
		p := &intent.Port{Header: intent.Header{Name: fmt.Sprintf("p%d", i)}, Subnet: s.Name}
		p.Node = fmt.Sprintf("host%d", rapid.IntRange(0, hosts-1).Draw(t, "on"))
		b := s.CIDR.First().As4()
		p.Address = intent.MustAddr(fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], 10+i))
		p.MAC = intent.PortMAC(p.Address)
		p.Attach = intent.Attach{Type: intent.AttachNetns, Namespace: p.Name, Interface: "eth0"}
		if rapid.IntRange(0, 3).Draw(t, "tap") == 0 {
			p.Attach = intent.Attach{Type: intent.AttachTap}
		}
		w.Put(p)
	}
	return w
}

// TestAnyFabric is what every fabric promises, whatever is in it: ports of one VPC reach
// each other and the machines, those of different VPCs never, what nobody holds is
// refused and not delivered, private networks reach out and are not reached.
func TestAnyFabric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := randomWorld(t)
		n := network(w, nil)
		send := func(from reach.Start, to intent.Addr) *reach.Trace {
			p := reach.Packet{Destination: to.Addr, Protocol: rapid.SampledFrom([]reach.Protocol{reach.ICMP, reach.TCP, reach.UDP}).Draw(t, "protocol"), Port: 80}
			got, err := n.Trace(from, p)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Request.Hops) > 5 {
				t.Fatalf("a long way:\n%s", told(got))
			}
			return got
		}
		want := func(got *reach.Trace, delivered, answered bool) {
			if got.Delivered != delivered || got.Answered != answered {
				t.Fatalf("want delivered %v, answered %v:\n%s", delivered, answered, told(got))
			}
		}
		ports := w.List(intent.KindPort)
		for _, a := range ports {
			a := a.(*intent.Port)
			vpc := w.Subnets[a.Subnet].VPC
			for _, b := range ports {
				b := b.(*intent.Port)
				same := w.Subnets[b.Subnet].VPC == vpc
				want(send(port(a.Name), b.Address), same, same)
			}
			for _, s := range w.AllSubnets() {
				want(send(port(a.Name), s.Gateway), s.VPC == vpc, s.VPC == vpc)
			}
			for _, to := range []string{"10.10.0.99", "10.10.99.1", "10.11.0.99", "10.12.0.99"} {
				if got := send(port(a.Name), intent.MustAddr(to)); w.VPCs["v"+to[4:5]] != nil {
					want(got, false, false)
				}
			}
			for _, node := range w.AllNodes() {
				want(send(port(a.Name), node.Address), true, true)
				want(send(reach.Start{Node: node.Name}, a.Address), true, true)
			}
			want(send(port(a.Name), intent.MustAddr("8.8.8.8")), true, true)
			private := w.Subnets[a.Subnet].NAT
			want(send(reach.Start{Outside: ip("8.8.8.8")}, a.Address), !private, !private)
		}
	})
}
