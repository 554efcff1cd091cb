package lab

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/netstate"
)

const graphed = `kind: Lab
name: small
networks:
  - {name: lan, cidr: 192.168.56.0/24}
  - {name: wan, cidr: 203.0.113.0/24}
machines:
  - name: r1
    interfaces:
      - {name: eth0, network: lan, address: 192.168.56.1}
      - {name: eth1, network: wan, address: 203.0.113.2}
---
{kind: Node, name: r1, role: router, address: 192.168.56.1, interface: eth0, uplink: eth1}
---
{kind: Node, name: h1, role: host, address: 192.168.56.11, interface: eth0}
---
{kind: Node, name: h2, role: host, address: 192.168.56.12, interface: eth0}
---
{kind: VPC, name: main, cidrs: [10.10.0.0/16], mode: router, table: 5001}
---
{kind: VPC, name: other, cidrs: [10.20.0.0/16], mode: router, table: 5002}
---
{kind: Subnet, name: a, vpc: main, cidr: 10.10.1.0/24, gateway: 10.10.1.1, bridge: 10.10.1.2, router: r1, table: 10001, nat: true}
---
{kind: Subnet, name: b, vpc: main, cidr: 10.10.2.0/24, gateway: 10.10.2.1, bridge: 10.10.2.2, router: r1, table: 10002}
`

// smallLab has VMs of subnet a on h1, with the last octets, and one of b on h2.
func smallLab(t *testing.T, octets ...string) *Plan {
	t.Helper()
	text := graphed
	for _, o := range octets {
		text += "---\n{kind: Port, name: vm" + o + ", subnet: a, node: h1, address: 10.10.1." + o + ", mac: '0a:00:00:00:00:" + o + "', attach: {type: tap}}\n"
	}
	text += "---\n{kind: Port, name: far, subnet: b, node: h2, address: 10.10.2.9, mac: '0a:00:00:00:01:09', attach: {type: tap}}\n"
	p, err := Parse("small.yaml", []byte(text), "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shown returns the texts of a picture, one a line.
func shown(svg []byte) string {
	var lines []string
	for _, m := range regexp.MustCompile(`(?m)^<text[^>]*>([^<]*)</text>$`).FindAllStringSubmatch(string(svg), -1) {
		lines = append(lines, m[1])
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestGraphTellsWhatIsThere(t *testing.T) {
	p := smallLab(t, "10", "11")
	text := shown(p.Graph(p.Intent, false).SVG())
	for _, want := range []string{
		"small\n2 hosts, 1 router, 2 VPCs, 2 subnets, 3 VMs\n",
		"wan\n203.0.113.0/24\nlan\n192.168.56.0/24\n", // the hosts' network is the lowest
		"r1\nrouter\na\ngateway\n10.10.1.1\nNAT\nb\ngateway\n10.10.2.1\n",
		"eth1\n203.0.113.2\n",
		"h1\nhost\na\nbr_a 10.10.1.2\nvm10\n10.10.1.10\nvm11\n10.10.1.11\n",
		"h2\nhost\nb\nbr_b 10.10.2.2\nfar\n10.10.2.9\n",
		"VPC main\n10.10.0.0/16\na\n10.10.1.0/24\nNAT\nb\n10.10.2.0/24\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture lacks\n%s\nin\n%s", want, text)
		}
	}
	if strings.Contains(text, "table") {
		t.Errorf("tables that nobody asked for:\n%s", text)
	}
}

func TestGraphFoldsRoutes(t *testing.T) {
	p := smallLab(t, "10", "11", "12", "13")
	text := shown(p.Graph(p.Intent, true).SVG())
	for _, want := range []string{
		"table 10000\nfrom eth0\n10.10.1.0/24: 4 VMs\nbr_a\n10.10.0.0/16, 10.20.0.0/16\nunreachable\n",
		"table 5001\nVPC main, from br_a\n10.10.1.0/24: 4 VMs\nbr_a\ntable 10001\nthen from br_a\n10.10.1.0/24\nvia r1\n10.10.2.0/24\nvia r1\n10.10.0.0/16\nunreachable\n10.20.0.0/16\nprohibit\ndefault\nvia r1\n",
		"table main\neverything else\n10.10.1.0/24: 4 VMs\nvia h1\n10.10.2.9\nvia h2\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture lacks\n%s\nin\n%s", want, text)
		}
	}
	p.Intent.VPCs[0].Mode = intent.ModeDirect
	text = shown(p.Graph(p.Intent, true).SVG())
	for _, want := range []string{
		"table 5001\nVPC main, from br_b\n10.10.1.0/24: 4 VMs\nvia h1\n10.10.2.9\nbr_b\ntable 10002\n",
		"VPC main\n10.10.0.0/16\ndirect\na\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("in direct mode the picture lacks\n%s\nin\n%s", want, text)
		}
	}
	p = smallLab(t, "10", "11", "12")
	if text := shown(p.Graph(p.Intent, true).SVG()); !strings.Contains(text, "10.10.1.10, .11, .12\nvia h1\n") {
		t.Errorf("three routes are not on one line:\n%s", text)
	}
}

// TestGraphSharesTables draws a VPC's table once for all its bridges, and below it the
// tables of its subnets, before anything of another VPC.
func TestGraphSharesTables(t *testing.T) {
	p := smallLab(t, "10")
	for _, o := range p.Intent.Ports {
		o.Node = "h1"
	}
	const one = "table 5001\nVPC main, from br_a, br_b\n10.10.1.10\nbr_a\n10.10.2.9\nbr_b\n"
	const two = "tables 10001, 10002\nthen from br_a, br_b\n10.10.1.0/24\nvia r1\n"
	text := shown(p.Graph(p.Intent, true).SVG())
	if !strings.Contains(text, one+two) || strings.Count(text, "5001") != 1 {
		t.Errorf("the picture lacks\n%s%s\nin\n%s", one, two, text)
	}
	for _, s := range p.Intent.Subnets {
		if s.Name == "b" {
			s.VPC = "other"
		}
	}
	text = shown(p.Graph(p.Intent, true).SVG())
	var order []string
	_, text, _ = strings.Cut(text, "\nh1\n")
	text, _, _ = strings.Cut(text, "\nh2\n")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "table") {
			order = append(order, strings.TrimSpace(line))
		}
	}
	if got := strings.Join(order, ", "); got != "table 5001, table 10001, table 5002, table 10002, table 10000, table main" {
		t.Errorf("the order is %s", got)
	}
}

func TestGraphShowsWhatIsMissing(t *testing.T) {
	p := smallLab(t, "10", "11")
	w := intent.NewWorld(p.Intent.Objects()...)
	want := compile.Node(w, "h1")[""]
	have := &netstate.State{}
	for _, r := range want.Rules {
		if r.Iif != "eth0" {
			have.Rules = append(have.Rules, r)
		}
	}
	for _, r := range want.Routes {
		if r.Dst.String() != "10.10.1.11/32" || r.Table != 5001 {
			have.Routes = append(have.Routes, r)
		}
	}
	text := shown(p.picture(p.Intent, map[string]*nodeState{"h1": {want: want, have: have}}).SVG())
	for _, want := range []string{
		"from eth0: rule missing\n",
		"table 5001\nVPC main, from br_a\n10.10.1.10\nbr_a\n10.10.1.11\nbr_a: missing\ntable 10001\nthen from br_a\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture lacks\n%s\nin\n%s", want, text)
		}
	}
	if strings.Count(text, "missing") != 2 {
		t.Errorf("more is missing than is:\n%s", text)
	}
}

func TestGraphLeavesTheFileAlone(t *testing.T) {
	data, err := os.ReadFile("../../examples/three-vpcs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse("three-vpcs.yaml", data, "")
	if err != nil {
		t.Fatal(err)
	}
	first := p.Intent.Subnets[0].Name
	if a, b := p.Graph(p.Intent, false).SVG(), p.Graph(p.Intent, false).SVG(); string(a) != string(b) || p.Intent.Subnets[0].Name != first {
		t.Error("drawing changes what is drawn")
	}
}
