package reach

import (
	"fmt"
	"net/netip"
	"strings"

	"sarn/internal/netstate"
)

// fabric holds the states that have been met.
type fabric struct {
	*Network
	machines map[string]map[string]*namespace // node, netns
	err      error                            // why Load failed
}

// namespace is one network namespace, with what is looked up in it.
type namespace struct {
	node  *Node
	netns string
	name  string // for people
	state *netstate.State
	peers map[string]end // devices of pairs: the other end
	// links by name, devices by alias, settings by name.
	links, devices map[string]*netstate.Link
	settings       map[string]string
	// addresses are netstate's and those that are taken for granted. Their order is
	// that in which a source address is chosen.
	addresses []address
	routes    []route
	rules     []rule
}

type address struct {
	link   string
	prefix netip.Prefix // not valid for a stand-in
	addr   netip.Addr
}

// end is a device in a namespace.
type end struct {
	at   *namespace
	link string
}

// standIn is the address of a device of which only Sarn's doings are known. It is equal
// to itself and to nothing else.
func standIn(node, link string) netip.Addr {
	return netip.IPv6Unspecified().WithZone(link + " of " + node)
}

// addressText writes an address, or what a standIn stands for.
func addressText(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "" // not chosen yet
	case a.Zone() != "":
		return "the address of " + a.Zone()
	}
	return a.String()
}

// own returns a node's own namespace, or nil, with an error noted if Load failed.
func (f *fabric) own(node string) *namespace { return f.machine(node)[""] }

func (f *fabric) machine(name string) map[string]*namespace {
	if m, ok := f.machines[name]; ok {
		return m
	}
	node := f.node(name)
	if node == nil || f.err != nil {
		return nil
	}
	states, err := f.Load(name)
	if err != nil {
		f.err = fmt.Errorf("state of node %s: %w", name, err)
		return nil
	}
	m := map[string]*namespace{}
	for netns, s := range states {
		m[netns] = newNamespace(node, netns, s)
	}
	if m[""] == nil {
		m[""] = newNamespace(node, "", &netstate.State{})
	}
	f.guests(m, node)
	for _, at := range m {
		for _, l := range at.state.Links {
			if other := m[l.PeerNetns]; l.Peer != "" && other != nil {
				at.peers[l.Name] = end{other, l.Peer}
				other.peers[l.Peer] = end{at, l.Name}
			}
		}
		at.prepare()
	}
	f.machines[name] = m
	return m
}

func newNamespace(node *Node, netns string, s *netstate.State) *namespace {
	n := &namespace{
		node: node, netns: netns, name: netns, state: s, peers: map[string]end{},
		links: map[string]*netstate.Link{}, devices: map[string]*netstate.Link{}, settings: map[string]string{},
	}
	if netns == "" {
		n.name = node.Name
	}
	for i, l := range s.Links {
		n.links[l.Name], n.devices[l.Alias] = &s.Links[i], &s.Links[i]
	}
	for _, y := range s.Sysctls {
		n.settings[y.Name] = y.Value
	}
	return n
}

// guests names the namespaces of the node's ports, and makes up one for each VM that is
// behind a tap or a device of somebody else's.
func (f *fabric) guests(m map[string]*namespace, node *Node) {
	const device = "eth0"
	host := m[""]
	for _, p := range f.Ports {
		if p.Node != node.Name {
			continue
		}
		if at := m[p.Netns]; p.Netns != "" && at != nil {
			if at.name == p.Netns {
				at.name = p.Name
			}
			continue
		}
		tap := host.door(&p)
		if tap == nil {
			continue
		}
		at := newNamespace(node, "behind "+tap.Name, &netstate.State{
			Links:     []netstate.Link{{Name: device, MAC: p.MAC, Up: true}},
			Addresses: []netstate.Address{{Link: device, Prefix: p.Address}},
			Routes:    []netstate.Route{{Table: netstate.MainTable, Dst: everywhere, Via: p.Gateway, Link: device}},
		})
		at.name = p.Name
		at.peers[device], host.peers[tap.Name] = end{host, tap.Name}, end{at, device}
		m[at.netns] = at
	}
}

// door returns the host's end of a port behind which is a guest that Sarn does not set
// up: a tap, or the device of somebody else's.
func (n *namespace) door(p *Port) *netstate.Link {
	if p.Netns == "" && p.Interface != "" {
		return n.links[p.Interface]
	}
	if l := n.device(p.Name); l != nil && l.Kind == netstate.Tap {
		return l
	}
	return nil
}

// device returns the host's end of a port, which its alias names.
func (n *namespace) device(port string) *netstate.Link { return n.devices[netstate.Mark+" port "+port] }

// guest returns the namespace that the port's packets come from.
func (f *fabric) guest(p *Port) (*namespace, error) {
	m := f.machine(p.Node)
	if f.err != nil {
		return nil, f.err
	}
	if p.Netns != "" && m[p.Netns] != nil {
		return m[p.Netns], nil
	}
	if host := m[""]; host != nil {
		if tap := host.door(p); tap != nil && host.peers[tap.Name].at != nil {
			return host.peers[tap.Name].at, nil
		}
	}
	return nil, fmt.Errorf("port %q: %w: node %s does not hold it", p.Name, ErrNoStart, p.Node)
}

// prepare gathers the namespace's addresses, routes and rules: netstate's, the
// kernel's own, and what is taken for granted of the machine.
func (n *namespace) prepare() {
	own := n.netns == ""
	if own {
		n.addresses = append(n.addresses, address{n.node.Interface, netip.PrefixFrom(n.node.Address, 32), n.node.Address})
	}
	for _, a := range n.state.Addresses {
		if !a.Prefix.Addr().Is4() {
			continue // no packet here has anything to do with it
		}
		n.addresses = append(n.addresses, address{a.Link, a.Prefix, a.Prefix.Addr()})
	}
	if up := n.node.Uplink; own && up != "" && !n.hasAddress(up) {
		n.addresses = append(n.addresses, address{link: up, addr: standIn(n.node.Name, up)})
	}
	for _, r := range n.state.Routes {
		n.routes = append(n.routes, route{Route: r, text: routeText(r)})
	}
	n.kernelRoutes()
	n.rules = kernelRules()
	for _, r := range n.state.Rules {
		n.rules = append(n.rules, rule{r, fmt.Sprintf("%d: from all%s lookup %d", r.Priority, iifText(r.Iif), r.Table)})
	}
	sortRules(n.rules)
}

func (n *namespace) hasAddress(link string) bool {
	for _, a := range n.addresses {
		if a.link == link {
			return true
		}
	}
	return false
}

// link returns the device of that name, or nil. The machine's own interfaces need not
// be in the state.
func (n *namespace) link(name string) *netstate.Link {
	if l := n.links[name]; l != nil {
		return l
	}
	if name == "lo" || n.netns == "" && (name == n.node.Interface || name == n.node.Uplink) {
		return &netstate.Link{Name: name, Up: true}
	}
	return nil
}

// up reports whether there is such a device and it is switched on. One that somebody
// else made is.
func (n *namespace) up(name string) bool {
	l := n.link(name)
	return l != nil && (l.Up || n.netns == "" && l.Kind == netstate.Existing)
}

// mac returns a device's link-layer address, or what stands for one that is not known.
func (n *namespace) mac(link string) string {
	if l := n.link(link); l != nil && l.MAC != "" {
		return l.MAC
	}
	return "that of " + link + " in " + n.name
}

// sysctl returns a device's setting in net/ipv4/conf, "" if Sarn does not make it.
func (n *namespace) sysctl(link, name string) string {
	return n.settings["net/ipv4/conf/"+link+"/"+name]
}

// on reports whether a device's switch is on.
func (n *namespace) on(link, name string) bool { v := n.sysctl(link, name); return v != "" && v != "0" }

// switchText writes a device's setting as sysctl does.
func (n *namespace) switchText(link, name string) string {
	v := n.sysctl(link, name)
	if v == "" {
		v = "0"
	}
	return "sysctl " + strings.TrimSpace(netstate.Sysctl{Name: "net/ipv4/conf/" + link + "/" + name, Value: v}.String())
}
