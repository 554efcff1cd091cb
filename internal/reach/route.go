package reach

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sarn/internal/netstate"
)

// Tables and rules that every kernel has by itself.
const (
	localTable   = 255
	defaultTable = 253
	lastPriority = 32766
)

var everywhere = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

// Types of route beside netstate's.
const (
	local     netstate.RouteType = "local"
	broadcast netstate.RouteType = "broadcast"
	// foreign is what decides instead of Sarn and is not known.
	foreign netstate.RouteType = "foreign"
)

// route is a route with what people would read in `ip route`.
type route struct {
	netstate.Route
	text    string
	outside bool // beyond it begins what is not Sarn's
}

type rule struct {
	netstate.Rule
	text string
}

func kernelRules() []rule {
	return []rule{
		{netstate.Rule{Priority: 0, Table: localTable}, "0: from all lookup local"},
		{netstate.Rule{Priority: lastPriority, Table: netstate.MainTable}, "32766: from all lookup main"},
		{netstate.Rule{Priority: lastPriority + 1, Table: defaultTable}, "32767: from all lookup default"},
	}
}

func sortRules(rules []rule) {
	slices.SortStableFunc(rules, func(a, b rule) int { return cmp.Compare(a.Priority, b.Priority) })
}

func iifText(iif string) string {
	if iif == "" {
		return ""
	}
	return " iif " + iif
}

// routeText writes a route as `ip route show table …` does.
func routeText(r netstate.Route) string {
	text := strings.TrimSuffix(r.String(), " proto "+strconv.Itoa(netstate.Protocol))
	return strings.TrimSuffix(text, fmt.Sprintf(" table %d", r.Table))
}

// kernelRoutes adds the routes that follow from addresses, and those of the machine
// that are taken for granted.
func (n *namespace) kernelRoutes() {
	add := func(table uint32, kind netstate.RouteType, dst netip.Prefix, link, text string) {
		n.routes = append(n.routes, route{Route: netstate.Route{Table: table, Dst: dst, Type: kind, Link: link}, text: text})
	}
	for _, a := range n.addresses {
		if !a.prefix.IsValid() {
			continue
		}
		add(localTable, local, netip.PrefixFrom(a.addr, 32), a.link, fmt.Sprintf("local %s dev %s", a.addr, a.link))
		if bits := a.prefix.Bits(); bits < 32 && n.up(a.link) {
			net := a.prefix.Masked()
			add(netstate.MainTable, netstate.Unicast, net, a.link, fmt.Sprintf("%s dev %s proto kernel scope link src %s", net, a.link, a.addr))
			if bits < 31 {
				last := lastOf(net)
				add(localTable, broadcast, netip.PrefixFrom(last, 32), a.link, fmt.Sprintf("broadcast %s dev %s", last, a.link))
			}
		}
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

// surroundings returns the routes of a machine that are not Sarn's: other nodes are on
// the underlay, everything else beyond the uplink, if there is one.
func (f *fabric) surroundings(n *namespace, dst netip.Addr) (route, bool) {
	if n.netns != "" {
		return route{}, false
	}
	r := netstate.Route{Table: netstate.MainTable, Dst: everywhere}
	switch node := f.nodeAt(dst); {
	case node != nil:
		r.Dst, r.Link = netip.PrefixFrom(dst, 32), n.node.Interface
		return route{Route: r, text: fmt.Sprintf("%s dev %s (the underlay's LAN)", dst, r.Link)}, true
	case n.node.Uplink != "":
		r.Link = n.node.Uplink
		return route{Route: r, outside: true, text: fmt.Sprintf("default dev %s (the machine's own, taken for granted)", r.Link)}, true
	}
	r.Type = foreign
	return route{Route: r, text: "default (the machine's own, which is not known)"}, true
}

// lookup finds the route for dst as fib_rules_lookup does: rule by rule, and in the
// first table that has one.
func (f *fabric) lookup(n *namespace, iif string, dst netip.Addr) (rule, route, bool) {
	for _, r := range n.rules {
		if r.Iif != "" && r.Iif != iif {
			continue
		}
		if best, ok := f.table(n, r.Table, dst); ok {
			return r, best, true
		}
	}
	return rule{}, route{}, false
}

// table finds the longest prefix. A route whose device is gone or down is dead.
func (f *fabric) table(n *namespace, table uint32, dst netip.Addr) (best route, ok bool) {
	for _, a := range n.addresses {
		if table == localTable && a.addr == dst && dst.Zone() != "" {
			return route{Route: netstate.Route{Table: table, Type: local, Link: a.link}, text: "local " + addressText(dst)}, true
		}
	}
	for _, r := range n.routes {
		if r.Table != table || !r.Dst.Contains(dst) || ok && r.Dst.Bits() <= best.Dst.Bits() {
			continue
		}
		if dead := r.Type == netstate.Unicast && !n.up(r.Link); !dead {
			best, ok = r, true
		}
	}
	if table == netstate.MainTable {
		if r, known := f.surroundings(n, dst); known && (!ok || r.Dst.Bits() > best.Dst.Bits()) {
			best, ok = r, true
		}
	}
	return best, ok
}

// source chooses the address that a machine speaks from, as inet_select_addr does.
func (n *namespace) source(r route, dst netip.Addr) netip.Addr {
	if r.Src.IsValid() {
		return r.Src
	}
	next := dst
	if r.Via.IsValid() {
		next = r.Via
	}
	var first, other netip.Addr
	for _, a := range n.addresses {
		switch {
		case a.link != r.Link:
			if !other.IsValid() && a.prefix.IsValid() {
				other = a.addr
			}
		case a.prefix.IsValid() && a.prefix.Contains(next):
			return a.addr
		case !first.IsValid():
			first = a.addr
		}
	}
	if first.IsValid() {
		return first
	}
	return other
}

// decision is what a machine's routing says of a packet that came in.
type decision struct {
	rule    rule
	route   route
	found   bool
	dropped string // by what, without a word to the sender
	icmp    string // what the sender is told
}

// decided notes the rule and the route.
func (d decision) words() []string {
	if !d.found {
		return []string{"ip route: no rule's table has a route"}
	}
	return []string{"ip rule " + d.rule.text, "ip route " + d.route.text}
}

// ICMP messages as RFC 1812 calls them.
const (
	hostUnreachable = "host unreachable"
	netUnreachable  = "network unreachable"
	prohibited      = "communication prohibited"
	portUnreachable = "port unreachable"
	timeExceeded    = "time exceeded"
)

// routeInput is ip_route_input_slow of net/ipv4/route.c.
func (f *fabric) routeInput(n *namespace, dev string, src, dst netip.Addr) decision {
	d := decision{}
	d.rule, d.route, d.found = f.lookup(n, dev, dst)
	forwarding := n.on(dev, "forwarding")
	switch kind := d.route.Type; {
	case d.found && (kind == foreign || kind == broadcast):
	case d.found && kind == local:
		d.dropped = f.validate(n, dev, "lo", src)
	case !forwarding:
		d.dropped = n.switchText(dev, "forwarding")
	case !d.found:
		d.icmp = netUnreachable
	case kind == netstate.Unicast:
		d.dropped = f.validate(n, dev, d.route.Link, src)
	case kind == netstate.Blackhole:
		d.dropped = "ip route " + d.route.text
	default:
		d.icmp = refusal(kind)
	}
	return d
}

// refusal is what ip_error tells for a type of route.
func refusal(kind netstate.RouteType) string {
	if kind == netstate.Prohibit {
		return prohibited
	}
	return hostUnreachable
}

// validate is __fib_validate_source of net/ipv4/fib_frontend.c: it returns what drops a
// packet of src's that came in by dev and is to leave by oif, or "".
func (f *fabric) validate(n *namespace, dev, oif string, src netip.Addr) string {
	strict := max(n.level("all"), n.level(dev))
	filter := fmt.Sprintf("sysctl net.ipv4.conf.%s.rp_filter=%d", dev, strict)
	welcome := n.on(dev, "accept_local") || n.on("all", "accept_local")
	_, r, ok := f.lookup(n, oif, src)
	switch {
	case welcome && (strict == 0 || strict == 2 && ok && r.Type == local):
		return ""
	case ok && r.Type == local:
		return fmt.Sprintf("%s is this machine's own address (ip route %s)", addressText(src), r.text)
	case ok && r.Type == foreign:
		return ""
	case !ok || r.Type != netstate.Unicast:
		if strict == 0 {
			return ""
		}
		back := "no route"
		if ok {
			back = "ip route " + r.text
		}
		return fmt.Sprintf("%s: towards %s there is %s", filter, addressText(src), back)
	case r.Link != dev && strict == 1:
		return fmt.Sprintf("%s: the way to %s is ip route %s", filter, addressText(src), r.text)
	}
	return ""
}

func (n *namespace) level(link string) int {
	v, _ := strconv.Atoi(n.sysctl(link, "rp_filter")) // not set is the kernel's own 0
	return v
}
