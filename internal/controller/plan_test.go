package controller

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/netstate"
	"sarn/internal/netstate/netstatetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestPlans shows what is planned for some changes of the base.
func TestPlans(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	for name, c := range map[string]api.Change{
		"a-port-moves":     change(t, "{kind: Port, name: vm2, subnet: net1, node: host2}"),
		"a-host-more":      change(t, "{kind: Node, name: host3, role: host, address: 192.168.56.105, interface: eth1}\n---\n{kind: Port, name: vm3, subnet: net1, node: host3}"),
		"everything-gone":  change(t, "", "port/vm1", "port/vm2", "subnet/net1", "vpc/main", "node/host1", "node/host2", "node/router"),
		"nothing-to-do":    change(t, "{kind: Port, name: vm1, subnet: net1, node: host1}"),
		"another-underlay": change(t, "{kind: Node, name: host2, role: host, address: 192.168.56.104, interface: eth7}"),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := r.client.Plan(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "plan-"+name, inWords(p))
		})
	}
}

func inWords(p api.Plan) string {
	var b strings.Builder
	for _, o := range p.Outcomes {
		fmt.Fprintf(&b, "%s %s\n", o.Ref, o.Action)
	}
	for _, n := range p.Nodes {
		fmt.Fprintf(&b, "# %s, %s, in sync: %v; %s\n", n.Node, n.Role, n.InSync, n.Note)
		for _, c := range n.Commands {
			b.WriteString(c + "\n")
		}
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -update and read the diff:\n%s", path, got)
	}
}

// TestPlanIsWhatIsDone plans random changes, makes them, and expects of each node what
// was planned and nothing else.
func TestPlanIsWhatIsDone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := New(Config{Socket: "x"}, Deps{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		l := newLedger(anyBase()...)
		c.ledger = l
		fleet := fleet{}
		fleet.follow(t, l.world)
		for revision := range int64(20) {
			change := anyChange(t)
			before := l.world.Set().Objects()
			plan, err := c.Plan(context.Background(), change)
			if fresh := newLedger(before...); !reflect.DeepEqual(fresh, l) {
				t.Fatal("planning moved the ledger")
			}
			p, refused := admit(l, change)
			if !slices.Equal(lines(err), lines(refused)) {
				t.Fatalf("planned with %v, admitted with %v", err, refused)
			}
			if refused != nil {
				continue
			}
			commit(l, p, revision+1)
			want := map[string][]string{}
			for _, n := range plan.Nodes {
				want[n.Node] = unordered(n.Commands)
			}
			if done := fleet.follow(t, l.world); !reflect.DeepEqual(done, want) {
				t.Fatalf("planned %q\ndone %q", want, done)
			}
		}
	})
}

// lines returns what an error says, in the order of the alphabet.
func lines(err error) []string {
	return slices.Sorted(strings.SplitSeq(fmt.Sprint(err), "\n"))
}

// fleet is the kernels of nodes by name.
type fleet map[string]*netstatetest.Kernel

// follow makes each node what the world wants, as its agent does, and returns what that
// took, unordered.
func (f fleet) follow(t *rapid.T, w *intent.World) map[string][]string {
	done := map[string][]string{}
	for name := range w.Nodes {
		if f[name] == nil {
			f[name] = netstatetest.New("eth0")
		}
	}
	for name, k := range f {
		want := compile.Node(w, name)
		if want == nil {
			want = netstate.Machine{"": {}}
			delete(f, name) // a node of that name that comes is another machine
		}
		have, _ := k.Read(context.Background(), want)
		ops, err := netstate.Diff(want, have)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Apply(context.Background(), ops); err != nil {
			t.Fatal(err)
		}
		for _, op := range ops {
			done[name] = append(done[name], op.Command())
		}
		if len(ops) > 0 {
			done[name] = unordered(done[name])
		}
	}
	return done
}

// unordered puts commands, and the elements of a set in them, in the order of the
// alphabet: the order in which a kernel lists what it holds is its own.
func unordered(commands []string) []string {
	same := make([]string, len(commands))
	for i, c := range commands {
		if before, list, ok := strings.Cut(c, "{ "); ok && strings.Contains(before, " element ") {
			list, _, _ = strings.Cut(list, " }")
			elements := strings.Split(list, ", ")
			slices.Sort(elements)
			c = before + "{ " + strings.Join(elements, ", ") + " }'"
		}
		same[i] = c
	}
	slices.Sort(same)
	return same
}

// TestPlanWritesNothing: the same problems as a change, and nothing moves.
func TestPlanWritesNothing(t *testing.T) {
	r := run(t, t.TempDir())
	result := r.apply(t, change(t, base))
	bad := change(t, "{kind: Port, name: vm3, subnet: net1, node: host1, address: 10.10.10.10}")
	_, planned := r.client.Plan(t.Context(), bad)
	_, applied := r.client.Apply(t.Context(), bad)
	var ps intent.Problems
	if !errors.As(planned, &ps) || planned.Error() != applied.Error() {
		t.Errorf("planned: %v\napplied: %v", planned, applied)
	}
	good := change(t, "{kind: Port, name: vm3, subnet: net1, node: host1}", "port/vm2")
	p, err := r.client.Plan(t.Context(), good)
	if err != nil || p.Revision != result.Revision || p.Objects.Ports[0].Address != intent.MustAddr("10.10.10.3") {
		t.Errorf("Plan = %+v, %v; want the freed address at revision %d", p, err, result.Revision)
	}
	if at, err := r.store.Revision(t.Context()); err != nil || at != result.Revision {
		t.Errorf("the store is at %d, %v; want %d still", at, err, result.Revision)
	}
	objects, _, err := r.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !reflect.DeepEqual(newLedger(objects...), r.ledger) {
		t.Error("the ledger has moved")
	}
}

// TestPlanMarksWhoIsNotInSync: what a node does that is behind depends on what it finds.
func TestPlanMarksWhoIsNotInSync(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	more := change(t, "{kind: Port, name: vm3, subnet: net1, node: host1}")
	note := func() api.NodePlan {
		t.Helper()
		p, err := r.client.Plan(t.Context(), more)
		if err != nil || len(p.Nodes) != 2 || p.Nodes[0].Node != "host1" {
			t.Fatalf("Plan = %+v, %v; want host1 and the router", p, err)
		}
		return p.Nodes[0]
	}
	if n := note(); n.InSync || !strings.Contains(n.Note, "not connected") {
		t.Errorf("a node without an agent is told as %v, %q", n.InSync, n.Note)
	}
	events, _ := r.follow(t, "host1", "")
	e := next(t, events)
	if n := note(); n.InSync || !strings.Contains(n.Note, "not in sync") {
		t.Errorf("a node that has not applied is told as %v, %q", n.InSync, n.Note)
	}
	if err := r.client.Report(t.Context(), "host1", api.NodeReport{Revision: e.Revision, AppliedAt: time.Now(), Version: "1"}); err != nil {
		t.Fatal(err)
	}
	if n := note(); !n.InSync || n.Note != "" {
		t.Errorf("a node in sync is told as %v, %q", n.InSync, n.Note)
	}
}

// TestPlanLooksAtWhatItConcerns: a port concerns two nodes of a thousand, and of the
// ports only theirs.
func TestPlanLooksAtWhatItConcerns(t *testing.T) {
	l := largeFleet(t, 1000)
	concerned := func(yaml string) []string {
		p, err := l.admit(change(t, yaml))
		if err != nil {
			t.Fatal(err)
		}
		before, after := intent.NewWorld(l.world.All()...), intent.NewWorld(l.world.All()...)
		for _, o := range p.puts {
			after.Put(o)
		}
		return slices.Sorted(maps.Keys(p.concern(before, after)))
	}
	if got, want := concerned("{kind: Port, name: more, subnet: net1, node: h7}"), []string{"h7", "router"}; !slices.Equal(got, want) {
		t.Errorf("a port concerns %v, want %v", got, want)
	}
	if got := concerned("{kind: VPC, name: more, cidrs: [10.99.0.0/16]}"); len(got) != 1001 {
		t.Errorf("a VPC concerns %d nodes, want all", len(got))
	}
}

// largeFleet is n hosts of ten ports each, in ten subnets of one VPC.
func largeFleet(t testing.TB, n int) *ledger {
	t.Helper()
	l := newLedger()
	var c api.Change
	c.Add(&intent.Node{Header: intent.Header{Name: "router"}, Role: intent.RoleRouter, Address: intent.MustAddr("192.168.0.1"), Interface: "eth0"})
	c.Add(&intent.VPC{Header: intent.Header{Name: "main"}, CIDRs: []intent.CIDR{intent.MustCIDR("10.0.0.0/12")}})
	for i := range 10 {
		c.Add(&intent.Subnet{Header: intent.Header{Name: fmt.Sprint("net", i)}, VPC: "main", CIDR: intent.MustCIDR(fmt.Sprintf("10.%d.0.0/16", i))})
	}
	for i := range n {
		c.Add(&intent.Node{Header: intent.Header{Name: fmt.Sprint("h", i)}, Role: intent.RoleHost, Address: intent.MustAddr(fmt.Sprintf("192.168.%d.%d", 1+i/250, 1+i%250)), Interface: "eth0"})
		for j := range 10 {
			c.Add(&intent.Port{Header: intent.Header{Name: fmt.Sprintf("p%d-%d", i, j)}, Subnet: fmt.Sprint("net", j), Node: fmt.Sprint("h", i)})
		}
	}
	must(t, l, c)
	return l
}

// BenchmarkPlan plans among 1,000 hosts: what concerns two nodes, and what concerns all.
func BenchmarkPlan(b *testing.B) {
	c, err := New(Config{Socket: "x"}, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	c.ledger = largeFleet(b, 1000)
	changes := map[string]api.Change{
		"port":   change(b, "{kind: Port, name: more, subnet: net1, node: h7}"),
		"subnet": change(b, "{kind: Subnet, name: more, vpc: main, cidr: 10.15.0.0/24}"),
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Plan(context.Background(), changes[name]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
