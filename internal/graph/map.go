package graph

// Map is a network to draw: networks as rails, machines as cards between them, cables
// from card to rail, and in each host its bridges with their VMs.
type Map struct {
	Title    string
	Subtitle string
	// Networks from top to bottom: the one that the hosts are on is the last.
	Networks []Network
	Machines []Machine
	VPCs     []VPC
}

// Network is one LAN.
type Network struct{ Name, CIDR string }

// VPC is an entry of the legend. Subnets get their colours in the order in which
// they stand here.
type VPC struct {
	Name    string
	CIDRs   []string
	Direct  bool // its hosts send to each other without a router
	Subnets []Subnet
}

// Subnet is one subnet of a VPC.
type Subnet struct {
	Name, CIDR string
	NAT        bool
}

// Role says what a machine is, and so how it is drawn.
type Role string

// The roles.
const (
	Host   Role = "host"
	Router Role = "router"
	World  Role = "" // not a node: the world around
)

// Machine is a computer.
type Machine struct {
	Name     string
	Role     Role
	Cables   []Cable
	Gateways []Gateway
	Bridges  []Bridge
	State    *State // nil if it is not to be shown
}

// Cable is a network interface and the Network that it is cabled to.
type Cable struct{ Network, Interface, Address string }

// Gateway is a subnet's gateway, at its router.
type Gateway struct {
	Subnet, Address string
	NAT             bool
}

// Bridge is a subnet's bridge on a host, with the VMs behind it.
type Bridge struct {
	Subnet, Device, Address string
	VMs                     []VM
}

// VM is one virtual machine or container.
type VM struct{ Name, Address string }

// Health says whether a node is as it should be.
type Health int

// The healths.
const (
	Unknown Health = iota
	Good
	Waiting
	Bad
)

// State is what a node holds.
type State struct {
	Health Health
	Words  string // what there is to say of it, in a few words
	Error  string // why it is not well, if there is a reason
	Tables []Table
}

// Table is a routing table and the rule that leads to it.
type Table struct {
	Name   string // such as "table 10001"
	Rule   string // such as "from br_net1"
	Then   bool   // it is asked for what the tables above have no route to
	Lost   bool   // the rule should be there and is not
	Routes []Route
}

// Route is one line of a routing table: one route, or several that are alike.
type Route struct {
	Subnet string // the subnet that the destination is of, if it is of one
	To     string
	Way    string
	Lost   bool // it should be there and is not
}

const (
	margin    = 24 // around the picture
	gap       = 20 // between cards
	gutter    = 30 // between cards, where cables pass
	railHigh  = 30
	cableHigh = 48   // between a rail and a card
	broadest  = 1340 // a row of cards that would be wider is broken
	headHigh  = 76
)

// SVG draws the map.
func (m *Map) SVG() []byte {
	d := m.plan()
	c := &canvas{}
	c.text(titleFace, margin, 42, "", m.Title)
	c.text(plainFace, margin, 62, "quiet", m.Subtitle)
	for _, p := range d.places {
		d.cables(c, p)
	}
	for i, n := range m.Networks {
		y := d.rails[i]
		c.rect("rail", margin, y, d.width-2*margin, railHigh, 6)
		c.text(labelFace, margin+14, y+20, "", n.Name)
		c.text(monoFace, margin+14+labelFace.width(n.Name)+10, y+20, "quiet", n.CIDR)
	}
	for _, p := range d.places {
		p.card.draw(c, p.x, p.y, p.w, p.h)
		d.plugs(c, p)
	}
	bottom := d.legend(c)
	return c.svg(d.width, bottom+margin, m.Title+": "+m.Subtitle)
}
