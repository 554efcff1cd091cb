package controller

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/store"
)

func (r *running) ipam(t *testing.T) api.IPAM {
	t.Helper()
	i, err := r.client.IPAM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// write puts and deletes behind the controller's back, and returns when the
// controller has heard of it.
func (r *running) write(t *testing.T, puts []intent.Object, deletes ...intent.Ref) {
	t.Helper()
	at, err := r.store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	revision, err := r.store.Commit(t.Context(), at, puts, deletes)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.await(t.Context(), func() bool { return r.told >= revision }); err != nil {
		t.Fatal(err)
	}
}

func TestAddressesInUse(t *testing.T) {
	r := run(t, t.TempDir())
	if i := r.ipam(t); len(i.Subnets) != 0 || len(i.Findings) != 0 {
		t.Errorf("of nothing it is told %+v", i)
	}
	r.apply(t, change(t, base))
	result := r.apply(t, change(t, "{kind: Subnet, name: few, vpc: main, cidr: 10.10.20.0/29}"))
	i := r.ipam(t)
	want := []api.SubnetUse{
		{Subnet: "few", VPC: "main", CIDR: intent.MustCIDR("10.10.20.0/29"), Size: 8, Reserved: 4, Free: 4, Next: intent.MustAddr("10.10.20.3")},
		{Subnet: "net1", VPC: "main", CIDR: intent.MustCIDR("10.10.10.0/24"), Size: 256, Reserved: 4, Used: 2, Free: 250, Percent: .8, Next: intent.MustAddr("10.10.10.4")},
	}
	if !slices.Equal(i.Subnets, want) || i.Revision != result.Revision {
		t.Errorf("at revision %d the use is\n%+v, want\n%+v", i.Revision, i.Subnets, want)
	}
	if len(i.Findings) != 0 {
		t.Errorf("found %v, want nothing", i.Findings)
	}
	var fill api.Change
	for _, name := range []string{"a", "b", "c", "d"} {
		fill.Add(&intent.Port{Header: intent.Header{Name: name}, Subnet: "few", Node: "host1"})
	}
	r.apply(t, fill)
	if few := r.ipam(t).Subnets[0]; few.Used != 4 || few.Free != 0 || few.Percent != 100 || few.Next.IsValid() {
		t.Errorf("the full subnet is told as %+v", few)
	}
}

// broken are stores that the API does not make: what to write into a sound one, what
// is to be found, and the change by which it is mended.
var broken = []struct {
	name, write, delete string
	find                []string // object, field and part of the message
	mend                string
	mendDelete          []string
}{
	{
		name:  "one address twice",
		write: "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.10, mac: '02:00:00:00:00:09', attach: {type: tap}}",
		find:  []string{"port/zz address: 10.10.10.10 is held by port \"vm1\""}, mendDelete: []string{"port/zz"},
	},
	{
		name:  "one MAC twice",
		write: "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.11, mac: '0a:5a:0a:0a:0a:0a', attach: {type: tap}}",
		find:  []string{"port/zz mac: 0a:5a:0a:0a:0a:0a is the MAC of port \"vm1\""},
		mend:  "{kind: Port, name: zz, subnet: net1, node: host2, mac: '02:00:00:00:00:01'}",
	},
	{
		name:  "an address outside",
		write: "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.11.11, mac: '02:00:00:00:00:09', attach: {type: tap}}",
		find:  []string{"port/zz address: 10.10.11.11 is outside subnet"},
		mend:  "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.11}",
	},
	{
		name:  "the network's address",
		write: "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.0, mac: '02:00:00:00:00:09', attach: {type: tap}}",
		find:  []string{"port/zz address: 10.10.10.0 is the network address"}, mendDelete: []string{"port/zz"},
	},
	{
		name:  "the broadcast address",
		write: "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.255, mac: '02:00:00:00:00:09', attach: {type: tap}}",
		find:  []string{"port/zz address: 10.10.10.255 is the broadcast address"}, mendDelete: []string{"port/zz"},
	},
	{
		name:  "the gateway's address",
		write: "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.1, mac: '02:00:00:00:00:09', attach: {type: tap}}",
		find:  []string{"port/zz address: 10.10.10.1 is the gateway of subnet \"net1\""}, mendDelete: []string{"port/zz"},
	},
	{
		name:  "the bridge's address and MAC",
		write: "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.2, mac: '0e:5a:0a:0a:0a:02', attach: {type: tap}}",
		find:  []string{"port/zz address: 10.10.10.2 is the bridge of subnet \"net1\"", "port/zz mac: "}, mendDelete: []string{"port/zz"},
	},
	{
		name:  "a port without its subnet",
		write: "{kind: Port, name: zz, subnet: gone, node: host1, address: 10.10.10.11, mac: '02:00:00:00:00:09', attach: {type: tap}}",
		find:  []string{"port/zz subnet: there is no subnet \"gone\""}, mendDelete: []string{"port/zz"},
	},
	{
		name:  "a port without its node",
		write: "{kind: Port, name: zz, subnet: net1, node: gone, address: 10.10.10.11, mac: '02:00:00:00:00:09', attach: {type: tap}}",
		find:  []string{"port/zz node: there is no node \"gone\""},
		mend:  "{kind: Port, name: zz, subnet: net1, node: host1}",
	},
	{
		name:  "a port on a router",
		write: "{kind: Port, name: zz, subnet: net1, node: router, address: 10.10.10.11, mac: '02:00:00:00:00:09', attach: {type: tap}}",
		find:  []string{"port/zz node: node \"router\" is a router"}, mendDelete: []string{"port/zz"},
	},
	{
		name:  "a port without an address",
		write: "{kind: Port, name: zz, subnet: net1, node: host1}",
		find: []string{
			"port/zz address: is missing", "port/zz attach.type: is missing", "port/zz mac: is missing",
		},
		mend: "{kind: Port, name: zz, subnet: net1, node: host1}",
	},
	{
		name:  "subnets that overlap, with one table",
		write: "{kind: Subnet, name: zz, vpc: main, cidr: 10.10.10.128/25, gateway: 10.10.10.129, bridge: 10.10.10.130, router: router, table: 10001}",
		find:  []string{"subnet/zz cidr: 10.10.10.128/25 overlaps 10.10.10.0/24 of subnet \"net1\"", "subnet/zz table: 10001 is the table of subnet \"net1\""},

		mendDelete: []string{"subnet/zz"},
	},
	{
		name:  "a subnet outside its VPC",
		write: "{kind: Subnet, name: zz, vpc: main, cidr: 10.20.0.0/24, gateway: 10.20.0.1, bridge: 10.20.0.2, router: router, table: 10009}",
		find:  []string{"subnet/zz cidr: 10.20.0.0/24 is not inside an address block of vpc \"main\""},
		mend:  "{kind: VPC, name: main, cidrs: [10.10.0.0/16, 10.20.0.0/16]}",
	},
	{
		name:  "a subnet without its VPC and router",
		write: "{kind: Subnet, name: zz, vpc: gone, cidr: 10.30.0.0/24, gateway: 10.30.0.1, bridge: 10.30.0.2, router: gone, table: 10009}",
		find:  []string{"subnet/zz router: there is no node \"gone\"", "subnet/zz vpc: there is no vpc \"gone\""}, mendDelete: []string{"subnet/zz"},
	},
	{
		name:  "a subnet half filled in",
		write: "{kind: Subnet, name: zz, vpc: main, cidr: 10.10.20.0/24}\n---\n{kind: Port, name: zz, subnet: zz, node: host1, address: 10.10.20.11, mac: '02:00:00:00:00:09', attach: {type: tap}}",
		find: []string{
			"subnet/zz bridge: is missing", "subnet/zz gateway: is missing",
			"subnet/zz router: is missing", "subnet/zz table: is missing",
		},
		mendDelete: []string{"port/zz", "subnet/zz"},
	},
	{
		name:  "a table out of range",
		write: "{kind: Subnet, name: zz, vpc: main, cidr: 10.10.40.0/24, gateway: 10.10.40.1, bridge: 10.10.40.2, router: router, table: 254}",
		find:  []string{"subnet/zz table: 254 is not between 10001 and 19999"}, mendDelete: []string{"subnet/zz"},
	},
	{
		name: "a subnet deleted under its ports", delete: "subnet/net1",
		find: []string{"port/vm1 subnet: there is no subnet \"net1\"", "port/vm2 subnet: there is no subnet \"net1\""},
		mend: "{kind: Subnet, name: net1, vpc: main, cidr: 10.10.10.0/24}",
	},
	{
		name:  "nodes of one address, in a VPC",
		write: "{kind: Node, name: zz, role: host, address: 10.10.0.9, interface: e0}\n---\n{kind: Node, name: zy, role: host, address: 10.10.0.9, interface: e0}",
		find:  []string{"node/zy address: 10.10.0.9 lies in", "node/zz address: 10.10.0.9 is the address of node \"zy\"", "node/zz address: 10.10.0.9 lies in"},

		mendDelete: []string{"node/zy", "node/zz"},
	},
	{
		name:  "VPCs that overlap",
		write: "{kind: VPC, name: zz, cidrs: [10.10.128.0/17]}",
		find:  []string{"vpc/zz cidrs: 10.10.128.0/17 overlaps 10.10.0.0/16 of vpc \"main\""}, mendDelete: []string{"vpc/zz"},
	},
}

// found lists findings as broken does.
func found(i api.IPAM) []string {
	all := make([]string, len(i.Findings))
	for j, f := range i.Findings {
		all[j] = f.Kind.Noun() + "/" + f.Name + " " + f.Field + ": " + f.Message
	}
	slices.Sort(all)
	return all
}

func sameFindings(got, want []string) bool {
	return slices.EqualFunc(got, want, func(g, w string) bool { return strings.HasPrefix(g, w) })
}

// TestCheckFindsWhatTheAPINeverMakes writes each broken store behind a running
// controller, which survives it, says what is wrong and lets it be mended.
func TestCheckFindsWhatTheAPINeverMakes(t *testing.T) {
	for _, test := range broken {
		t.Run(test.name, func(t *testing.T) {
			r := run(t, t.TempDir())
			r.apply(t, change(t, base))
			r.write(t, objects(t, test.write), change(t, "", strings.Fields(test.delete)...).Delete...)
			i := r.ipam(t)
			if got := found(i); !sameFindings(got, test.find) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.find, "\n"))
			}
			for _, f := range i.Findings {
				if f.Mend == "" {
					t.Errorf("%v: nothing is said of how to mend it", f)
				}
			}
			r.apply(t, change(t, test.mend, test.mendDelete...))
			if got := found(r.ipam(t)); len(got) > 0 {
				t.Errorf("after it is mended there is\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

// TestStartsOnABrokenStore has all of it at once there from the beginning.
func TestStartsOnABrokenStore(t *testing.T) {
	dir := t.TempDir()
	r := run(t, dir)
	r.apply(t, change(t, base))
	wrong := 0
	for i, test := range broken {
		if test.delete != "" {
			continue
		}
		puts := objects(t, test.write)
		for _, o := range puts {
			o.Head().Name += string(rune('a' + i))
		}
		r.write(t, puts)
		wrong++
	}
	before := found(r.ipam(t))
	r.stop()
	r = run(t, dir)
	if got := found(r.ipam(t)); len(got) < wrong || !slices.Equal(got, before) {
		t.Errorf("after a restart is found\n%s\nbefore\n%s", strings.Join(got, "\n"), strings.Join(before, "\n"))
	}
	r.apply(t, change(t, "{kind: Port, name: vm9, subnet: net1, node: host1}"))
	events, _ := r.follow(t, "host1", "")
	if e := next(t, events); len(e.Parts) == 0 {
		t.Errorf("host1 is told %+v, want a state", e)
	}
}

// TestWhatIsFreedIsTakenIn: when one of two holders of an address goes, the other is
// what the nodes hear of.
func TestWhatIsFreedIsTakenIn(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	r.write(t, objects(t, "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.10, mac: '0a:5a:0a:0a:0a:0a', attach: {type: tap}}"))
	r.apply(t, change(t, "", "port/vm1"))
	if got := found(r.ipam(t)); len(got) > 0 {
		t.Errorf("with one of the two deleted there is still\n%s", strings.Join(got, "\n"))
	}
	if s := r.status(t, "host2"); s.Ports != 1 {
		t.Errorf("host2 has %d ports, want the one that is left", s.Ports)
	}
	_, err := r.client.Apply(t.Context(), change(t, "{kind: Port, name: vm9, subnet: net1, node: host1, address: 10.10.10.10}"))
	if err == nil || !strings.Contains(err.Error(), `is held by port "zz"`) {
		t.Errorf("its address is given away again: %v", err)
	}
}

// TestCheckFindsFaultsOfTheLedger spoils the controller's own record.
func TestCheckFindsFaultsOfTheLedger(t *testing.T) {
	address := func(a string) claim {
		return claim{kind: claimAddress, scope: "net1", addr: number(intent.MustAddr(a).Addr)}
	}
	for name, test := range map[string]struct {
		spoil func(*ledger)
		want  []string
	}{
		"held for nobody": {
			func(l *ledger) {
				l.held[address("10.10.10.77")] = intent.Ref{Kind: intent.KindPort, Name: "ghost"}
				l.pools["net1"].take(address("10.10.10.77").addr)
			},
			[]string{`port/ghost address: the controller holds 10.10.10.77 in subnet "net1" for it`},
		},
		"marked for nobody": {
			func(l *ledger) { l.pools["net1"].take(address("10.10.10.77").addr) },
			[]string{`subnet/net1 address: the controller keeps 10.10.10.77 in subnet "net1" for nobody`},
		},
		"not held": {
			func(l *ledger) {
				delete(l.held, address("10.10.10.10"))
				l.pools["net1"].free(address("10.10.10.10").addr)
			},
			[]string{`port/vm1 address: it has 10.10.10.10 in subnet "net1", and the controller does not know`},
		},
		"not marked": {
			func(l *ledger) { l.pools["net1"].free(address("10.10.10.10").addr) },
			[]string{`port/vm1 address: it has 10.10.10.10 in subnet "net1", and the controller takes that for free`},
		},
		"forgotten": {
			func(l *ledger) { l.remove(intent.Ref{Kind: intent.KindNode, Name: "host2"}) },
			[]string{"node/host2 address: it has 192.168.56.104", `node/host2 interface: it has device enp0s8 on node "host2"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, t.TempDir())
			r.apply(t, change(t, base))
			r.mu.Lock()
			test.spoil(r.ledger)
			r.mu.Unlock()
			if got := found(r.ipam(t)); !sameFindings(got, test.want) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			if err := r.reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := found(r.ipam(t)); len(got) > 0 {
				t.Errorf("after the store is read anew there is\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

// TestSubnetsComeFirst: of a port that has its subnet's gateway, the subnet is right,
// in whatever order the store lists them.
func TestSubnetsComeFirst(t *testing.T) {
	dir := t.TempDir()
	r := run(t, dir)
	r.apply(t, change(t, base))
	r.write(t, objects(t, "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.1, mac: '02:00:00:00:00:09', attach: {type: tap}}"))
	r.stop()
	r = run(t, dir)
	r.apply(t, change(t, "", "port/zz"))
	if got := found(r.ipam(t)); len(got) > 0 {
		t.Errorf("with the port deleted there is still\n%s", strings.Join(got, "\n"))
	}
	_, err := r.client.Apply(t.Context(), change(t, "{kind: Port, name: vm9, subnet: net1, node: host1, address: 10.10.10.1}"))
	if err == nil || !strings.Contains(err.Error(), "is the gateway of") {
		t.Errorf("the gateway's address is given away: %v", err)
	}
}

// TestOutsideStaysOutside: judging a change of both holders of an address leaves each
// where it was.
func TestOutsideStaysOutside(t *testing.T) {
	l := baseLedger(t)
	twin := objects(t, "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.10, mac: '02:00:00:00:00:09', attach: {type: tap}}")[0]
	if lost := l.put(twin); len(lost) != 1 {
		t.Fatalf("the twin lost %v, want its address", lost)
	}
	for range 50 { // what is put back comes in any order
		if _, err := admit(l, change(t, "", "port/vm1", "port/zz")); err != nil {
			t.Fatal(err)
		}
		if l.outside[intent.RefOf(twin)] == nil || l.world.Ports["vm1"] == nil || len(l.outside) != 1 {
			t.Fatal("judging a change has exchanged the two")
		}
	}
}

// TestFirstPortComesIn: the host of a port that gets its address late makes its bridge.
func TestFirstPortComesIn(t *testing.T) {
	c, err := New(Config{Socket: "x"}, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c.ledger = baseLedger(t)
	twin := objects(t, "{kind: Port, name: zz, subnet: net1, node: host2, address: 10.10.10.10, mac: '02:00:00:00:00:09', attach: {type: tap}}")
	for _, b := range []store.Batch{
		{Revision: 2, Puts: twin},
		{Revision: 3, Deletes: []intent.Ref{{Kind: intent.KindPort, Name: "vm1"}}},
	} {
		c.concern = compile.Concern{}
		if err := c.apply(b); err != nil {
			t.Fatal(err)
		}
	}
	if c.ledger.world.Ports["zz"] == nil || !c.concern.Whole["host2"] || c.concern.Whole["host1"] {
		t.Errorf("with the first port of a subnet on host2, whole nodes change: %v", c.concern.Whole)
	}
}

// TestAnyStoreIsSurvived writes anything at all behind the controller's back. It holds
// on to what is right, and never takes for its own fault what is the store's.
func TestAnyStoreIsSurvived(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := New(Config{Socket: "x"}, Deps{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		all := map[intent.Ref]intent.Object{}
		for _, o := range anyBase() {
			all[intent.RefOf(o)] = o
		}
		if err := c.apply(store.Batch{Revision: 1, Puts: anyBase()}); err != nil {
			t.Fatal(err)
		}
		for revision := range int64(10) {
			b := store.Batch{Revision: revision + 2}
			for range rapid.IntRange(1, 5).Draw(t, "writes") {
				o := anyObject(t)
				ref := intent.RefOf(o)
				if slices.ContainsFunc(b.Puts, func(p intent.Object) bool { return intent.RefOf(p) == ref }) || slices.Contains(b.Deletes, ref) {
					continue
				}
				if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
					b.Deletes = append(b.Deletes, ref)
					delete(all, ref)
					continue
				}
				switch o := o.(type) {
				case *intent.Subnet:
					o.Table = rapid.Uint32Range(10000, 10002).Draw(t, "table")
				case *intent.Port:
					o.Attach.Type = intent.AttachTap
					if o.MAC == "" && o.Address.IsValid() {
						o.MAC = intent.PortMAC(o.Address)
					}
				}
				b.Puts = append(b.Puts, o)
				all[ref] = o
			}
			if err := c.apply(b); err != nil {
				t.Fatal(err)
			}
			c.tell()
			objects := slices.Collect(maps.Values(all))
			if found := compare(c.ledger.records(), objects); len(found) > 0 {
				t.Fatalf("the ledger is at odds with the store: %v", found)
			}
			wrong := audit(objects)
			if len(wrong) == 0 && len(objects) != len(c.ledger.world.Set().Objects()) {
				t.Fatal("nothing is found wrong, and not all objects are in the world")
			}
			if len(wrong) == 0 {
				sound(t, c.ledger.world)
			}
			_, _ = c.Plan(context.Background(), anyChange(t))
		}
	})
}
