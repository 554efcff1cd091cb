package reach

import (
	"fmt"
	"net/netip"

	"sarn/internal/netstate"
)

// packet is what is walked.
type packet struct {
	src, dst     netip.Addr
	protocol     Protocol
	sport, dport uint16
	ttl          int
	reply        bool // an echo reply, or the second packet of a TCP connection
	// about is the packet that an ICMP error is about.
	about *packet
}

// passage is a packet at one that forwards it.
type passage struct {
	at     *namespace
	packet packet
	hop    int // among those of the request
}

// back returns the answer to p.
func (p packet) back() packet {
	p.src, p.dst = p.dst, p.src
	p.sport, p.dport = p.dport, p.sport
	p.reply, p.ttl = true, DefaultTTL
	return p
}

// walk is the way of a request and of its answer.
type walk struct {
	*fabric
	hops    []Hop
	origin  *namespace // where the request began; nil for outside
	asked   packet     // as it began
	end     *namespace // where it was delivered; nil for outside
	refuser *namespace // where it was rejected
	refused packet     // as it was rejected
	arrived packet     // as it was delivered
	gate    end        // the device by which it went out, or came in
	passed  []passage  // where it was forwarded
	tracked map[*namespace][]*connection
	pending []string // what decided about the next hop before it began
}

// enter begins a hop.
func (w *walk) enter(at *namespace, in string, p packet) {
	h := Hop{Node: at.node.Name, Netns: at.netns, Name: at.name, In: in, Decided: append([]string{}, w.pending...)}
	w.hops, w.pending = append(w.hops, h), nil
	w.shows(p)
}

func (w *walk) hop() *Hop { return &w.hops[len(w.hops)-1] }

// shows notes the packet's addresses as they are now.
func (w *walk) shows(p packet) {
	w.hop().Source, w.hop().Destination = addressText(p.src), addressText(p.dst)
}

// decided notes what decided.
func (w *walk) decided(by ...string) { w.hop().Decided = append(w.hop().Decided, by...) }

// finish ends the walk where it is.
func (w *walk) finish(o Outcome, do Action, reason string) *Verdict {
	h := w.hop()
	h.Action = do
	return &Verdict{Outcome: o, Node: h.Node, Name: h.Name, Reason: reason}
}

func (w *walk) drop(by string) *Verdict {
	w.decided(by)
	return w.finish(Dropped, Drops, by)
}

func (w *walk) reject(at *namespace, p packet, icmp, by string) *Verdict {
	if p.about == nil && !p.reply {
		w.refuser, w.refused = at, p
	}
	v := w.finish(Rejected, Refuses, by)
	v.ICMP = icmp
	return v
}

func (w *walk) stop(format string, args ...any) *Verdict {
	return w.finish(Unknown, Stops, fmt.Sprintf(format, args...))
}

// output sends a packet that begins at the namespace: ip_route_output_key and what
// follows.
func (w *walk) output(at *namespace, p packet) Verdict {
	w.enter(at, "", p)
	w.hop().Action = Sends
	rl, r, found := w.lookup(at, "lo", p.dst)
	if found {
		w.decided("ip rule "+rl.text, "ip route "+r.text)
	}
	switch {
	case !found:
		return *w.reject(at, p, netUnreachable, "ip route: no rule's table has a route")
	case r.Type == foreign, r.Type == broadcast:
		return *w.stop("ip route %s", r.text)
	case r.Type == netstate.Blackhole:
		return *w.drop("ip route " + r.text)
	case r.Type != netstate.Unicast && r.Type != local:
		return *w.reject(at, p, refusal(r.Type), "ip route "+r.text)
	}
	if !p.src.IsValid() {
		if p.src = at.source(r, p.dst); r.Type == local {
			p.src = p.dst
		}
	}
	if !p.reply && p.about == nil {
		w.asked = p
	}
	w.shows(p)
	m := match{family: netstate.FamilyIP, out: r.Link, packet: &p, ct: w.state(at, p)}
	if v := w.hook(at, "output", &m); v != nil {
		return *v
	}
	if r.Type == local {
		w.confirm(at, p, p.src)
		return *w.deliver(at, p)
	}
	return *w.emit(at, r, p, m)
}

// input is what a namespace does with a packet that came in by dev.
func (w *walk) input(at *namespace, dev string, p packet) *Verdict {
	w.enter(at, dev, p)
	m := match{family: netstate.FamilyIP, in: dev, packet: &p, ct: w.state(at, p)}
	if v := w.hook(at, "prerouting", &m); v != nil {
		return v
	}
	w.shows(p)
	d := w.routeInput(at, dev, p.src, p.dst)
	if w.err != nil {
		return w.stop("%v", w.err)
	}
	switch kind := d.route.Type; {
	case d.dropped != "":
		if d.found {
			w.decided(d.words()...)
		}
		return w.drop(d.dropped)
	case d.icmp != "":
		w.decided(d.words()...)
		return w.reject(at, p, d.icmp, d.words()[len(d.words())-1])
	case kind == foreign, kind == broadcast:
		w.decided(d.words()...)
		return w.stop("ip route %s", d.route.text)
	case kind == local:
		w.decided(d.words()...)
		if v := w.hook(at, "input", &m); v != nil {
			return v
		}
		w.confirm(at, p, p.src)
		return w.deliver(at, p)
	}
	w.decided(d.words()...)
	return w.forward(at, d.route, p, m)
}

// forward is ip_forward of net/ipv4/ip_forward.c.
func (w *walk) forward(at *namespace, r route, p packet, m match) *Verdict {
	w.hop().Action = Forwards
	w.hop().Address = w.speaks(at, p.src)
	if p.about == nil && !p.reply {
		w.passed = append(w.passed, passage{at, p, len(w.hops) - 1})
	}
	if p.ttl <= 1 {
		return w.reject(at, p, timeExceeded, "the packet's time to live has ended")
	}
	p.ttl--
	m.packet, m.out = &p, r.Link
	if v := w.hook(at, "forward", &m); v != nil {
		return v
	}
	return w.emit(at, r, p, m)
}

// speaks returns the address that a machine's ICMP errors for a sender come from.
func (w *walk) speaks(at *namespace, to netip.Addr) netip.Addr {
	_, r, ok := w.lookup(at, "lo", to)
	if !ok || r.Type != netstate.Unicast {
		return netip.Addr{}
	}
	if a := at.source(r, to); a.Zone() == "" {
		return a
	}
	return netip.Addr{}
}

// emit sends a routed packet by the route's device.
func (w *walk) emit(at *namespace, r route, p packet, m match) *Verdict {
	was := p.src
	m.packet, m.out = &p, r.Link
	if v := w.hook(at, "postrouting", &m); v != nil {
		return v
	}
	if m.masquerade {
		p.src = at.source(route{Route: netstate.Route{Link: r.Link, Via: r.Via}}, p.dst)
	}
	w.confirm(at, p, was)
	w.shows(p)
	w.hop().Out = r.Link
	next := p.dst
	if r.Via.IsValid() {
		next = r.Via
	}
	return w.transmit(at, r, next, p)
}

// deliver ends the walk where the packet is for.
func (w *walk) deliver(at *namespace, p packet) *Verdict {
	do := Receives
	if len(w.hops) == 1 {
		do = Sends // to itself
	}
	if p.reply || p.about != nil {
		if v := w.expected(at, p); v != nil {
			return v
		}
	} else {
		w.end, w.arrived = at, p
	}
	return w.finish(Delivered, do, "")
}

// expected reports what is wrong with an answer, seen by who waits for it.
func (w *walk) expected(at *namespace, p packet) *Verdict {
	switch {
	case at != w.origin:
		return w.drop("nobody here waits for this answer: the question came from " + w.asker())
	case p.about == nil && p.src != w.asked.dst:
		return w.drop(fmt.Sprintf("the answer comes from %s, and %s was asked", addressText(p.src), addressText(w.asked.dst)))
	}
	return nil
}

func (w *walk) asker() string {
	if w.origin == nil {
		return outsideName
	}
	return w.origin.name
}

// answer walks the answer from where the request was delivered.
func (w *walk) answer() Walk {
	w.hops = nil
	var v Verdict
	switch p := w.arrived.back(); {
	case w.end != nil:
		v = w.output(w.end, p)
	default:
		v = *w.input(w.leaveOutside(p), w.gate.link, p)
	}
	return Walk{w.hops, v}
}

// notice walks the ICMP error from who rejected the request to who sent it.
func (w *walk) notice() Walk {
	w.hops = nil
	v := w.output(w.refuser, packet{dst: w.refused.src, protocol: ICMP, ttl: DefaultTTL, about: &w.refused})
	return Walk{w.hops, v}
}

// hush takes their addresses from those on the request's way whose ICMP errors do not
// come back to its sender: the way of an error need not be that of the answer.
func (w *walk) hush(request []Hop) {
	for _, f := range w.passed {
		w.refuser, w.refused = f.at, f.packet
		if n := w.notice(); n.Verdict.Outcome != Delivered {
			request[f.hop].Address = netip.Addr{}
		}
	}
}

// outsideName is what people call the world beyond the uplinks.
const outsideName = "outside"

// goOutside ends the walk beyond an uplink.
func (w *walk) goOutside(at *namespace, link string, p packet) *Verdict {
	w.hops = append(w.hops, Hop{Name: outsideName, Decided: []string{}})
	w.shows(p)
	if p.reply || p.about != nil {
		if v := w.expected(nil, p); v != nil {
			return v
		}
	} else {
		w.end, w.arrived, w.gate = nil, p, end{at, link}
	}
	return w.finish(Delivered, Receives, "")
}

// leaveOutside begins a hop outside and returns where the packet comes in.
func (w *walk) leaveOutside(p packet) *namespace {
	at := w.gate.at
	w.hops = append(w.hops, Hop{Name: outsideName, Action: Sends, Decided: []string{}})
	w.shows(p)
	if p.dst.Zone() == "" && p.dst != at.node.Address {
		w.decided(fmt.Sprintf("taken for granted: outside, the way to %s is by %s", p.dst, at.name))
	}
	return at
}

// fromOutside brings a packet in by the node's uplink, or by its interface if it has
// none.
func (w *walk) fromOutside(at *namespace, p packet) Verdict {
	w.gate = end{at, at.node.Uplink}
	if w.gate.link == "" {
		w.gate.link = at.node.Interface
	}
	w.asked = p
	return *w.input(w.leaveOutside(p), w.gate.link, p)
}
