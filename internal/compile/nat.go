package compile

import (
	"sarn/internal/netstate"
)

// Priorities of nft base chains: NF_IP_PRI_* of linux/netfilter_ipv4.h.
const (
	priorityFilter = 0
	prioritySrcNAT = 100
)

// nat gives subnets that ask for it the router's own address towards the world.
// Which ones is the content of a set: a subnet more or less never changes a rule.
// Towards the fabric itself (the VPCs and the nodes) addresses stay as they are.
func (b *builder) nat() {
	private := netstate.Set{Name: "nat", KeyType: "ipv4_addr", Interval: true}
	for _, s := range b.world.AllSubnets() {
		if s.Router == b.node.Name && s.NAT {
			private.Elements = append(private.Elements, s.CIDR.String())
		}
	}
	fabric := netstate.Set{Name: "fabric", KeyType: "ipv4_addr", Interval: true}
	for _, v := range b.world.AllVPCs() {
		for _, c := range v.CIDRs {
			fabric.Elements = append(fabric.Elements, c.String())
		}
	}
	for _, n := range b.world.AllNodes() {
		fabric.Elements = append(fabric.Elements, n.Address.String())
	}
	out := ""
	forward := []string{"ct state { established, related } accept"}
	if b.separateUplink() {
		out = `oifname "` + b.node.Uplink + `" `
		forward = append(forward, `iifname "`+b.node.Uplink+`" ip daddr @nat counter drop`)
	}
	forward = append(forward,
		// A translated subnet is private: answers come in, nothing else.
		"ip daddr @nat ip saddr != @fabric counter drop",
		// What connection tracking cannot place is not translated, so it stays in.
		out+"ip saddr @nat ip daddr != @fabric ct state invalid counter drop",
	)
	chains := []netstate.Chain{
		{
			Name: "postrouting", Type: "nat", Hook: "postrouting", Priority: prioritySrcNAT,
			Rules: []string{out + "ip saddr @nat ip daddr != @fabric masquerade"},
		},
		{Name: "forward", Type: "filter", Hook: "forward", Priority: priorityFilter, Rules: forward},
	}
	b.own.Tables = append(b.own.Tables, netstate.Table{
		Family: netstate.FamilyIP,
		Sets:   []netstate.Set{private, fabric},
		Chains: chains,
	})
}
