package netstate

import "slices"

// Assume returns what a reader would find on a machine that holds exactly m, which is
// a wanted state: there only one end of a veth pair names its peer, in a reading both
// do. So the ops that turn one wanted state into another are Diff(to, Assume(from)).
// The result shares all lists but those of links with m.
func Assume(m Machine) Machine {
	have := make(Machine, len(m))
	for name, s := range m {
		c := *s
		c.Links = slices.Clone(s.Links)
		have[name] = &c
	}
	for name, s := range m {
		for _, l := range s.Links {
			other := have[l.PeerNetns]
			if l.Peer == "" || other == nil {
				continue
			}
			for i := range other.Links {
				if other.Links[i].Name == l.Peer {
					other.Links[i].Peer, other.Links[i].PeerNetns = l.Name, name
				}
			}
		}
	}
	return have
}
