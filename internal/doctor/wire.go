package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sarn/internal/intent"
)

// least is the smallest MTU that a modern network has (RFC 8200, section 5), and full
// is Ethernet's.
const least, full = 1280, 1500

// wireUnknown is why nothing is known of the wire, or nil.
func (f Facts) wireUnknown() []Finding {
	switch {
	case f.Intent.node() == nil:
		return f.unknownNode()
	case f.WireErr != nil:
		return skipped("%v", f.WireErr)
	}
	return nil
}

func otherNodes(f Facts) []Finding {
	if unknown := f.wireUnknown(); unknown != nil {
		return unknown
	}
	var found []Finding
	here := f.Intent.node()
	for _, p := range f.Intent.peers() {
		if len(f.Holders[p.Address.Addr]) == 0 {
			found = append(found, warning(
				fmt.Sprintf("nobody answers on %s for %s, the address of %s: that machine is off, or not on this network", here.Interface, p.Address, p.Name),
				"# on "+p.Name+":", "sarn doctor",
			))
		}
	}
	return orFine(found, "all %d answer", len(f.Intent.peers()))
}

func duplicates(f Facts) []Finding {
	if unknown := f.wireUnknown(); unknown != nil {
		return unknown
	}
	here := f.Intent.node()
	var found []Finding
	if others := f.Holders[here.Address.Addr]; len(others) > 0 {
		found = append(found, problem(
			fmt.Sprintf("another machine on %s has this node's address %s too: MAC address %s", here.Interface, here.Address, strings.Join(others, ", ")),
			giveUp(here.Address.Addr, others)...,
		))
	}
	for _, p := range f.Intent.peers() {
		if holders := f.Holders[p.Address.Addr]; len(holders) > 1 {
			found = append(found, problem(
				fmt.Sprintf("%d machines on %s answer for %s, the address of %s: MAC addresses %s", len(holders), here.Interface, p.Address, p.Name, strings.Join(holders, ", ")),
				giveUp(p.Address.Addr, holders)...,
			))
		}
	}
	return orFine(found, "%s and the addresses of %d other nodes have one holder at most", here.Address, len(f.Intent.peers()))
}

func giveUp(address netip.Addr, macs []string) []string {
	return []string{
		fmt.Sprintf("# on the machine with %s that is not the node (`ip -brief link` shows a machine's own): give it another address", strings.Join(macs, " or ")),
		fmt.Sprintf("ip -oneline address show to %s", address),
	}
}

func mtu(f Facts) []Finding {
	if unknown := f.wireUnknown(); unknown != nil {
		return unknown
	}
	n := f.Intent.node()
	d, there := f.device(n.Interface)
	if !there {
		return skipped("there is no device %s", n.Interface)
	}
	var found []Finding
	if d.MTU < least {
		found = append(found, warning(
			fmt.Sprintf("%s has an MTU of %d; VMs expect to send packets of 1500 bytes, and below %d some connections stall", d.Name, d.MTU, least),
			fmt.Sprintf("ip link set %s mtu %d # on all nodes alike", d.Name, full),
		))
	}
	var silent, narrow []*intent.Node
	var wide []string
	for _, p := range f.Intent.peers() {
		switch path := f.Paths[p.Address.Addr]; {
		case path.Out == 0:
			silent = append(silent, p) // a machine that is off, or one that answers no ping
		case path.Out < d.MTU:
			narrow = append(narrow, p)
		case !path.In:
			wide = append(wide, p.Name)
		}
	}
	if len(wide) > 0 {
		found = append(found, warning(
			fmt.Sprintf("the MTU of %s is %d, and elsewhere it seems to be larger: full packets of %s do not arrive here", d.Name, d.MTU, strings.Join(wide, ", ")),
			fmt.Sprintf("ip link set %s mtu %d # or give all nodes %d", d.Name, full, d.MTU),
		))
	}
	for _, p := range narrow {
		found = append(found, warning(
			fmt.Sprintf("packets above %d bytes do not get to %s, though the MTU of %s is %d: that of %s, or of a switch between, is smaller", f.Paths[p.Address.Addr].Out, p.Name, d.Name, d.MTU, p.Name),
			"# on "+p.Name+", and on the switch if that has a limit too:",
			fmt.Sprintf("ip link set %s mtu %d", p.Interface, d.MTU),
		))
	}
	answered := len(f.Intent.peers()) - len(silent)
	return orFine(found, "%d, and as much to all %d nodes that answer pings", d.MTU, answered)
}

// addresses returns the underlay addresses of nodes.
func addresses(nodes []*intent.Node) []netip.Addr {
	var all []netip.Addr
	for _, n := range nodes {
		if a := n.Address.Addr; a.Is4() && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}
