package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

func TestWiring(t *testing.T) {
	p := example(t, "two-hosts")
	ops, err := Owner().Diff(p.Wiring(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, op := range ops {
		commands = append(commands, Owner().Command(op))
	}
	all := strings.Join(commands, "\n")
	for _, want := range []string{
		"ip netns add lan",
		"ip netns add internet",
		"ip -n lan link add bridge type bridge",
		"ip -n lan link add to-host1 type veth peer name enp0s8 netns host1",
		"ip -n lan link set to-host1 master bridge",
		"ip -n host1 link set enp0s8 alias 'lab two-hosts'",
		"ip -n host1 address add 192.168.56.103/24 dev enp0s8",
		"ip -n wan link add to-router type veth peer name enp0s3 netns router",
		"ip -n router link set lo up",
		" default via 203.0.113.1 dev enp0s3 proto 84",
	} {
		if !strings.Contains(all+"\n", want) {
			t.Errorf("no command %q in\n%s", want, all)
		}
	}
	if strings.Contains(all, "ip link") || strings.Contains(all, "ip address") {
		t.Errorf("the machine's own network is touched:\n%s", all)
	}
}

// What the lab wires must not look like an agent's: an agent deletes what bears its
// mark and is not wanted.
func TestAgentsLeaveTheWiringAlone(t *testing.T) {
	for name, s := range example(t, "two-hosts").Wiring() {
		for _, l := range s.Links {
			if netstate.Sarn().Owns(l.Alias) {
				t.Errorf("%s/%s bears the agents' mark: %q", name, l.Name, l.Alias)
			}
		}
	}
	if Owner().Owns(netstate.Mark) || Owner().Protocol == netstate.Protocol {
		t.Error("lab and agents are one owner")
	}
}

func TestCablesHaveNamesThatTheKernelTakes(t *testing.T) {
	p := &Plan{Topology: Topology{Name: "x", Networks: []Network{{Name: "lan", CIDR: intent.MustCIDR("10.0.0.0/16")}}}}
	for i := range 20 {
		m := Machine{Name: fmt.Sprintf("a-machine-with-quite-a-long-name-%d", i)}
		for j := range 3 {
			address := intent.Addr{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i), byte(1 + j)})}
			m.Interfaces = append(m.Interfaces, Interface{Name: fmt.Sprintf("eth%d", j), Network: "lan", Address: address})
		}
		p.Machines = append(p.Machines, m)
	}
	var names []string
	for _, l := range p.Wiring()["lan"].Links {
		if len(l.Name) > 15 {
			t.Errorf("%s has %d characters", l.Name, len(l.Name))
		}
		names = append(names, l.Name)
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) || n != 62 {
		t.Errorf("%d names for %d devices: %v", n, len(names), names)
	}
}
