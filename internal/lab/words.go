package lab

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// Words are a topology in Mininet's words, put into Sarn's world: a Mininet host is a
// VM; a switch that has hosts is a host node, whose bridges switch for its VMs; a
// switch that has only switches is a network. What Sarn adds is a router.
type Words struct {
	word   string
	counts []int // the word's numbers
}

// word describes one of Mininet's words.
type word struct {
	name    string
	numbers []string // their names
	initial []int    // their values if they are left out, as Mininet has them
}

var mininetWords = []word{
	{"single", []string{"k"}, []int{2}},
	{"linear", []string{"k", "n"}, []int{2, 1}},
	{"tree", []string{"depth", "fanout"}, []int{1, 2}},
}

const (
	// A bridge has so many ports (BR_MAX_PORTS, net/bridge/br_private.h): a host's VMs,
	// or a network's cables.
	mostPorts = 1023
	// mostVMs is how many fit into the one subnet, a /16, beside gateway and bridge.
	mostVMs = 1<<16 - 4
)

// ParseWords reads words such as "single,4", "linear,8" and "tree,depth=2,fanout=4".
// The numbers go by their place or by their names; those left out are Mininet's own.
func ParseWords(text string) (*Words, error) {
	parts := strings.Split(text, ",")
	at := slices.IndexFunc(mininetWords, func(w word) bool { return w.name == parts[0] })
	if at < 0 {
		return nil, fmt.Errorf("%q is not a topology; use single,VMS or linear,HOSTS[,VMS] or tree,depth=D,fanout=F", text)
	}
	w := mininetWords[at]
	counts := slices.Clone(w.initial)
	for i, part := range parts[1:] {
		name, value, named := strings.Cut(part, "=")
		if named {
			i = slices.Index(w.numbers, name)
		} else {
			value = part
		}
		if i < 0 || i >= len(w.numbers) {
			return nil, fmt.Errorf("%q: %q is too much; %s has %s", text, part, w.name, strings.Join(w.numbers, " and "))
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q: %q is not a number from 1 on", text, value)
		}
		counts[i] = n
	}
	t := &Words{w.name, counts}
	return t, t.check()
}

// check says what is too big.
func (t *Words) check() error {
	var cables, vms int // at most: of a network, of a host
	total := 1
	times := func(n int) {
		if total <= mostVMs { // beyond, only that it is matters
			total *= n
		}
	}
	switch t.word {
	case "single":
		cables, vms, total = 1, t.counts[0], t.counts[0]
	case "linear":
		cables, vms = t.counts[0], t.counts[1]
		times(cables)
		times(vms)
	case "tree":
		cables, vms = t.counts[1], t.counts[1]
		for range min(t.counts[0], 17) {
			times(t.counts[1])
		}
		if t.counts[1] == 1 && t.counts[0] > 16 {
			return errors.New("a tree deeper than 16 is a very long cable; use a depth of at most 16")
		}
	}
	switch {
	case vms > mostPorts:
		return fmt.Errorf("%d VMs on one host: a Linux bridge has at most %d ports; use linear,HOSTS,VMS to spread them", vms, mostPorts)
	case cables+2 > mostPorts:
		return fmt.Errorf("%d cables in one network: a Linux bridge has at most %d ports", cables, mostPorts)
	case total > mostVMs:
		return fmt.Errorf("more than %d VMs do not fit into one subnet", mostVMs)
	}
	return nil
}

// Name returns the name of the lab: single-4, linear-8, tree-2-4.
func (t *Words) Name() string {
	name := t.word
	for i, n := range t.counts {
		if t.word == "linear" && i == 1 && n == 1 {
			break
		}
		name += "-" + strconv.Itoa(n)
	}
	return name
}

// YAML returns the file of a lab of that name; without one it is called after the words.
func (t *Words) YAML(name string) []byte {
	d := drawing{Name: cmp.Or(name, t.Name()), LAN: "lan", VPC: "10.10.0.0/16"}
	switch t.word {
	case "single":
		d.host("", t.counts[0])
	case "linear":
		for range t.counts[0] {
			d.host("", t.counts[1])
		}
	case "tree":
		d.tree(t.counts[0], t.counts[1], "")
	}
	d.place()
	var b bytes.Buffer
	if err := labTemplate.Execute(&b, d); err != nil {
		panic(fmt.Sprintf("lab: the template of a topology: %v", err)) // it is a constant
	}
	return b.Bytes()
}

// drawing is what the file is written from.
type drawing struct {
	Name, LAN   string
	CIDR        netip.Prefix // of the LAN
	VPC, Subnet string
	Router      netip.Addr
	Switches    []drawnSwitch // below the LAN's first
	Hosts       []drawnHost
	VMs         []drawnVM
}

type drawnSwitch struct{ Name, Uplink string }

type drawnHost struct {
	Name, Switch string // Switch is empty if there is but one
	Address      netip.Addr
}

type drawnVM struct{ Name, Host string }

func (d *drawing) host(on string, vms int) {
	h := drawnHost{Name: fmt.Sprintf("host%d", len(d.Hosts)+1), Switch: on}
	d.Hosts = append(d.Hosts, h)
	for range vms {
		d.VMs = append(d.VMs, drawnVM{fmt.Sprintf("vm%d", len(d.VMs)+1), h.Name})
	}
}

// tree draws a Mininet switch and what is below it: the lowest are hosts, the others
// networks.
func (d *drawing) tree(depth, fanout int, uplink string) {
	if depth == 1 {
		d.host(uplink, fanout)
		return
	}
	name := fmt.Sprintf("switch%d", len(d.Switches)+1)
	d.Switches = append(d.Switches, drawnSwitch{name, uplink})
	for range fanout {
		d.tree(depth-1, fanout, name)
	}
}

// place gives out addresses, and the LAN's name to the highest switch.
func (d *drawing) place() {
	const firstHost = 10 // after the router and some room, as in the examples
	if len(d.Switches) > 0 {
		d.LAN, d.Switches = d.Switches[0].Name, d.Switches[1:]
	}
	if len(d.Switches) == 0 {
		for i := range d.Hosts {
			d.Hosts[i].Switch = "" // where there is one network the address tells
		}
	}
	first := netip.AddrFrom4([4]byte{192, 168, 56, 0})
	bits := fitting(24, len(d.Hosts)+firstHost+2)
	d.CIDR = netip.PrefixFrom(first, bits).Masked()
	d.Router = d.CIDR.Addr().Next()
	at := d.Router
	for range firstHost - 1 {
		at = at.Next()
	}
	for i := range d.Hosts {
		at = at.Next()
		d.Hosts[i].Address = at
	}
	bits = fitting(24, len(d.VMs)+4)
	d.Subnet = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 10, 10, 0}), bits).Masked().String()
}

// fitting returns the prefix length, at most most, of a block that holds n addresses.
func fitting(most, n int) int {
	for 1<<(32-most) < n {
		most--
	}
	return most
}

var labTemplate = template.Must(template.New("lab").Parse(`# {{len .Hosts}} host{{if gt (len .Hosts) 1}}s{{end}} and {{len .VMs}} VMs in one subnet, and a router.
kind: Lab
name: {{.Name}}
networks:
  - {name: {{.LAN}}, cidr: {{.CIDR}}}
{{- range .Switches}}
  - {name: {{.Name}}, uplink: {{.Uplink}}}
{{- end}}
{{- if .Switches}}
machines:
{{- range .Hosts}}
  - name: {{.Name}}
    interfaces: [{name: eth0, network: {{.Switch}}, address: {{.Address}}}]
{{- end}}
{{- end}}
---
{kind: Node, name: router, role: router, address: {{.Router}}, interface: eth0}
{{- range .Hosts}}
---
{kind: Node, name: {{.Name}}, role: host, address: {{.Address}}, interface: eth0}
{{- end}}
---
{kind: VPC, name: main, cidrs: [{{.VPC}}]}
---
{kind: Subnet, name: net1, vpc: main, cidr: {{.Subnet}}}
{{- range .VMs}}
---
{kind: Port, name: {{.Name}}, subnet: net1, node: {{.Host}}}
{{- end}}
`))
