package compile_test

import (
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
			if rapid.Bool().Draw(t, "renumber") {
				n := *next.Nodes["host2"]
				n.Address = intent.MustAddr("192.168.56.222")
				next.Put(&n)
			}
			var c compile.Concern
			change(w, next, &c)
			for name := range c.Whole {
				have[name] = map[compile.Key]netstate.Machine{}
				for _, k := range compile.Keys(w, name) {
					have[name][k] = compile.Part(w, name, k)
				}
			}
			for name, keys := range c.Parts {
				for k := range keys {
					have[name][k] = compile.Part(w, name, k)
				}
			}
			want := parts(w)
			for name, all := range have {
				maps.DeleteFunc(all, func(_ compile.Key, m netstate.Machine) bool { return m == nil })
				if !reflect.DeepEqual(all, want[name]) {
					t.Fatalf("%s: after a change the parts are\n%v\nbut should be\n%v", name, all, want[name])
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
