package controller

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"sarn/internal/api"
	"sarn/internal/intent"
)

// TestAnyChanges makes random changes, good and bad ones, in a world so small that
// everything is in the way of everything.
func TestAnyChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(anyBase()...)
		for revision := range int64(25) {
			c := anyChange(t)
			before := l.world.Set()
			p, err := admit(l, c)
			if !reflect.DeepEqual(before, l.world.Set()) {
				t.Fatal("admit moved the world")
			}
			if fresh := newLedger(before.Objects()...); !reflect.DeepEqual(fresh, l) {
				t.Fatal("admit moved the ledger")
			}
			if _, again := admit(l, shuffled(t, c)); (err == nil) != (again == nil) {
				t.Fatalf("in another order the change is judged otherwise: %v; %v", err, again)
			}
			if err == nil {
				commit(l, p, revision+1)
				sound(t, l.world)
			}
		}
	})
}

// anyBase is a sound world to begin with, in which most ports can be made.
func anyBase() []intent.Object {
	return []intent.Object{
		&intent.Node{Header: intent.Header{Name: "r1"}, Role: intent.RoleRouter, Address: intent.MustAddr("192.168.0.9"), Interface: "eth0"},
		&intent.Node{Header: intent.Header{Name: "n1"}, Role: intent.RoleHost, Address: intent.MustAddr("192.168.0.1"), Interface: "eth0"},
		&intent.Node{Header: intent.Header{Name: "n2"}, Role: intent.RoleHost, Address: intent.MustAddr("192.168.0.2"), Interface: "eth0"},
		&intent.VPC{Header: intent.Header{Name: "a"}, CIDRs: []intent.CIDR{intent.MustCIDR("10.0.0.0/24")}},
		&intent.Subnet{
			Header: intent.Header{Name: "s"}, VPC: "a", CIDR: intent.MustCIDR("10.0.0.0/29"), Router: "r1",
			Gateway: intent.MustAddr("10.0.0.1"), Bridge: intent.MustAddr("10.0.0.2"), Table: 10001,
		},
	}
}

func anyChange(t *rapid.T) api.Change {
	var c api.Change
	seen := map[intent.Ref]bool{}
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 4}).Draw(t, "objects") {
		o := anyObject(t)
		ref := intent.RefOf(o)
		switch {
		case seen[ref]:
		case rapid.IntRange(0, 7).Draw(t, "delete") == 0:
			c.Delete = append(c.Delete, ref)
		default:
			c.Add(o)
		}
		seen[ref] = true
	}
	return c
}

func anyObject(t *rapid.T) intent.Object {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, what) }
	maybe := func(what string, from ...string) (a intent.Addr) {
		if s := pick(what, append(from, "", "", "", "", "")...); s != "" {
			a = intent.MustAddr(s)
		}
		return a
	}
	switch pick("kind", "node", "vpc", "subnet", "port", "port", "port", "port", "port", "port") {
	case "node":
		return &intent.Node{
			Header: intent.Header{Name: pick("node", "n1", "n2", "r1")}, Role: intent.Role(pick("role", "host", "host", "router")),
			Address: intent.MustAddr(pick("underlay", "192.168.0.1", "192.168.0.2", "192.168.0.3", "10.0.1.1")), Interface: "eth0",
		}
	case "vpc":
		return &intent.VPC{
			Header: intent.Header{Name: pick("vpc", "a", "b")},
			CIDRs:  []intent.CIDR{intent.MustCIDR(pick("block", "10.0.0.0/28", "10.0.0.0/24", "10.0.1.0/24"))},
		}
	case "subnet":
		return &intent.Subnet{
			Header: intent.Header{Name: pick("subnet", "s", "t")}, VPC: pick("vpc", "a", "b"),
			CIDR:    intent.MustCIDR(pick("cidr", "10.0.0.0/29", "10.0.0.8/29", "10.0.0.0/28", "10.0.1.0/29")),
			Gateway: maybe("gateway", "10.0.0.1", "10.0.0.5"), Bridge: maybe("bridge", "10.0.0.2", "10.0.0.6"),
			Router: pick("router", "", "r1", "n1"),
		}
	}
	return &intent.Port{
		Header: intent.Header{Name: pick("port", "p1", "p2", "p3", "p4", "p5")},
		Subnet: pick("subnet", "s", "s", "s", "s", "t"), Node: pick("node", "n1", "n2"),
		Address: maybe("address", "10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.7", "10.0.0.9"),
		MAC:     intent.MAC(pick("mac", "", "", "", "", "02:00:00:00:00:01", "0a:5a:0a:00:00:04")),
		Attach:  intent.Attach{Type: intent.AttachType(pick("type", "", "", "tap")), Namespace: ""},
	}
}

func shuffled(t *rapid.T, c api.Change) api.Change {
	return api.Change{
		Set: intent.Set{
			Nodes: rapid.Permutation(c.Nodes).Draw(t, "nodes"), VPCs: rapid.Permutation(c.VPCs).Draw(t, "vpcs"),
			Subnets: rapid.Permutation(c.Subnets).Draw(t, "subnets"), Ports: rapid.Permutation(c.Ports).Draw(t, "ports"),
		},
		Delete: rapid.Permutation(c.Delete).Draw(t, "deletes"),
	}
}

// sound checks, in the plainest way, what must hold in every world.
func sound(t *rapid.T, w *intent.World) {
	for _, v := range w.AllVPCs() {
		for _, o := range w.AllVPCs() {
			if v != o && v.CIDRs[0].Overlaps(o.CIDRs[0].Prefix) {
				t.Fatalf("%s and %s overlap", intent.RefOf(v), intent.RefOf(o))
			}
		}
		for _, n := range w.AllNodes() {
			if v.CIDRs[0].Contains(n.Address.Addr) {
				t.Fatalf("%s lies in %s", intent.RefOf(n), intent.RefOf(v))
			}
		}
	}
	tables := map[uint32]bool{}
	for _, s := range w.AllSubnets() {
		for _, o := range w.AllSubnets() {
			if s != o && s.CIDR.Overlaps(o.CIDR.Prefix) {
				t.Fatalf("%s and %s overlap", intent.RefOf(s), intent.RefOf(o))
			}
		}
		v, r := w.VPCs[s.VPC], w.Nodes[s.Router]
		if v == nil || !v.CIDRs[0].Covers(s.CIDR) || r == nil || r.Role != intent.RoleRouter || tables[s.Table] || s.Table == 0 {
			t.Fatalf("%s is not sound: %+v in %+v on %+v", intent.RefOf(s), s, v, r)
		}
		tables[s.Table] = true
	}
	held := map[string]string{}
	for _, p := range w.Set().Ports {
		s, n := w.Subnets[p.Subnet], w.Nodes[p.Node]
		if s == nil || n == nil || n.Role != intent.RoleHost {
			t.Fatalf("%s refers to what is not there", intent.RefOf(p))
		}
		reserved := []netip.Addr{s.CIDR.First(), s.CIDR.Last(), s.Gateway.Addr, s.Bridge.Addr}
		for _, a := range reserved {
			if p.Address.Addr == a {
				t.Fatalf("%s holds the reserved address %s", intent.RefOf(p), a)
			}
		}
		if !s.CIDR.Contains(p.Address.Addr) || p.MAC == intent.BridgeMAC(s.Bridge) {
			t.Fatalf("%s does not fit its subnet: %+v", intent.RefOf(p), p)
		}
		for _, key := range []string{
			fmt.Sprint("address", p.Subnet, p.Address), fmt.Sprint("mac", p.Subnet, p.MAC),
		} {
			if held[key] != "" {
				t.Fatalf("%s and %s share %s", p.Name, held[key], key)
			}
			held[key] = p.Name
		}
	}
}

// BenchmarkOnePort admits one port in worlds of very different size. The price should
// be the same.
func BenchmarkOnePort(b *testing.B) {
	for _, n := range []int{100, 50_000} {
		l := largeLedger(b, n)
		c := change(b, "{kind: Port, name: one-more, subnet: net1, node: host1}")
		b.Run(fmt.Sprint("among ", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := admit(l, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkManyPorts admits a change of 10,000 ports that take what is free.
func BenchmarkManyPorts(b *testing.B) {
	l := largeLedger(b, 10_000)
	var c api.Change
	for i := range 10_000 {
		c.Add(&intent.Port{Header: intent.Header{Name: fmt.Sprint("new", i)}, Subnet: "net1", Node: "host2"})
	}
	for b.Loop() {
		if _, err := admit(l, c); err != nil {
			b.Fatal(err)
		}
	}
}

// largeLedger holds n ports on two hosts, in one subnet.
func largeLedger(t testing.TB, n int) *ledger {
	l := newLedger()
	must(t, l, change(t, `
{kind: Node, name: router, role: router, address: 192.168.56.101, interface: eth0}
---
{kind: Node, name: host1, role: host, address: 192.168.56.103, interface: eth0}
---
{kind: Node, name: host2, role: host, address: 192.168.56.104, interface: eth0}
---
{kind: VPC, name: main, cidrs: [10.0.0.0/8]}
---
{kind: Subnet, name: net1, vpc: main, cidr: 10.10.0.0/16}
`))
	var c api.Change
	for i := range n {
		c.Add(&intent.Port{Header: intent.Header{Name: fmt.Sprint("vm", i)}, Subnet: "net1", Node: fmt.Sprint("host", 1+i%2)})
	}
	must(t, l, c)
	return l
}

// TestOnePortCostsOnePort holds the benchmark's promise without a clock: what one
// more port allocates does not grow with the world.
func TestOnePortCostsOnePort(t *testing.T) {
	c := change(t, "{kind: Port, name: one-more, subnet: net1, node: host1}")
	cost := func(n int) float64 {
		l := largeLedger(t, n)
		return testing.AllocsPerRun(20, func() {
			if _, err := admit(l, c); err != nil {
				t.Fatal(err)
			}
		})
	}
	if small, large := cost(100), cost(20_000); large > small+5 {
		t.Errorf("one port among 100 takes %.0f allocations, among 20,000 %.0f", small, large)
	}
}
