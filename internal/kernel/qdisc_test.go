package kernel_test

import (
	"strings"
	"testing"

	"sarn/internal/kernel"
	"sarn/internal/netnstest"
	"sarn/internal/netstate"
)

// shaped is a host whose port vm2 sends at most 10 Mbit/s.
func shaped() netstate.Machine {
	m := host()
	m[""].Qdiscs = []netstate.Qdisc{{Link: "vp_vm2", Kind: netstate.Tbf, Rate: 10e6, Burst: 12345, Queue: 75000}}
	return m
}

func TestQdiscsComeAndGo(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, foreign)
		k := newKernel(t)
		converge(t, k, shaped())
		if out := sh(t, "tc qdisc show dev vp_vm2"); !strings.Contains(out, "qdisc tbf 53: root") || !strings.Contains(out, "rate 10Mbit") {
			t.Errorf("tc qdisc show: %s", out)
		}
		for _, c := range []struct{ name, script, heal string }{
			{"deleted", "tc qdisc del dev vp_vm2 root", "tc qdisc replace dev vp_vm2 root handle 53: tbf rate 10000000bit burst 12345 limit 75000"},
			{"another rate", "tc qdisc replace dev vp_vm2 root handle 53: tbf rate 1mbit burst 8k latency 50ms", "tc qdisc replace dev vp_vm2"},
			{"another kind", "tc qdisc del dev vp_vm2 root; tc qdisc add dev vp_vm2 root handle 53: pfifo", "tc qdisc del dev vp_vm2 root"},
			{"another's in its place", "tc qdisc replace dev vp_vm2 root handle 7: pfifo", "tc qdisc replace dev vp_vm2"},
			{"its link made anew", "ip link delete vp_vm2", "tc qdisc replace dev vp_vm2"},
		} {
			sh(t, c.script)
			var done []string
			for _, op := range converge(t, k, shaped()) {
				done = append(done, op.Command())
			}
			if all := strings.Join(done, "\n"); !strings.Contains(all, c.heal) {
				t.Errorf("%s: healed by\n%s\nwant %s", c.name, all, c.heal)
			}
		}
		sh(t, "tc qdisc add dev vp_vm1 root handle 7: pfifo") // somebody else's
		converge(t, k, host())
		if out := sh(t, "tc qdisc show"); strings.Contains(out, "tbf") || !strings.Contains(out, "pfifo 7:") {
			t.Errorf("ours is to go and another's to stay: %s", out)
		}
	})
}

func TestLacksQdisc(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		if lacks, err := kernel.LacksQdisc("sarnofil"); err != nil || !lacks {
			t.Errorf("a kind that nobody has: %v, %v", lacks, err)
		}
		if lacks, err := kernel.LacksQdisc(netstate.Tbf); err != nil || lacks {
			t.Errorf("tbf: %v, %v", lacks, err)
		}
		if out := sh(t, "tc qdisc show dev lo"); strings.Contains(out, "tbf") {
			t.Errorf("trying it has changed this namespace: %s", out)
		}
		k, netem := newKernel(t), shaped()
		netem[""].Qdiscs[0] = netstate.Qdisc{Link: "vp_vm2", Kind: netstate.Netem, Delay: 1e6}
		lacks, err := kernel.LacksQdisc(netstate.Netem)
		if err != nil {
			t.Fatal(err)
		}
		sh(t, foreign)
		err = k.Apply(t.Context(), diff(t, k, netem))
		if !lacks {
			converge(t, k, netem)
		} else if err == nil || !strings.Contains(err.Error(), "delay 1ms") || !strings.Contains(err.Error(), "module sch_netem") {
			t.Errorf("a netem that the kernel lacks: %v", err)
		}
	})
}
