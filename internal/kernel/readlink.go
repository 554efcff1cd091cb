package kernel

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

func (r *reading) links() error {
	all, err := retry(r.handle.LinkList)
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	r.names = make(map[int]string, len(all))
	r.ours = make(map[int]bool, len(all))
	r.attached = map[int]bool{}
	alias := make(map[int]string, len(all))
	for _, l := range all {
		r.names[l.Attrs().Index] = l.Attrs().Name
		alias[l.Attrs().Index] = l.Attrs().Alias
	}
	wanted := make(map[string]netstate.Link, len(r.want.Links))
	for _, l := range r.want.Links {
		wanted[l.Name] = l
	}
	for _, l := range all {
		a := l.Attrs()
		found := netstate.Link{
			Name:   a.Name,
			Kind:   kindOf(l),
			Alias:  a.Alias,
			MAC:    a.HardwareAddr.String(),
			MTU:    a.MTU,
			Up:     a.Flags&net.FlagUp != 0,
			Master: r.names[a.MasterIndex],
		}
		if tap, ok := l.(*netlink.Tuntap); ok {
			found.Owner = tap.Owner
		}
		want, named := wanted[a.Name]
		r.ours[a.Index] = r.isOurs(found, want, named)
		r.attached[a.Index] = named && want.Kind == netstate.Existing && want.Master != ""
		if named || r.ours[a.Index] || found.Master != "" && r.owner.Owns(alias[a.MasterIndex]) {
			r.state.Links = append(r.state.Links, found)
			r.ends[end{r.netns, a.Name}] = index{a.Index, a.ParentIndex}
		}
	}
	return nil
}

// isOurs reports whether what hangs on the link is the owner's. That is so for links
// that bear the mark and for those that lost it just where they are wanted, but
// neither for lo, whose alias marks the namespace, nor for a link that is wanted as
// somebody else's.
func (r *reading) isOurs(l, want netstate.Link, named bool) bool {
	if l.Name == "lo" || named && want.Kind == netstate.Existing {
		return false
	}
	return r.owner.Owns(l.Alias) || named && l.Adoptable(want)
}

func kindOf(l netlink.Link) netstate.LinkKind {
	switch l := l.(type) {
	case *netlink.Tuntap:
		if l.Mode == netlink.TUNTAP_MODE_TAP {
			return netstate.Tap
		}
		return "tun"
	case *netlink.Device:
		return netstate.Existing
	default:
		return netstate.LinkKind(l.Type())
	}
}

// ports fills in what only the bridge knows of its ports.
func (r *reading) ports() error {
	at := map[string]int{}
	for i, l := range r.state.Links {
		if l.Master != "" {
			at[l.Name] = i
		}
	}
	if len(at) == 0 {
		return nil
	}
	r.bridges = true
	_, err := retry(func() (any, error) {
		header := make([]byte, unix.SizeofIfInfomsg)
		header[0] = unix.AF_BRIDGE
		return nil, dump(unix.NETLINK_ROUTE, unix.RTM_GETLINK, header, func(body []byte) error {
			if len(body) < unix.SizeofIfInfomsg {
				return nil
			}
			i, ok := at[r.names[int(nl.DeserializeIfInfomsg(body).Index)]]
			if !ok {
				return nil
			}
			for kind, value := range attributes(body[unix.SizeofIfInfomsg:]) {
				if kind == unix.IFLA_PROTINFO {
					portFlags(&r.state.Links[i], value)
				}
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("list bridge ports: %w", err)
	}
	return nil
}

func portFlags(l *netstate.Link, info []byte) {
	learning, flood := true, true
	for kind, value := range attributes(info) {
		switch on := len(value) > 0 && value[0] != 0; kind {
		case nl.IFLA_BRPORT_LEARNING:
			learning = on
		case nl.IFLA_BRPORT_UNICAST_FLOOD:
			flood = on
		case nl.IFLA_BRPORT_ISOLATED:
			l.Isolated = on
		}
	}
	l.Static = !learning && !flood
}

func (r *reading) addresses() error {
	all, err := retry(func() ([]netlink.Addr, error) { return r.handle.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range all {
		found := netstate.Address{Link: r.names[a.LinkIndex], Prefix: prefixOf(a.IPNet), Label: a.Label}
		if found.Label == found.Link {
			found.Label = "" // the kernel's own choice
		}
		if r.ours[a.LinkIndex] || found.Label == r.owner.Label(found.Link) {
			r.state.Addresses = append(r.state.Addresses, found)
		}
	}
	return nil
}

func (r *reading) neighbors() error {
	all, err := retry(func() ([]netlink.Neigh, error) { return r.handle.NeighList(0, netlink.FAMILY_V4) })
	if err != nil {
		return fmt.Errorf("list neighbours: %w", err)
	}
	for _, n := range all {
		address, ok := netip.AddrFromSlice(n.IP)
		if ok && n.State&netlink.NUD_PERMANENT != 0 && r.ours[n.LinkIndex] {
			r.state.Neighbors = append(r.state.Neighbors, netstate.Neighbor{
				Link: r.names[n.LinkIndex], Address: address.Unmap(), MAC: n.HardwareAddr.String(),
			})
		}
	}
	return nil
}

func (r *reading) forwards() error {
	if !r.bridges {
		return nil
	}
	all, err := retry(func() ([]netlink.Neigh, error) {
		return r.handle.NeighListExecute(netlink.Ndmsg{Family: unix.AF_BRIDGE})
	})
	if err != nil {
		return fmt.Errorf("list bridge entries: %w", err)
	}
	seen := map[netstate.Forward]bool{} // an entry is listed once for every VLAN
	for _, n := range all {
		f := netstate.Forward{Link: r.names[n.LinkIndex], MAC: n.HardwareAddr.String()}
		// Permanent entries are the port's own address, put there by the bridge.
		if n.State == netlink.NUD_NOARP && n.MasterIndex != 0 && (r.ours[n.LinkIndex] || r.attached[n.LinkIndex]) && !seen[f] {
			seen[f] = true
			r.state.Forwards = append(r.state.Forwards, f)
		}
	}
	return nil
}

func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	address, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(address.Unmap(), bits)
}
