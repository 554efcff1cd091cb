package lab

import (
	"strings"
	"testing"
	"time"

	"sarn/internal/netstate"
)

// grown has a cable, an uplink and a VM of its own kernel.
const grown = `kind: Lab
name: grown
networks:
  - {name: lan, cidr: 192.168.56.0/24}
  - name: annex
    uplink: lan
    bandwidth: 1gbit
machines:
  - name: host1
    interfaces:
      - {name: eth0, network: annex, address: 192.168.56.11, bandwidth: 1.5mbit, delay: 10ms, loss: 0.5%}
vms:
  - name: guest
    kind: qemu
---
{kind: Node, name: host1, role: host, address: 192.168.56.11, interface: eth0}
---
{kind: Node, name: router, role: router, address: 192.168.56.1, interface: eth0}
---
{kind: VPC, name: main, cidrs: [10.10.0.0/16]}
---
{kind: Subnet, name: net1, vpc: main, cidr: 10.10.10.0/24}
---
{kind: Port, name: guest, subnet: net1, node: host1, attach: {type: tap}}
`

func TestCables(t *testing.T) {
	p, err := Parse("grown.yaml", []byte(grown), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []Link{
		{Node: "annex", Interface: "to-lan", Network: "lan", Port: "to-annex", Cable: Cable{Bandwidth: 1e9}},
		{Node: "host1", Interface: "eth0", Network: "annex", Port: "to-host1", Cable: Cable{Bandwidth: 1.5e6, Delay: Delay(10 * time.Millisecond), Loss: 0.5}},
		{Node: "router", Interface: "eth0", Network: "lan", Port: "to-router"},
	}
	got := p.links()
	for i := range max(len(want), len(got)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("got  %+v\nwant %+v", got, want)
			break
		}
	}
	w := p.Wiring()
	tbf := netstate.Qdisc{Link: "to-annex", Kind: netstate.Tbf, Rate: 1e9, Burst: 625_000, Queue: 6_875_000}
	if q := w["lan"].Qdiscs; len(q) != 1 || q[0] != tbf {
		t.Errorf("at the lan: %+v", q)
	}
	netem := netstate.Qdisc{Link: "eth0", Kind: netstate.Netem, Rate: 1.5e6, Delay: 10 * time.Millisecond, Loss: 0.5, Queue: 1000}
	if q := w["host1"].Qdiscs; len(q) != 1 || q[0] != netem {
		t.Errorf("at host1: %+v", q)
	}
	if len(w["annex"].Qdiscs) != 2 || len(w["router"].Qdiscs) != 0 {
		t.Errorf("both ends have one, and whole cables none: %+v, %+v", w["annex"].Qdiscs, w["router"].Qdiscs)
	}

	err = p.possible(func(k netstate.QdiscKind) (bool, error) { return k == netstate.Netem, nil })
	if err == nil || !strings.HasPrefix(err.Error(), `grown.yaml:11: lab "grown": machines.host1.interfaces.eth0.delay: this kernel has no netem`) || strings.Contains(err.Error(), "\n") {
		t.Errorf("without netem: %v", err)
	}
	if err := p.possible(func(netstate.QdiscKind) (bool, error) { return false, nil }); err != nil {
		t.Errorf("with everything: %v", err)
	}
}

func TestGrownLabsTellWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"no unit", "1gbit", "100", `grown.yaml:7: "100" is not a bandwidth; write it like 100mbit`},
		{"bytes", "1gbit", "1gbyte", `"1gbyte" is not a bandwidth`},
		{"too slow", "1gbit", "1kbit", `"1kbit" is not a bandwidth that can be had; use 8kbit to 100gbit`},
		{"no time", "delay: 10ms", "delay: 10", `grown.yaml:11: "10" is not a time; write it like 10ms`},
		{"back in time", "delay: 10ms", "delay: -10ms", `use 1us to 1m`},
		{"no per cent", "0.5%", "0.5", `"0.5" is not a loss; write it like 1%`},
		{"all and more", "0.5%", "101%", `at most 100%`},
		{"not a number", "0.5%", "NaN%", `is not a loss`},
		{"cable to nowhere", "    uplink: lan\n", "    cidr: 10.0.0.0/24\n", `networks.annex: bandwidth, delay and loss are those of the cable to an uplink`},
		{"uplink and cidr", "    uplink: lan\n", "    uplink: lan\n    cidr: 10.0.0.0/24\n", `grown.yaml:7: lab "grown": networks.annex.cidr: is its uplink's`},
		{"no such uplink", "uplink: lan", "uplink: wan", `grown.yaml:6: lab "grown": networks.annex.uplink: there is no network "wan"`},
		{"its own uplink", "uplink: lan", "uplink: annex", `networks.annex.uplink: goes round in a circle`},
		{"outside the LAN", "address: 192.168.56.11, bandwidth", "address: 192.168.57.11, bandwidth", `192.168.57.11 is outside 192.168.56.0/24 of network "annex"`},
		{"no port", "{kind: Port, name: guest", "{kind: Port, name: other", `grown.yaml:13: lab "grown": vms.guest.name: there is no port "guest"`},
		{"a port of another kind", "attach: {type: tap}", "attach: {type: netns}", `the port "guest" is not for a VM of this kind; give it ` + "`attach: {type: tap}`"},
		{"another kind", "kind: qemu", "kind: xen", `grown.yaml:14: lab "grown": vms.guest.kind: "xen" is not a kind of VM; use qemu`},
		{"twice", "    kind: qemu\n", "    kind: qemu\n  - {name: guest, kind: qemu}\n", `there is a VM "guest" already`},
		{"no number", "kind: qemu", "memory: 1.5", `1.5 is not a whole number`},
	} {
		text := strings.Replace(grown, c.old, c.new, 1)
		if text == grown {
			t.Fatalf("the text has no %q to replace", c.old)
		}
		if _, err := Parse("grown.yaml", []byte(text), ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", c.name, err, c.want)
		}
	}
}

func TestCablesInWords(t *testing.T) {
	for text, want := range map[string]string{"100mbit": "100mbit", "1000kbit": "1mbit", "1.5gbit": "1.5gbit", "8000bit": "8kbit", "10GBIT": "10gbit"} {
		var b Bandwidth
		if err := b.UnmarshalText([]byte(text)); err != nil || b.String() != want {
			t.Errorf("%s became %s, %v", text, b, err)
		}
	}
	if s := (Bandwidth(0).String() + Delay(0).String() + Loss(0).String()); s != "" {
		t.Errorf("none is %q", s)
	}
}
