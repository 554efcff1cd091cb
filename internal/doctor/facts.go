package doctor

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

// Facts is all that the checks judge.
type Facts struct {
	Intent Intent

	NetAdmin, SysAdmin bool   // capabilities(7)
	Release            string // of the kernel

	Features    []kernel.Feature
	FeaturesErr error
	NFT         string // version
	NFTErr      error
	// Filters are those that could be read: FiltersErr is why none of nftables could,
	// LegacyErr why none of the older iptables.
	Filters               []kernel.Filter
	FiltersErr, LegacyErr error

	Agents []Agent
	Survey kernel.Survey
	// Settings by their names with slashes.
	Settings map[string]string
	// Programs are those of a few that are installed.
	Programs map[string]bool

	// Ops lead from what the machine holds of Sarn's to what it should: nothing, as
	// far as that is not known.
	Ops    []netstate.Op
	OpsErr error

	// Holders are the MAC addresses of others that answer for the nodes' addresses.
	Holders map[netip.Addr][]string
	Paths   map[netip.Addr]Path
	WireErr error

	Disk *Disk // nil without a store here
}

// Intent is what the controller says of this machine and the others.
type Intent struct {
	// Offline says that the controller was not asked.
	Offline bool
	// Where is the controller, and Default says that nobody named it.
	Where   string
	Default bool
	Err     error // why it said nothing
	// Name is the node that this machine is taken for.
	Name string
	// World is all intent; nil if it is not known.
	World *intent.World
	// State is what the machine should hold, where a node's certificate gets to know
	// that and no more.
	State *netstate.State
	// Connected says that the node's agent follows the controller; Trouble is why its
	// last pass failed, if it did.
	Connected bool
	Trouble   string
}

// Agent is an agent that runs in this network namespace. Args is its command line.
type Agent struct {
	PID  int
	Args []string
}

// Path is how packets get to a node and back, in bytes; 0 stands for none.
type Path struct {
	// Out is the largest packet that reaches the node in one piece.
	Out int
	// In is false if the node's own full-size packets do not arrive here.
	In bool
}

// Disk is the file system of the store.
type Disk struct {
	Dir         string
	Free, Total uint64 // bytes
}

var errRights = errors.New("to see this needs root, or the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN")

// privileged reports whether the process may do what an agent does.
func (f Facts) privileged() bool { return f.NetAdmin && f.SysAdmin }

// node returns the node that this machine is, or nil if that is not known.
func (i Intent) node() *intent.Node {
	if i.World == nil {
		return nil
	}
	return i.World.Nodes[i.Name]
}

// peers returns the other nodes.
func (i Intent) peers() []*intent.Node {
	if i.node() == nil {
		return nil
	}
	return slices.DeleteFunc(i.World.AllNodes(), func(n *intent.Node) bool { return n.Name == i.Name })
}

// wanted returns what this machine should hold, or nil if that is not known.
func (i Intent) wanted() *netstate.State {
	if i.node() == nil {
		return i.State
	}
	return compile.Node(i.World, i.Name)[""]
}

// routes reports whether the node is a router.
func (i Intent) routes() bool {
	if n := i.node(); n != nil {
		return n.Role == intent.RoleRouter
	}
	return i.State != nil && !slices.ContainsFunc(i.State.Rules, func(r netstate.Rule) bool { return r.Priority == compile.UnderlayTable })
}

// interfaces returns the devices, bridges apart, that a State has something forwarded
// from, the underlay's first: beside the bridges it alone has its reverse-path filter set.
func (i Intent) interfaces() []string {
	var devices []string
	if i.State == nil {
		return nil
	}
	for _, s := range i.State.Sysctls {
		device, ok := strings.CutPrefix(s.Name, "net/ipv4/conf/")
		if d, filtered := strings.CutSuffix(device, "/rp_filter"); ok && filtered && !strings.HasPrefix(d, netstate.BridgePrefix) {
			devices = slices.Insert(devices, 0, d)
		}
		if d, forwards := strings.CutSuffix(device, "/forwarding"); ok && forwards && !strings.HasPrefix(d, netstate.BridgePrefix) {
			devices = append(devices, d)
		}
	}
	return devices
}

// blocks returns the addresses of all VPCs.
func (i Intent) blocks() []netip.Prefix {
	if i.World == nil {
		return nil
	}
	var blocks []netip.Prefix
	for _, v := range i.World.AllVPCs() {
		for _, c := range v.CIDRs {
			blocks = append(blocks, c.Prefix)
		}
	}
	return blocks
}

// translates reports whether the node takes subnets to the internet.
func (i Intent) translates() bool {
	return i.node() != nil && slices.ContainsFunc(i.World.AllSubnets(), func(s *intent.Subnet) bool {
		return s.Router == i.Name && s.NAT
	})
}

// underlay returns the name of the interface on the underlay. Where the controller is
// silent, the agent's own rule tells it.
func (f Facts) underlay() string {
	if n := f.Intent.node(); n != nil {
		return n.Interface
	}
	if known := f.Intent.interfaces(); len(known) > 0 {
		return known[0]
	}
	for _, r := range f.Survey.Rules {
		if r.Protocol == netstate.Protocol && r.Priority == compile.UnderlayTable {
			return r.Iif
		}
	}
	return ""
}

// wayOut returns the name of a router's interface towards the internet.
func (f Facts) wayOut() string {
	n := f.Intent.node()
	switch {
	case !f.Intent.routes():
		return ""
	case n == nil:
		known := f.Intent.interfaces()
		return known[len(known)-1]
	case n.Uplink != "":
		return n.Uplink
	}
	return n.Interface
}

// transit returns the interfaces, apart from bridges, that packets are forwarded from.
func (f Facts) transit() []string {
	var devices []string
	for _, d := range []string{f.underlay(), f.wayOut()} {
		if d != "" && !slices.Contains(devices, d) {
			devices = append(devices, d)
		}
	}
	return devices
}

// bridges returns the names of Sarn's bridges.
func (f Facts) bridges() []string {
	var names []string
	for _, d := range f.Survey.Devices {
		if d.Bridge && strings.HasPrefix(d.Name, netstate.BridgePrefix) && netstate.Sarn().Owns(d.Alias) {
			names = append(names, d.Name)
		}
	}
	return names
}

// device returns a device by its name.
func (f Facts) device(name string) (kernel.Device, bool) {
	at := slices.IndexFunc(f.Survey.Devices, func(d kernel.Device) bool { return d.Name == name })
	if at < 0 {
		return kernel.Device{}, false
	}
	return f.Survey.Devices[at], true
}

// holder returns the name of the device that has the address.
func (f Facts) holder(address netip.Addr) string {
	for _, d := range f.Survey.Devices {
		for _, a := range d.Addresses {
			if a.Prefix.Addr() == address {
				return d.Name
			}
		}
	}
	return ""
}

// guest returns why Sarn made the network namespace, if it did: it is a port's.
func (f Facts) guest() string {
	if lo, _ := f.device("lo"); netstate.Sarn().Owns(lo.Alias) {
		return lo.Alias
	}
	return ""
}

// unknownNode is why checks that need the node's own data are skipped.
func (f Facts) unknownNode() []Finding {
	if g := f.guest(); g != "" {
		return skipped("this is the inside of a port (%s), not a node", g)
	}
	if f.Intent.State != nil {
		return skipped("it needs what the controller tells administrators only")
	}
	if f.Intent.Offline {
		return skipped("it needs what the controller knows, which --offline leaves out")
	}
	return skipped("it needs to know which node this is; see the checks controller and node")
}
