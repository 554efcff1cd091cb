package lab

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

// LinkState says what a cable carries.
type LinkState string

// The states of a link.
const (
	LinkUp        LinkState = "up"
	LinkDown      LinkState = "down"       // unplugged at its switch
	LinkNoCarrier LinkState = "no carrier" // the machine has its own end down
	LinkMissing   LinkState = "missing"    // somebody has deleted it
)

// carrierTime is how long a node may take to see its cable come or go.
const carrierTime = 10 * time.Second

// Link is a cable between a machine, or a network, and the network above it.
type Link struct {
	Node      string    `json:"node"` // a machine, or a network with an uplink
	Interface string    `json:"interface"`
	Network   string    `json:"network"`
	Port      string    `json:"port"` // the network's end: a device in its namespace
	State     LinkState `json:"state"`
	Cable
}

// links lists the plan's cables, without their states.
func (p *Plan) links() []Link {
	var all []Link
	for _, n := range p.Networks {
		if n.Uplink != "" {
			all = append(all, Link{Node: n.Name, Interface: fit(cablePrefix + n.Uplink), Network: n.Uplink, Port: fit(cablePrefix + n.Name), Cable: n.Cable})
		}
	}
	for _, m := range p.Machines {
		for _, f := range m.Interfaces {
			all = append(all, Link{Node: m.Name, Interface: f.Name, Network: f.Network, Port: cableDevice(m, f), Cable: f.Cable})
		}
	}
	slices.SortStableFunc(all, func(a, b Link) int { return natural(a.Node, b.Node) })
	return all
}

// Links returns the lab's cables and their states.
func (l *Lab) Links() ([]Link, error) {
	if err := requireRoot(); err != nil {
		return nil, err
	}
	p, err := l.plan()
	if err != nil {
		return nil, err
	}
	all := p.links()
	states := map[string]map[string]LinkState{}
	for _, n := range p.Networks {
		if states[n.Name], err = linkStates(l.netns(n.Name)); err != nil {
			return nil, fmt.Errorf("list the ports of network %s: %w", n.Name, err)
		}
	}
	for i, k := range all {
		all[i].State = LinkMissing
		if s, ok := states[k.Network][k.Port]; ok {
			all[i].State = s
		}
	}
	return all, nil
}

func linkStates(netns string) (map[string]LinkState, error) {
	states := map[string]LinkState{}
	err := kernel.Enter(netns, func() error {
		devices, err := net.Interfaces()
		for _, d := range devices {
			switch {
			case d.Flags&net.FlagUp == 0:
				states[d.Name] = LinkDown
			case d.Flags&net.FlagRunning == 0:
				states[d.Name] = LinkNoCarrier
			default:
				states[d.Name] = LinkUp
			}
		}
		return err
	})
	return states, err
}

// FindLink returns the cable at a node's interface, which may be left out if the node
// has but one.
func (l *Lab) FindLink(node, device string) (Link, error) {
	p, err := l.plan()
	if err != nil {
		return Link{}, err
	}
	var found []Link
	var nodes, devices []string
	for _, k := range p.links() {
		nodes = append(nodes, k.Node)
		if k.Node != node {
			continue
		}
		devices = append(devices, k.Interface)
		if device == "" || k.Interface == device {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Link{}, fmt.Errorf("%s has more than one cable; name the interface: %s", node, strings.Join(devices, ", "))
	case len(devices) > 0:
		return Link{}, fmt.Errorf("%s has no cable at %q; it has %s", node, device, strings.Join(devices, ", "))
	case p.network(node) != nil:
		return Link{}, fmt.Errorf("%s is the switch; name the machine at the other end of the cable", node)
	}
	return Link{}, fmt.Errorf("the lab has no machine %q; its cables are at %s. (VMs have ports, not cables: see sarn port)",
		node, strings.Join(slices.Compact(nodes), ", "))
}

// SetLink plugs a cable in or takes it out, at its switch: the node sees that its
// interface has a carrier or has none. What the node makes of it is its own business.
func (l *Lab) SetLink(ctx context.Context, k Link, up bool) error {
	if err := requireRoot(); err != nil {
		return err
	}
	door, err := kernel.New(kernel.Config{NetnsDir: l.path("netns"), Owner: Owner()})
	if err != nil {
		return err
	}
	value := "off"
	if up {
		value = "on"
	}
	err = door.Apply(ctx, []netstate.Op{{
		Netns: k.Network, Verb: netstate.Change, Object: netstate.LinkAttr{Link: k.Port, Attr: "up", Value: value},
	}})
	if err != nil {
		return err
	}
	return l.awaitCarrier(ctx, k, up)
}

// awaitCarrier returns when the node sees what became of its cable: the kernel tells
// of carriers once a second at most (linkwatch_schedule_work, net/core/link_watch.c).
func (l *Lab) awaitCarrier(ctx context.Context, k Link, up bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, carrierTime, fmt.Errorf("%s has not noticed within %s", k.Node, carrierTime))
	defer cancel()
	for {
		states, err := linkStates(l.netns(k.Node))
		if err != nil {
			return err
		}
		switch s := states[k.Interface]; {
		case s == LinkDown, s == "": // the node has switched its own end off, or has none
			return nil
		case up == (s == LinkUp):
			return nil
		}
		if pause(ctx, glance) != nil {
			return context.Cause(ctx)
		}
	}
}
