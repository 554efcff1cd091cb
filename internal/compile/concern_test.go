package compile_test

import (
	"bytes"
	"encoding/json"
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
	})
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
