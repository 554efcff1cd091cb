package netstate_test

import (
	"testing"

	"sarn/internal/netstate"
)

func TestAssumedPairsNameBothEnds(t *testing.T) {
	want := netstate.Machine{
		"": {Links: []netstate.Link{{Name: "vp_a", Kind: netstate.Veth, Alias: "sarn port a", Peer: "eth0", PeerNetns: "a", Up: true}}},
		"a": {Alias: "sarn port a", Links: []netstate.Link{
			{Name: "lo", Up: true},
			{Name: "eth0", Kind: netstate.Veth, Alias: "sarn port a", Up: true},
		}},
	}
	have := netstate.Assume(want)
	if eth0 := have["a"].Links[1]; eth0.Peer != "vp_a" || eth0.PeerNetns != "" {
		t.Errorf("the guest's end is %+v, want its peer named", eth0)
	}
	if want["a"].Links[1].Peer != "" {
		t.Error("what is wanted has changed")
	}
	if got := diff(t, want, have); len(got) > 0 {
		t.Errorf("got %q, want nothing to do", got)
	}
	if got := netstate.Assume(nil); len(got) != 0 {
		t.Errorf("of nothing %v is assumed", got)
	}
}
