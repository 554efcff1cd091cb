package intent_test

import (
	"strings"
	"testing"

	"sarn/internal/intent"
)

func TestValidate(t *testing.T) {
	addr, cidr := intent.MustAddr, intent.MustCIDR
	head := func(n string) intent.Header { return intent.Header{Name: n} }
	net1 := intent.Subnet{Header: head("net1"), VPC: "main", CIDR: cidr("10.10.10.0/24")}
	with := func(f func(*intent.Subnet)) *intent.Subnet { s := net1; f(&s); return &s }
	port := func(a intent.Attach) *intent.Port {
		return &intent.Port{Header: head("p"), Subnet: "s", Node: "n", Attach: a}
	}
	for _, tc := range []struct {
		object intent.Object
		want   string // empty: it is right
	}{
		{&intent.VPC{Header: head("v"), CIDRs: []intent.CIDR{cidr("10.0.0.0/8"), cidr("172.16.0.0/30")}}, ""},
		{&intent.VPC{Header: head("v")}, "cidrs: is missing"},
		{&intent.VPC{Header: head("v"), CIDRs: []intent.CIDR{cidr("10.0.0.0/7")}}, "cidrs: 10.0.0.0/7 is too large"},
		{&intent.VPC{Header: head("v"), CIDRs: []intent.CIDR{cidr("10.0.0.0/31")}}, "cidrs: 10.0.0.0/31 is too small"},
		{&intent.VPC{Header: head("v"), CIDRs: []intent.CIDR{cidr("224.0.0.0/8")}}, "cidrs: 224.0.0.0/8 holds no unicast"},
		{&intent.VPC{Header: head("v"), CIDRs: []intent.CIDR{cidr("10.0.0.0/8"), cidr("10.1.0.0/16")}}, "cidrs: 10.1.0.0/16 overlaps 10.0.0.0/8"},
		{&intent.VPC{Header: head("V"), CIDRs: []intent.CIDR{cidr("10.0.0.0/8")}}, `name: "V" is not a name`},
		{&intent.VPC{Header: head("-v"), CIDRs: []intent.CIDR{cidr("10.0.0.0/8")}}, `name: "-v" is not a name`},
		{&intent.VPC{Header: head(strings.Repeat("v", 41)), CIDRs: []intent.CIDR{cidr("10.0.0.0/8")}}, "name: is longer than 40"},
		{&net1, ""},
		{with(func(s *intent.Subnet) { s.VPC = "" }), "vpc: is missing"},
		{with(func(s *intent.Subnet) { s.CIDR = intent.CIDR{} }), "cidr: is missing"},
		{with(func(s *intent.Subnet) { s.CIDR = cidr("10.10.10.0/30") }), "cidr: 10.10.10.0/30 is too small"},
		{with(func(s *intent.Subnet) { s.Gateway = addr("10.10.11.1") }), "gateway: 10.10.11.1 is outside"},
		{with(func(s *intent.Subnet) { s.Gateway = addr("10.10.10.0") }), "gateway: 10.10.10.0 is the network's"},
		{with(func(s *intent.Subnet) { s.Bridge = addr("10.10.10.255") }), "bridge: 10.10.10.255 is the broadcast"},
		{with(func(s *intent.Subnet) { s.Gateway, s.Bridge = addr("10.10.10.9"), addr("10.10.10.9") }), "bridge: 10.10.10.9 is the gateway too"},
		{&intent.Node{Header: head("n"), Role: "host", Address: addr("192.168.0.1"), Interface: "eth0"}, ""},
		{&intent.Node{Header: head("n"), Role: "switch", Address: addr("192.168.0.1"), Interface: "eth0"}, `role: "switch" is not a role`},
		{&intent.Node{Header: head("n"), Role: "host", Interface: "eth0"}, "address: is missing"},
		{&intent.Node{Header: head("n"), Role: "host", Address: addr("192.168.0.1")}, "interface: is missing"},
		{&intent.Node{Header: head("n"), Role: "host", Address: addr("192.168.0.1"), Interface: "eth0", Uplink: "eth1"}, "uplink: belongs to a router"},
		{&intent.Node{Header: head("n"), Role: "host", Address: addr("192.168.0.1"), Interface: "../../kernel"}, `interface: "../../kernel" is not an interface name`},
		{port(intent.Attach{}), ""},
		{port(intent.Attach{Type: "tap", Owner: 1000}), ""},
		{port(intent.Attach{Type: "tap", Namespace: "x"}), "attach.namespace: belongs to a netns"},
		{port(intent.Attach{Owner: 1}), "attach.owner: belongs to a tap"},
		{port(intent.Attach{Namespace: "../etc"}), `attach.namespace: "../etc" is not a namespace's name`},
		{port(intent.Attach{Namespace: ".."}), `attach.namespace: ".." is not a namespace's name`},
		{port(intent.Attach{Interface: "lo"}), `attach.interface: "lo" is a name that the kernel keeps`},
		{port(intent.Attach{Interface: "x%d"}), `attach.interface: "x%d" is not an interface name`},
		{port(intent.Attach{Interface: "ééééé"}), `attach.interface: "ééééé" is not an interface name`},
		{port(intent.Attach{Interface: "default"}), `attach.interface: "default" is a name that the kernel keeps`},
		{port(intent.Attach{Type: "tap", Owner: 1<<32 - 1}), "attach.owner: 4294967295 is not a user ID"},
		{&intent.Node{Header: head("n"), Role: "router", Address: addr("192.168.0.1"), Interface: "eth0", Uplink: `a";drop;#`}, "uplink: "},
		{&intent.VPC{Header: head("v"), CIDRs: make([]intent.CIDR, 2000)}, "cidrs: holds 2000 address blocks; a VPC has at most 16"},
		{port(intent.Attach{Interface: ".."}), `attach.interface: ".." is not an interface name`},
	} {
		var got []string
		for _, e := range tc.object.Validate() {
			got = append(got, e.Field+": "+e.Message)
		}
		switch {
		case tc.want == "" && len(got) > 0:
			t.Errorf("%v: %v", intent.RefOf(tc.object), got)
		case tc.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], tc.want)):
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestAddressBlocks(t *testing.T) {
	c := intent.MustCIDR("10.10.10.128/25")
	if c.First() != intent.MustAddr("10.10.10.128").Addr || c.Last() != intent.MustAddr("10.10.10.255").Addr || c.Size() != 128 {
		t.Errorf("got %s to %s, %d addresses", c.First(), c.Last(), c.Size())
	}
	if !intent.MustCIDR("10.10.0.0/16").Covers(c) || c.Covers(intent.MustCIDR("10.10.0.0/16")) || c.Covers(intent.MustCIDR("10.10.10.0/25")) {
		t.Error("covers")
	}
	if all := intent.MustCIDR("0.0.0.0/0"); all.Last() != intent.MustAddr("255.255.255.255").Addr {
		t.Errorf("got %s", all.Last())
	}
}

func TestWorldIndexesFollowChanges(t *testing.T) {
	a, b := intent.MustAddr("10.0.0.5"), intent.MustAddr("10.0.0.6")
	p := func(node, subnet string, at intent.Addr) *intent.Port {
		return &intent.Port{Header: intent.Header{Name: "p"}, Node: node, Subnet: subnet, Address: at}
	}
	w := intent.NewWorld(p("n1", "s1", a))
	w.Put(p("n2", "s2", b))
	if len(w.PortsOn("n1")) != 0 || len(w.PortsOn("n2")) != 1 || len(w.PortsIn("s1")) != 0 || len(w.PortsIn("s2")) != 1 {
		t.Error("the port is where it was")
	}
	w.Delete(intent.Ref{Kind: intent.KindPort, Name: "p"})
	w.Delete(intent.Ref{Kind: intent.KindPort, Name: "p"})
	if len(w.List(intent.KindPort)) != 0 {
		t.Error("the port is still there")
	}
}
