package netstate_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sarn/internal/netstate"
)

func machine(s netstate.State) netstate.Machine { return netstate.Machine{"": &s} }

func diff(t *testing.T, want, have netstate.Machine) []string {
	t.Helper()
	ops, err := netstate.Diff(want, have)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, op := range ops {
		lines = append(lines, op.Command())
	}
	return lines
}

func TestNamesOfOthersAreLeftAlone(t *testing.T) {
	bridge := netstate.Link{Name: "br_net1", Kind: netstate.Bridge, Alias: "sarn subnet net1", MAC: "0e:5a:0a:0a:0a:02", Up: true}
	port := netstate.Link{Name: "vp_vm1", Kind: netstate.Tap, Alias: "sarn port vm1", Master: "br_net1", Up: true}
	for name, tc := range map[string]struct {
		there netstate.Link
		ok    bool
	}{
		"another's bridge":            {netstate.Link{Name: "br_net1", Kind: netstate.Bridge, MAC: "02:00:00:00:00:01", Up: true}, false},
		"another's, with an alias":    {netstate.Link{Name: "br_net1", Kind: netstate.Bridge, Alias: "sarnia", MAC: "0e:5a:0a:0a:0a:02"}, false},
		"another kind":                {netstate.Link{Name: "br_net1", Kind: "dummy"}, false},
		"another's bridge, down":      {netstate.Link{Name: "br_net1", Kind: netstate.Bridge, MAC: "02:00:00:00:00:01"}, false},
		"our bridge, half-made":       {netstate.Link{Name: "br_net1", Kind: netstate.Bridge, MAC: "0e:5a:0a:0a:0a:02"}, true},
		"our port, half-made":         {netstate.Link{Name: "vp_vm1", Kind: netstate.Tap}, true},
		"ours, robbed of its mark":    {netstate.Link{Name: "br_net1", Kind: netstate.Bridge, MAC: "0e:5a:0a:0a:0a:02", Up: true}, true},
		"our port, robbed":            {netstate.Link{Name: "vp_vm1", Kind: netstate.Tap, Master: "br_net1", Up: true}, true},
		"another's tap of that name":  {netstate.Link{Name: "vp_vm1", Kind: netstate.Tap, Up: true}, false},
		"ours, and of the wrong kind": {netstate.Link{Name: "br_net1", Kind: "dummy", Alias: "sarn subnet net1"}, true},
	} {
		_, err := netstate.Diff(machine(netstate.State{Links: []netstate.Link{bridge, port}}), machine(netstate.State{Links: []netstate.Link{tc.there}}))
		switch {
		case tc.ok && err != nil:
			t.Errorf("%s: %v", name, err)
		case !tc.ok && (err == nil || !strings.Contains(err.Error(), `there is a link "`+tc.there.Name+`" that is not Sarn's`)):
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatMustExistIsAskedFor(t *testing.T) {
	_, err := netstate.Diff(machine(netstate.State{Links: []netstate.Link{{Name: "enp0s8"}}}), netstate.Machine{})
	if err == nil || !strings.Contains(err.Error(), `there is no link "enp0s8"`) {
		t.Errorf("got %v", err)
	}
}

func TestOnlyOursGoes(t *testing.T) {
	have := machine(netstate.State{Links: []netstate.Link{
		{Name: "br_old", Kind: netstate.Bridge, Alias: "sarn subnet old"},
		{Name: "br_theirs", Kind: netstate.Bridge},
		{Name: "eth0", Alias: "sarnia"},
		{Name: "lo", Alias: "sarn"},
	}})
	have["theirs"] = &netstate.State{Links: []netstate.Link{{Name: "eth0", Kind: netstate.Veth, Alias: "sarn port x"}}}
	have["ours"] = &netstate.State{Alias: "sarn port old"}
	got := diff(t, machine(netstate.State{}), have)
	if want := []string{"ip link delete br_old", "ip netns delete ours"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNoStepOpensAHole looks at the order: filters before links, everything that
// decides about packets before the ports are up, and what is new before what goes.
func TestNoStepOpensAHole(t *testing.T) {
	p := netip.MustParsePrefix
	want := machine(netstate.State{
		Links: []netstate.Link{
			{Name: "vp_a", Kind: netstate.Tap, Alias: "sarn port a", Master: "br_n", Isolated: true, Up: true},
			{Name: "br_n", Kind: netstate.Bridge, Alias: "sarn subnet n", Up: true},
		},
		Routes: []netstate.Route{{Table: 7, Dst: p("10.0.0.0/24"), Link: "br_n"}},
		Rules:  []netstate.Rule{{Priority: 7, Iif: "br_n", Table: 7}},
		Tables: []netstate.Table{{Family: netstate.FamilyBridge, Chains: []netstate.Chain{{Name: "c", Rules: []string{"drop"}}}}},
	})
	have := machine(netstate.State{
		Links:  []netstate.Link{{Name: "vp_b", Kind: netstate.Tap, Alias: "sarn port b"}},
		Routes: []netstate.Route{{Table: 8, Dst: p("10.0.1.0/24"), Type: netstate.Unreachable}},
		Rules:  []netstate.Rule{{Priority: 8, Iif: "br_n", Table: 8}},
	})
	got := diff(t, want, have)
	at := func(prefix string) int {
		i := slices.IndexFunc(got, func(l string) bool { return strings.HasPrefix(l, prefix) })
		if i < 0 {
			t.Fatalf("no %q in %q", prefix, got)
		}
		return i
	}
	for _, pair := range [][2]string{
		{"nft ", "ip link add br_n"},
		{"ip link add br_n", "ip tuntap add dev vp_a"},
		{"ip link set br_n up", "ip route add"},
		{"ip route add", "ip rule add"},
		{"bridge link set dev vp_a isolated on", "ip link set vp_a up"},
		{"ip rule add", "ip link set vp_a up"},
		{"ip link set vp_a up", "ip rule delete"},
		{"ip rule delete", "ip route delete"},
		{"ip route delete", "ip link delete vp_b"},
	} {
		if at(pair[0]) > at(pair[1]) {
			t.Errorf("%q comes after %q", pair[0], pair[1])
		}
	}
}

// TestAGuestHoldsUpNobody spoils one namespace; the machine and the others go on.
func TestAGuestHoldsUpNobody(t *testing.T) {
	guest := func(alias string) *netstate.State {
		return &netstate.State{Links: []netstate.Link{{Name: "eth0", Kind: netstate.Veth, Alias: alias, MAC: "0a:00:00:00:00:01", Up: true}}}
	}
	want := machine(netstate.State{Links: []netstate.Link{
		{Name: "vp_a", Kind: netstate.Veth, Peer: "eth0", PeerNetns: "a", Alias: "sarn port a"},
		{Name: "vp_b", Kind: netstate.Veth, Peer: "eth0", PeerNetns: "b", Alias: "sarn port b"},
	}})
	want["a"], want["b"] = guest("sarn port a"), guest("sarn port b")
	have := machine(netstate.State{Links: []netstate.Link{
		{Name: "vp_gone", Kind: netstate.Tap, Alias: "sarn port gone"},
	}})
	have["a"] = &netstate.State{Links: []netstate.Link{{Name: "eth0", Kind: "dummy"}}}
	ops, err := netstate.Diff(want, have)
	if err == nil || !strings.Contains(err.Error(), `in network namespace a: there is a link "eth0" that is not Sarn's`) {
		t.Errorf("got %v", err)
	}
	var lines []string
	for _, op := range ops {
		lines = append(lines, op.Command())
		if op.Netns == "a" {
			t.Errorf("the spoiled namespace is touched: %s", op.Command())
		}
	}
	for _, line := range []string{"ip link delete vp_gone", "ip link add vp_b type veth peer name eth0 netns b", "ip -n b link set eth0 up"} {
		if !slices.Contains(lines, line) {
			t.Errorf("no %q in %q", line, lines)
		}
	}

	// The other end of the pair says whose it is, whatever the tenant calls it.
	have = machine(netstate.State{Links: []netstate.Link{{Name: "vp_a", Kind: netstate.Veth, Alias: "sarn port a", Peer: "eth0", PeerNetns: "a"}}})
	have["a"] = guest("mine")
	have["a"].Links[0].Peer = "vp_a"
	if _, err := netstate.Diff(want, have); err != nil {
		t.Errorf("a renamed guest's link: %v", err)
	}
}

// TestPairsMustBeThePairs has two ports in each other's namespace.
func TestPairsMustBeThePairs(t *testing.T) {
	build := func(a, b string) netstate.Machine {
		m := machine(netstate.State{Links: []netstate.Link{
			{Name: "vp_a", Kind: netstate.Veth, Peer: "eth0", PeerNetns: a, Alias: "sarn port a"},
			{Name: "vp_b", Kind: netstate.Veth, Peer: "eth0", PeerNetns: b, Alias: "sarn port b"},
		}})
		for _, ns := range []string{"x", "y"} {
			m[ns] = &netstate.State{Links: []netstate.Link{{Name: "eth0", Kind: netstate.Veth, Alias: "sarn port"}}}
		}
		return m
	}
	got := diff(t, build("x", "y"), build("y", "x"))
	for _, line := range []string{"ip link delete vp_a", "ip link delete vp_b", "ip link add vp_a type veth peer name eth0 netns x", "ip link add vp_b type veth peer name eth0 netns y"} {
		if !slices.Contains(got, line) {
			t.Errorf("no %q in %q", line, got)
		}
	}
	if got := diff(t, build("x", "y"), build("x", "y")); len(got) > 0 {
		t.Errorf("right as it is, but: %q", got)
	}
}

// TestPortsJoinABridgeDown: one that is up would carry before it is isolated.
func TestPortsJoinABridgeDown(t *testing.T) {
	bridge := netstate.Link{Name: "br_n", Kind: netstate.Bridge, Alias: "sarn subnet n"}
	port := netstate.Link{Name: "vp_a", Kind: netstate.Tap, Alias: "sarn port a", Master: "br_n", Isolated: true, Up: true}
	loose := port
	loose.Master, loose.Isolated = "", false
	got := diff(t, machine(netstate.State{Links: []netstate.Link{bridge, port}}), machine(netstate.State{Links: []netstate.Link{bridge, loose}}))
	want := []string{"ip link set vp_a down", "ip link set vp_a master br_n", "bridge link set dev vp_a isolated on", "ip link set vp_a up"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestTablesChangeInPlace(t *testing.T) {
	table := func(f func(*netstate.Table)) netstate.Machine {
		tb := netstate.Table{
			Family: netstate.FamilyBridge,
			Sets:   []netstate.Set{{Name: "ports", KeyType: "ifname", ValueType: "verdict", Elements: []string{"vp_a : jump a", "vp_b : jump b"}}},
			Chains: []netstate.Chain{{Name: "in", Type: "filter", Hook: "prerouting", Priority: -300, Rules: []string{"drop"}}, {Name: "a"}, {Name: "b"}},
		}
		f(&tb)
		return machine(netstate.State{Tables: []netstate.Table{tb}})
	}
	old := table(func(*netstate.Table) {})
	for name, tc := range map[string]struct {
		change func(*netstate.Table)
		want   []string
	}{
		"nothing": {func(*netstate.Table) {}, nil},
		"an element has another value": {
			func(tb *netstate.Table) { tb.Sets[0].Elements = []string{"vp_a : jump b", "vp_b : jump b"} },
			[]string{`nft 'delete element bridge sarn ports { "vp_a" : jump a }'`, `nft 'add element bridge sarn ports { "vp_a" : jump b }'`},
		},
		"a rule is another": {
			func(tb *netstate.Table) { tb.Chains[0].Rules = []string{"counter drop"} },
			[]string{`nft 'flush chain bridge sarn in'`, `nft 'add rule bridge sarn in counter drop comment "sarn:` + netstate.RuleID("counter drop") + `"'`},
		},
		"a chain goes with its element": {
			func(tb *netstate.Table) {
				tb.Sets[0].Elements = tb.Sets[0].Elements[:1]
				tb.Chains = tb.Chains[:2]
			},
			[]string{`nft 'delete element bridge sarn ports { "vp_b" : jump b }'`, `nft 'flush chain bridge sarn b'`, `nft 'delete chain bridge sarn b'`},
		},
	} {
		if got := diff(t, table(tc.change), old); !slices.Equal(got, tc.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, tc.want)
		}
	}
	other := diff(t, table(func(tb *netstate.Table) { tb.Chains[0].Hook = "forward" }), old)
	if other[0] != "nft 'delete table bridge sarn'" || other[1] != "nft 'add table bridge sarn'" {
		t.Errorf("a chain of another hook needs the table anew: %q", other)
	}
}

func TestCommandsAreWhatPeopleType(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	for want, op := range map[string]netstate.Op{
		"ip -n vm1 route replace default via 10.0.0.1 dev eth0 proto 83":        {Netns: "vm1", Verb: netstate.Change, Object: netstate.Route{Table: 254, Dst: p("0.0.0.0/0"), Via: a("10.0.0.1"), Link: "eth0"}},
		"ip route add 10.0.0.5 dev br_n src 10.0.0.2 table 9 proto 83":          {Verb: netstate.Add, Object: netstate.Route{Table: 9, Dst: p("10.0.0.5/32"), Link: "br_n", Src: a("10.0.0.2")}},
		"ip netns exec vm1 sysctl -w net.ipv4.ip_forward=1":                     {Netns: "vm1", Verb: netstate.Change, Object: netstate.Sysctl{Name: "net/ipv4/ip_forward", Value: "1"}},
		"sysctl -w net/ipv4/conf/eth0.5/rp_filter=2":                            {Verb: netstate.Change, Object: netstate.Sysctl{Name: "net/ipv4/conf/eth0.5/rp_filter", Value: "2"}},
		"bridge -n x link set dev vp_a learning on flood on":                    {Netns: "x", Verb: netstate.Change, Object: netstate.LinkAttr{Link: "vp_a", Attr: "static", Value: "off"}},
		"ip link set vp_a nomaster":                                             {Verb: netstate.Change, Object: netstate.LinkAttr{Link: "vp_a", Attr: "master"}},
		`ip link set vp_a alias 'it'\''s'`:                                      {Verb: netstate.Change, Object: netstate.LinkAttr{Link: "vp_a", Attr: "alias", Value: "it's"}},
		"ip tuntap add dev vp_a mode tap user 1000":                             {Verb: netstate.Add, Object: netstate.Link{Name: "vp_a", Kind: netstate.Tap, Owner: 1000}},
		"ip netns delete vm1":                                                   {Verb: netstate.Delete, Netns: "vm1", Object: netstate.Netns{Name: "vm1"}},
		`ip netns exec vm1 nft 'add table ip sarn'`:                             {Netns: "vm1", Object: netstate.NFT{Line: "add table ip sarn"}},
		"ip neigh add 10.0.0.5 lladdr 0a:5a:0a:00:00:05 dev br_n nud permanent": {Verb: netstate.Add, Object: netstate.Neighbor{Link: "br_n", Address: a("10.0.0.5"), MAC: "0a:5a:0a:00:00:05"}},
		"ip link add vp_a type veth peer name eth0 netns vm1":                   {Verb: netstate.Add, Object: netstate.Link{Name: "vp_a", Kind: netstate.Veth, Peer: "eth0", PeerNetns: "vm1"}},
		"ip address add 10.0.0.1/32 dev lo label lo:sarn":                       {Verb: netstate.Add, Object: netstate.Address{Link: "lo", Prefix: p("10.0.0.1/32"), Label: "lo:sarn"}},
	} {
		if got := op.Command(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestMachineTravelsAsJSON(t *testing.T) {
	m := machine(netstate.State{
		Alias:     "sarn",
		Links:     []netstate.Link{{Name: "a", Kind: netstate.Tap, Owner: 7, Up: true}},
		Addresses: []netstate.Address{{Link: "a", Prefix: netip.MustParsePrefix("10.0.0.1/24"), Label: "a:sarn"}},
		Routes:    []netstate.Route{{Table: 1, Dst: netip.MustParsePrefix("0.0.0.0/0"), Type: netstate.Prohibit}},
		Neighbors: []netstate.Neighbor{{Link: "a", Address: netip.MustParseAddr("10.0.0.2"), MAC: "x"}},
	})
	js, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back netstate.Machine
	if err := json.Unmarshal(js, &back); err != nil || !reflect.DeepEqual(m, back) {
		t.Errorf("%s came back as %+v, %v", js, back[""], err)
	}
	print := func(parts ...netstate.Machine) string {
		var f netstate.Fingerprint
		for i, p := range parts {
			f.Add(fmt.Sprint(i), p)
		}
		return f.String()
	}
	if print(m) != print(back) {
		t.Error("its fingerprint changed on the way")
	}
	back[""].Links[0].Owner = 8
	if print(m) == print(back) || print(m, back) == print(back, m) || print(m) == print(m, nil) {
		t.Error("different parts have one fingerprint")
	}
}
