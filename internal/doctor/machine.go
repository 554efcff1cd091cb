package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

func privileges(f Facts) []Finding {
	if f.privileged() {
		return fine("root, or what an agent needs of it")
	}
	return []Finding{problem("this process may not change the network, and so neither try the kernel out nor look into packet filters", "sudo sarn doctor")}
}

// oldest is the first kernel with isolated bridge ports, and with policy rules that say
// who made them (4.17).
const oldest = "4.18"

func kernelVersion(f Facts) []Finding {
	if older(f.Release, oldest) {
		return []Finding{problem(
			fmt.Sprintf("Linux %s is too old: bridge ports can be isolated from each other since %s", f.Release, oldest),
			"# install a newer kernel of your distribution and reboot",
		)}
	}
	return fine("Linux %s", f.Release)
}

func features(f Facts) []Finding {
	if f.FeaturesErr != nil {
		return skipped("%v", f.FeaturesErr)
	}
	var found []Finding
	for _, x := range f.Features {
		if x.Err == nil {
			continue
		}
		bad := problem
		if x.Optional {
			bad = warning
		}
		var cure []string
		if x.Module != "" {
			cure = append(cure, "modprobe "+x.Module)
		}
		cure = append(cure, fmt.Sprintf("# if that does not help: use a kernel with %s; the standard kernels of the distributions have it, cut-down ones lack it (Ubuntu: package linux-modules-extra)", x.Config))
		found = append(found, bad(fmt.Sprintf("this kernel lacks %s (%s): %v", x.Name, x.Config, x.Err), cure...))
	}
	return orFine(found, "%d tried, all there", len(f.Features))
}

// known is the oldest nft that Sarn's rules were written for; usable is the first with
// JSON, without which nothing can be read.
const known, usable = "0.9.8", "0.9.0"

func nftProgram(f Facts) []Finding {
	switch {
	case f.NFTErr != nil:
		return []Finding{problem(f.NFTErr.Error(), "apt-get install nftables || dnf install nftables")}
	case older(f.NFT, usable):
		return []Finding{problem(fmt.Sprintf("nft %s is too old: Sarn reads its tables as JSON, which it speaks since %s", f.NFT, usable), "apt-get install nftables || dnf install nftables")}
	case older(f.NFT, known):
		return []Finding{warning(fmt.Sprintf("nft %s is older than %s, the oldest that Sarn is made for", f.NFT, known), "apt-get install nftables || dnf install nftables")}
	}
	return fine("nft %s", f.NFT)
}

// older compares the numbers that versions begin with.
func older(a, b string) bool { return slices.Compare(numbers(a), numbers(b)) < 0 }

func numbers(version string) []int {
	var all []int
	for part := range strings.SplitSeq(version, ".") {
		digits := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		whole := digits < 0
		if whole {
			digits = len(part)
		}
		n, err := strconv.Atoi(part[:digits])
		if err != nil {
			break
		}
		all = append(all, n)
		if !whole {
			break
		}
	}
	return all
}

func controllerAnswers(f Facts) []Finding {
	i := f.Intent
	switch {
	case i.Offline:
		return skipped("--offline says so")
	case i.Err != nil && i.Default:
		return []Finding{warning(fmt.Sprintf("no controller was named, and there is none on this machine: %v", i.Err),
			"sarn help environment", "sarn doctor --server https://CONTROLLER:7470 --tls-ca ca.crt --tls-cert admin.crt --tls-key admin.key")}
	case i.State != nil:
		return fine("%s, which tells this node's certificate of this node alone", i.Where)
	case i.Err != nil:
		return []Finding{problem(fmt.Sprintf("the controller at %s does not say what this machine is for: %v", i.Where, i.Err),
			"sarn status # once `sarn server` runs there")}
	}
	return fine("%s", i.Where)
}

func whichNode(f Facts) []Finding {
	i := f.Intent
	switch {
	case i.World == nil || f.guest() != "":
		return f.unknownNode()
	case i.node() != nil:
		return fine("%s, a %s with %s on %s", i.Name, i.node().Role, i.node().Address, i.node().Interface)
	}
	var others []string
	for _, n := range i.World.AllNodes() {
		others = append(others, n.Name)
	}
	has := "it has none at all"
	cure := []string{fmt.Sprintf("sarn node create %s --role host --address ADDRESS --interface DEVICE # if it shall be one", i.Name)}
	if len(others) > 0 {
		has = "it has " + strings.Join(others, ", ")
		cure = append([]string{"sarn doctor --node " + others[0] + " # if this machine is that one"}, cure...)
	}
	return []Finding{warning(fmt.Sprintf("the controller has no node %q; %s", i.Name, has), cure...)}
}

func agentRuns(f Facts) []Finding {
	i := f.Intent
	switch {
	case len(f.Agents) > 1:
		return []Finding{problem(
			fmt.Sprintf("%d agents run in this network namespace and undo each other's work: processes %d and %d", len(f.Agents), f.Agents[0].PID, f.Agents[1].PID),
			fmt.Sprintf("kill %d", f.Agents[1].PID),
		)}
	case len(f.Agents) == 0 && !f.privileged():
		return skipped("%v", errRights)
	case len(f.Agents) == 0 && i.wanted() == nil:
		return skipped("none runs here, and this machine is no node as far as is known")
	case len(f.Agents) == 0:
		return []Finding{problem(
			fmt.Sprintf("no agent runs here for %s: the network stays as it is, whatever is asked for", i.Name),
			"sarn agent --node "+i.Name,
		)}
	case i.node() != nil && !i.Connected:
		return []Finding{problem(
			fmt.Sprintf("the agent (process %d) does not follow the controller at %s; its log says why", f.Agents[0].PID, i.Where),
			"sarn agent --node "+i.Name+" --server "+i.Where+" # after the end of the one that runs",
		)}
	case i.Trouble != "":
		return []Finding{problem("the agent cannot do what is asked for: "+i.Trouble, "sarn node describe "+i.Name)}
	}
	return fine("process %d", f.Agents[0].PID)
}

// edit is the command that changes a field of the node.
func edit(n *intent.Node, field, value string) string {
	set := ""
	if value != "" {
		set = fmt.Sprintf("echo '%s: %s'; ", field, value)
	}
	return fmt.Sprintf("{ sarn node get %s -o yaml | grep -v '^%s:'; %s} | sarn apply -f - --wait", n.Name, field, set)
}

// set is the command that changes a setting.
func set(name, value string) string {
	return "sysctl -w " + netstate.Sysctl{Name: name, Value: value}.String()
}

func disk(f Facts) []Finding {
	const low, least = 1 << 30, 100 << 20
	switch d := f.Disk; {
	case d == nil:
		return skipped("no store is here")
	case d.Free < least:
		return []Finding{problem(fmt.Sprintf("%d MiB are left for the store in %s: soon nothing can be changed any more", d.Free>>20, d.Dir), "du -xh / | sort -h | tail -n 30")}
	case d.Free < low:
		return []Finding{warning(fmt.Sprintf("%d MiB are left for the store in %s", d.Free>>20, d.Dir), "du -xh / | sort -h | tail -n 30")}
	}
	return fine("%d GiB free for %s", f.Disk.Free>>30, f.Disk.Dir)
}

// limits compares the kernel's limits with what many ports need.
func limits(f Facts) []Finding {
	var found []Finding
	number := func(name string) int { n, _ := strconv.Atoi(f.Settings[name]); return n }
	const neighbors, tracked, tracking = "net/ipv4/neigh/default/gc_thresh3", "net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_count"
	nodes, ports := 0, 0
	if w := f.Intent.World; w != nil {
		nodes, ports = len(w.Nodes), len(w.Ports)
	}
	// Ports do not count: permanent entries are exempt (neigh_alloc, net/core/neighbour.c).
	if most, need := number(neighbors), max(f.Survey.Neighbors, nodes); most > 0 && need*5 > most*4 {
		found = append(found, warning(fmt.Sprintf("the ARP table takes %d entries and %d are there or to come; when it is full, machines cannot be reached", most, need), set(neighbors, strconv.Itoa(4*need))))
	}
	const each = 256 // connections that a port may well have
	most, need := number(tracked), number(tracking)
	if f.Intent.translates() {
		need = max(need, each*ports)
	}
	if most > 0 && need*5 > most*4 {
		found = append(found, warning(fmt.Sprintf("connection tracking takes %d connections, and %d are there or to be expected of %d ports; what is beyond is dropped", most, need, ports), set(tracked, strconv.Itoa(2*need))))
	}
	return orFine(found, "%s ARP entries, %s tracked connections", orNone(f.Settings[neighbors]), orNone(f.Settings[tracked]))
}

func orNone(s string) string {
	if s == "" {
		return "no limit seen for"
	}
	return "up to " + s
}
