package reach

import "net/netip"

// States of connections, as `ct state` has them.
const (
	ctNew         = "new"
	ctEstablished = "established"
	ctRelated     = "related"
	ctInvalid     = "invalid"
)

// connection is what a namespace has seen of a request.
type connection struct {
	asked  packet     // as it came
	source netip.Addr // as it left: other than asked.src if it was translated
}

// tuple is what connections are told apart by.
type tuple struct {
	src, dst     netip.Addr
	protocol     Protocol
	sport, dport uint16
}

func (p packet) tuple() tuple { return tuple{p.src, p.dst, p.protocol, p.sport, p.dport} }

// find returns the connection that p belongs to, and whether it answers.
func (w *walk) find(at *namespace, p packet) (c *connection, answers bool) {
	for _, c := range w.tracked[at] {
		out := c.asked
		out.src = c.source
		switch {
		case p.reply && out.back().tuple() == p.tuple():
			return c, true
		case !p.reply && c.asked.tuple() == p.tuple():
			return c, false
		}
	}
	return nil, false
}

// state is what connection tracking says of a packet that comes in. What answers
// nothing that was seen is invalid, except for UDP, which opens a connection. An ICMP
// error is related to what it is about, before or after its translation.
func (w *walk) state(at *namespace, p packet) string {
	if p.about != nil {
		for _, c := range w.tracked[at] {
			out := c.asked
			out.src = c.source
			if about := p.about.tuple(); about == out.tuple() || about == c.asked.tuple() {
				return ctRelated
			}
		}
		return ctInvalid
	}
	c, answers := w.find(at, p)
	switch {
	case answers:
		return ctEstablished
	case c == nil && p.reply && p.protocol != UDP:
		return ctInvalid
	}
	return ctNew
}

// restore gives an answer the address that its question came from.
func (w *walk) restore(at *namespace, p *packet) {
	if p.about != nil {
		return // who rejects a translated packet is outside, of which nothing is known
	}
	if c, answers := w.find(at, *p); answers && c.source != c.asked.src {
		w.decided("conntrack: " + addressText(p.dst) + " stands for " + addressText(c.asked.src))
		p.dst = c.asked.src
	}
}

// confirm remembers a packet that leaves, or is delivered. It came as from src.
func (w *walk) confirm(at *namespace, p packet, src netip.Addr) {
	asked := p
	asked.src = src
	if c, _ := w.find(at, asked); c != nil || p.reply || p.about != nil {
		return
	}
	w.tracked[at] = append(w.tracked[at], &connection{asked: asked, source: p.src})
}
