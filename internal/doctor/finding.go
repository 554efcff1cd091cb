package doctor

import "fmt"

// Status is how a check ended.
type Status string

// The statuses, from bad to good. A check is skipped when what it needs to know could
// not be had.
const (
	Problem Status = "problem"
	Warning Status = "warning"
	Skipped Status = "skipped"
	OK      Status = "ok"
)

// Finding is what one check says about one thing.
type Finding struct {
	Check  string `json:"check"`
	Title  string `json:"title"`
	Status Status `json:"status"`
	// Seen is what a check that is content looked at.
	Seen string `json:"seen,omitempty"`
	// Cause says in one sentence what is wrong, or why the check was skipped.
	Cause string `json:"cause,omitempty"`
	// Cure is a list of lines for a shell. What only a person can do is a comment.
	Cure []string `json:"cure,omitempty"`
}

func fine(format string, args ...any) []Finding {
	return []Finding{{Status: OK, Seen: fmt.Sprintf(format, args...)}}
}

func skipped(format string, args ...any) []Finding {
	return []Finding{{Status: Skipped, Cause: fmt.Sprintf(format, args...)}}
}

func problem(cause string, cure ...string) Finding {
	return Finding{Status: Problem, Cause: cause, Cure: cure}
}

func warning(cause string, cure ...string) Finding {
	return Finding{Status: Warning, Cause: cause, Cure: cure}
}

// orFine returns the findings, or that all is well if there are none.
func orFine(found []Finding, format string, args ...any) []Finding {
	if len(found) > 0 {
		return found
	}
	return fine(format, args...)
}

// Examine judges the facts: each check gives at least one finding.
func Examine(f Facts) []Finding {
	var all []Finding
	for _, c := range []struct {
		name, title string
		examine     func(Facts) []Finding
	}{
		{"privileges", "Rights of this process", privileges},
		{"kernel", "Kernel version", kernelVersion},
		{"features", "Kernel features", features},
		{"nft", "The nft program", nftProgram},
		{"controller", "Controller", controllerAnswers},
		{"node", "Which node this is", whichNode},
		{"agent", "Agent", agentRuns},
		{"underlay", "Underlay interface", underlay},
		{"forwarding", "Forwarding of packets", forwarding},
		{"rp-filter", "Reverse-path filter", reversePath},
		{"redirects", "ICMP redirects", redirects},
		{"bridges", "Settings of Sarn's bridges", bridges},
		{"forward-filter", "Other programs' packet filters", forwardFilter},
		{"bridge-netfilter", "Bridged frames in iptables", bridgeNetfilter},
		{"nodes", "Other nodes on the underlay", otherNodes},
		{"duplicates", "Duplicate addresses", duplicates},
		{"mtu", "MTU of the underlay", mtu},
		{"uplink", "Way to the internet", uplink},
		{"state", "What this node should hold", state},
		{"leftovers", "Leftovers of Sarn's", leftovers},
		{"shadows", "Foreign routes and rules", shadows},
		{"limits", "Limits of the kernel's tables", limits},
		{"disk", "Disk of the store", disk},
	} {
		for _, finding := range c.examine(f) {
			finding.Check, finding.Title = c.name, c.title
			all = append(all, finding)
		}
	}
	return all
}
