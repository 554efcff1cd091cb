package compile

import (
	"fmt"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// priorityEarly is before everything that a bridge does by itself; bridge tables
// count like NF_BR_PRI_* of linux/netfilter_bridge.h, whose first is -300.
const priorityEarly = -300

// antispoof lets a port send only from its own MAC and address, in ARP too, and
// drops the rest on the way in, with a counter for each reason. A port that has no
// rules sends nothing.
func (b *builder) antispoof(ports []*intent.Port) {
	senders := netstate.Set{Name: "ports", KeyType: "ifname", ValueType: "verdict"}
	chains := []netstate.Chain{{
		Name: "prerouting", Type: "filter", Hook: "prerouting", Priority: priorityEarly,
		Rules: []string{
			"iifname vmap @ports",
			`iifname "` + netstate.PortPrefix + `*" counter drop`,
		},
	}}
	for _, p := range ports {
		chain := "port_" + p.Name
		senders.Elements = append(senders.Elements, PortDevice(p.Name)+" : jump "+chain)
		chains = append(chains, netstate.Chain{Name: chain, Rules: []string{
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
	b.own.Tables = append(b.own.Tables, netstate.Table{
		Family: netstate.FamilyBridge,
		Sets:   []netstate.Set{senders},
		Chains: chains,
	})
}
