package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (p *pass) address(verb netstate.Verb, a netstate.Address) error {
	index, err := p.find(a.Link)
	if err != nil {
		if verb == netstate.Delete {
			return ignoreGone(err)
		}
		return err
	}
	// Like ip address add, and unlike the library, without a broadcast address.
	addr := &netlink.Addr{IPNet: ipNet(a.Prefix), Label: a.Label, Broadcast: net.IPv4zero}
	if verb == netstate.Delete {
		return ignoreGone(p.handle.AddrDel(byIndex(index), addr))
	}
	err = p.handle.AddrAdd(byIndex(index), addr)
	if errors.Is(err, unix.EEXIST) {
		return p.unlessAddressed(index, a, err)
	}
	return err
}

// unlessAddressed forgives that an address is there unless it is somebody else's: on
// a link that is not Sarn's the label tells.
func (p *pass) unlessAddressed(index int, a netstate.Address, err error) error {
	if a.Label == "" {
		return nil
	}
	there, listErr := retry(func() ([]netlink.Addr, error) { return p.handle.AddrList(byIndex(index), netlink.FAMILY_V4) })
	if listErr != nil {
		return listErr
	}
	if slices.ContainsFunc(there, func(t netlink.Addr) bool { return t.Label == a.Label && prefixOf(t.IPNet) == a.Prefix }) {
		return nil
	}
	return fmt.Errorf("%w: somebody else has set it there; delete it with: %s address delete %s dev %s", err, p.ip(), a.Prefix, a.Link)
}

func (p *pass) neighbor(verb netstate.Verb, n netstate.Neighbor) error {
	return p.entry(verb, n.Link, n.MAC, netlink.Neigh{
		Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: n.Address.AsSlice(),
	})
}

func (p *pass) forward(verb netstate.Verb, f netstate.Forward) error {
	return p.entry(verb, f.Link, f.MAC, netlink.Neigh{
		Family: unix.AF_BRIDGE, State: netlink.NUD_NOARP, Flags: netlink.NTF_MASTER,
	})
}

// entry adds or deletes an entry of a neighbour table or of a bridge. Entries that the
// kernel learned are replaced: what Sarn says it knows.
func (p *pass) entry(verb netstate.Verb, link, mac string, n netlink.Neigh) (err error) {
	if n.LinkIndex, err = p.find(link); err == nil {
		n.HardwareAddr, err = net.ParseMAC(mac)
	}
	switch {
	case verb == netstate.Delete && err == nil:
		return ignoreGone(p.handle.NeighDel(&n))
	case verb == netstate.Delete:
		return ignoreGone(err)
	case err != nil:
		return err
	}
	return p.handle.NeighSet(&n)
}

// unlessRouted forgives that a route is there if it is the one that is wanted.
func (p *pass) unlessRouted(r netstate.Route, err error) error {
	names := map[int]string{}
	for name, index := range p.index {
		names[index] = name
	}
	ours, listErr := retry(func() ([]netstate.Route, error) { return dumpRoutes(names, p.kernel.owner.Protocol) })
	if listErr != nil {
		return listErr
	}
	if slices.ContainsFunc(ours, func(o netstate.Route) bool {
		if r.Link == "" {
			o.Link = ""
		}
		return o == r
	}) {
		return nil
	}
	return fmt.Errorf("%w: somebody else has a route there; delete it with: %s route delete %s table %d", err, p.ip(), r.Dst, r.Table)
}

// ip is the program as a person would call it for the pass's namespace.
func (p *pass) ip() string {
	if p.netns == "" {
		return "ip"
	}
	return "ip -n " + p.netns
}

func (p *pass) rule(verb netstate.Verb, r netstate.Rule) error {
	rule := netlink.NewRule()
	rule.Family = unix.AF_INET
	rule.Priority = r.Priority
	rule.IifName = r.Iif
	rule.Table = int(r.Table)
	rule.Protocol = p.kernel.owner.Protocol
	if verb == netstate.Delete {
		return ignoreGone(p.handle.RuleDel(rule))
	}
	err := p.handle.RuleAdd(rule)
	if errors.Is(err, unix.EEXIST) {
		return nil // it is ours: the same rule of another protocol would not hinder it
	}
	return err
}
