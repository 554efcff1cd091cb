package lab

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sarn/internal/intent"
)

// answerTime is how long the lab's controller may take to answer before the lab is
// taken to be what its file says.
const answerTime = 2 * time.Second

// MemberKind says what a member of a lab is.
type MemberKind string

// The kinds of member.
const (
	NodeMember    MemberKind = "node"    // runs an agent
	MachineMember MemberKind = "machine" // the world around
	NetworkMember MemberKind = "network" // a switch
	VMMember      MemberKind = "vm"      // behind a port
)

// Member is anything in a lab that has a name.
type Member struct {
	Name    string     `json:"name"`
	Kind    MemberKind `json:"kind"`
	Address netip.Addr `json:"address,omitzero"` // a network has none
	Host    string     `json:"host,omitempty"`   // of a VM: the node that carries it
	Subnet  string     `json:"subnet,omitempty"` // of a VM
	// Netns is the file of the member's network namespace. A VM on a tap has none.
	Netns string `json:"netns,omitempty"`
	// Lines is the directory with the sockets of the serial lines of a VM that the lab runs.
	Lines string `json:"lines,omitempty"`
}

// Directory knows a lab's members by name and by address.
type Directory struct {
	Members []Member // networks, machines, nodes, VMs
	names   map[netip.Addr]string
	bridges map[netip.Addr]bool
	hosts   []string // lines of the hosts file
}

// Directory asks the controller for the VMs that there are now. While it does not
// answer, it goes by the lab's file: a broken lab must be open to a look inside.
func (l *Lab) Directory(ctx context.Context) (*Directory, error) {
	p, err := l.plan()
	if err != nil {
		return nil, err
	}
	now := p.Intent
	if s, err := l.current(ctx); err == nil {
		now = s
	}
	return l.directory(p, now), nil
}

func (l *Lab) current(ctx context.Context) (intent.Set, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var s intent.Set
	c, err := l.Client()
	if err != nil {
		return s, err
	}
	defer c.Close()
	for _, k := range []intent.Kind{intent.KindSubnet, intent.KindPort} {
		objects, err := c.List(ctx, k)
		if err != nil {
			return s, err
		}
		for _, o := range objects {
			s.Add(o)
		}
	}
	return s, nil
}

func (l *Lab) directory(p *Plan, now intent.Set) *Directory {
	d := &Directory{names: map[netip.Addr]string{}, bridges: map[netip.Addr]bool{}}
	for _, n := range p.Networks {
		d.Members = append(d.Members, Member{Name: n.Name, Kind: NetworkMember, Netns: l.netns(n.Name)})
	}
	for _, m := range p.Machines {
		d.Members = append(d.Members, d.machine(p, m, l.netns(m.Name)))
	}
	for _, s := range now.Subnets {
		if s.Gateway.IsValid() {
			d.names[s.Gateway.Addr] = s.Router
			d.host(s.Gateway.Addr, s.Name+"-gateway")
		}
		d.bridges[s.Bridge.Addr] = true
	}
	for _, o := range now.Ports {
		m := d.vm(o, l.guests(o.Serving()))
		if slices.ContainsFunc(p.VMs, func(v VM) bool { return v.Name == m.Name }) {
			m.Lines = l.path("vms", m.Name)
		}
		d.Members = append(d.Members, m)
	}
	slices.SortStableFunc(d.Members, func(a, b Member) int { return natural(a.Name, b.Name) })
	return d
}

func (d *Directory) machine(p *Plan, m Machine, netns string) Member {
	member := Member{Name: m.Name, Kind: MachineMember, Address: m.Interfaces[0].Address.Addr, Netns: netns}
	if n := p.node(m.Name); n != nil {
		member.Kind, member.Address = NodeMember, n.Address.Addr
	}
	for _, f := range m.Interfaces {
		d.names[f.Address.Addr] = m.Name
		if f.Address.Addr == member.Address {
			d.host(f.Address.Addr, m.Name)
		} else {
			d.host(f.Address.Addr, m.Name+"-"+f.Name)
		}
	}
	return member
}

func (d *Directory) vm(o *intent.Port, guests string) Member {
	m := Member{Name: o.Name, Kind: VMMember, Address: o.Address.Addr, Host: o.Serving(), Subnet: o.Subnet}
	if o.Attach.Type == intent.AttachNetns || o.Attach.Type == "" {
		name := o.Attach.Namespace
		if name == "" {
			name = o.Name
		}
		m.Netns = filepath.Join(guests, name)
	}
	if m.Address.IsValid() {
		d.names[m.Address] = m.Name
		d.host(m.Address, m.Name)
	}
	return m
}

func (d *Directory) host(a netip.Addr, name string) {
	d.hosts = append(d.hosts, fmt.Sprintf("%-15s %s", a, name))
}

// Hosts returns the members' names in the form of hosts(5).
func (d *Directory) Hosts() string {
	return "127.0.0.1       localhost\n" + strings.Join(d.hosts, "\n") + "\n"
}

// Find returns the member of that name.
func (d *Directory) Find(name string) (Member, error) {
	at := slices.IndexFunc(d.Members, func(m Member) bool { return m.Name == name })
	if at >= 0 {
		return d.Members[at], nil
	}
	return Member{}, fmt.Errorf("the lab has nothing called %q; it has %s", name, strings.Join(d.Names(), ", "))
}

// Names lists the names of all members.
func (d *Directory) Names() []string {
	names := make([]string, len(d.Members))
	for i, m := range d.Members {
		names[i] = m.Name
	}
	return names
}

// NameOf names the member that has the address, as from sees it: a subnet's bridge
// has the same address on every host, so it is the host that from is on.
func (d *Directory) NameOf(a netip.Addr, from Member) string {
	if name := d.names[a]; name != "" {
		return name
	}
	if d.bridges[a] {
		if from.Kind == VMMember {
			return from.Host
		}
		return from.Name
	}
	return a.String()
}

// Holder returns the member that has the address.
func (d *Directory) Holder(a netip.Addr) (Member, bool) {
	at := slices.IndexFunc(d.Members, func(m Member) bool { return m.Name == d.names[a] })
	if at < 0 {
		return Member{}, false
	}
	return d.Members[at], true
}

// natural orders names as people do: vm2 before vm10.
func natural(a, b string) int {
	for a != "" && b != "" {
		na, ra := digits(a)
		nb, rb := digits(b)
		switch {
		case na != "" && nb != "":
			na, nb = strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
			if len(na) != len(nb) {
				return len(na) - len(nb)
			}
			if c := strings.Compare(na, nb); c != 0 {
				return c
			}
			a, b = ra, rb
		case a[0] != b[0]:
			return int(a[0]) - int(b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
	return len(a) - len(b)
}

// digits cuts the digits off that s begins with.
func digits(s string) (number, rest string) {
	rest = strings.TrimLeft(s, "0123456789")
	return s[:len(s)-len(rest)], rest
}
