package netstate_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"sarn/internal/netstate"
	"sarn/internal/netstate/netstatetest"
)

func TestQdiscs(t *testing.T) {
	eth := []netstate.Link{{Name: "eth0", Kind: netstate.Veth, Alias: "sarn x", Up: true}}
	with := func(qs ...netstate.Qdisc) netstate.Machine {
		return machine(netstate.State{Links: eth, Qdiscs: qs})
	}
	slow := netstate.Qdisc{Link: "eth0", Kind: netstate.Tbf, Rate: 1e6, Burst: 8192, Queue: 16384}
	fast, far := slow, netstate.Qdisc{Link: "eth0", Kind: netstate.Netem, Delay: 10 * time.Millisecond, Loss: 0.5, Rate: 1e6}
	fast.Rate = 2e6
	for _, c := range []struct {
		name       string
		want, have netstate.Machine
		ops        []string
	}{
		{"new", with(slow), with(), []string{"tc qdisc replace dev eth0 root handle 53: tbf rate 1000000bit burst 8192 limit 16384"}},
		{"as it is", with(slow), with(slow), nil},
		{"another rate", with(fast), with(slow), []string{"tc qdisc replace dev eth0 root handle 53: tbf rate 2000000bit burst 8192 limit 16384"}},
		{"another kind", with(far), with(slow), []string{"tc qdisc del dev eth0 root", "tc qdisc replace dev eth0 root handle 53: netem delay 10ms loss 0.5% rate 1000000bit"}},
		{"none", with(), with(slow), []string{"tc qdisc del dev eth0 root"}},
	} {
		if got := diff(t, c.want, c.have); !slices.Equal(got, c.ops) {
			t.Errorf("%s: %q, want %q", c.name, got, c.ops)
		}
		k := netstatetest.New("eth0")
		k.Edit(func(m netstate.Machine) { *m[""] = *c.have[""] })
		ops, err := netstate.Diff(c.want, c.have)
		if err == nil {
			err = k.Apply(t.Context(), ops)
		}
		have, _ := k.Read(t.Context(), c.want)
		if left := diff(t, c.want, have); err != nil || len(left) > 0 {
			t.Errorf("%s: applied: %v; left: %q", c.name, err, left)
		}
	}
}

func TestCommandsOfAnotherOwner(t *testing.T) {
	lab := netstate.Owner{Mark: "lab", Protocol: 84}
	for want, object := range map[string]any{
		"ip -n a route add 10.0.0.0/8 proto 84":                                        netstate.Route{Table: 254, Dst: netip.MustParsePrefix("10.0.0.0/8")},
		"ip -n a rule add pref 7 iif eth0 lookup 7 protocol 84":                        netstate.Rule{Priority: 7, Iif: "eth0", Table: 7},
		"tc -n a qdisc replace dev eth0 root handle 54: tbf rate 8bit burst 1 limit 2": netstate.Qdisc{Link: "eth0", Kind: netstate.Tbf, Rate: 8, Burst: 1, Queue: 2},
	} {
		if got := lab.Command(netstate.Op{Netns: "a", Verb: netstate.Add, Object: object}); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
