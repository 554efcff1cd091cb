package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sarn/internal/intent"
	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

func underlay(f Facts) []Finding {
	n := f.Intent.node()
	if n == nil {
		return f.unknownNode()
	}
	d, there := f.device(n.Interface)
	holder := f.holder(n.Address.Addr)
	if !there {
		return []Finding{f.noDevice(n, "interface", n.Interface, holder)}
	}
	var found []Finding
	switch {
	case holder == "":
		found = append(found, problem(
			fmt.Sprintf("no device has the node's address %s, so the other nodes send to nobody", n.Address),
			fmt.Sprintf("ip address add %s/24 dev %s # with the prefix length of your network, and in the machine's own configuration", n.Address, n.Interface),
		))
	case holder != n.Interface:
		found = append(found, problem(
			fmt.Sprintf("the node's address %s is on %s, but its interface is said to be %s", n.Address, holder, n.Interface),
			edit(n, "interface", holder),
		))
	}
	return orFine(append(found, notReady(d)...), "%s with %s, MTU %d", d.Name, n.Address, d.MTU)
}

// noDevice says that a node's field names a device that is not there. A likely one is
// offered instead.
func (f Facts) noDevice(n *intent.Node, field, name, likely string) Finding {
	var names []string
	for _, d := range f.Survey.Devices {
		if d.Name != "lo" && !netstate.Sarn().Owns(d.Alias) {
			names = append(names, d.Name)
		}
	}
	cure := "ip -brief link # which one is it? Then change the node's " + field
	if likely != "" {
		cure = edit(n, field, likely)
	}
	return problem(fmt.Sprintf("the node's %s is %s, and this machine has no such device; it has %s", field, name, strings.Join(names, ", ")), cure)
}

func notReady(d kernel.Device) []Finding {
	switch {
	case !d.Up:
		return []Finding{problem(d.Name+" is switched off", "ip link set "+d.Name+" up")}
	case !d.Carrier:
		return []Finding{problem(d.Name+" has no carrier: its cable, or what is at the other end of it, is off", "ip -statistics link show "+d.Name+" # then look at the cable and the switch")}
	}
	return nil
}

func forwarding(f Facts) []Finding {
	devices := f.transit()
	if len(devices) == 0 {
		return f.unknownNode()
	}
	var found []Finding
	for _, d := range devices {
		name := "net/ipv4/conf/" + d + "/forwarding"
		if f.Settings[name] == "0" {
			found = append(found, problem(fmt.Sprintf("what comes in by %s is not forwarded, so nothing from there reaches a VM", d), set(name, "1")))
		}
	}
	return orFine(found, "on for %s", strings.Join(devices, ", "))
}

func reversePath(f Facts) []Finding {
	d := f.underlay()
	if d == "" {
		return f.unknownNode()
	}
	// The kernel takes the larger of the two: IN_DEV_RPFILTER, include/linux/inetdevice.h.
	all, own := "net/ipv4/conf/all/rp_filter", "net/ipv4/conf/"+d+"/rp_filter"
	mode := max(f.Settings[all], f.Settings[own])
	if mode != "1" {
		return fine("not strict on %s", d)
	}
	who := own
	if f.Settings[own] != "1" {
		who = all
	}
	return []Finding{problem(
		fmt.Sprintf("reverse-path filtering on %s is strict, as %s says: what comes back by another way than it left is dropped", d, strings.ReplaceAll(who, "/", ".")),
		set(own, "2"),
	)}
}

func redirects(f Facts) []Finding {
	var found []Finding
	const sendAll, acceptAll = "net/ipv4/conf/all/send_redirects", "net/ipv4/conf/all/accept_redirects"
	d := f.underlay()
	if d == "" {
		return f.unknownNode()
	}
	// One of the two is enough to send; to accept it takes both on a machine that
	// forwards, and one on any other.
	send, accept := "net/ipv4/conf/"+d+"/send_redirects", "net/ipv4/conf/"+d+"/accept_redirects"
	if f.Settings[sendAll] == "1" || f.Settings[send] == "1" {
		found = append(found, warning(
			fmt.Sprintf("this machine may send ICMP redirects on %s, which teach others routes past the router", d),
			set(sendAll, "0"), set(send, "0"),
		))
	}
	forwards := f.Settings["net/ipv4/conf/"+d+"/forwarding"] == "1"
	if f.Settings[accept] == "1" && (!forwards || f.Settings[acceptAll] == "1") {
		found = append(found, warning(
			fmt.Sprintf("this machine believes ICMP redirects on %s, and then sends packets past the router", d),
			set(accept, "0"),
		))
	}
	return orFine(found, "neither sent nor believed on %s", d)
}

func bridges(f Facts) []Finding {
	var found []Finding
	names := f.bridges()
	for _, b := range names {
		for _, s := range bridgeSettings(b) {
			if now, ok := f.Settings[s.Name]; ok && now != s.Value {
				found = append(found, problem(
					fmt.Sprintf("%s is %s, but on %s it takes %s for VMs to reach each other", s.Name[strings.LastIndexByte(s.Name, '/')+1:], now, b, s.Value),
					set(s.Name, s.Value),
				))
			}
		}
	}
	if len(names) == 0 {
		return fine("no bridges yet")
	}
	return orFine(found, "%s", strings.Join(names, ", "))
}

// bridgeSettings are those without which a bridge does not carry its ports' packets.
func bridgeSettings(bridge string) []netstate.Sysctl {
	conf := "net/ipv4/conf/" + bridge + "/"
	return []netstate.Sysctl{
		{Name: conf + "forwarding", Value: "1"},
		{Name: conf + "proxy_arp", Value: "1"},
		{Name: conf + "proxy_arp_pvlan", Value: "1"},
		{Name: "net/ipv4/neigh/" + bridge + "/proxy_delay", Value: "0"},
	}
}

var anywhere = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

// uplink checks how a router gets to the internet.
func uplink(f Facts) []Finding {
	n := f.Intent.node()
	switch {
	case n == nil:
		return f.unknownNode()
	case n.Role != intent.RoleRouter:
		return fine("by the routers: this is a host")
	}
	def, ok := f.defaultRoute()
	if n.Uplink != "" {
		d, there := f.device(n.Uplink)
		if !there {
			likely := ""
			if ok && len(def.Links) == 1 {
				likely = def.Links[0]
			}
			return []Finding{f.noDevice(n, "uplink", n.Uplink, likely)}
		}
		if off := notReady(d); off != nil {
			return off
		}
	}
	switch out := f.wayOut(); {
	case !ok && !f.Intent.translates():
		return fine("no default route, and no subnet here asks for the internet (nat)")
	case !ok:
		return []Finding{problem("this router has no default route, so its subnets with nat do not reach the internet",
			fmt.Sprintf("ip route add default via GATEWAY dev %s # and in the machine's own configuration", out))}
	case !slices.Contains(def.Links, out):
		return []Finding{f.otherWayOut(n, def, out)}
	default:
		return fine("the default route leaves by %s", out)
	}
}

// otherWayOut says that the node's uplink is not where the default route leads.
func (f Facts) otherWayOut(n *intent.Node, def kernel.SurveyRoute, out string) Finding {
	real := strings.Join(def.Links, " and ")
	said := "its uplink is " + out
	if n.Uplink == "" {
		said = "it has no uplink, which stands for " + out
	}
	value := real
	if real == n.Interface {
		value = "" // without one it is the interface
	}
	return problem(
		fmt.Sprintf("the default route leaves by %s, but the node says that %s: translation and forwarding are set up for the wrong interface", real, said),
		edit(n, "uplink", value),
	)
}

// defaultRoute returns the main table's default route of the lowest metric.
func (f Facts) defaultRoute() (kernel.SurveyRoute, bool) {
	var best kernel.SurveyRoute
	found := false
	for _, r := range f.Survey.Routes {
		if r.Table == netstate.MainTable && r.Dst == anywhere && r.Type == netstate.Unicast && (!found || r.Metric < best.Metric) {
			best, found = r, true
		}
	}
	return best, found
}
