package netstate_test

import (
	"strings"
	"testing"

	"sarn/internal/netstate"
)

// attaching wants the device of somebody else in a bridge of ours.
func attaching() netstate.Machine {
	return netstate.Machine{"": {Links: []netstate.Link{
		{Name: "br_net1", Kind: netstate.Bridge, Alias: "sarn subnet net1"},
		{Name: "vnet0", Master: "br_net1", Isolated: true, Static: true},
	}}}
}

func commands(ops []netstate.Op) string {
	var lines []string
	for _, op := range ops {
		lines = append(lines, op.Command())
	}
	return strings.Join(lines, "\n")
}

// TestADeviceInAnotherBridge stays there, however it is set there.
func TestADeviceInAnotherBridge(t *testing.T) {
	have := netstate.Machine{"": {Links: []netstate.Link{
		{Name: "br_net1", Kind: netstate.Bridge, Alias: "sarn subnet net1"},
		{Name: "vnet0", Kind: netstate.Tap, Master: "virbr0", Isolated: true, Static: true},
	}}}
	ops, err := netstate.Diff(attaching(), have)
	if len(ops) > 0 || err == nil || !strings.Contains(err.Error(), "vnet0 is in the bridge virbr0") {
		t.Errorf("%v\n%s", err, commands(ops))
	}
}

// TestADeviceIsLetGo when it is no port any more.
func TestADeviceIsLetGo(t *testing.T) {
	want := attaching()
	have := netstate.Assume(want)
	have[""].Links[1].Kind = netstate.Tap
	want[""].Links = want[""].Links[:1]
	ops, err := netstate.Diff(want, have)
	if got := commands(ops); err != nil || got != "ip link set vnet0 nomaster" {
		t.Errorf("%v\n%s", err, got)
	}
}
