package reach

import (
	"errors"
	"fmt"
	"net/netip"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// Network is what packets are walked over.
type Network struct {
	Nodes []Node
	Ports []Port
	// Entries say by which node packets from outside come in.
	Entries []Entry
	// Load returns what the named node's kernel holds. It is asked only for the nodes
	// that a packet meets, and once for each walk.
	Load func(node string) (netstate.Machine, error)
}

// Node is a machine on the underlay, which is one LAN.
type Node struct {
	Name      string
	Address   netip.Addr // on the underlay
	Interface string     // on the underlay
	// Uplink is the device towards the outside; Interface if that is the way out too,
	// and empty if the way out is not known.
	Uplink string
}

// Port is where packets begin that a VM or container sends.
type Port struct {
	Name    string
	Node    string
	Address netip.Prefix // with the subnet's prefix length
	MAC     string
	Gateway netip.Addr
	// Netns and Interface are the port's on its node; both are empty for a tap.
	Netns, Interface string
}

// Entry says that packets from outside for Prefix come in by the node. The first that fits
// decides.
type Entry struct {
	Prefix netip.Prefix
	Node   string
}

// New returns the network that the world is, with the states that load returns.
func New(w *intent.World, load func(node string) (netstate.Machine, error)) *Network {
	n := &Network{Load: load}
	for _, o := range w.AllNodes() {
		node := Node{Name: o.Name, Address: o.Address.Addr, Interface: o.Interface, Uplink: o.Uplink}
		if o.Role == intent.RoleRouter && node.Uplink == "" {
			node.Uplink = o.Interface
		}
		n.Nodes = append(n.Nodes, node)
		n.Entries = append(n.Entries, Entry{o.Address.Host(), o.Name})
	}
	for _, s := range w.AllSubnets() {
		if s.Router != "" {
			n.Entries = append(n.Entries, Entry{s.CIDR.Prefix, s.Router})
		}
		for _, o := range w.PortsIn(s.Name) {
			p := Port{
				Name: o.Name, Node: o.Serving(), Address: netip.PrefixFrom(o.Address.Addr, s.CIDR.Bits()),
				MAC: string(o.MAC), Gateway: s.Gateway.Addr,
			}
			if o.Attach.Type != intent.AttachTap {
				p.Netns, p.Interface = o.Attach.Namespace, o.Attach.Interface
			}
			n.Ports = append(n.Ports, p)
		}
	}
	if gate := n.onlyUplink(); gate != "" {
		for _, v := range w.AllVPCs() {
			for _, c := range v.CIDRs {
				n.Entries = append(n.Entries, Entry{c.Prefix, gate})
			}
		}
	}
	return n
}

// onlyUplink returns the name of the one node that has an uplink, or "".
func (n *Network) onlyUplink() string {
	name := ""
	for _, node := range n.Nodes {
		switch {
		case node.Uplink == "":
		case name != "":
			return ""
		default:
			name = node.Name
		}
	}
	return name
}

// Start is where a packet begins: exactly one field is set.
type Start struct {
	Port, Node string
	Outside    netip.Addr
}

var (
	// ErrNoStart says that a packet cannot begin where it should.
	ErrNoStart = errors.New("a packet cannot begin there")
	// ErrNoTarget says that an address is not one machine's.
	ErrNoTarget = errors.New("not the IPv4 address of one machine")
)

func (n *Network) node(name string) *Node {
	for i := range n.Nodes {
		if n.Nodes[i].Name == name {
			return &n.Nodes[i]
		}
	}
	return nil
}

func (n *Network) nodeAt(a netip.Addr) *Node {
	for i := range n.Nodes {
		if n.Nodes[i].Address == a {
			return &n.Nodes[i]
		}
	}
	return nil
}

func (n *Network) port(name string) *Port {
	for i := range n.Ports {
		if n.Ports[i].Name == name {
			return &n.Ports[i]
		}
	}
	return nil
}

// entry returns the node by which packets from outside come in.
func (n *Network) entry(to netip.Addr) *Node {
	for _, e := range n.Entries {
		if e.Prefix.Contains(to) {
			return n.node(e.Node)
		}
	}
	return nil
}

// Trace walks the packet, and the answer to it. An error says that the packet makes no
// sense, or that Load failed.
func (n *Network) Trace(from Start, p Packet) (*Trace, error) {
	if p.Protocol == "" {
		p.Protocol = ICMP
	}
	if p.TTL == 0 {
		p.TTL = DefaultTTL
	}
	if a := p.Destination; !a.Is4() || a.IsMulticast() || a.IsUnspecified() || a.IsLoopback() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return nil, fmt.Errorf("%s: %w", a, ErrNoTarget)
	}
	w := &walk{fabric: &fabric{Network: n, machines: map[string]map[string]*namespace{}}, tracked: map[*namespace][]*connection{}}
	t := &Trace{To: p.Destination.String(), What: string(p.Protocol)}
	request := packet{src: p.Source, dst: p.Destination, protocol: p.Protocol, dport: p.Port, ttl: p.TTL}
	if p.Protocol != ICMP {
		t.What = fmt.Sprintf("%s %d", p.Protocol, p.Port)
		request.sport = ephemeral
	}
	verdict, err := w.begin(from, t, request)
	if err == nil {
		err = w.err
	}
	if err != nil {
		return nil, err
	}
	t.Request = Walk{w.hops, verdict}
	if t.Delivered = verdict.Outcome == Delivered; t.Delivered {
		reply := w.answer()
		t.Reply, t.Answered = &reply, reply.Verdict.Outcome == Delivered
	}
	if verdict.Outcome == Rejected && w.refuser != w.origin {
		notice := w.notice()
		t.Notice = &notice
	}
	err = w.err
	w.hush(t.Request.Hops)
	return t, err
}

// ephemeral is the source port of what is sent; any would do.
const ephemeral = 40000

// begin sends the request on its way.
func (w *walk) begin(from Start, t *Trace, p packet) (Verdict, error) {
	switch {
	case from.Port != "":
		t.From = from.Port
		port := w.port(from.Port)
		if port == nil {
			return Verdict{}, fmt.Errorf("port %q: %w: there is none of that name", from.Port, ErrNoStart)
		}
		at, err := w.guest(port)
		if err != nil {
			return Verdict{}, err
		}
		if !p.src.IsValid() {
			p.src = port.Address.Addr()
		}
		w.origin = at
		return w.output(at, p), nil
	case from.Node != "":
		t.From = from.Node
		at := w.own(from.Node)
		if at == nil {
			return Verdict{}, errors.Join(w.err, fmt.Errorf("node %q: %w: there is none of that name", from.Node, ErrNoStart))
		}
		w.origin = at
		return w.output(at, p), nil
	}
	t.From = from.Outside.String()
	node := w.entry(p.dst)
	if node == nil {
		return Verdict{}, fmt.Errorf("%s to %s: %w: both are outside, or several routers could be the way in", from.Outside, p.dst, ErrNoStart)
	}
	at := w.own(node.Name)
	if at == nil {
		return Verdict{}, w.err
	}
	if !p.src.IsValid() {
		p.src = from.Outside
	}
	return w.fromOutside(at, p), nil
}
