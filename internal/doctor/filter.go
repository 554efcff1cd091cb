package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

// packet is one that this machine has to forward, the first of its connection.
type packet struct {
	in, out  string // devices
	src, dst netip.Addr
}

func (p packet) String() string {
	switch {
	case p.in == "" || p.out == "":
		return "what is forwarded"
	case p.in == p.out:
		return "what comes in by " + p.in + " and leaves by it again"
	}
	return fmt.Sprintf("what goes from %s to %s", p.in, p.out)
}

// forwarded returns a packet for each way through this machine.
func (f Facts) forwarded() []packet {
	inside := netip.Addr{}
	if blocks := f.Intent.blocks(); len(blocks) > 0 {
		inside = blocks[0].Addr().Next()
	}
	world := netip.AddrFrom4([4]byte{198, 51, 100, 1}) // an address for examples: RFC 5737
	lan := f.underlay()
	if out := f.wayOut(); out != "" {
		return []packet{{lan, lan, inside, inside}, {lan, out, inside, world}}
	}
	bridges := f.bridges()
	if len(bridges) == 0 {
		if lan == "" {
			return []packet{{}}
		}
		bridges = []string{netstate.BridgePrefix + "any"} // the first that comes
	}
	var all []packet
	for _, b := range bridges {
		all = append(all, packet{b, b, inside, inside})
		if lan != "" {
			all = append(all, packet{b, lan, inside, world}, packet{lan, b, inside, inside})
		}
	}
	return all
}

func forwardFilter(f Facts) []Finding {
	if f.FiltersErr != nil {
		return skipped("%v", f.FiltersErr)
	}
	var found []Finding
	if f.LegacyErr != nil {
		found = append(found, warning(f.LegacyErr.Error(), "apt-get install iptables # it has the program iptables-legacy"))
	}
	others := 0
	for _, base := range f.Filters {
		if base.Hook != "forward" {
			continue
		}
		others++
		for _, p := range f.forwarded() {
			how, dropped := f.dropped(base, p)
			if !dropped {
				continue
			}
			found = append(found, problem(
				fmt.Sprintf("the chain %s of %s drops %s (%s)", base.Chain, f.author(base), p, how),
				f.letThrough(base)...,
			))
			break // one way that is shut is enough to say so
		}
	}
	return orFine(found, "%d chains of others see forwarded packets, and none drops them", others)
}

// dropping reports whether some chain of others drops what is forwarded.
func (f Facts) dropping() bool {
	for _, base := range f.Filters {
		for _, p := range f.forwarded() {
			if _, dropped := f.dropped(base, p); base.Hook == "forward" && dropped {
				return true
			}
		}
	}
	return false
}

// dropped reports whether a base chain is sure to drop the packet, and by what.
func (f Facts) dropped(base kernel.Filter, p packet) (how string, yes bool) {
	const deepest = 16 // NFT_JUMP_STACK_SIZE of linux/netfilter/nf_tables.h
	switch verdict, where := f.walk(base, p, deepest); verdict {
	case "drop", "reject":
		return fmt.Sprintf("a rule in %s says %s", where, verdict), true
	case "accept":
		return "", false
	}
	return "its policy is drop", base.Policy == "drop"
}

// walk follows a packet through a chain and returns the verdict and the chain that gave
// it, or nothing if the packet comes to the end. A rule with a condition that is not
// understood counts as one that does not match.
func (f Facts) walk(c kernel.Filter, p packet, depth int) (verdict, where string) {
	for _, r := range c.Rules {
		if slices.ContainsFunc(r.Matches, func(m kernel.FilterMatch) bool { return !p.matches(m) }) {
			continue
		}
		switch r.Verdict {
		case "accept", "drop", "reject":
			return r.Verdict, c.Chain
		case "return":
			return "", ""
		case "jump", "goto":
			at := slices.IndexFunc(f.Filters, func(t kernel.Filter) bool {
				return t.Family == c.Family && t.Table == c.Table && t.Chain == r.Target
			})
			if at < 0 || depth == 0 {
				continue
			}
			verdict, where = f.walk(f.Filters[at], p, depth-1)
			if verdict != "" || r.Verdict == "goto" {
				return verdict, where
			}
		}
	}
	return "", ""
}

func (p packet) matches(m kernel.FilterMatch) bool {
	value := ""
	switch m.Field {
	case "iif":
		value = p.in
	case "oif":
		value = p.out
	case "saddr", "daddr":
		address := p.src
		if m.Field == "daddr" {
			address = p.dst
		}
		return slices.ContainsFunc(m.Values, func(v string) bool { return holds(v, address) }) != m.Not
	case "state":
		value = "new"
	case "protocol":
		value = "tcp"
	default:
		return false
	}
	return slices.ContainsFunc(m.Values, func(v string) bool {
		if prefix, pattern := strings.CutSuffix(v, "*"); pattern {
			return strings.HasPrefix(value, prefix)
		}
		return v == value
	}) != m.Not
}

func holds(block string, a netip.Addr) bool {
	if prefix, err := netip.ParsePrefix(block); err == nil {
		return prefix.Contains(a)
	}
	first, last, isRange := strings.Cut(block, "-")
	if !isRange {
		last = first
	}
	from, err := netip.ParseAddr(first)
	to, err2 := netip.ParseAddr(last)
	return err == nil && err2 == nil && from.Compare(a) <= 0 && a.Compare(to) <= 0
}

// author names the program that a chain seems to be from.
func (f Facts) author(base kernel.Filter) string {
	table := "nft table " + base.Family + " " + base.Table
	switch {
	case base.Family == "legacy":
		table = "iptables-legacy"
	case base.Table == "firewalld":
		return "firewalld"
	}
	switch {
	case f.hasChain(base, "DOCKER-USER"):
		return "Docker, " + table
	case f.hasChain(base, "ufw-user-forward"):
		return "ufw, " + table
	}
	return table
}

func (f Facts) hasChain(base kernel.Filter, name string) bool {
	return slices.ContainsFunc(f.Filters, func(c kernel.Filter) bool {
		return c.Family == base.Family && c.Table == base.Table && c.Chain == name
	})
}

// letThrough returns the commands that make the filter let Sarn's packets pass, in the
// words of the program that owns it.
func (f Facts) letThrough(base kernel.Filter) []string {
	device, plus, star := f.underlay(), "", ""
	if !f.Intent.routes() {
		device, plus, star = netstate.BridgePrefix, "+", "*"
	}
	iptables := "iptables"
	if base.Family == "legacy" {
		iptables = "iptables-legacy"
	}
	switch {
	case base.Table == "firewalld":
		return f.each("firewall-cmd --permanent --zone=trusted --add-interface=%s", "firewall-cmd --reload")
	case f.hasChain(base, "ufw-user-forward"):
		return append(f.each("ufw route allow in on %s"), f.each("ufw route allow out on %s")...)
	case f.hasChain(base, "DOCKER-USER") && (f.Programs[iptables] || base.Family == "legacy"):
		return []string{
			fmt.Sprintf("%s -I DOCKER-USER -i %s%s -j ACCEPT", iptables, device, plus),
			fmt.Sprintf("%s -I DOCKER-USER -o %s%s -j ACCEPT", iptables, device, plus),
		}
	case base.Family == "legacy" || base.Family == "ip" && base.Table == "filter" && base.Chain == "FORWARD" && f.Programs[iptables]:
		return []string{
			fmt.Sprintf("%s -I FORWARD -i %s%s -j ACCEPT", iptables, device, plus),
			fmt.Sprintf("%s -I FORWARD -o %s%s -j ACCEPT", iptables, device, plus),
		}
	}
	rule := fmt.Sprintf("nft insert rule %s %s %s", base.Family, base.Table, base.Chain)
	return []string{
		fmt.Sprintf(`%s iifname '"%s%s"' accept`, rule, device, star),
		fmt.Sprintf(`%s oifname '"%s%s"' accept # and in that program's own configuration, or it is gone after a reboot`, rule, device, star),
	}
}

// each writes a command for each device that packets are forwarded to or from.
func (f Facts) each(format string, then ...string) []string {
	var lines []string
	for _, d := range append(f.bridges(), f.transit()...) {
		lines = append(lines, fmt.Sprintf(format, d))
	}
	return append(lines, then...)
}

func bridgeNetfilter(f Facts) []Finding {
	const name = "net/bridge/bridge-nf-call-iptables"
	switch on := f.Settings[name] == "1"; {
	case on && f.FiltersErr != nil:
		return skipped("%v", f.FiltersErr)
	case on && f.dropping():
		return []Finding{warning(
			"br_netfilter shows bridged frames to iptables as well, and there is a filter that drops what is forwarded: machines on one bridge, such as your own VMs' LAN, may not reach each other",
			set(name, "0")+" # unless Kubernetes or Docker needs it",
		)}
	case on:
		return fine("on, and no filter drops what is forwarded")
	}
	return fine("off")
}
