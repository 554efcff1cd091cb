package compile_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sarn/internal/compile"
	"sarn/internal/netstate"
	"sarn/internal/netstate/netstatetest"
)

// TestAssumed: a machine that is assumed to hold what is wanted needs nothing, and the
// assumption leaves what is wanted alone.
func TestAssumed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := randomWorld(t)
		for _, node := range []string{"host1", "host2", "router"} {
			m := compile.Node(w, node)
			before, _ := json.Marshal(m)
			ops, err := netstate.Diff(m, netstate.Assume(m))
			if err != nil || len(ops) > 0 {
				t.Fatalf("%s: %v, %v", node, ops, err)
			}
			if after, _ := json.Marshal(m); string(before) != string(after) {
				t.Fatalf("%s: Assume changed the wanted state", node)
			}
		}
	})
}

// TestAssumedIsRead: from one fabric to any other it takes the same commands from what
// is assumed as from what a kernel that holds it tells.
func TestAssumedIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := randomWorld(t), randomWorld(t)
		for _, node := range []string{"host1", "router"} {
			k := netstatetest.New("enp0s3", "enp0s8")
			m, want := compile.Node(from, node), compile.Node(to, node)
			converge(t, k, m)
			read, _ := k.Read(context.Background(), want)
			if got, need := planned(t, want, netstate.Assume(m)), planned(t, want, read); !slices.Equal(got, need) {
				t.Fatalf("%s: assumed %q\nread %q", node, got, need)
			}
		}
	})
}

// planned returns the commands of a diff in the order of the alphabet: the order in
// which a kernel lists what it holds is its own.
func planned(t *rapid.T, want, have netstate.Machine) []string {
	ops, err := netstate.Diff(want, have)
	if err != nil {
		t.Fatal(err)
	}
	lines := make([]string, len(ops))
	for i, op := range ops {
		lines[i] = op.Command()
	}
	slices.Sort(lines)
	return lines
}
