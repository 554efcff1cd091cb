package compile

import (
	"fmt"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// priorityEarly is before everything that a bridge does by itself; bridge tables
// count like NF_BR_PRI_* of linux/netfilter_bridge.h, whose first is -300.
const priorityEarly = -300

// antispoof lets a port send only what its own chain accepts, and drops the rest on
// the way in. A port that has no rules sends nothing.
func (b *builder) antispoof() {
	b.senders(nil, netstate.Chain{
		Name: "prerouting", Type: "filter", Hook: "prerouting", Priority: priorityEarly,
		Rules: []string{
			"iifname vmap @ports",
			`iifname "` + netstate.PortPrefix + `*" counter drop`,
		},
	})
}

// sender lets a port send from its own MAC and address, in ARP too, and counts what it
// sends otherwise, by reason.
func (b *builder) sender(p *intent.Port) {
	chain := "port_" + p.Name
	b.senders([]string{Device(p) + " : jump " + chain}, netstate.Chain{Name: chain, Rules: []string{
		// What nearly every packet is comes first.
		fmt.Sprintf("ether saddr %s ip saddr %s accept", p.MAC, p.Address),
		// 0.0.0.0 is the sender of a probe (RFC 5227, 2.1.1).
		fmt.Sprintf("ether saddr %[1]s arp saddr ether %[1]s arp saddr ip { 0.0.0.0, %[2]s } accept", p.MAC, p.Address),
		fmt.Sprintf("ether saddr != %s counter drop", p.MAC),
		"ether type arp counter drop",
		"ether type ip counter drop",
		"counter drop",
	}})
}

func (b *builder) senders(elements []string, chain netstate.Chain) {
	b.own.Tables = append(b.own.Tables, netstate.Table{
		Family: netstate.FamilyBridge,
		Sets:   []netstate.Set{{Name: "ports", KeyType: "ifname", ValueType: "verdict", Elements: elements}},
		Chains: []netstate.Chain{chain},
	})
}
