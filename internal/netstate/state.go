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
	Alias string `json:"alias,omitempty" doc:"Why Sarn made the namespace; empty if it did not. Kept as the alias of its loopback device."`

	Links     []Link     `json:"links,omitempty" doc:"Network devices."`
	Qdiscs    []Qdisc    `json:"qdiscs,omitempty" doc:"Queueing disciplines of devices."`
	Addresses []Address  `json:"addresses,omitempty" doc:"IP addresses of devices."`
	Neighbors []Neighbor `json:"neighbors,omitempty" doc:"Permanent ARP entries."`
	Forwards  []Forward  `json:"forwards,omitempty" doc:"Static entries of bridges' forwarding databases."`
	Routes    []Route    `json:"routes,omitempty" doc:"Routes of all tables."`
	Rules     []Rule     `json:"rules,omitempty" doc:"Rules that choose a routing table by incoming device."`
	Sysctls   []Sysctl   `json:"sysctls,omitempty" doc:"Settings below /proc/sys."`
	Tables    []Table    `json:"tables,omitempty" doc:"The nft tables called sarn, one of a family."`
}

// LinkKind is the kernel's name for a kind of device (IFLA_INFO_KIND).
type LinkKind string

// The kinds of link that Sarn makes.
const (
	// Existing is a device that somebody else made: wanted, it must be there, and
	// only its Up and MTU are set. One that is wanted in a bridge may be missing: it is
	// taken in when it comes, and let go when it is not wanted any more.
	Existing LinkKind = ""
	Bridge   LinkKind = "bridge"
	Veth     LinkKind = "veth"
	Tap      LinkKind = "tap"
)

// Link is a network device. Zero fields of a wanted link are left as they are.
type Link struct {
	Name  string   `json:"name" doc:"Name of the device."`
	Kind  LinkKind `json:"kind,omitempty" doc:"Kind of the device; empty for one that somebody else made."`
	Alias string   `json:"alias,omitempty" doc:"Alias of the device. Those that Sarn made begin with sarn."`
	MAC   string   `json:"mac,omitempty" doc:"Link-layer address."`
	MTU   int      `json:"mtu,omitempty" doc:"Largest packet; 0 leaves it as it is."`
	// MTUOf names the link of the machine's own namespace whose MTU is wanted here too.
	MTUOf string `json:"mtuOf,omitempty" doc:"Device of the machine's own namespace that the MTU is taken from."`
	Up    bool   `json:"up,omitempty" doc:"Whether the device is switched on."`

	// Master is the bridge that the link is a port of. Isolated ports exchange no
	// frames with each other; with Static the bridge neither learns addresses from
	// the port nor floods unknown ones to it (man bridge(8): learning, flood).
	Master   string `json:"master,omitempty" doc:"Bridge that the device is a port of."`
	Isolated bool   `json:"isolated,omitempty" doc:"Whether the bridge port exchanges no frames with other isolated ones."`
	Static   bool   `json:"static,omitempty" doc:"Whether the bridge neither learns addresses from the port nor floods unknown ones to it."`

	// Peer is the other end of a veth pair, in the namespace PeerNetns. Only one
	// end of a wanted pair names its peer: that end makes the pair. Of links that were
	// read, both ends name the other if the two are one pair as it is wanted.
	Peer      string `json:"peer,omitempty" doc:"Other end of a veth pair."`
	PeerNetns string `json:"peerNetns,omitempty" doc:"Network namespace of the other end."`

	// Owner is the user that may open a tap.
	Owner uint32 `json:"owner,omitempty" doc:"User ID that may open a tap device."`
}

// Address is an IP address of a link. Label is empty on links that are Sarn's and
// "<link>:sarn" on others, so that it can be told from addresses of other origin.
type Address struct {
	Link   string       `json:"link" doc:"Device that has the address."`
	Prefix netip.Prefix `json:"prefix" doc:"The address and its prefix length."`
	Label  string       `json:"label,omitempty" doc:"Label of the address; it ends in :sarn on devices that Sarn did not make."`
}

// Neighbor is a permanent ARP entry on a link of Sarn's.
type Neighbor struct {
	Link    string     `json:"link" doc:"Device that the neighbour is reached by."`
	Address netip.Addr `json:"address" doc:"IP address of the neighbour."`
	MAC     string     `json:"mac" doc:"Link-layer address of the neighbour."`
}

// Forward is a static entry of a bridge's forwarding database: frames for MAC
// leave by the bridge port Link.
type Forward struct {
	Link string `json:"link" doc:"Bridge port that frames leave by."`
	MAC  string `json:"mac" doc:"Link-layer address that the frames are for."`
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
	Table uint32       `json:"table" doc:"Number of the routing table."`
	Dst   netip.Prefix `json:"dst" doc:"Destination; 0.0.0.0/0 is the default route."`
	Type  RouteType    `json:"type,omitempty" doc:"What happens to a packet: forwarded if empty, otherwise unreachable, prohibit or blackhole."`
	Via   netip.Addr   `json:"via,omitzero" doc:"Next hop."`
	Link  string       `json:"link,omitempty" doc:"Device that packets leave by."`
	Src   netip.Addr   `json:"src,omitzero" doc:"Source address of packets that the machine itself sends."`
}

// Rule selects the routing table for packets that come in by Iif.
type Rule struct {
	Priority int    `json:"priority" doc:"Place of the rule among all; lower ones come first."`
	Iif      string `json:"iif" doc:"Device that the packets came in by."`
	Table    uint32 `json:"table" doc:"Routing table that the rule chooses."`
}

// Sysctl is one setting below /proc/sys, named with slashes because interface names
// may hold dots: "net/ipv4/conf/br_net1/proxy_arp".
type Sysctl struct {
	Name  string `json:"name" doc:"Name of the setting, with slashes."`
	Value string `json:"value" doc:"Value of the setting."`
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
	Family Family  `json:"family" doc:"Address family of the table, as nft writes it."`
	Sets   []Set   `json:"sets,omitempty" doc:"Named sets and verdict maps."`
	Chains []Chain `json:"chains,omitempty" doc:"Chains of rules."`
}

// Set is a named set, or a verdict map when ValueType is not empty.
type Set struct {
	Name string `json:"name" doc:"Name of the set."`
	// KeyType is the type as nft writes it: ipv4_addr, ifname…
	KeyType string `json:"keyType" doc:"Type of its elements, as nft writes it."`
	// ValueType is empty for a set and "verdict" for a verdict map.
	ValueType string `json:"valueType,omitempty" doc:"Empty for a set, verdict for a verdict map."`
	// Interval sets hold address blocks, the others single values.
	Interval bool `json:"interval,omitempty" doc:"Whether the elements are address blocks."`
	// Elements in the form in which nft takes them without quotes: "10.10.10.0/24",
	// "vp_vm1". A map's value stands behind " : ", as in "vp_vm1 : jump port_vm1".
	Elements []string `json:"elements,omitempty" doc:"The elements, as nft takes them."`
}

// Chain is a chain of rules; a base chain if it has a Hook.
type Chain struct {
	Name     string   `json:"name" doc:"Name of the chain."`
	Type     string   `json:"type,omitempty" doc:"Type of a base chain."`
	Hook     string   `json:"hook,omitempty" doc:"Hook of a base chain."`
	Priority int      `json:"priority,omitempty" doc:"Priority of a base chain."`
	Rules    []string `json:"rules,omitempty" doc:"The rules in order, as nft takes them."`
}
