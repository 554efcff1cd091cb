package compile_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/netstate"
)

var update = flag.Bool("update", false, "write the golden files anew")

// twoHosts is the fabric of examples/two-hosts.yaml as the controller stores it.
func twoHosts() *intent.World {
	addr, cidr := intent.MustAddr, intent.MustCIDR
	node := func(name string, role intent.Role, a, uplink string) *intent.Node {
		return &intent.Node{Header: intent.Header{Name: name}, Role: role, Address: addr(a), Interface: "enp0s8", Uplink: uplink}
	}
	port := func(name, subnet, on, a string) *intent.Port {
		return &intent.Port{
			Header: intent.Header{Name: name}, Subnet: subnet, Node: on, Address: addr(a), MAC: intent.PortMAC(addr(a)),
			Attach: intent.Attach{Type: intent.AttachNetns, Namespace: name, Interface: "eth0"},
		}
	}
	tap := port("vm6", "net2", "host2", "10.10.20.4")
	tap.Attach = intent.Attach{Type: intent.AttachTap, Owner: 64055}
	return intent.NewWorld(
		node("host1", intent.RoleHost, "192.168.56.103", ""),
		node("host2", intent.RoleHost, "192.168.56.104", ""),
		node("router", intent.RoleRouter, "192.168.56.101", "enp0s3"),
		&intent.VPC{Header: intent.Header{Name: "main"}, CIDRs: []intent.CIDR{cidr("10.10.0.0/16")}, Mode: intent.ModeRouter, Table: 5001},
		&intent.VPC{Header: intent.Header{Name: "other"}, CIDRs: []intent.CIDR{cidr("10.20.0.0/16")}, Mode: intent.ModeRouter, Table: 5002},
		&intent.Subnet{Header: intent.Header{Name: "net1"}, VPC: "main", CIDR: cidr("10.10.10.0/24"), Gateway: addr("10.10.10.1"), Bridge: addr("10.10.10.2"), Router: "router", NAT: true, Table: 10001},
		&intent.Subnet{Header: intent.Header{Name: "net2"}, VPC: "main", CIDR: cidr("10.10.20.0/24"), Gateway: addr("10.10.20.1"), Bridge: addr("10.10.20.2"), Router: "router", Table: 10002},
		port("vm1", "net1", "host1", "10.10.10.10"), port("vm2", "net1", "host1", "10.10.10.11"),
		port("vm3", "net1", "host2", "10.10.10.12"), port("vm4", "net1", "host2", "10.10.10.13"),
		port("vm5", "net2", "host1", "10.10.20.3"), tap,
	)
}

// bare is a machine that has nothing but the interfaces it was built with.
func bare() netstate.Machine {
	return netstate.Machine{"": {Links: []netstate.Link{{Name: "lo", Up: true}, {Name: "enp0s3", Up: true}, {Name: "enp0s8", Up: true}}}}
}

func commands(t *testing.T, want, have netstate.Machine) string {
	t.Helper()
	ops, err := netstate.Diff(want, have)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, op := range ops {
		b.WriteString(op.Command() + "\n")
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -update and read the diff:\n%s", path, got)
	}
}

// TestCommands shows every command that brings each node of the fabric up.
func TestCommands(t *testing.T) {
	for _, node := range []string{"host1", "host2", "router"} {
		golden(t, node, commands(t, compile.Node(twoHosts(), node), bare()))
	}
}

// TestOnePortMore shows that one port more is a few commands on its host and one on
// the router, and none that touches what was there.
func TestOnePortMore(t *testing.T) {
	w := twoHosts()
	before := map[string]netstate.Machine{}
	for _, node := range []string{"host1", "host2", "router"} {
		before[node] = compile.Node(w, node)
	}
	a := intent.MustAddr("10.10.10.99")
	w.Put(&intent.Port{
		Header: intent.Header{Name: "vm7"}, Subnet: "net1", Node: "host1", Address: a, MAC: intent.PortMAC(a),
		Attach: intent.Attach{Type: intent.AttachNetns, Namespace: "vm7", Interface: "eth0"},
	})
	var all string
	for _, node := range []string{"host1", "host2", "router"} {
		all += "# " + node + "\n" + commands(t, compile.Node(w, node), before[node])
	}
	golden(t, "one-port-more", all)
}

// changes shows the commands of each node that lead from one world to the next.
func changes(t *testing.T, name string, steps ...func(*intent.World)) {
	t.Helper()
	w := twoHosts()
	nodes := []string{"host1", "host2", "router"}
	before := map[string]netstate.Machine{}
	for _, node := range nodes {
		before[node] = compile.Node(w, node)
	}
	var all strings.Builder
	for i, step := range steps {
		step(w)
		for _, node := range nodes {
			after := compile.Node(w, node)
			fmt.Fprintf(&all, "# step %d, %s\n%s", i+1, node, commands(t, after, before[node]))
			before[node] = after
		}
	}
	golden(t, name, all.String())
}

// TestDirectMode shows that a VPC becomes direct by routes that come, and no other
// change, and router mode again by the same routes going.
func TestDirectMode(t *testing.T) {
	mode := func(m intent.Mode) func(*intent.World) {
		return func(w *intent.World) {
			v := *w.VPCs["main"]
			v.Mode = m
			w.Put(&v)
		}
	}
	changes(t, "direct-mode", mode(intent.ModeDirect), mode(intent.ModeRouter))
}

// TestMove shows the three steps of a port's move: the new host makes it too, all
// switch to that host, the old host lets go.
func TestMove(t *testing.T) {
	move := func(m *intent.Move) func(*intent.World) {
		return func(w *intent.World) {
			p := *w.Ports["vm1"]
			p.Node, p.Move = "host2", m
			w.Put(&p)
		}
	}
	changes(t, "move", move(&intent.Move{From: "host1"}), move(&intent.Move{From: "host1", Switched: true}), move(nil))
}

func TestDeviceNamesFit(t *testing.T) {
	long := strings.Repeat("a", intent.MaxName)
	for _, name := range []string{"vm1", "exactly-12-ch", "twelve-chars", long, long[1:] + "b"} {
		for _, dev := range []string{compile.PortDevice(name), compile.BridgeDevice(name)} {
			if len(dev) > 15 {
				t.Errorf("%s is longer than 15 characters", dev)
			}
		}
	}
	if compile.PortDevice("vm1") != "vp_vm1" || compile.BridgeDevice("net1") != "br_net1" {
		t.Error("a short name should be kept whole")
	}
	if compile.PortDevice(long) == compile.PortDevice(long[1:]+"b") {
		t.Error("two long names should differ")
	}
}

func TestUnknownNodeHasNoState(t *testing.T) {
	if m := compile.Node(twoHosts(), "nobody"); m != nil {
		t.Errorf("got %v", m)
	}
}
