package reach

import (
	"fmt"
	"net/netip"

	"sarn/internal/netstate"
)

// answers reports whether a machine answers on its device dev an ARP request of from's
// for to, and why: arp_process of net/ipv4/arp.c.
func (w *walk) answers(at *namespace, dev string, from, to netip.Addr) (bool, string) {
	d := w.routeInput(at, dev, from, to)
	if w.err != nil || d.dropped != "" || d.icmp != "" || !d.found {
		return false, ""
	}
	either := func(name string) bool { return at.on(dev, name) || at.on("all", name) }
	switch {
	case d.route.Type == local:
		return true, "ip route " + d.route.text
	case d.route.Type != netstate.Unicast:
		return false, ""
	case d.route.Link != dev && either("proxy_arp"):
		return true, fmt.Sprintf("%s, since ip route %s", at.switchText(dev, "proxy_arp"), d.route.text)
	case d.route.Link == dev && from != to && either("proxy_arp_pvlan"):
		return true, fmt.Sprintf("%s, since ip route %s", at.switchText(dev, "proxy_arp_pvlan"), d.route.text)
	}
	return false, ""
}

// asksAs chooses the address from which a machine asks by ARP: the packet's if it is
// its own, as arp_solicit does.
func (w *walk) asksAs(at *namespace, link string, next netip.Addr, p packet) netip.Addr {
	for _, a := range at.addresses {
		if a.addr == p.src {
			return p.src
		}
	}
	return at.source(route{Route: netstate.Route{Link: link}}, next)
}
