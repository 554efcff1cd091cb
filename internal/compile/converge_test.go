package compile_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/netstate"
	"sarn/internal/netstate/netstatetest"
)

// randomWorld draws a fabric: any ports of two VPCs' four subnets on two hosts, with
// any attachment. The same names recur from draw to draw with other contents.
func randomWorld(t *rapid.T) *intent.World {
	w := twoHosts()
	for _, p := range w.List(intent.KindPort) {
		w.Delete(intent.RefOf(p))
	}
	for i, vpc := range []string{"main", "other"} {
		for j := range 2 {
			if !rapid.Bool().Draw(t, "subnet") {
				continue
			}
			base := fmt.Sprintf("10.%d.%d.", 10*(i+1), 30+10*j)
			w.Put(&intent.Subnet{
				Header: intent.Header{Name: fmt.Sprintf("s%d%d", i, j)}, VPC: vpc,
				CIDR: intent.MustCIDR(base + "0/24"), Gateway: intent.MustAddr(base + "1"), Bridge: intent.MustAddr(base + "2"),
				Router: "router", NAT: rapid.Bool().Draw(t, "nat"), Table: uint32(10003 + 2*i + j),
			})
		}
	}
	for _, v := range w.AllVPCs() {
		v := *v
		v.Mode = rapid.SampledFrom([]intent.Mode{intent.ModeRouter, intent.ModeDirect}).Draw(t, "mode")
		w.Put(&v)
	}
	subnets := w.AllSubnets()
	for i := range rapid.IntRange(0, 8).Draw(t, "ports") {
		s := rapid.SampledFrom(subnets).Draw(t, "in")
		a := s.CIDR.First()
		for range 10 + i {
			a = a.Next()
		}
		p := &intent.Port{
			Header: intent.Header{Name: fmt.Sprintf("vm%d", i)}, Subnet: s.Name, Address: intent.Addr{Addr: a},
			Node: rapid.SampledFrom([]string{"host1", "host2"}).Draw(t, "on"),
			MAC:  intent.PortMAC(intent.Addr{Addr: a}),
		}
		if rapid.Bool().Draw(t, "moving") {
			p.Move = &intent.Move{From: "host1", Switched: rapid.Bool().Draw(t, "switched")}
			p.Node = "host2"
		}
		if rapid.Bool().Draw(t, "tap") {
			p.Attach = intent.Attach{Type: intent.AttachTap, Owner: uint32(rapid.IntRange(0, 1).Draw(t, "owner"))}
		} else {
			ns := rapid.SampledFrom([]string{p.Name, "shared"}).Draw(t, "netns")
			p.Attach = intent.Attach{Type: intent.AttachNetns, Namespace: ns, Interface: fmt.Sprintf("eth%d", i)}
		}
		w.Put(p)
	}
	return w
}

func converge(t *rapid.T, k *netstatetest.Kernel, want netstate.Machine) {
	t.Helper()
	have, _ := k.Read(context.Background(), want)
	ops, err := netstate.Diff(want, have)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Apply(context.Background(), ops); err != nil {
		t.Fatal(err)
	}
	have, _ = k.Read(context.Background(), want)
	if ops, err = netstate.Diff(want, have); err != nil || len(ops) > 0 {
		t.Fatalf("second diff is not empty: %v %v", ops, err)
	}
}

// TestAnyFabricToAnyOther turns each node from one random fabric into another and
// expects every op to be possible in its place and the second diff to be empty.
func TestAnyFabricToAnyOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, node := range []string{"host1", "router"} {
			k := netstatetest.New("enp0s3", "enp0s8")
			for range 3 {
				converge(t, k, compile.Node(randomWorld(t), node))
			}
		}
	})
}

// TestHealsAnyLoss deletes random objects behind the agent's back.
func TestHealsAnyLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := netstatetest.New("enp0s3", "enp0s8")
		want := compile.Node(randomWorld(t), "host1")
		converge(t, k, want)
		have, _ := k.Read(context.Background(), want)
		var losses []netstate.Op
		for ns, s := range have {
			for _, l := range s.Links {
				if l.Kind != netstate.Existing {
					losses = append(losses, netstate.Op{Netns: ns, Verb: netstate.Delete, Object: l})
					losses = append(losses, netstate.Op{Netns: ns, Verb: netstate.Change, Object: netstate.LinkAttr{Link: l.Name, Attr: "up", Value: "off"}})
				}
			}
			for _, r := range s.Routes {
				losses = append(losses, netstate.Op{Netns: ns, Verb: netstate.Delete, Object: r})
			}
			for _, r := range s.Rules {
				losses = append(losses, netstate.Op{Netns: ns, Verb: netstate.Delete, Object: r})
			}
			for _, y := range s.Sysctls {
				losses = append(losses, netstate.Op{Netns: ns, Verb: netstate.Change, Object: netstate.Sysctl{Name: y.Name, Value: "7"}})
			}
			for _, tb := range s.Tables {
				losses = append(losses, netstate.Op{Netns: ns, Verb: netstate.Delete, Object: netstate.NFT{Line: "delete table " + string(tb.Family) + " sarn"}})
			}
			if ns != "" {
				losses = append(losses, netstate.Op{Verb: netstate.Delete, Object: netstate.Netns{Name: ns}})
			}
		}
		slices.SortFunc(losses, func(a, b netstate.Op) int {
			if a.Command() < b.Command() {
				return -1
			}
			return 1
		})
		for range rapid.IntRange(1, 5).Draw(t, "losses") {
			loss := rapid.SampledFrom(losses).Draw(t, "loss")
			_ = k.Apply(context.Background(), []netstate.Op{loss}) // gone already is as good
		}
		converge(t, k, want)
	})
}

// TestVPCsAreApart shows on every host table that no route leads from one VPC's
// subnet to another VPC's.
func TestVPCsAreApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := randomWorld(t)
		own := compile.Node(w, "host1")[""]
		for _, s := range w.AllSubnets() {
			for _, p := range w.List(intent.KindPort) {
				p := p.(*intent.Port)
				if w.Subnets[p.Subnet].VPC == s.VPC {
					continue
				}
				if r, ok := lookup(own.Routes, s.Table, p.Address.Addr); ok && r.Type != netstate.Prohibit {
					t.Fatalf("table of %s reaches %s: %s", s.Name, p.Address, r)
				}
			}
		}
	})
}

func lookup(routes []netstate.Route, table uint32, a netip.Addr) (best netstate.Route, ok bool) {
	for _, r := range routes {
		if r.Table == table && r.Dst.Contains(a) && (!ok || r.Dst.Bits() > best.Dst.Bits()) {
			best, ok = r, true
		}
	}
	return best, ok
}
