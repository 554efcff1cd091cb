package lab

import (
	"os"
	"strings"
	"testing"

	"sarn/internal/intent"
)

const smallest = `kind: Lab
name: small
networks:
  - name: lan
    cidr: 192.168.56.0/24
machines:
  - name: router
    interfaces:
      - {name: eth0, network: lan, address: 192.168.56.1}
---
kind: Node
name: router
role: router
address: 192.168.56.1
interface: eth0
---
kind: Node
name: host1
role: host
address: 192.168.56.11
interface: eth0
`

func TestParse(t *testing.T) {
	p, err := Parse("small.yaml", []byte(smallest), "")
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "small" || len(p.Intent.Nodes) != 2 {
		t.Errorf("got lab %q with %d nodes, want small with 2", p.Name, len(p.Intent.Nodes))
	}
	m := p.machineNamed("host1")
	if m == nil {
		t.Fatal("host1 has no machine")
	}
	want := Interface{Name: "eth0", Network: "lan", Address: intent.MustAddr("192.168.56.11")}
	if len(m.Interfaces) != 1 || m.Interfaces[0] != want {
		t.Errorf("host1 has the interfaces %v, want only %v", m.Interfaces, want)
	}
	if p, err = Parse("small.yaml", []byte(smallest), "other"); err != nil || p.Name != "other" {
		t.Errorf("with a name of its own: %q, %v", p.Name, err)
	}
}

func TestParseTellsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		want           string
	}{
		{"no lab", "kind: Lab\nname: small\n", "kind: Node\nname: small\n", `unknown field "`},
		{"lab's name", "name: small", "name: Small!", `small.yaml:2: lab "Small!": name: "Small!" is not a name; use at most 40 lower-case letters, digits and '-'`},
		{"unknown field", "    cidr:", "    color: red\n    cidr:", `unknown field "color"`},
		{"no networks", "networks:\n  - name: lan\n    cidr: 192.168.56.0/24\n", "networks: []\n", `small.yaml:3: lab "small": networks: is missing`},
		{"no such network", "network: lan, address: 192.168.56.1}", "network: wan, address: 192.168.56.1}", `small.yaml:9: lab "small": machines.router.interfaces.eth0.network: there is no network "wan"`},
		{"address outside", "address: 192.168.56.1}", "address: 192.168.57.1}", `small.yaml:9: lab "small": machines.router.interfaces.eth0.address: 192.168.57.1 is outside 192.168.56.0/24 of network "lan"`},
		{"last address", "address: 192.168.56.1}", "address: 192.168.56.255}", `the first or last address of 192.168.56.0/24`},
		{"loopback", "{name: eth0, network: lan", "{name: lo, network: lan", `small.yaml:9: lab "small": machines.router.interfaces.lo.name: "lo" is a name that the kernel keeps`},
		{"template", "{name: eth0, network: lan", "{name: 'eth%d', network: lan", `"eth%d" is not an interface name`},
		{"more than 15 bytes", "{name: eth0, network: lan", "{name: ééééééééé, network: lan", `"ééééééééé" is not an interface name`},
		{"odd space", "{name: eth0, network: lan", "{name: \"a\u2003b\", network: lan", `is not an interface name`},
		{"no name", "{name: eth0, network: lan", "{network: lan", `"" is not an interface name`},
		{"same network twice", "machines:", "  - {name: wan, cidr: 192.168.0.0/16}\nmachines:", `small.yaml:6: lab "small": networks.wan.cidr: 192.168.0.0/16 overlaps 192.168.56.0/24 of network "lan"`},
		{"machine like network", "  - name: router", "  - name: lan", `there is a network "lan" already`},
		{"gateway nowhere", "---\nkind: Node\nname: router", "    gateway: 10.0.0.1\n---\nkind: Node\nname: router", `small.yaml:10: lab "small": machines.router.gateway: 10.0.0.1 is on none of the machine's networks`},
		{"node is not its machine", "address: 192.168.56.1\n", "address: 192.168.56.2\n", `small.yaml:14: node "router": address: the lab's machine "router" has no interface eth0 with the address 192.168.56.2`},
		{"node on no network", "address: 192.168.56.11", "address: 10.0.0.11", `node "host1": address: no network of the lab holds 10.0.0.11`},
		{"node's address taken", "address: 192.168.56.11", "address: 192.168.56.1", `node "host1": address: 192.168.56.1 is router's already`},
		{"unknown uplink", "role: router\n", "role: router\nuplink: eth9\n", `node "router": uplink: the lab's machine "router" has no interface eth9`},
		{"node alone", "role: host", "role: hots", `node "host1": role: "hots" is not a role`},
		{"port like machine", "kind: Node\nname: host1", "kind: Port\nname: router\nsubnet: a\nnode: host1\n---\nkind: Node\nname: host1", `port "router": name: a machine or network of the lab has this name already`},
		{"empty", smallest, "", "small.yaml:1: has no `kind: Lab` document"},
		{"two labs", "---\nkind: Node\nname: host1", "---\nkind: Lab\nname: more\n---\nkind: Node\nname: host1", "a file describes one lab, and line 1 has one already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(smallest, c.old, c.new, 1)
			if text == smallest {
				t.Fatalf("the text has no %q to replace", c.old)
			}
			_, err := Parse("small.yaml", []byte(text), "")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func example(t *testing.T, name string) *Plan {
	t.Helper()
	file := "../../examples/" + name + ".yaml"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(file, data, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var examples = []string{"one-host", "two-hosts", "three-vpcs", "slow-links", "virtual-machine"}

func TestExamplesAreRight(t *testing.T) {
	for _, name := range examples {
		p := example(t, name)
		if p.Name != name {
			t.Errorf("examples/%s.yaml calls its lab %s", name, p.Name)
		}
		file := "../../examples/" + name + ".test.yaml"
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all, err := ParseExpectations(file, data)
		if err != nil {
			t.Fatal(err)
		}
		l := (&Labs{dir: "/run"}).named(name)
		if _, err := l.directory(p, p.Intent).resolve(all); err != nil && !strings.Contains(err.Error(), "has no address") {
			t.Error(err)
		}
	}
}
