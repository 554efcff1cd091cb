package netstate

// Merge returns the machine that holds what all parts hold. Each object is in one part;
// only namespaces, nft tables and sets may be in several, with their content shared out.
func Merge(parts ...Machine) Machine {
	all := Machine{}
	routes := 0 // of which there may be many more than of all else
	for _, part := range parts {
		if s := part[""]; s != nil {
			routes += len(s.Routes)
		}
	}
	for _, part := range parts {
		for name, s := range part {
			if all[name] == nil {
				all[name] = &State{}
				if name == "" {
					all[name].Routes = make([]Route, 0, routes)
				}
			}
			all[name].merge(s)
		}
	}
	for _, s := range all {
		s.Tables = mergeTables(s.Tables)
	}
	return all
}

func (s *State) merge(o *State) {
	if o.Alias != "" {
		s.Alias = o.Alias
	}
	s.Links = append(s.Links, o.Links...)
	s.Qdiscs = append(s.Qdiscs, o.Qdiscs...)
	s.Addresses = append(s.Addresses, o.Addresses...)
	s.Neighbors = append(s.Neighbors, o.Neighbors...)
	s.Forwards = append(s.Forwards, o.Forwards...)
	s.Routes = append(s.Routes, o.Routes...)
	s.Rules = append(s.Rules, o.Rules...)
	s.Sysctls = append(s.Sysctls, o.Sysctls...)
	s.Tables = append(s.Tables, o.Tables...)
}

// mergeTables makes one table of those of each family, and one set of those of a name.
func mergeTables(parts []Table) []Table {
	var all []Table
	at := map[Family]int{}
	sets := map[Family]map[string]int{}
	for _, part := range parts {
		i, ok := at[part.Family]
		if !ok {
			i = len(all)
			at[part.Family], sets[part.Family] = i, map[string]int{}
			all = append(all, Table{Family: part.Family})
		}
		t := &all[i]
		t.Chains = append(t.Chains, part.Chains...)
		for _, s := range part.Sets {
			j, ok := sets[part.Family][s.Name]
			if !ok {
				sets[part.Family][s.Name] = len(t.Sets)
				s.Elements = append([]string(nil), s.Elements...)
				t.Sets = append(t.Sets, s)
				continue
			}
			t.Sets[j].Elements = append(t.Sets[j].Elements, s.Elements...)
		}
	}
	return all
}
