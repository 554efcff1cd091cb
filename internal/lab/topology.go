package lab

import (
	"fmt"
	"net/netip"
	"regexp"

	"sarn/internal/intent"
)

// Topology is the `kind: Lab` document: what is cabled to what.
type Topology struct {
	Name     string    `json:"name"`
	Networks []Network `json:"networks"`
	Machines []Machine `json:"machines,omitempty"`
	VMs      []VM      `json:"vms,omitempty"`
}

// Network is a switch that machines are cabled to. One without an Uplink is a LAN of
// its own, with a CIDR; one that has an Uplink is a part of that switch's LAN.
type Network struct {
	Name   string           `json:"name"`
	CIDR   intent.CIDR      `json:"cidr,omitzero"`
	Uplink string           `json:"uplink,omitempty"` // another network
	Cable  `yaml:",inline"` // to the uplink
}

// Machine is a computer of the lab. It is a Node of Sarn's if a Node document has its
// name; otherwise it is the world around: an internet, a client, a printer.
type Machine struct {
	Name       string      `json:"name"`
	Interfaces []Interface `json:"interfaces"`
	Gateway    intent.Addr `json:"gateway,omitzero"`
}

// Interface is a machine's network card, cabled to a network.
type Interface struct {
	Name    string      `json:"name"`
	Network string      `json:"network"`
	Address intent.Addr `json:"address"`
	Cable   `yaml:",inline"`
}

var nameRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// check collects field errors. Fields of list elements are named by the element's
// name, as in "machines.router.gateway", which intent.Document.LineOf understands.
type check struct{ errs []intent.FieldError }

func (c *check) fail(field, format string, args ...any) {
	c.errs = append(c.errs, intent.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// element names one element of a list: by its name, or by its place if it has none.
func element(list string, i int, name string) string {
	if name == "" {
		return fmt.Sprintf("%s.%d", list, i)
	}
	return list + "." + name
}

func (c *check) name(field, name string) bool {
	switch {
	case name == "":
		c.fail(field, "is missing")
	case len(name) > intent.MaxName || !nameRE.MatchString(name):
		c.fail(field, "%q is not a name; use at most %d lower-case letters, digits and '-'", name, intent.MaxName)
	default:
		return true
	}
	return false
}

// Validate reports what is wrong with the topology seen alone.
func (t *Topology) Validate() []intent.FieldError {
	var c check
	c.name("name", t.Name)
	if len(t.Networks) == 0 {
		c.fail("networks", "is missing; a lab has at least one network")
	}
	taken := map[string]string{} // name -> what has it
	for i, n := range t.Networks {
		field := element("networks", i, n.Name)
		if c.name(field+".name", n.Name) {
			c.unique(taken, field, n.Name, "network")
		}
		t.segment(&c, field, n, t.Networks[:i])
	}
	held := map[netip.Addr]string{}
	for i, m := range t.Machines {
		field := element("machines", i, m.Name)
		if c.name(field+".name", m.Name) {
			c.unique(taken, field, m.Name, "machine")
		}
		t.machine(&c, field, m, held)
	}
	t.vms(&c)
	return c.errs
}

// segment checks a network's address block, or the uplink that it has instead.
func (t *Topology) segment(c *check, field string, n Network, others []Network) {
	switch {
	case n.Uplink == "":
		c.block(field+".cidr", n.CIDR, others)
		if n.Cable != (Cable{}) {
			c.fail(field, "bandwidth, delay and loss are those of the cable to an uplink, and this network has none; give them to machines' interfaces")
		}
	case t.network(n.Uplink) == nil:
		c.fail(field+".uplink", "there is no network %q", n.Uplink)
	case n.CIDR.IsValid():
		c.fail(field+".cidr", "is its uplink's: this network is a part of %s's LAN; leave one of the two out", n.Uplink)
	case t.root(n) == nil:
		c.fail(field+".uplink", "goes round in a circle; one of the networks is the highest, and has a cidr instead")
	}
}

// root returns the network whose LAN n is a part of, or nil if its uplinks lead nowhere.
func (t *Topology) root(n Network) *Network {
	at := &n
	for range len(t.Networks) + 1 {
		if at.Uplink == "" {
			return at
		}
		if at = t.network(at.Uplink); at == nil {
			return nil
		}
	}
	return nil
}

// cidr returns the addresses of the LAN that the network is, or is a part of.
func (t *Topology) cidr(n Network) intent.CIDR {
	if root := t.root(n); root != nil {
		return root.CIDR
	}
	return intent.CIDR{}
}

func (c *check) unique(taken map[string]string, field, name, what string) {
	if other := taken[name]; other != "" {
		c.fail(field, "there is a %s %q already; names are unique in a lab", other, name)
	}
	taken[name] = what
}

func (c *check) block(field string, b intent.CIDR, others []Network) {
	switch {
	case !b.IsValid():
		c.fail(field, "is missing; give an address block, such as 192.168.56.0/24")
		return
	case b.Bits() < 8 || b.Bits() > 30:
		c.fail(field, "%s has not a usable size; use a prefix from /8 to /30", b)
	}
	for _, o := range others {
		if o.CIDR.IsValid() && o.CIDR.Overlaps(b.Prefix) {
			c.fail(field, "%s overlaps %s of network %q", b, o.CIDR, o.Name)
		}
	}
}

func (t *Topology) machine(c *check, field string, m Machine, held map[netip.Addr]string) {
	if len(m.Interfaces) == 0 {
		c.fail(field+".interfaces", "is missing; cable the machine to at least one network")
	}
	names := map[string]bool{}
	for i, f := range m.Interfaces {
		at := element(field+".interfaces", i, f.Name)
		if err := intent.CheckInterface(f.Name); err != nil {
			c.fail(at+".name", "%v", err)
		} else if names[f.Name] {
			c.fail(at, "the machine has an interface %q already", f.Name)
		}
		names[f.Name] = true
		n := t.network(f.Network)
		if n == nil {
			c.fail(at+".network", "there is no network %q", f.Network)
			continue
		}
		c.address(at+".address", f.Address, n.Name, t.cidr(*n), m.Name, held)
	}
	if m.Gateway.IsValid() && len(m.Interfaces) > 0 && t.towards(m, m.Gateway.Addr) == nil {
		c.fail(field+".gateway", "%s is on none of the machine's networks", m.Gateway)
	}
}

func (c *check) address(field string, a intent.Addr, network string, block intent.CIDR, machine string, held map[netip.Addr]string) {
	switch {
	case !block.IsValid():
	case !a.IsValid():
		c.fail(field, "is missing; give an address of %s", block)
	case !block.Contains(a.Addr):
		c.fail(field, "%s is outside %s of network %q", a, block, network)
	case a.Addr == block.First() || a.Addr == block.Last():
		c.fail(field, "%s is the first or last address of %s, which no machine can have", a, block)
	case held[a.Addr] != "":
		c.fail(field, "%s is %s's already", a, held[a.Addr])
	default:
		held[a.Addr] = machine
	}
}

func (t *Topology) network(name string) *Network {
	for i := range t.Networks {
		if t.Networks[i].Name == name {
			return &t.Networks[i]
		}
	}
	return nil
}

// towards returns the interface of m whose network holds a.
func (t *Topology) towards(m Machine, a netip.Addr) *Interface {
	for i := range m.Interfaces {
		n := t.network(m.Interfaces[i].Network)
		if n != nil && t.cidr(*n).Contains(a) {
			return &m.Interfaces[i]
		}
	}
	return nil
}
