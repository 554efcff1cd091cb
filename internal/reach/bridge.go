package reach

import (
	"fmt"
	"net/netip"

	"sarn/internal/netstate"
)

// frame is a packet, or an ARP request, on a link.
type frame struct {
	src, dst string // link-layer addresses
	arp      *request
	packet   *packet
}

// request asks by ARP who has an address, or answers that.
type request struct {
	mac      string
	from, to netip.Addr
	reply    bool
}

// transmit sends a packet by the route's device to the next hop.
func (w *walk) transmit(at *namespace, r route, next netip.Addr, p packet) *Verdict {
	link := at.link(r.Link)
	switch {
	case link == nil || !at.up(r.Link):
		return w.drop(fmt.Sprintf("ip link: %s is down", r.Link))
	case link.Kind == netstate.Bridge:
		return w.intoBridge(at, *link, next, p)
	case at.peers[link.Name].at != nil:
		return w.intoPair(at, *link, next, p)
	case at.netns != "" || link.Name != at.node.Interface && link.Name != at.node.Uplink:
		return w.stop("what is at the other end of %s", link.Name)
	case link.Name == at.node.Interface:
		if to, how := w.onUnderlay(at, next, p); to != nil {
			w.decided(how)
			return w.input(to, to.node.Interface, p)
		}
		if w.err != nil {
			return w.stop("%v", w.err)
		}
	}
	if r.outside || link.Name == at.node.Uplink && link.Name != at.node.Interface {
		return w.goOutside(at, link.Name, p)
	}
	return w.nobody(at, link.Name, next, p)
}

// nobody ends the walk of a packet whose next hop answers no ARP request.
func (w *walk) nobody(at *namespace, link string, next netip.Addr, p packet) *Verdict {
	by := fmt.Sprintf("ip neigh: nobody answers for %s on %s", next, link)
	w.decided(by)
	return w.reject(at, p, hostUnreachable, by)
}

// onUnderlay returns the node that answers for the next hop.
func (w *walk) onUnderlay(at *namespace, next netip.Addr, p packet) (*namespace, string) {
	if n := w.nodeAt(next); n != nil && n.Name != at.node.Name {
		return w.own(n.Name), fmt.Sprintf("ip neigh: %s is %s, on the underlay", next, n.Name)
	}
	asker := w.asksAs(at, at.node.Interface, next, p)
	for _, n := range w.Nodes {
		other := w.own(n.Name)
		if n.Name == at.node.Name || other == nil {
			continue
		}
		if ok, how := w.answers(other, n.Interface, asker, next); ok {
			return other, fmt.Sprintf("arp: %s answers for %s (%s)", n.Name, next, how)
		}
	}
	return nil, ""
}

// intoPair sends a packet by one end of a pair. The other end may be a bridge's port.
func (w *walk) intoPair(at *namespace, link netstate.Link, next netip.Addr, p packet) *Verdict {
	other := at.peers[link.Name]
	port := other.at.link(other.link)
	if port == nil || !other.at.up(other.link) {
		return w.drop(fmt.Sprintf("ip link: %s of %s, the other end of %s, is not there or down", other.link, other.at.name, link.Name))
	}
	mac := at.mac(link.Name)
	ask := request{mac: mac, from: w.asksAs(at, link.Name, next, p), to: next}
	if port.Master == "" {
		ok, how := w.answers(other.at, other.link, ask.from, next)
		if !ok {
			return w.nobody(at, link.Name, next, p)
		}
		w.decided("arp: " + how)
		return w.input(other.at, other.link, p)
	}
	if master := other.at.link(port.Master); master == nil || !other.at.up(port.Master) {
		w.enter(other.at, other.link, p)
		return w.drop(fmt.Sprintf("ip link: the bridge %s is not there or down", port.Master))
	}
	to, v := w.askBridge(other.at, *port, next, frame{src: mac, arp: &ask}, at, link.Name, p)
	if v != nil {
		return v
	}
	f := frame{src: mac, dst: to, packet: &p}
	return w.fromPort(other.at, *port, f, p)
}

// askBridge asks on a bridge who has the next hop, and returns its MAC. Its words about
// who answers stand in the sender's hop.
func (w *walk) askBridge(host *namespace, port netstate.Link, next netip.Addr, f frame, at *namespace, link string, p packet) (string, *Verdict) {
	for _, n := range at.state.Neighbors {
		if n.Link == link && n.Address == next {
			w.decided("ip neigh " + n.String())
			return n.MAC, nil
		}
	}
	m := match{family: netstate.FamilyBridge, in: port.Name, frame: &f}
	if e := w.evaluate(host, "prerouting", &m); e.ends() {
		w.enter(host, port.Name, p)
		return "", w.conclude(host, p, e, "its ARP request: ")
	}
	w.pending = nil // what is said of the packet itself is enough
	if ok, how := w.answers(host, port.Master, f.arp.from, next); ok {
		w.decided(fmt.Sprintf("arp: %s of %s answers for %s (%s)", port.Master, host.name, next, how))
		return host.mac(port.Master), nil
	}
	for _, l := range host.state.Links {
		guest := host.peers[l.Name]
		if l.Master != port.Master || l.Name == port.Name || l.Isolated && port.Isolated {
			continue
		}
		if ok, how := w.guestAnswers(host, l, f.arp.from, next); ok {
			w.decided(fmt.Sprintf("arp: %s answers for %s (%s)", guest.at.name, next, how))
			return guest.at.mac(guest.link), nil
		}
	}
	if w.err != nil {
		return "", w.stop("%v", w.err)
	}
	return "", w.nobody(at, link, next, p)
}

// guestAnswers is answers for who is behind a bridge's port, if the port may answer that.
func (w *walk) guestAnswers(host *namespace, port netstate.Link, from, to netip.Addr) (bool, string) {
	guest := host.peers[port.Name]
	if guest.at == nil || !host.up(port.Name) || !guest.at.up(guest.link) {
		return false, ""
	}
	ok, how := w.answers(guest.at, guest.link, from, to)
	if !ok {
		return false, ""
	}
	mac := guest.at.mac(guest.link)
	f := frame{src: mac, arp: &request{mac: mac, from: to, to: from, reply: true}}
	e := w.evaluate(host, "prerouting", &match{family: netstate.FamilyBridge, in: port.Name, frame: &f})
	w.pending = nil
	return !e.ends(), how
}

// fromPort takes a frame in by a bridge's port.
func (w *walk) fromPort(host *namespace, port netstate.Link, f frame, p packet) *Verdict {
	m := match{family: netstate.FamilyBridge, in: port.Name, frame: &f, packet: &p}
	mine := f.dst == host.mac(port.Master)
	e := w.evaluate(host, "prerouting", &m)
	if mine && !e.ends() {
		e = w.evaluate(host, "input", &m)
	}
	switch {
	case e.ends():
		w.enter(host, port.Name, p)
		return w.conclude(host, p, e, "")
	case mine:
		return w.input(host, port.Master, p)
	}
	w.enter(host, port.Name, p)
	w.hop().Action = Bridges
	return w.toPort(host, port.Master, &port, f, p, "forward")
}

// intoBridge sends a packet of the host's own stack by its bridge.
func (w *walk) intoBridge(at *namespace, bridge netstate.Link, next netip.Addr, p packet) *Verdict {
	mac := ""
	for _, n := range at.state.Neighbors {
		if n.Link == bridge.Name && n.Address == next {
			w.decided("ip neigh " + n.String())
			mac = n.MAC
		}
	}
	asker := w.asksAs(at, bridge.Name, next, p)
	for _, l := range at.state.Links {
		guest := at.peers[l.Name]
		if mac != "" || l.Master != bridge.Name {
			continue
		}
		if ok, how := w.guestAnswers(at, l, asker, next); ok {
			w.decided(fmt.Sprintf("arp: %s answers for %s (%s)", guest.at.name, next, how))
			mac = guest.at.mac(guest.link)
		}
	}
	if mac == "" {
		return w.nobody(at, bridge.Name, next, p)
	}
	return w.toPort(at, bridge.Name, nil, frame{src: at.mac(bridge.Name), dst: mac, packet: &p}, p, "output")
}

// toPort finds the bridge's port for a frame: by the forwarding database, else it is
// flooded to the ports that take unknown frames. from is nil for the bridge itself.
func (w *walk) toPort(host *namespace, bridge string, from *netstate.Link, f frame, p packet, hook string) *Verdict {
	var chosen *netstate.Link
	for _, e := range host.state.Forwards {
		if l := host.link(e.Link); l != nil && l.Master == bridge && e.MAC == f.dst {
			chosen = l
			w.decided(fmt.Sprintf("bridge fdb %s dev %s master %s static", e.MAC, e.Link, bridge))
			break
		}
	}
	for i, l := range host.state.Links {
		guest := host.peers[l.Name]
		if chosen == nil && l.Master == bridge && !l.Static && guest.at != nil && guest.at.mac(guest.link) == f.dst {
			chosen = &host.state.Links[i]
			w.decided(fmt.Sprintf("bridge link: %s takes what has no entry in the forwarding database", l.Name))
		}
	}
	switch {
	case chosen == nil:
		return w.drop(fmt.Sprintf("bridge fdb: %s has no entry for %s", bridge, f.dst))
	case from != nil && chosen.Name == from.Name:
		return w.drop(fmt.Sprintf("bridge fdb: %s is where it comes from", chosen.Name))
	case from != nil && from.Isolated && chosen.Isolated:
		return w.drop(fmt.Sprintf("bridge link: %s and %s are isolated", from.Name, chosen.Name))
	case !host.up(chosen.Name):
		return w.drop(fmt.Sprintf("ip link: %s is down", chosen.Name))
	}
	m := match{family: netstate.FamilyBridge, in: bridge, out: chosen.Name, frame: &f, packet: &p}
	if from != nil {
		m.in = from.Name
	}
	for _, h := range []string{hook, "postrouting"} {
		if v := w.hook(host, h, &m); v != nil {
			return v
		}
	}
	return w.intoGuest(host, *chosen, f, p)
}

// intoGuest brings a frame to the other end of a bridge's port.
func (w *walk) intoGuest(host *namespace, port netstate.Link, f frame, p packet) *Verdict {
	w.hop().Out = port.Name
	guest := host.peers[port.Name]
	switch {
	case guest.at == nil:
		return w.stop("what is at the other end of %s", port.Name)
	case !guest.at.up(guest.link):
		return w.drop(fmt.Sprintf("ip link: %s of %s is down", guest.link, guest.at.name))
	case guest.at.mac(guest.link) != f.dst:
		w.enter(guest.at, guest.link, p)
		return w.drop(fmt.Sprintf("the frame is for %s, and %s has %s", f.dst, guest.link, guest.at.mac(guest.link)))
	}
	return w.input(guest.at, guest.link, p)
}
