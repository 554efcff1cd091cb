package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/graph"
	"sarn/internal/intent"
	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

// nodeState is what there is to tell of one node.
type nodeState struct {
	status *api.NodeStatus // nil if there is no word from a controller
	words  string          // to say instead of a status
	err    error           // why the kernel could not be read
	want   *netstate.State
	have   *netstate.State // what the kernel holds
}

// Graph returns the lab as a picture of what its controller says that there is, and by
// the lab's file while that does not answer. With state, each node's card says what its
// kernel holds, which needs root.
func (l *Lab) Graph(ctx context.Context, state bool) (*graph.Map, error) {
	p, err := l.plan()
	if err != nil {
		return nil, err
	}
	now, statuses, err := l.told(ctx)
	silent := err != nil
	if silent {
		now = p.Intent
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var states map[string]*nodeState
	if state {
		if states, err = l.states(ctx, now, statuses, silent); err != nil {
			return nil, err
		}
	}
	m := p.picture(now, states)
	if silent {
		m.Subtitle += "; by the lab's file, since its controller cannot be asked"
	}
	return m, nil
}

// states tells of each node what it should hold, unless the controller is silent, and
// what it does hold.
func (l *Lab) states(ctx context.Context, now intent.Set, statuses []api.NodeStatus, silent bool) (map[string]*nodeState, error) {
	if err := requireRoot(); err != nil {
		return nil, err
	}
	states := map[string]*nodeState{}
	for _, n := range now.Nodes {
		states[n.Name] = &nodeState{want: &netstate.State{}}
		if silent {
			states[n.Name].words = "the controller cannot be asked"
		}
	}
	for _, s := range statuses {
		if one := states[s.Node]; one != nil {
			one.status = &s
		}
	}
	if !silent {
		compiled(now, states)
	}
	return states, l.read(ctx, states)
}

// Graph returns the plan as a picture of a lab that is not up. objects are those of the
// plan with their defaults and addresses. With state, each node's card says what its
// kernel would hold.
func (p *Plan) Graph(objects intent.Set, state bool) *graph.Map {
	if !state {
		return p.picture(objects, nil)
	}
	states := map[string]*nodeState{}
	for _, n := range objects.Nodes {
		states[n.Name] = &nodeState{words: "what it is to hold", want: &netstate.State{}}
	}
	compiled(objects, states)
	for _, s := range states {
		s.have = s.want
	}
	return p.picture(objects, states)
}

// compiled fills in what each node should hold.
func compiled(objects intent.Set, states map[string]*nodeState) {
	w := intent.NewWorld(objects.Objects()...)
	for name, s := range states {
		if m := compile.Node(w, name); m != nil {
			s.want = m[""]
		}
	}
}

// read fills in what each node's kernel holds.
func (l *Lab) read(ctx context.Context, states map[string]*nodeState) error {
	k, err := kernel.New(kernel.Config{NetnsDir: l.path("netns")})
	if err != nil {
		return err
	}
	want := netstate.Machine{}
	for name, s := range states {
		want[name] = s.want
	}
	have, err := k.Read(ctx, want)
	if err != nil {
		return fmt.Errorf("read what the nodes hold: %w", err)
	}
	for name, s := range states {
		s.have = have[name]
		if s.have == nil {
			s.want, s.have, s.err = &netstate.State{}, &netstate.State{}, fmt.Errorf("the lab has no machine %s: a node that is created later has none", name)
		}
	}
	return nil
}

// told asks the controller for everything.
func (l *Lab) told(ctx context.Context) (intent.Set, []api.NodeStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var s intent.Set
	c, err := l.Client()
	if err != nil {
		return s, nil, err
	}
	defer c.Close()
	for _, k := range intent.Kinds {
		objects, err := c.List(ctx, k)
		if err != nil {
			return s, nil, err
		}
		for _, o := range objects {
			s.Add(o)
		}
	}
	statuses, err := c.Status(ctx)
	return s, statuses, err
}

// sketch is a picture being made.
type sketch struct {
	plan    *Plan
	objects intent.Set
	states  map[string]*nodeState // nil if they are not to be shown
	names   map[netip.Addr]string // of machines
}

func (p *Plan) picture(objects intent.Set, states map[string]*nodeState) *graph.Map {
	k := &sketch{plan: p, objects: objects, states: states, names: map[netip.Addr]string{}}
	k.objects.Subnets, k.objects.Ports = slices.Clone(objects.Subnets), slices.Clone(objects.Ports)
	slices.SortFunc(k.objects.Subnets, func(a, b *intent.Subnet) int { return natural(a.Name, b.Name) })
	slices.SortFunc(k.objects.Ports, func(a, b *intent.Port) int { return natural(a.Name, b.Name) })
	for _, m := range p.Machines {
		for _, f := range m.Interfaces {
			k.names[f.Address.Addr] = m.Name
		}
	}
	m := &graph.Map{Title: p.Name, Networks: k.networks(), VPCs: k.vpcs()}
	for _, c := range p.Machines {
		m.Machines = append(m.Machines, k.machine(c))
	}
	for _, n := range objects.Nodes {
		if p.machineNamed(n.Name) == nil {
			m.Machines = append(m.Machines, k.machine(Machine{Name: n.Name}))
		}
	}
	m.Subtitle = k.subtitle()
	return m
}

func (k *sketch) subtitle() string {
	hosts, routers := 0, 0
	for _, n := range k.objects.Nodes {
		if n.Role == intent.RoleRouter {
			routers++
		} else {
			hosts++
		}
	}
	return strings.Join([]string{
		count(hosts, "host"), count(routers, "router"), count(len(k.objects.VPCs), "VPC"),
		count(len(k.objects.Subnets), "subnet"), count(len(k.objects.Ports), "VM"),
	}, ", ")
}

// networks lists those without hosts first.
func (k *sketch) networks() []graph.Network {
	carries := map[string]bool{}
	for _, n := range k.objects.Nodes {
		if m := k.plan.machineNamed(n.Name); m != nil && n.Role == intent.RoleHost {
			if f := k.plan.towards(*m, n.Address.Addr); f != nil {
				carries[f.Network] = true
			}
		}
	}
	var above, below []graph.Network
	for _, n := range k.plan.Networks {
		if one := (graph.Network{Name: n.Name, CIDR: k.plan.cidr(n).String()}); carries[n.Name] {
			below = append(below, one)
		} else {
			above = append(above, one)
		}
	}
	return append(above, below...)
}

func (k *sketch) vpcs() []graph.VPC {
	var all []graph.VPC
	for _, v := range k.objects.VPCs {
		one := graph.VPC{Name: v.Name, Direct: v.Mode == intent.ModeDirect}
		for _, c := range v.CIDRs {
			one.CIDRs = append(one.CIDRs, c.String())
		}
		for _, s := range k.objects.Subnets {
			if s.VPC == v.Name {
				one.Subnets = append(one.Subnets, graph.Subnet{Name: s.Name, CIDR: s.CIDR.String(), NAT: s.NAT})
			}
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b graph.VPC) int { return natural(a.Name, b.Name) })
	return all
}

func (k *sketch) machine(m Machine) graph.Machine {
	out := graph.Machine{Name: m.Name}
	for _, f := range m.Interfaces {
		out.Cables = append(out.Cables, graph.Cable{Network: f.Network, Interface: f.Name, Address: address(f.Address)})
	}
	at := slices.IndexFunc(k.objects.Nodes, func(n *intent.Node) bool { return n.Name == m.Name })
	if at < 0 {
		return out
	}
	out.Role = graph.Host
	if k.objects.Nodes[at].Role == intent.RoleRouter {
		out.Role = graph.Router
	}
	for _, s := range k.objects.Subnets {
		if s.Router == m.Name {
			out.Gateways = append(out.Gateways, graph.Gateway{Subnet: s.Name, Address: address(s.Gateway), NAT: s.NAT})
		}
		b := graph.Bridge{Subnet: s.Name, Device: compile.BridgeDevice(s.Name), Address: address(s.Bridge)}
		for _, o := range k.objects.Ports {
			if o.Node == m.Name && o.Subnet == s.Name {
				b.VMs = append(b.VMs, graph.VM{Name: o.Name, Address: address(o.Address)})
			}
		}
		if len(b.VMs) > 0 {
			out.Bridges = append(out.Bridges, b)
		}
	}
	if s := k.states[m.Name]; s != nil {
		out.State = k.state(s)
	}
	return out
}

// address is an address in words. The lab's file need not say it, and the controller
// may not be there to ask.
func address(a intent.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	return a.String()
}
