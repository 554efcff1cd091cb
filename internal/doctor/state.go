package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sarn/internal/compile"
	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

// state says what the node should hold and does not.
func state(f Facts) []Finding {
	switch {
	case f.Intent.wanted() == nil:
		return f.unknownNode()
	case f.OpsErr != nil:
		return skipped("%v", f.OpsErr)
	}
	var missing []string
	for _, op := range f.Ops {
		if _, setting := op.Object.(netstate.Sysctl); !setting && !removes(op) { // settings have checks of their own
			missing = append(missing, op.Command())
		}
	}
	if len(missing) == 0 {
		return fine("the kernel holds all of it")
	}
	return []Finding{problem(
		fmt.Sprintf("%s to be done before the kernel holds what this node should; the first: %s", count(len(missing), "change"), missing[0]),
		"sarn agent --node "+f.Intent.Name+" # if none runs; otherwise its log says what hinders it",
	)}
}

func removes(op netstate.Op) bool {
	line, ok := op.Object.(netstate.NFT)
	return op.Verb == netstate.Delete || ok && strings.HasPrefix(line.Line, "delete ")
}

// leftovers says what bears Sarn's marks and has no place here any more.
func leftovers(f Facts) []Finding {
	if f.OpsErr != nil {
		return skipped("%v", f.OpsErr)
	}
	var cure []string
	for _, op := range f.Ops {
		if removes(op) {
			cure = append(cure, op.Command())
		}
	}
	switch i := f.Intent; {
	case len(cure) == 0:
		return fine("none")
	case f.guest() != "":
		return f.unknownNode()
	case i.wanted() != nil:
		return []Finding{problem(
			fmt.Sprintf("%s of Sarn's that this node should not hold; the first goes by: %s", count(len(cure), "object"), cure[0]), cure...,
		)}
	case len(f.Agents) > 0:
		return fine("%s of Sarn's, which an agent keeps", count(len(cure), "object"))
	case i.World != nil:
		return []Finding{warning(
			fmt.Sprintf("%s of Sarn's, though no agent runs and the controller has no node %q; the first goes by: %s", count(len(cure), "object"), i.Name, cure[0]), cure...,
		)}
	}
	return []Finding{warning(
		fmt.Sprintf("%s of Sarn's, and no agent runs that would keep them right", count(len(cure), "object")),
		append([]string{"sarn agent # on a node; if this machine is none any more, this is what goes:"}, commented(cure)...)...,
	)}
}

func commented(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = "# " + l
	}
	return out
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// shadows says which routes and rules of others take packets away from Sarn's.
func shadows(f Facts) []Finding {
	var found []Finding
	for _, r := range f.Survey.Rules {
		if route, ok := f.diverts(r); ok {
			found = append(found, problem(
				fmt.Sprintf("a policy rule of another program with priority %d comes before Sarn's and sends packets of the fabric to table %d, which has a route for %s", r.Priority, r.Table, route.Dst),
				fmt.Sprintf("ip rule delete pref %d # or give it a priority above %d", r.Priority, compile.LastSubnetTable),
			))
		}
	}
	cured := map[string]bool{} // an address has several routes
	for _, r := range f.Survey.Routes {
		cure := f.remove(r)
		if !f.foreign(r) || cured[cure] {
			continue
		}
		if own := r.Table >= compile.FirstVPCTable && r.Table <= compile.LastSubnetTable; own {
			found = append(found, warning(fmt.Sprintf("a route of another program, for %s, is in Sarn's table %d", r.Dst, r.Table), cure))
			cured[cure] = true
		} else if block, inside := f.insideVPC(r); inside {
			found = append(found, problem(
				fmt.Sprintf("a route of another program, %s, takes addresses of the VPC block %s away from it", words(r), block), cure,
			))
			cured[cure] = true
		}
	}
	return orFine(found, "none in the way of Sarn's")
}

// diverts reports whether a rule of others catches the fabric's packets before Sarn's
// rules do, and the route that it leads them to.
func (f Facts) diverts(r kernel.SurveyRule) (kernel.SurveyRoute, bool) {
	const local = 255
	var none kernel.SurveyRoute
	first := -1
	for _, own := range f.Survey.Rules {
		if own.Protocol == netstate.Protocol && (first < 0 || own.Priority < first) {
			first = own.Priority
		}
	}
	ours := append(f.bridges(), f.underlay())
	switch {
	case r.Protocol == netstate.Protocol, r.Table == local, r.Narrow, first < 0, r.Priority > first:
		return none, false
	case r.Iif != "" && !slices.Contains(ours, r.Iif):
		return none, false
	}
	blocks := f.Intent.blocks()
	overlaps := func(p netip.Prefix) bool {
		return len(blocks) == 0 || slices.ContainsFunc(blocks, p.Overlaps)
	}
	if r.Src.IsValid() && !overlaps(r.Src) || r.Dst.IsValid() && !overlaps(r.Dst) {
		return none, false
	}
	for _, route := range f.Survey.Routes {
		if route.Table == r.Table && overlaps(route.Dst) && route.Dst.Bits() > r.Suppress {
			return route, true
		}
	}
	return none, false
}

// foreign reports whether a route is neither Sarn's nor the kernel's for what is Sarn's.
func (f Facts) foreign(r kernel.SurveyRoute) bool {
	if r.Protocol == netstate.Protocol || r.Type == kernel.BroadcastRoute {
		return false
	}
	d, _ := f.device(r.Link)
	if netstate.Sarn().Owns(d.Alias) && d.Name != "lo" {
		return false
	}
	return !slices.ContainsFunc(d.Addresses, func(a netstate.Address) bool {
		return a.Prefix == r.Dst && a.Label == netstate.Sarn().Label(d.Name)
	})
}

// insideVPC returns the VPC block that a route takes addresses of, more exactly than
// Sarn's own routes do. Tables that no rule leads packets to do no harm.
func (f Facts) insideVPC(r kernel.SurveyRoute) (netip.Prefix, bool) {
	const local = 255
	if r.Table != netstate.MainTable && r.Table != local {
		return netip.Prefix{}, false
	}
	for _, block := range f.Intent.blocks() {
		if r.Dst.Bits() >= block.Bits() && block.Contains(r.Dst.Addr()) {
			return block, true
		}
	}
	return netip.Prefix{}, false
}

func words(r kernel.SurveyRoute) string {
	text := r.Dst.String()
	if r.Type != netstate.Unicast {
		text = string(r.Type) + " " + text
	}
	if r.Via.IsValid() {
		text += " via " + r.Via.String()
	}
	if r.Link != "" {
		text += " dev " + r.Link
	}
	return text
}

// remove is the command that deletes a route; those that the kernel made go with
// their address.
func (f Facts) remove(r kernel.SurveyRoute) string {
	d, _ := f.device(r.Link)
	for _, a := range d.Addresses {
		made := r.Type == kernel.LocalRoute && a.Prefix.Addr() == r.Dst.Addr() || r.Protocol == unix.RTPROT_KERNEL && a.Prefix.Masked() == r.Dst
		if made {
			return fmt.Sprintf("ip address delete %s dev %s", a.Prefix, d.Name)
		}
	}
	text := fmt.Sprintf("ip route delete %s table %d", words(r), r.Table)
	if r.Metric != 0 {
		text += fmt.Sprintf(" metric %d", r.Metric)
	}
	return text
}
