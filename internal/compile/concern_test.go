package compile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// parts returns every part of every node.
func parts(w *intent.World) map[string]map[compile.Key]netstate.Machine {
	all := map[string]map[compile.Key]netstate.Machine{}
	for name := range w.Nodes {
		all[name] = map[compile.Key]netstate.Machine{}
		for _, k := range compile.Keys(w, name) {
			if p := compile.Part(w, name, k); p != nil {
				all[name][k] = p
			}
		}
	}
	return all
}

// TestConcernNamesAllThatChanges turns one random fabric into another, with a node
// changed too at times, and compiles again only what Concern names.
func TestConcernNamesAllThatChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := randomWorld(t)
		have := parts(w)
		for range 3 {
			next := randomWorld(t)
			for _, name := range []string{"host2", "router"} {
				if rapid.Bool().Draw(t, "renumber") {
					n := *next.Nodes[name]
					n.Address = intent.MustAddr("192.168.56.222")
					next.Put(&n)
				}
			}
			for _, name := range []string{"host3", "router2"} {
				if rapid.Bool().Draw(t, name) {
					n := *next.Nodes["host1"]
					n.Name, n.Role = name, rapid.SampledFrom([]intent.Role{intent.RoleHost, intent.RoleRouter}).Draw(t, "role")
					next.Put(&n)
				}
			}
			// One block of a VPC is a subnet at times, and who has its gateway may go.
			block := rapid.SampledFrom([]string{"10.20.0.0/16", "10.20.30.0/24", "10.20.40.0/24"}).Draw(t, "block")
			v := *next.VPCs["other"]
			v.CIDRs = []intent.CIDR{intent.MustCIDR(block), intent.MustCIDR("10.21.0.0/16")}
			next.Put(&v)
			for _, s := range next.AllSubnets() {
				s := *s
				s.Router = rapid.SampledFrom([]string{"router", "router2"}).Draw(t, "router")
				next.Put(&s)
			}
			var c compile.Concern
			change(w, next, &c)
			follow(t, w, c, have)
		}
	})
}

// follow compiles again what the concern names, and expects that all parts are right then.
func follow(t interface {
	Errorf(string, ...any)
	Fatalf(string, ...any)
}, w *intent.World, c compile.Concern, have map[string]map[compile.Key]netstate.Machine,
) {
	for name := range w.Nodes {
		if have[name] == nil {
			have[name] = map[compile.Key]netstate.Machine{}
		}
	}
	for name := range c.Whole {
		have[name] = map[compile.Key]netstate.Machine{}
		for _, k := range compile.Keys(w, name) {
			have[name][k] = compile.Part(w, name, k)
		}
	}
	for name, keys := range c.Parts {
		if w.Nodes[name] == nil {
			continue
		}
		for k := range keys {
			have[name][k] = compile.Part(w, name, k)
		}
	}
	want := parts(w)
	for name, all := range have {
		maps.DeleteFunc(all, func(_ compile.Key, m netstate.Machine) bool { return m == nil })
		if len(all)+len(want[name]) > 0 && !reflect.DeepEqual(all, want[name]) {
			for k := range want[name] {
				is, _ := json.Marshal(all[k])
				should, _ := json.Marshal(want[name][k])
				if !bytes.Equal(is, should) {
					t.Errorf("%s: after a change part %q is\n%s\nbut should be\n%s", name, k, is, should)
				}
			}
			t.Fatalf("%s: after a change there are %d parts, and should be %d", name, len(all), len(want[name]))
		}
	}
}

// TestOneChange makes one change at a time, so that nothing else names what it changes,
// and expects that no table has two routes to one destination.
func TestOneChange(t *testing.T) {
	subnet := func(nat bool) *intent.Subnet {
		return &intent.Subnet{
			Header: intent.Header{Name: "all"}, VPC: "third", CIDR: intent.MustCIDR("10.30.0.0/24"), NAT: nat, Table: 10009,
			Gateway: intent.MustAddr("10.30.0.1"), Bridge: intent.MustAddr("10.30.0.2"), Router: "router",
		}
	}
	host3 := *twoHosts().Nodes["host1"]
	host3.Name, host3.Address = "host3", intent.MustAddr("192.168.56.105")
	some := *subnet(true)
	some.Name, some.CIDR = "some", intent.MustCIDR("10.10.30.0/24")
	some.VPC, some.Table = "main", 10010
	w := twoHosts()
	have := parts(w)
	put := func(o intent.Object) func(*intent.World) { return func(w *intent.World) { w.Put(o) } }
	gone := func(k intent.Kind, name string) func(*intent.World) {
		return func(w *intent.World) { w.Delete(intent.Ref{Kind: k, Name: name}) }
	}
	for _, step := range []func(*intent.World){
		put(&intent.VPC{Header: intent.Header{Name: "third"}, CIDRs: []intent.CIDR{intent.MustCIDR("10.30.0.0/24")}, Mode: intent.ModeRouter, Table: 5003}),
		put(subnet(false)), gone(intent.KindSubnet, "all"), put(subnet(true)), put(&host3),
		put(&some), gone(intent.KindSubnet, "some"), gone(intent.KindNode, "host3"), gone(intent.KindSubnet, "all"), gone(intent.KindVPC, "third"),
	} {
		next := intent.NewWorld(w.Set().Objects()...)
		step(next)
		var c compile.Concern
		change(w, next, &c)
		follow(t, w, c, have)
		for name := range w.Nodes {
			seen := map[string]bool{}
			for _, r := range compile.Node(w, name)[""].Routes {
				at := fmt.Sprint(r.Table, r.Dst)
				if seen[at] {
					t.Errorf("%s has two routes to %s", name, r)
				}
				seen[at] = true
			}
		}
	}
}

// change makes w what next is, as the controller does it.
func change(w, next *intent.World, c *compile.Concern) {
	type pair struct{ before, after intent.Object }
	pairs := map[intent.Ref]pair{}
	for _, o := range w.Set().Objects() {
		pairs[intent.RefOf(o)] = pair{before: o}
	}
	for _, o := range next.Set().Objects() {
		ref := intent.RefOf(o)
		pairs[ref] = pair{pairs[ref].before, o}
	}
	maps.DeleteFunc(pairs, func(_ intent.Ref, p pair) bool { return reflect.DeepEqual(p.before, p.after) })
	for _, p := range pairs {
		c.Touch(w, p.before, p.after)
	}
	for ref, p := range pairs {
		if p.after == nil {
			w.Delete(ref)
		} else {
			w.Put(p.after)
		}
	}
	for _, p := range pairs {
		c.Touch(w, p.before, p.after)
	}
}

// TestFirstPortsTogether has one change bring a subnet's first two ports to a host, and
// another take them.
func TestFirstPortsTogether(t *testing.T) {
	w, next := twoHosts(), twoHosts()
	for _, port := range []string{"vm3", "vm4"} {
		w.Delete(intent.Ref{Kind: intent.KindPort, Name: port})
	}
	for range 2 {
		before := w.Set().Objects()
		var c compile.Concern
		change(w, next, &c)
		if !c.Whole["host2"] || c.Whole["host1"] || c.Whole["router"] {
			t.Errorf("with a bridge on host2, whole nodes change: %v", c.Whole)
		}
		next = intent.NewWorld(before...)
	}
}
