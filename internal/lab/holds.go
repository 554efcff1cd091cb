package lab

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sarn/internal/graph"
	"sarn/internal/netstate"
)

// state tells what a node holds: its routing tables, in few lines.
func (k *sketch) state(n *nodeState) *graph.State {
	s := &graph.State{Words: n.words}
	if st := n.status; st != nil {
		s.Error = st.Error
		switch {
		case st.Error != "" && !st.Connected:
			s.Health, s.Words = graph.Bad, fmt.Sprintf("failed at revision %d; agent not connected", st.Wanted)
		case st.Error != "":
			s.Health, s.Words = graph.Bad, fmt.Sprintf("failed at revision %d", st.Wanted)
		case !st.InSync() && !st.Connected:
			s.Health, s.Words = graph.Bad, fmt.Sprintf("agent not connected; at revision %d, not %d", st.Applied, st.Wanted)
		case !st.Connected:
			s.Health, s.Words = graph.Bad, fmt.Sprintf("agent not connected; was at revision %d", st.Applied)
		case !st.InSync():
			s.Health, s.Words = graph.Waiting, fmt.Sprintf("at revision %d, not yet at %d", st.Applied, st.Wanted)
		default:
			s.Health, s.Words = graph.Good, fmt.Sprintf("in sync: revision %d, verified", st.Applied)
		}
	}
	if n.err != nil {
		s.Error = n.err.Error()
	}
	routes := k.routes(n)
	s.Tables = k.ruled(n, routes)
	if main := routes[netstate.MainTable]; len(main) > 0 {
		s.Tables = append(s.Tables, graph.Table{Name: "table main", Rule: "everything else", Routes: main})
	}
	return s
}

// ruled lists the tables that rules lead to, in the order in which packets meet them: a
// VPC's, then its subnets'. Those that hold the same stand together, which the tables of
// one VPC's subnets often do.
func (k *sketch) ruled(n *nodeState, routes map[uint32][]graph.Route) []graph.Table {
	type group struct {
		table graph.Table
		first uint32   // the table that its packets meet first
		ids   []string // its tables
		from  []string // the devices that its packets come from
	}
	var groups []group
	rules, first := rulesOf(n)
	for _, r := range rules {
		t := graph.Table{
			Then:   r.Table != first[r.Iif],
			Lost:   !slices.Contains(n.have.Rules, r),
			Routes: routes[r.Table],
		}
		at := slices.IndexFunc(groups, func(o group) bool {
			return o.first == first[r.Iif] && o.table.Then == t.Then && o.table.Lost == t.Lost && slices.Equal(o.table.Routes, t.Routes)
		})
		if at < 0 {
			at = len(groups)
			groups = append(groups, group{table: t, first: first[r.Iif]})
		}
		g := &groups[at]
		if id := fmt.Sprint(r.Table); !slices.Contains(g.ids, id) {
			g.ids = append(g.ids, id)
		}
		g.from = append(g.from, r.Iif)
	}
	tables := make([]graph.Table, len(groups))
	for i, g := range groups {
		tables[i] = g.table
		tables[i].Name, tables[i].Rule = "table "+g.ids[0], "from "+few(g.from)
		if len(g.ids) > 1 {
			tables[i].Name = "tables " + few(g.ids)
		}
		for _, v := range k.objects.VPCs {
			if v.Table == g.first && !g.table.Then {
				tables[i].Rule = "VPC " + v.Name + ", " + tables[i].Rule
			}
		}
	}
	return tables
}

// few lists two words, or the first of more.
func few(words []string) string {
	if len(words) <= 2 {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", words[0], len(words)-1)
}

// rulesOf returns the rules that the node holds or should hold, those of one device after
// each other, and which table the packets of each device meet first.
func rulesOf(n *nodeState) (all []netstate.Rule, first map[string]uint32) {
	all = slices.Clone(n.have.Rules)
	for _, r := range n.want.Rules {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	first = map[string]uint32{}
	inOrder := func(a, b netstate.Rule) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Iif, b.Iif), cmp.Compare(a.Table, b.Table))
	}
	slices.SortFunc(all, inOrder)
	for _, r := range slices.Backward(all) {
		first[r.Iif] = r.Table
	}
	slices.SortStableFunc(all, func(a, b netstate.Rule) int { return cmp.Compare(first[a.Iif], first[b.Iif]) })
	return all, first
}

// alike is what routes have in common that share a line.
type alike struct {
	rank   int    // host routes, subnets, larger blocks, the default route
	subnet string // that the destination is in, or is
	way    string
	lost   bool
}

const (
	rankPort = iota
	rankSubnet
	rankBlock
	rankDefault
)

// routes folds the routes of each table: those to VMs of one subnet that go the same
// way share a line, and so do blocks.
func (k *sketch) routes(n *nodeState) map[uint32][]graph.Route {
	folded := map[uint32]map[alike][]netip.Prefix{}
	add := func(r netstate.Route, lost bool) {
		if folded[r.Table] == nil {
			folded[r.Table] = map[alike][]netip.Prefix{}
		}
		a := k.alike(r)
		a.lost = lost
		folded[r.Table][a] = append(folded[r.Table][a], r.Dst)
	}
	held := map[netstate.Route]bool{}
	for _, r := range n.have.Routes {
		held[r] = true
		add(r, false)
	}
	for _, r := range n.want.Routes {
		if !held[r] {
			add(r, true)
		}
	}
	tables := map[uint32][]graph.Route{}
	for table, all := range folded {
		tables[table] = k.lines(all)
	}
	return tables
}

// lines puts the routes of one table in order.
func (k *sketch) lines(folded map[alike][]netip.Prefix) []graph.Route {
	merge(folded)
	var keys []alike
	for a, dsts := range folded {
		keys = append(keys, a)
		slices.SortFunc(dsts, func(a, b netip.Prefix) int {
			return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
		})
	}
	slices.SortFunc(keys, func(a, b alike) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), natural(a.subnet, b.subnet), folded[a][0].Addr().Compare(folded[b][0].Addr()),
			strings.Compare(a.way, b.way), cmp.Compare(truth(a.lost), truth(b.lost)))
	})
	lines := make([]graph.Route, len(keys))
	for i, a := range keys {
		lines[i] = graph.Route{Subnet: a.subnet, To: k.destinations(a, folded[a]), Way: a.way, Lost: a.lost}
	}
	return lines
}

// merge puts whole subnets that go the same way on one line if they are many.
func merge(folded map[alike][]netip.Prefix) {
	const many = 4
	same := map[alike][]alike{}
	for a := range folded {
		if a.rank == rankSubnet {
			common := a
			common.subnet = ""
			same[common] = append(same[common], a)
		}
	}
	for common, all := range same {
		if len(all) < many {
			continue
		}
		for _, a := range all {
			folded[common] = append(folded[common], folded[a]...)
			delete(folded, a)
		}
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (k *sketch) alike(r netstate.Route) alike {
	a := alike{rank: rankBlock, way: string(r.Type)}
	switch {
	case r.Via.IsValid():
		a.way = "via " + cmp.Or(k.names[r.Via], r.Via.String())
	case r.Type == netstate.Unicast:
		a.way = r.Link
	}
	for _, s := range k.objects.Subnets {
		if s.CIDR.IsValid() && s.CIDR.Bits() <= r.Dst.Bits() && s.CIDR.Contains(r.Dst.Addr()) {
			a.subnet = s.Name
		}
	}
	switch {
	case r.Dst.Bits() == 0:
		a.rank = rankDefault
	case a.subnet != "" && r.Dst.IsSingleIP():
		a.rank = rankPort
	case a.subnet != "":
		a.rank = rankSubnet
	}
	return a
}

// destinations is what stands on one line for the destinations, which are in order.
func (k *sketch) destinations(a alike, all []netip.Prefix) string {
	const most = 3
	switch {
	case a.rank == rankDefault:
		return "default"
	case a.rank == rankSubnet && a.subnet == "":
		return fmt.Sprintf("%d subnets", len(all))
	case a.rank != rankPort:
		words := make([]string, len(all))
		for i, p := range all {
			words[i] = p.String()
		}
		return few(words)
	case len(all) > most:
		for _, s := range k.objects.Subnets {
			if s.Name == a.subnet {
				return fmt.Sprintf("%s: %d VMs", s.CIDR, len(all))
			}
		}
	}
	text := all[0].Addr().String()
	for i, p := range all[1:] {
		b, c := all[i].Addr().As4(), p.Addr().As4()
		if [3]byte(b[:3]) == [3]byte(c[:3]) {
			text += fmt.Sprintf(", .%d", c[3])
		} else {
			text += ", " + p.Addr().String()
		}
	}
	return text
}
