package intent

// Kind names a kind of object as YAML's `kind:` field writes it.
type Kind string

// The kinds of intent.
const (
	KindVPC    Kind = "VPC"
	KindSubnet Kind = "Subnet"
	KindNode   Kind = "Node"
	KindPort   Kind = "Port"
)

// Kinds lists every kind in the order in which objects depend on each other.
var Kinds = []Kind{KindNode, KindVPC, KindSubnet, KindPort}

// Object is any of *VPC, *Subnet, *Node and *Port.
type Object interface {
	Kind() Kind
	// Head returns the fields that every object has.
	Head() *Header
	// Validate reports what is wrong with the object seen alone, field by field.
	Validate() []FieldError
}

// Header holds the fields that every object has.
type Header struct {
	Name     string `json:"name" doc:"Unique name of the object among its kind: lower-case letters, digits and '-', at most 40 characters." minLength:"1" maxLength:"40" pattern:"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" example:"net1"`
	Revision int64  `json:"revision,omitempty" doc:"Store revision of the object's last change. When it is sent with a change, the change is refused if the object has changed since." example:"42"`
}

// Head implements Object.
func (h *Header) Head() *Header { return h }

// VPC is a private network: a set of address blocks whose subnets reach each
// other and no other VPC's. Named after AWS's object.
type VPC struct {
	Header `yaml:",inline"`
	CIDRs  []CIDR `json:"cidrs" doc:"Address blocks that the VPC's subnets are cut from. No two VPCs may overlap." minItems:"1" maxItems:"16" nullable:"false" example:"[\"10.10.0.0/16\"]"`
	Mode   Mode   `json:"mode,omitempty" doc:"How packets between hosts go: through the subnet's router, or direct from host to host." enum:"router,direct" default:"router" example:"direct"`
	Table  uint32 `json:"table,omitempty" doc:"Number of the VPC's routing table and rules on every host. Assigned when the VPC is created." minimum:"5001" maximum:"9999" example:"5001"`
}

// Mode says which way packets between the hosts of a VPC go.
type Mode string

// The modes of a VPC.
const (
	// ModeRouter: hosts know their own ports; the subnet's router knows all.
	ModeRouter Mode = "router"
	// ModeDirect: hosts know every port of the VPC and send to its host. The router
	// keeps the gateways, NAT, and what a host has not learned.
	ModeDirect Mode = "direct"
)

// Subnet is one network that Ports attach to: an address block with a gateway on
// a router and a bridge of the same address on every host that has its ports.
type Subnet struct {
	Header  `yaml:",inline"`
	VPC     string `json:"vpc" doc:"Name of the VPC that the subnet belongs to." example:"main"`
	CIDR    CIDR   `json:"cidr" doc:"The subnet's address block, inside one of its VPC's. No two subnets may overlap." example:"10.10.10.0/24"`
	Gateway Addr   `json:"gateway,omitzero" doc:"Default gateway of the subnet, held by its router. Default: the first usable address." example:"10.10.10.1"`
	Bridge  Addr   `json:"bridge,omitzero" doc:"Address of the subnet's bridge, the same on every host. Default: the first usable address that is not the gateway." example:"10.10.10.2"`
	Router  string `json:"router,omitempty" doc:"Name of the router Node that owns the gateway. Default: the only router, when there is one." example:"router"`
	NAT     bool   `json:"nat,omitempty" doc:"Whether the router translates the subnet's addresses towards its uplink. A translated subnet is private: nothing outside opens a connection to it." example:"true"`
	Table   uint32 `json:"table,omitempty" doc:"Number of the subnet's routing table and rule on every host. Assigned when the subnet is created." minimum:"10001" maximum:"19999" example:"10001"`
}

// Role says what a Node does for the network.
type Role string

// The roles of a Node.
const (
	RoleHost   Role = "host"
	RoleRouter Role = "router"
)

// Node is a Linux machine that runs an agent.
type Node struct {
	Header    `yaml:",inline"`
	Role      Role   `json:"role" doc:"What the machine does: a host carries ports, a router owns gateways and NAT." enum:"host,router" example:"host"`
	Address   Addr   `json:"address" doc:"The machine's address on the network that connects all nodes (the underlay)." example:"192.168.56.103"`
	Interface string `json:"interface" doc:"The machine's network interface on the underlay." minLength:"1" maxLength:"15" example:"enp0s8"`
	Uplink    string `json:"uplink,omitempty" doc:"A router's interface towards the internet, if it is not the one on the underlay." maxLength:"15" example:"enp0s3"`
}

// AttachType says what a Port ends in.
type AttachType string

// The ways to attach a Port.
const (
	AttachNetns     AttachType = "netns"
	AttachTap       AttachType = "tap"
	AttachInterface AttachType = "interface"
)

// Attach says how a Port meets its VM or container.
type Attach struct {
	Type      AttachType `json:"type,omitempty" doc:"netns: a veth pair into a network namespace, with address and default route set. tap: a tap device for a virtual machine. interface: a device that somebody else makes, such as libvirt, and that is taken into the network when it is there." enum:"netns,tap,interface" default:"netns" example:"netns"`
	Namespace string     `json:"namespace,omitempty" doc:"For netns: name of the namespace; made, and removed with the port, unless it was there before. Default: the port's name." maxLength:"64" example:"vm1"`
	Interface string     `json:"interface,omitempty" doc:"For netns: name of the interface inside the namespace; default: eth0. For interface: name of the device on the host." maxLength:"15" example:"eth0"`
	Owner     uint32     `json:"owner,omitempty" doc:"For tap: user ID that may open the device. Default: root only." example:"64055"`
}

// Port is one attachment of a VM or container to a Subnet.
type Port struct {
	Header  `yaml:",inline"`
	Subnet  string `json:"subnet" doc:"Name of the subnet that the port is in." example:"net1"`
	Node    string `json:"node" doc:"Name of the host Node that carries the port." example:"host1"`
	Address Addr   `json:"address,omitzero" doc:"The port's address. Default: the lowest free one of the subnet." example:"10.10.10.10"`
	MAC     MAC    `json:"mac,omitempty" doc:"The port's link-layer address. Default: derived from its address." example:"0a:5a:0a:0a:0a:0a"`
	Attach  Attach `json:"attach,omitzero" doc:"How the port meets its VM or container."`
	Move    *Move  `json:"move,omitempty" doc:"Set while the port moves to its node from another. The controller's to write."`
}

// Move is the way of a Port from one host to another, make before break: first both
// hosts carry it, then all others are told where it is, then the old host lets go.
type Move struct {
	From string `json:"from" doc:"Host that the port comes from, and that carries it until the move is over." example:"host1"`
	// Switched says which of the two hosts all others send the port's packets to.
	Switched bool `json:"switched,omitempty" doc:"Whether packets go to the new host already."`
}

// Carriers lists the hosts that carry the port: its node, and while it moves the one
// that it comes from too.
func (p *Port) Carriers() []string {
	if p.Move == nil {
		return []string{p.Node}
	}
	return []string{p.Node, p.Move.From}
}

// Serving returns the host that packets for the port are sent to.
func (p *Port) Serving() string {
	if p.Move != nil && !p.Move.Switched {
		return p.Move.From
	}
	return p.Node
}

// Kind implements Object.
func (*VPC) Kind() Kind { return KindVPC }

// Kind implements Object.
func (*Subnet) Kind() Kind { return KindSubnet }

// Kind implements Object.
func (*Node) Kind() Kind { return KindNode }

// Kind implements Object.
func (*Port) Kind() Kind { return KindPort }

// Set is a bag of objects: what one file declares and what one change carries.
type Set struct {
	Nodes   []*Node   `json:"nodes,omitempty" doc:"Nodes." nullable:"false"`
	VPCs    []*VPC    `json:"vpcs,omitempty" doc:"VPCs." nullable:"false"`
	Subnets []*Subnet `json:"subnets,omitempty" doc:"Subnets." nullable:"false"`
	Ports   []*Port   `json:"ports,omitempty" doc:"Ports." nullable:"false"`
}

// Add puts o into the set.
func (s *Set) Add(o Object) {
	switch o := o.(type) {
	case *Node:
		s.Nodes = append(s.Nodes, o)
	case *VPC:
		s.VPCs = append(s.VPCs, o)
	case *Subnet:
		s.Subnets = append(s.Subnets, o)
	case *Port:
		s.Ports = append(s.Ports, o)
	}
}

// Objects lists the set's objects, dependencies first.
func (s *Set) Objects() []Object {
	all := make([]Object, 0, len(s.Nodes)+len(s.VPCs)+len(s.Subnets)+len(s.Ports))
	for _, o := range s.Nodes {
		all = append(all, o)
	}
	for _, o := range s.VPCs {
		all = append(all, o)
	}
	for _, o := range s.Subnets {
		all = append(all, o)
	}
	for _, o := range s.Ports {
		all = append(all, o)
	}
	return all
}

// New returns an empty object of kind k, or nil if there is no such kind.
func New(k Kind) Object {
	switch k {
	case KindVPC:
		return new(VPC)
	case KindSubnet:
		return new(Subnet)
	case KindNode:
		return new(Node)
	case KindPort:
		return new(Port)
	}
	return nil
}

// Ref names one object.
type Ref struct {
	Kind Kind   `json:"kind" doc:"Kind of the object." enum:"VPC,Subnet,Node,Port"`
	Name string `json:"name" doc:"Name of the object."`
}

// RefOf returns the reference to o.
func RefOf(o Object) Ref { return Ref{o.Kind(), o.Head().Name} }

// String returns the reference in words, such as `subnet "net1"`.
func (r Ref) String() string { return r.Kind.Noun() + ` "` + r.Name + `"` }

// Noun is the kind as the CLI and the API path write it: vpc, subnet, node, port.
func (k Kind) Noun() string {
	switch k {
	case KindVPC:
		return "vpc"
	case KindSubnet:
		return "subnet"
	case KindNode:
		return "node"
	case KindPort:
		return "port"
	}
	return string(k)
}
