package netstate

import (
	"net/netip"
)

const (
	// Mark begins the alias of every link and namespace that is Sarn's.
	Mark = "sarn"
	// Protocol is the origin that Sarn's routes and rules carry: rtm_protocol of
	// rtnetlink(7), in the range that the kernel leaves to programs.
	Protocol = 83
	// TableName is the name of every nft table of Sarn's.
	TableName = "sarn"
	// BridgePrefix begins the name of every bridge that Sarn makes on a host.
	BridgePrefix = "br_"
	// PortPrefix begins the name of every port device that Sarn makes on a host.
	PortPrefix = "vp_"
	// MainTable is the number of the kernel's main routing table.
	MainTable = 254
)

// Machine is the state of a machine's network namespaces by name. The empty name
// is the namespace that the agent itself runs in.
type Machine map[string]*State

// State is what one network namespace holds. The order of its lists means nothing,
// except for the rules of an nft chain.
type State struct {
	// Alias, when it is set, says that Sarn made the namespace and why; the
	// kernel keeps it as the alias of the namespace's loopback device.
	Alias string `json:"alias,omitempty"`

	Links     []Link     `json:"links,omitempty"`
	Addresses []Address  `json:"addresses,omitempty"`
	Neighbors []Neighbor `json:"neighbors,omitempty"`
	Forwards  []Forward  `json:"forwards,omitempty"`
	Routes    []Route    `json:"routes,omitempty"`
	Rules     []Rule     `json:"rules,omitempty"`
	Sysctls   []Sysctl   `json:"sysctls,omitempty"`
	Tables    []Table    `json:"tables,omitempty"`
}

// LinkKind is the kernel's name for a kind of device (IFLA_INFO_KIND).
type LinkKind string

// The kinds of link that Sarn makes.
const (
	// Existing is a device that somebody else made: wanted, it must be there and
	// only its Up and MTU are set.
	Existing LinkKind = ""
	Bridge   LinkKind = "bridge"
	Veth     LinkKind = "veth"
	Tap      LinkKind = "tap"
)

// Link is a network device. Zero fields of a wanted link are left as they are.
type Link struct {
	Name  string   `json:"name"`
	Kind  LinkKind `json:"kind,omitempty"`
	Alias string   `json:"alias,omitempty"`
	MAC   string   `json:"mac,omitempty"`
	MTU   int      `json:"mtu,omitempty"`
	Up    bool     `json:"up,omitempty"`

	// Master is the bridge that the link is a port of. Isolated ports exchange no
	// frames with each other; with Static the bridge neither learns addresses from
	// the port nor floods unknown ones to it (man bridge(8): learning, flood).
	Master   string `json:"master,omitempty"`
	Isolated bool   `json:"isolated,omitempty"`
	Static   bool   `json:"static,omitempty"`

	// Peer is the other end of a veth pair, in the namespace PeerNetns. Only one
	// end of a wanted pair names its peer: that end makes the pair.
	Peer      string `json:"peer,omitempty"`
	PeerNetns string `json:"peerNetns,omitempty"`

	// Owner is the user that may open a tap.
	Owner uint32 `json:"owner,omitempty"`
}

// Address is an IP address of a link. Label is empty on links that are Sarn's and
// "<link>:sarn" on others, so that it can be told from addresses of other origin.
type Address struct {
	Link   string       `json:"link"`
	Prefix netip.Prefix `json:"prefix"`
	Label  string       `json:"label,omitempty"`
}

// Neighbor is a permanent ARP entry on a link of Sarn's.
type Neighbor struct {
	Link    string     `json:"link"`
	Address netip.Addr `json:"address"`
	MAC     string     `json:"mac"`
}

// Forward is a static entry of a bridge's forwarding database: frames for MAC
// leave by the bridge port Link.
type Forward struct {
	Link string `json:"link"`
	MAC  string `json:"mac"`
}

// RouteType is what a route does with a packet (rtm_type of rtnetlink(7)).
type RouteType string

// The types of route.
const (
	Unicast     RouteType = ""
	Unreachable RouteType = "unreachable" // answers with ICMP host unreachable
	Prohibit    RouteType = "prohibit"    // answers with ICMP communication prohibited
	Blackhole   RouteType = "blackhole"   // answers nothing
)

// Route is one entry of a routing table. Dst 0.0.0.0/0 is the default route.
type Route struct {
	Table uint32       `json:"table"`
	Dst   netip.Prefix `json:"dst"`
	Type  RouteType    `json:"type,omitempty"`
	Via   netip.Addr   `json:"via,omitzero"`
	Link  string       `json:"link,omitempty"`
	Src   netip.Addr   `json:"src,omitzero"`
}

// Rule selects the routing table for packets that come in by Iif.
type Rule struct {
	Priority int    `json:"priority"`
	Iif      string `json:"iif"`
	Table    uint32 `json:"table"`
}

// Sysctl is one setting below /proc/sys, named with slashes because interface names
// may hold dots: "net/ipv4/conf/br_net1/proxy_arp".
type Sysctl struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Family is an nftables address family, as nft writes it.
type Family string

// The families that Sarn uses.
const (
	FamilyIP     Family = "ip"
	FamilyBridge Family = "bridge"
	FamilyInet   Family = "inet"
)

// Table is the nft table "sarn" of a family. Only Sarn writes to it.
type Table struct {
	Family Family  `json:"family"`
	Sets   []Set   `json:"sets,omitempty"`
	Chains []Chain `json:"chains,omitempty"`
}

// Set is a named set, or a verdict map when ValueType is not empty.
type Set struct {
	Name string `json:"name"`
	// KeyType is the type as nft writes it: ipv4_addr, ifname…
	KeyType string `json:"keyType"`
	// ValueType is empty for a set and "verdict" for a verdict map.
	ValueType string `json:"valueType,omitempty"`
	// Interval sets hold address blocks, the others single values.
	Interval bool `json:"interval,omitempty"`
	// Elements in the form in which nft takes them without quotes: "10.10.10.0/24",
	// "vp_vm1". A map's value stands behind " : ", as in "vp_vm1 : jump port_vm1".
	Elements []string `json:"elements,omitempty"`
}

// Chain is a chain of rules; a base chain if it has a Hook.
type Chain struct {
	Name     string   `json:"name"`
	Type     string   `json:"type,omitempty"`
	Hook     string   `json:"hook,omitempty"`
	Priority int      `json:"priority,omitempty"`
	Rules    []string `json:"rules,omitempty"`
}
