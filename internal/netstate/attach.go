package netstate

import "fmt"

// defaultMTU is what the kernel gives a new link (ETH_DATA_LEN, linux/if_ether.h).
const defaultMTU = 1500

// attached reports whether the link is a port that somebody else makes.
func (l Link) attached() bool { return l.Kind == Existing && l.Master != "" }

// attach notes the ports of w that somebody else makes, and returns w without those that
// cannot be had now: they are not there, or in a bridge that is not ours. The latter is an
// error too.
func (p *plan) attach(w, h *State) (*State, error) {
	var err error
	there, away := byName(h.Links), map[string]bool{}
	for _, l := range w.Links {
		if !l.attached() {
			continue
		}
		if p.attached == nil {
			p.attached = map[string]bool{}
		}
		p.attached[l.Name] = true
		old, ok := there[l.Name]
		switch {
		case !ok:
			away[l.Name] = true
		case old.Master != "" && old.Master != l.Master && !p.owner.Owns(there[old.Master].Alias):
			away[l.Name] = true
			err = fmt.Errorf("port device %s is in the bridge %s, which is not Sarn's; take it out with: ip link set %s nomaster", l.Name, old.Master, l.Name)
		}
	}
	if len(away) == 0 {
		return w, nil
	}
	rest := w.without(away)
	rest.Links = nil
	for _, l := range w.Links {
		if !away[l.Name] {
			rest.Links = append(rest.Links, l)
		}
	}
	return rest, err
}
