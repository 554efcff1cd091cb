package agent

import (
	"net/netip"
	"testing"

	"sarn/internal/api"
	"sarn/internal/netstate"
)

// portRoute is a host's route to a port of its own.
func portRoute(dst string) netstate.Route {
	return netstate.Route{Table: 5001, Dst: netip.MustParsePrefix(dst), Link: "br_net1"}
}

func routePart(dst string) netstate.Machine {
	return netstate.Machine{"": {Routes: []netstate.Route{portRoute(dst)}}}
}

// seeing returns what is in doubt after the event, for one who wants the parts and is sure
// of the kernel.
func seeing(t *testing.T, w *wish, e netstate.Event) doubt {
	t.Helper()
	w.before, w.doubt = nil, none
	w.see(e)
	return w.doubt
}

func taking(t *testing.T, w *wish, whole bool, parts map[string]netstate.Machine) {
	t.Helper()
	if complete, err := w.take(api.NodeEvent{Revision: 1, Whole: whole, Parts: parts}); !complete || err != nil {
		t.Fatal(complete, err)
	}
}

// TestAddressesChangeHands has a route go from one part to another in one change, as when
// a new port gets the address of a deleted one: it is wanted as before.
func TestAddressesChangeHands(t *testing.T) {
	a, b := portRoute("10.0.0.1/32"), portRoute("10.0.0.2/32")
	for range 20 { // the parts of a line have no order
		var w wish
		taking(t, &w, true, map[string]netstate.Machine{"port a": routePart("10.0.0.1/32"), "port b": routePart("10.0.0.2/32")})
		taking(t, &w, false, map[string]netstate.Machine{"port a": nil, "port b": routePart("10.0.0.1/32"), "port c": routePart("10.0.0.2/32")})
		for _, r := range []netstate.Route{a, b} {
			if got := seeing(t, &w, netstate.Event{Route: &r}); got != none {
				t.Fatalf("%s came as wanted, and puts %d in doubt", r.Dst, got)
			}
			if got := seeing(t, &w, netstate.Event{Route: &r, Gone: true}); got != everything {
				t.Fatalf("%s went and is wanted, and puts %d in doubt", r.Dst, got)
			}
		}
	}
}

// TestARouteGoesWhateverItsLink has a wanted route go that the kernel tells in other words:
// of a link whose name is not known any more.
func TestARouteGoesWhateverItsLink(t *testing.T) {
	var w wish
	taking(t, &w, true, map[string]netstate.Machine{"port a": routePart("10.0.0.1/32")})
	r := portRoute("10.0.0.1/32")
	r.Link = ""
	if got := seeing(t, &w, netstate.Event{Route: &r, Gone: true}); got != everything {
		t.Errorf("puts %d in doubt", got)
	}
}

// TestALinkThatNoRouteHangsOn goes, as containers' do all the time: that is no cause to read
// all routes.
func TestALinkThatNoRouteHangsOn(t *testing.T) {
	var w wish
	taking(t, &w, true, map[string]netstate.Machine{"port a": routePart("10.0.0.1/32")})
	for link, want := range map[string]doubt{"veth1": local, "br_net1": everything, "": everything} {
		if got := seeing(t, &w, netstate.Event{Routes: true, Link: link}); got != want {
			t.Errorf("%q puts %d in doubt, want %d", link, got, want)
		}
	}
	taking(t, &w, false, map[string]netstate.Machine{"port a": nil})
	if got := seeing(t, &w, netstate.Event{Routes: true, Link: "br_net1"}); got != local {
		t.Errorf("with the last route gone it puts %d in doubt", got)
	}
}
