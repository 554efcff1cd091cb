package reach_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/netstate"
	"sarn/internal/reach"
)

// fabric is two hosts, a router with an uplink and a VPC beside another: vm1, vm2 and vm5
// on host1, vm3, vm4 and vm6, which is behind a tap, on host2; other1 is the other VPC's.
func fabric() *intent.World {
	addr, cidr := intent.MustAddr, intent.MustCIDR
	node := func(name string, role intent.Role, a, uplink string) *intent.Node {
		return &intent.Node{Header: intent.Header{Name: name}, Role: role, Address: addr(a), Interface: "enp0s8", Uplink: uplink}
	}
	subnet := func(name, vpc, block string, nat bool, table uint32) *intent.Subnet {
		s := &intent.Subnet{Header: intent.Header{Name: name}, VPC: vpc, CIDR: cidr(block), Router: "router", NAT: nat, Table: table}
		s.Gateway.Addr = s.CIDR.First().Next()
		s.Bridge.Addr = s.Gateway.Next()
		return s
	}
	port := func(name, subnet, on, a string) *intent.Port {
		return &intent.Port{
			Header: intent.Header{Name: name}, Subnet: subnet, Node: on, Address: addr(a), MAC: intent.PortMAC(addr(a)),
			Attach: intent.Attach{Type: intent.AttachNetns, Namespace: name, Interface: "eth0"},
		}
	}
	tap := port("vm6", "net2", "host2", "10.10.20.4")
	tap.Attach = intent.Attach{Type: intent.AttachTap}
	return intent.NewWorld(
		node("host1", intent.RoleHost, "192.168.56.103", ""),
		node("host2", intent.RoleHost, "192.168.56.104", ""),
		node("router", intent.RoleRouter, "192.168.56.101", "enp0s3"),
		&intent.VPC{Header: intent.Header{Name: "main"}, CIDRs: []intent.CIDR{cidr("10.10.0.0/16")}, Mode: intent.ModeRouter, Table: 5001},
		&intent.VPC{Header: intent.Header{Name: "other"}, CIDRs: []intent.CIDR{cidr("10.20.0.0/16")}, Mode: intent.ModeRouter, Table: 5002},
		subnet("net1", "main", "10.10.10.0/24", true, 10001),
		subnet("net2", "main", "10.10.20.0/24", false, 10002),
		subnet("net3", "other", "10.20.10.0/24", true, 10003),
		port("vm1", "net1", "host1", "10.10.10.10"), port("vm2", "net1", "host1", "10.10.10.11"),
		port("vm3", "net1", "host2", "10.10.10.12"), port("vm4", "net1", "host2", "10.10.10.13"),
		port("vm5", "net2", "host1", "10.10.20.3"), tap,
		port("other1", "net3", "host1", "10.20.10.10"),
	)
}

func network(w *intent.World, damage func(node string, m netstate.Machine)) *reach.Network {
	return reach.New(w, func(node string) (netstate.Machine, error) {
		m := compile.Node(w, node)
		if damage != nil {
			damage(node, m)
		}
		return m, nil
	})
}

// trace walks a packet and fails the test if that makes no sense.
func trace(t testing.TB, n *reach.Network, from reach.Start, p reach.Packet) *reach.Trace {
	t.Helper()
	got, err := n.Trace(from, p)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// told writes a trace as people see it, for the messages of tests.
func told(tr *reach.Trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s, %s: delivered %v, answered %v\n", tr.From, tr.To, tr.What, tr.Delivered, tr.Answered)
	for _, w := range []*reach.Walk{&tr.Request, tr.Reply, tr.Notice} {
		if w == nil {
			continue
		}
		for _, h := range w.Hops {
			fmt.Fprintf(&b, "  %s %s in %s out %s, %s > %s\n", h.Name, h.Action, h.In, h.Out, h.Source, h.Destination)
			for _, d := range h.Decided {
				fmt.Fprintf(&b, "      %s\n", d)
			}
		}
		fmt.Fprintf(&b, "  %s\n", w.Verdict)
	}
	return b.String()
}

// path is who has the packet, one after the other.
func path(w *reach.Walk) string {
	if w == nil {
		return ""
	}
	var names []string
	for _, h := range w.Hops {
		names = append(names, h.Name)
	}
	return strings.Join(names, " ")
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func port(name string) reach.Start { return reach.Start{Port: name} }
