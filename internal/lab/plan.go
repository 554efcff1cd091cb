package lab

import (
	"fmt"
	"net/netip"
	"slices"

	"sarn/internal/intent"
)

// Plan is what a lab's file asks for: its wiring, and the intent that its controller
// is given.
type Plan struct {
	Topology
	Intent intent.Set

	docs []intent.Document // to say where a problem stands
}

// Extra lets intent.Decode read the documents of labs' files that are not intent.
func Extra() intent.Extra {
	return intent.Extra{
		"Lab":     func() any { return new(Topology) },
		"LabTest": func() any { return new(expectations) },
	}
}

// Parse reads a lab's file. A name that is not empty replaces the file's own. What is
// wrong is reported as intent.Problems, with lines.
func Parse(file string, data []byte, name string) (*Plan, error) {
	docs, err := intent.Decode(file, data, Extra())
	if err != nil {
		return nil, err
	}
	p := Plan{docs: docs}
	var wiring *intent.Document
	for i, d := range docs {
		switch v := d.Value.(type) {
		case intent.Object:
			p.Intent.Add(v)
		case *Topology:
			if wiring != nil {
				return nil, intent.Problems{problem(d, "", intent.FieldError{Message: fmt.Sprintf("a file describes one lab, and line %d has one already", wiring.Line)})}
			}
			wiring, p.Topology = &docs[i], *v
		}
	}
	if wiring == nil {
		return nil, lacks(file, "has no `kind: Lab` document: it says what the lab's networks and machines are")
	}
	if name != "" {
		p.Name = name
	}
	ps := intent.Locate(p.Intent.Check(), docs)
	for _, e := range p.Topology.Validate() {
		ps = append(ps, problem(*wiring, p.Name, e))
	}
	if len(ps) == 0 {
		ps = intent.Locate(p.place(), docs)
		for _, e := range p.plugged() {
			ps = append(ps, problem(*wiring, p.Name, e))
		}
	}
	if len(ps) > 0 {
		return nil, ps
	}
	return &p, nil
}

// Locate says where in the lab's file the problems of its objects stand.
func (p *Plan) Locate(ps intent.Problems) intent.Problems { return intent.Locate(ps, p.docs) }

// lacks says what a whole file has not.
func lacks(file, message string) intent.Problems {
	return intent.Problems{{File: file, Line: 1, FieldError: intent.FieldError{Message: message}}}
}

func problem(d intent.Document, name string, e intent.FieldError) intent.Problem {
	return intent.Problem{
		Ref: intent.Ref{Kind: "lab", Name: name}, FieldError: e,
		File: d.File, Line: d.LineOf(e.Field),
	}
}

// problem says what is wrong with a field of the plan's `kind: Lab` document.
func (p *Plan) problem(field, format string, args ...any) intent.Problem {
	at := slices.IndexFunc(p.docs, func(d intent.Document) bool { _, ok := d.Value.(*Topology); return ok })
	return problem(p.docs[at], p.Name, intent.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// place gives each node its machine: the one of its name, or a new one with a single
// interface on the network that the node's address is of.
func (p *Plan) place() intent.Problems {
	var ps intent.Problems
	for _, n := range p.Intent.Nodes {
		fail := func(field, format string, args ...any) {
			ps = append(ps, intent.Problem{Ref: intent.RefOf(n), FieldError: intent.FieldError{Field: field, Message: fmt.Sprintf(format, args...)}})
		}
		if m := p.machineNamed(n.Name); m != nil {
			matchNode(n, *m, fail)
			continue
		}
		if p.network(n.Name) != nil {
			fail("name", "there is a network %q already; names are unique in a lab", n.Name)
			continue
		}
		p.addMachine(n, fail)
	}
	for _, o := range p.Intent.Ports {
		if p.machineNamed(o.Name) != nil || p.network(o.Name) != nil {
			ps = append(ps, intent.Problem{Ref: intent.RefOf(o), FieldError: intent.FieldError{Field: "name", Message: "a machine or network of the lab has this name already"}})
		}
	}
	return ps
}

type failure func(field, format string, args ...any)

func matchNode(n *intent.Node, m Machine, fail failure) {
	has := func(name string) bool {
		return slices.ContainsFunc(m.Interfaces, func(f Interface) bool { return f.Name == name })
	}
	if !slices.ContainsFunc(m.Interfaces, func(f Interface) bool { return f.Name == n.Interface && f.Address == n.Address }) {
		fail("address", "the lab's machine %q has no interface %s with the address %s", m.Name, n.Interface, n.Address)
	}
	if n.Uplink != "" && !has(n.Uplink) {
		fail("uplink", "the lab's machine %q has no interface %s", m.Name, n.Uplink)
	}
}

func (p *Plan) addMachine(n *intent.Node, fail failure) {
	at := slices.IndexFunc(p.Networks, func(w Network) bool { return w.CIDR.Contains(n.Address.Addr) })
	if at < 0 {
		fail("address", "no network of the lab holds %s", n.Address)
		return
	}
	if n.Uplink != "" && n.Uplink != n.Interface {
		fail("uplink", "a machine with more than one interface is described under `machines:` of the lab")
		return
	}
	var c check
	held := map[netip.Addr]string{}
	for _, m := range p.Machines {
		for _, f := range m.Interfaces {
			held[f.Address.Addr] = m.Name
		}
	}
	c.address("address", n.Address, p.Networks[at].Name, p.Networks[at].CIDR, n.Name, held)
	for _, e := range c.errs {
		fail(e.Field, "%s", e.Message)
	}
	p.Machines = append(p.Machines, Machine{Name: n.Name, Interfaces: []Interface{
		{Name: n.Interface, Network: p.Networks[at].Name, Address: n.Address},
	}})
}

func (p *Plan) machineNamed(name string) *Machine {
	for i := range p.Machines {
		if p.Machines[i].Name == name {
			return &p.Machines[i]
		}
	}
	return nil
}

// node returns the Node that the machine of that name is, or nil.
func (p *Plan) node(name string) *intent.Node {
	for _, n := range p.Intent.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}
