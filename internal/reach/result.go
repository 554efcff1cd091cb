package reach

import (
	"fmt"
	"net/netip"
)

// Protocol is what a packet carries.
type Protocol string

// The protocols.
const (
	ICMP Protocol = "icmp" // an echo request
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
)

// DefaultTTL is how many machines may forward a packet unless it says otherwise: the
// kernel's net.ipv4.ip_default_ttl.
const DefaultTTL = 64

// Packet is what is sent.
type Packet struct {
	// Source is the sender's own choice if it is not valid.
	Source      netip.Addr
	Destination netip.Addr
	Protocol    Protocol // ICMP if it is empty
	Port        uint16   // destination port of TCP and UDP
	TTL         int      // DefaultTTL if it is 0
}

// Trace is what becomes of a packet and of the answer to it.
type Trace struct {
	From string `json:"from"` // name of a port or node, or an address outside
	To   string `json:"to"`   // address that the packet is for
	What string `json:"what"` // "icmp", "tcp 80"
	// Delivered says that the packet arrives, Answered that the answer to it comes back.
	Delivered bool `json:"delivered"`
	Answered  bool `json:"answered"`
	Request   Walk `json:"request"`
	// Reply is the way of the answer; nil if there is nothing to answer.
	Reply *Walk `json:"reply,omitempty"`
	// Notice is the way of the ICMP message with which a machine on the way rejects the
	// packet; nil if none does.
	Notice *Walk `json:"notice,omitempty"`
}

// Told reports whether the sender hears that the packet is rejected.
func (t *Trace) Told() bool {
	return t.Request.Verdict.Outcome == Rejected && (t.Notice == nil || t.Notice.Verdict.Outcome == Delivered)
}

// Unknown reports whether the data do not tell what becomes of the packet.
func (t *Trace) Unknown() bool {
	return t.Request.Verdict.Outcome == Unknown || t.Reply != nil && t.Reply.Verdict.Outcome == Unknown
}

// Walk is the way of one packet.
type Walk struct {
	Hops    []Hop   `json:"hops"`
	Verdict Verdict `json:"verdict"`
}

// Routers lists the addresses of who forwards the packet, as traceroute shows them. One
// that is not known is not valid.
func (w *Walk) Routers() []netip.Addr {
	var all []netip.Addr
	for _, h := range w.Hops {
		if h.Action == Forwards {
			all = append(all, h.Address)
		}
	}
	return all
}

// Action is what a machine does with a packet.
type Action string

// The actions.
const (
	Sends    Action = "sends"
	Forwards Action = "forwards"
	Bridges  Action = "bridges" // forwards it as a frame, which traceroute does not show
	Receives Action = "receives"
	Refuses  Action = "refuses" // and says so by ICMP
	Drops    Action = "drops"
	Stops    Action = "unknown" // what it does is not known
)

// Hop is one network namespace on the way of a packet.
type Hop struct {
	Node  string `json:"node,omitempty"`  // empty outside
	Netns string `json:"netns,omitempty"` // on the node; empty for the node's own; "behind DEVICE" for a VM
	Name  string `json:"name"`            // for people: a port, a node or "outside"
	// Address is where traceroute sees a machine that forwards; not valid if it does not.
	Address netip.Addr `json:"address,omitzero"`
	Action  Action     `json:"action"`
	In      string     `json:"in,omitempty"`  // device
	Out     string     `json:"out,omitempty"` // device
	// Source and Destination of the packet as it leaves, or as it ends here. The source is
	// empty if the sender finds no route to choose one by.
	Source      string `json:"source"`
	Destination string `json:"destination"`
	// Decided is what decided, in the words of ip, bridge, sysctl and nft.
	Decided []string `json:"decided"`
}

// Outcome is how a walk ends.
type Outcome string

// The outcomes.
const (
	Delivered Outcome = "delivered"
	Dropped   Outcome = "dropped"
	Rejected  Outcome = "rejected" // the sender is told by ICMP
	Unknown   Outcome = "unknown"
)

// Verdict is the end of a walk.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	Node    string  `json:"node,omitempty"` // where; empty outside
	Name    string  `json:"name"`           // for people: a port, a node or "outside"
	// ICMP is what the sender is told: "host unreachable", "communication prohibited"…
	ICMP string `json:"icmp,omitempty"`
	// Reason is what decided.
	Reason string `json:"reason,omitempty"`
}

// String is the verdict in plain words.
func (v Verdict) String() string {
	switch v.Outcome {
	case Delivered:
		return "delivered to " + v.Name
	case Rejected:
		return fmt.Sprintf("rejected by %s with ICMP %s: %s", v.Name, v.ICMP, v.Reason)
	case Unknown:
		return fmt.Sprintf("cannot tell what %s does: %s", v.Name, v.Reason)
	}
	return fmt.Sprintf("dropped at %s: %s", v.Name, v.Reason)
}
