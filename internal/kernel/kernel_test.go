package kernel_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"sarn/internal/kernel"
	"sarn/internal/netnstest"
	"sarn/internal/netstate"
	"sarn/internal/timetest"
)

func TestHostComesAndGoes(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		defer timetest.NoLeaks(t)
		sh(t, foreign)
		before := sh(t, show)
		k := newKernel(t)

		for _, op := range converge(t, k, host()) {
			t.Log(op.Command())
		}
		t.Run("again", func(t *testing.T) {
			if ops := diff(t, newKernel(t), host()); len(ops) > 0 {
				t.Errorf("a second pass wants: %s", ops[0].Command())
			}
		})
		t.Run("foreign objects beside it", func(t *testing.T) {
			if now := sh(t, show); now != before {
				t.Errorf("was:\n%s\nis:\n%s", before, now)
			}
		})
		t.Run("the tap is its owner's", func(t *testing.T) {
			if out := sh(t, "ip -d tuntap list"); !strings.Contains(out, "vp_vm2: tap persist user 1000") || strings.Contains(out, "group") {
				t.Errorf("ip tuntap list: %s", out)
			}
		})
		converge(t, k, netstate.Machine{"": {}})
		if now := sh(t, show); now != before {
			t.Errorf("foreign objects after all is gone, was:\n%s\nis:\n%s", before, now)
		}
		if _, err := os.Stat("/run/netns/vm1"); err == nil {
			t.Error("namespace vm1 is still there")
		}
		left := sh(t, "ip -br link; ip route show table all proto 83; ip rule show; ip -br address; nft list tables")
		for _, mark := range []string{"br_net1", "vp_vm", "proto 83", "10.10.10", "table ip sarn", "table bridge sarn"} {
			if strings.Contains(left, mark) {
				t.Errorf("%q is left in:\n%s", mark, left)
			}
		}
	})
}

// What others break is seen, and mended by as little as it takes.
func TestDriftIsSeen(t *testing.T) {
	drifts := []struct {
		name, script string
		heal         string // a part of the commands that mend it
	}{
		{"link deleted", "ip link delete vp_vm2", "ip tuntap add dev vp_vm2"},
		{"bridge deleted", "ip link delete br_net1", "ip link add br_net1"},
		{"pair deleted", "ip link delete vp_vm1", "ip link add vp_vm1"},
		{"peer renamed", "ip -n vm1 link set eth0 down; ip -n vm1 link set eth0 name eth9", "ip link add vp_vm1"},
		{"link down", "ip link set br_net1 down", "ip link set br_net1 up"},
		{"link out of its bridge", "ip link set vp_vm1 nomaster", "ip link set vp_vm1 master br_net1"},
		{"mtu", "ip link set vp_vm2 mtu 1300", "ip link set vp_vm2 mtu 1400"},
		{"MAC", "ip link set br_net1 address 02:00:00:00:00:01", "ip link set br_net1 address 02:53:0a:0a:0a:02"},
		{"alias", "ip link set vp_vm1 alias ''", "ip link set vp_vm1 alias 'sarn port vm1'"},
		{"isolation", "bridge link set dev vp_vm1 isolated off", "bridge link set dev vp_vm1 isolated on"},
		{"learning", "bridge link set dev vp_vm1 learning on", "learning off flood off"},
		{"flooding", "bridge link set dev vp_vm1 flood on", "learning off flood off"},
		{"address deleted", "ip address delete 10.10.10.2/32 dev br_net1", "ip address add 10.10.10.2/32 dev br_net1"},
		{"address added", "ip address add 10.1.1.1/24 dev br_net1", "ip address delete 10.1.1.1/24 dev br_net1"},
		{"gateway deleted", "ip address delete 10.10.10.1/32 dev lo", "ip address add 10.10.10.1/32 dev lo label lo:sarn"},
		{"neighbour deleted", "ip neigh delete 10.10.10.10 dev br_net1", "ip neigh add 10.10.10.10"},
		{
			"neighbour's MAC", "ip neigh replace 10.10.10.10 lladdr 02:00:00:00:00:01 dev br_net1 nud permanent",
			"ip neigh replace 10.10.10.10 lladdr " + vm1MAC,
		},
		{"neighbour added", "ip neigh add 10.10.10.77 lladdr 02:00:00:00:00:01 dev br_net1 nud permanent", "ip neigh delete 10.10.10.77"},
		{"bridge entry deleted", "bridge fdb delete " + vm1MAC + " dev vp_vm1 master", "bridge fdb add " + vm1MAC},
		{"bridge entry added", "bridge fdb add 02:00:00:00:00:77 dev vp_vm1 master static", "bridge fdb delete 02:00:00:00:00:77"},
		{"route deleted", "ip route delete 10.10.10.10/32 table 10000", "ip route add 10.10.10.10 dev br_net1 table 10000"},
		{"default route deleted", "ip route delete default table 10001", "ip route add default via 192.168.56.101 table 10001"},
		{
			"route replaced", "ip route replace unreachable 172.16.0.0/12 table 10001 proto 83",
			"ip route replace prohibit 172.16.0.0/12 table 10001",
		},
		{"route added", "ip route add 203.0.113.0/24 via 192.168.56.101 proto 83", "ip route delete 203.0.113.0/24"},
		{"routes flushed with the link", "ip link set eth0 down; ip link set eth0 up", "ip route add 10.10.10.0/24 via 192.168.56.101"},
		{"rule deleted", "ip rule delete pref 10001", "ip rule add pref 10001 iif br_net1 lookup 10001"},
		{"rule added", "ip rule add pref 10002 iif eth0 lookup 77 protocol 83", "ip rule delete pref 10002"},
		{"setting", "sysctl -q -w net.ipv4.conf.br_net1.proxy_arp=0", "net.ipv4.conf.br_net1.proxy_arp=1"},
		{"guest's address deleted", "ip -n vm1 address delete 10.10.10.10/24 dev eth0", "ip -n vm1 address add 10.10.10.10/24"},
		{"guest's route deleted", "ip -n vm1 route delete default", "ip -n vm1 route replace default via 10.10.10.1"},
		{"namespace deleted", "ip netns delete vm1; while ip link show vp_vm1 2>/dev/null >&2; do :; done", "ip netns add vm1"},
		{"namespace replaced", "ip netns delete vm1; ip netns add vm1", "ip link add vp_vm1"},
		{"nft table deleted", "nft delete table bridge sarn", "add table bridge sarn"},
		{"nft rules flushed", "nft flush chain bridge sarn port_vm1", "add rule bridge sarn port_vm1"},
		{"nft rule added", "nft add rule bridge sarn port_vm1 accept", "flush chain bridge sarn port_vm1"},
		{"nft element deleted", "nft delete element bridge sarn ports '{ vp_vm1 }'", "jump port_vm1"},
		{"nft verdict changed", "nft 'delete element bridge sarn ports { vp_vm2 }; add element bridge sarn ports { vp_vm2 : accept }'", "drop"},
		{"nft set widened", "nft add element ip sarn nat '{ 172.16.0.0/16 }'", "delete element ip sarn nat { 172.16.0.0/16 }"},
		{"nft chain added", "nft add chain bridge sarn stray", "delete chain bridge sarn stray"},
		{"nft set added", "nft add set ip sarn stray '{ type ipv4_addr; }'", "delete set ip sarn stray"},
	}
	netnstest.Run(t, func(t *testing.T) {
		sh(t, foreign)
		k := newKernel(t)
		converge(t, k, host())
		for _, d := range drifts {
			t.Run(d.name, func(t *testing.T) {
				sh(t, d.script)
				var commands []string
				for range 3 { // a rebuilt link's routes may need another pass
					ops := diff(t, k, host())
					if len(ops) == 0 {
						break
					}
					for _, op := range ops {
						commands = append(commands, op.Command())
					}
					if err := k.Apply(t.Context(), ops); err != nil {
						t.Fatal(err)
					}
				}
				all := strings.Join(commands, "\n")
				if !strings.Contains(all, d.heal) {
					t.Errorf("want %q among:\n%s", d.heal, all)
				}
				if ops := diff(t, k, host()); len(ops) > 0 {
					t.Errorf("not mended: %s", ops[0].Command())
				}
			})
		}
	})
}

// A crash between the steps of an earlier pass leaves things half made.
func TestHalfMadeThingsAreAdopted(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, foreign+`
ip link add br_net1 address 02:53:0a:0a:0a:02 type bridge
touch /run/netns/vm1
ip tuntap add dev vp_vm2 mode tap user 1000`)
		converge(t, newKernel(t), host())
	})
}

// TestOneBrokenPortHoldsUpNobody has ports that the kernel refuses beside a good one.
func TestOneBrokenPortHoldsUpNobody(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		k := newKernel(t)
		port := func(name, mac string) []netstate.Op {
			vp := netstate.PortPrefix + name
			return []netstate.Op{
				{Verb: netstate.Add, Netns: name, Object: netstate.Netns{Name: name, Alias: "sarn port " + name}},
				{Verb: netstate.Add, Object: netstate.Link{Name: vp, Kind: netstate.Veth, Peer: "eth0", PeerNetns: name}},
				{Netns: name, Object: netstate.LinkAttr{Link: "eth0", Attr: "address", Value: mac}},
				{Netns: name, Object: netstate.LinkAttr{Link: "eth0", Attr: "up", Value: "on"}},
				{Object: netstate.LinkAttr{Link: vp, Attr: "up", Value: "on"}},
			}
		}
		tap := []netstate.Op{
			{Verb: netstate.Add, Object: netstate.Link{Name: "vp_tap", Kind: netstate.Tap, Owner: 1<<32 - 1}},
			{Object: netstate.LinkAttr{Link: "vp_tap", Attr: "up", Value: "on"}},
		}
		ops := slices.Concat(port("bad", "00:00:00:00:00:00"), tap, port("good", "0a:00:00:00:00:01"))
		err := k.Apply(t.Context(), ops)
		if err == nil || !strings.Contains(err.Error(), "ip -n bad link set eth0 address") || !strings.Contains(err.Error(), "vp_tap") {
			t.Errorf("got %v", err)
		}
		if out := sh(t, "ip -n good -br link show eth0"); !strings.Contains(out, "UP") || !strings.Contains(out, "0a:00:00:00:00:01") {
			t.Errorf("the good port is %s", out)
		}
		if out := sh(t, "ip -n bad -br link show eth0"); strings.Contains(out, "LOWER_UP") {
			t.Errorf("the bad port went on after it had failed: %s", out)
		}
		if out := sh(t, "ip -n bad link show lo"); !strings.Contains(out, "alias sarn port bad") {
			t.Errorf("the namespace bears no mark: %s", out)
		}
	})
}

// TestCrossedPairsAreSeen swaps the far ends of two pairs, names and all.
func TestCrossedPairsAreSeen(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		want := netstate.Machine{"": {}}
		for _, n := range []string{"a", "b"} {
			want[""].Links = append(want[""].Links, netstate.Link{Name: "vp_" + n, Kind: netstate.Veth, Peer: "eth0", PeerNetns: n, Alias: "sarn port " + n})
			want[n] = &netstate.State{Alias: "sarn port " + n, Links: []netstate.Link{{Name: "eth0", Kind: netstate.Veth, Alias: "sarn port " + n}}}
		}
		k := newKernel(t)
		converge(t, k, want)
		sh(t, `ip link set vp_a name x; ip link set vp_b name vp_a; ip link set x name vp_b
ip link set vp_a alias 'sarn port a'; ip link set vp_b alias 'sarn port b'`)
		have, err := k.Read(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if ops, err := netstate.Diff(want, have); err != nil || len(ops) == 0 {
			t.Errorf("crossed pairs look right: %v %v", ops, err)
		}
		converge(t, k, want)
	})
}

func TestLeftoverNamespaceIsFound(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, "ip netns add old; ip -n old link set lo alias 'sarn port old'; ip netns add other; touch /run/netns/empty")
		k := newKernel(t)
		have, err := k.Read(t.Context(), netstate.Machine{})
		if err != nil {
			t.Fatal(err)
		}
		if have["old"] == nil || have["old"].Alias != "sarn port old" {
			t.Errorf("the leftover namespace was read as %+v", have["old"])
		}
		if have["other"] != nil || have["empty"] != nil {
			t.Errorf("namespaces of others were read: %v", have)
		}
	})
}

// What is already as an op wants it, or already gone, is no error.
func TestApplyTwice(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, foreign)
		k := newKernel(t)
		ops := diff(t, k, host())
		var again []netstate.Op
		for _, op := range ops {
			link, _ := op.Object.(netstate.Link)
			_, table := op.Object.(netstate.NFT) // a transaction, not an object
			if link.Kind != netstate.Veth && !table {
				again = append(again, op)
			}
		}
		if err := k.Apply(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
		if err := k.Apply(t.Context(), again); err != nil {
			t.Errorf("adding again: %v", err)
		}
		gone := diff(t, k, netstate.Machine{"": {}})
		again = nil
		for _, op := range gone {
			if _, table := op.Object.(netstate.NFT); !table {
				again = append(again, op)
			}
		}
		if err := k.Apply(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		if err := k.Apply(t.Context(), again); err != nil {
			t.Errorf("deleting again: %v", err)
		}
	})
}

func TestErrorsSayHowToMend(t *testing.T) {
	route := func(r netstate.Route) []netstate.Op {
		return []netstate.Op{{Verb: netstate.Add, Object: r}}
	}
	cases := []struct {
		name string
		ops  []netstate.Op
		want []string
	}{
		{
			"gateway out of reach",
			route(netstate.Route{Table: 254, Dst: prefix("10.0.0.0/8"), Via: addr("203.0.113.1")}),
			[]string{"ip route add 10.0.0.0/8 via 203.0.113.1", "network is unreachable", "no interface that is up", "0 of 1"},
		},
		{
			"no such link",
			route(netstate.Route{Table: 254, Dst: prefix("10.0.0.0/8"), Link: "eth7"}),
			[]string{`no link "eth7"`},
		},
		{
			"somebody else's route",
			route(netstate.Route{Table: 254, Dst: prefix("198.51.100.0/24"), Via: addr("192.168.56.9")}),
			[]string{"somebody else", "ip route delete 198.51.100.0/24 table 254"},
		},
		{
			"somebody else's address",
			[]netstate.Op{{Verb: netstate.Add, Object: netstate.Address{Link: "eth0", Prefix: prefix("192.168.56.103/24"), Label: "eth0:sarn"}}},
			[]string{"somebody else", "ip address delete 192.168.56.103/24 dev eth0"},
		},
		{
			"a name that is taken",
			[]netstate.Op{{Verb: netstate.Add, Object: netstate.Link{Name: "eth0", Kind: netstate.Bridge}}},
			[]string{"file exists", "rename it or delete it"},
		},
		{
			"no such namespace",
			[]netstate.Op{{Netns: "vm9", Verb: netstate.Change, Object: netstate.LinkAttr{Link: "lo", Attr: "up", Value: "on"}}},
			[]string{"network namespace", "vm9", "no such file"},
		},
		{
			"no such setting",
			[]netstate.Op{{Verb: netstate.Change, Object: netstate.Sysctl{Name: "net/ipv4/conf/eth7/forwarding", Value: "1"}}},
			[]string{"net.ipv4.conf.eth7.forwarding=1", "no such setting, or the interface is gone"},
		},
		{
			"setting that leads elsewhere",
			[]netstate.Op{{Verb: netstate.Change, Object: netstate.Sysctl{Name: "net/../../etc/passwd", Value: "1"}}},
			[]string{"want a name with slashes"},
		},
		{
			"namespace that leads elsewhere",
			[]netstate.Op{{Verb: netstate.Add, Object: netstate.Netns{Name: "../sarn"}}},
			[]string{"want a name without slashes"},
		},
		{
			"second line of a transaction, after an op",
			[]netstate.Op{
				{Verb: netstate.Change, Object: netstate.Sysctl{Name: "net/ipv4/ip_forward", Value: "1"}},
				{Verb: netstate.Change, Object: netstate.NFT{Line: "add table ip sarn"}},
				{Verb: netstate.Change, Object: netstate.NFT{Line: "add rule ip sarn nowhere accept"}},
			},
			[]string{"add rule ip sarn nowhere accept", "No such file or directory", "1 of 3"},
		},
	}
	netnstest.Run(t, func(t *testing.T) {
		sh(t, foreign)
		k := newKernel(t)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				err := k.Apply(t.Context(), c.ops)
				if err == nil {
					t.Fatal("no error")
				}
				t.Log(err)
				for _, w := range c.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("%q lacks %q", err, w)
					}
				}
			})
		}
		if out := sh(t, "nft list tables"); strings.Contains(out, "table ip sarn") {
			t.Errorf("a failed transaction left:\n%s", out)
		}
	})
}

func TestEnter(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		defer timetest.NoLeaks(t)
		sh(t, "ip netns add a; ip -n a link set lo up; ip -n a address add 10.0.0.1/32 dev lo")
		var inside string
		var socket net.Listener
		err := kernel.Enter("/run/netns/a", func() error {
			out, err := exec.Command("ip", "-br", "address").Output()
			inside = string(out)
			if err == nil {
				socket, err = net.Listen("tcp", "10.0.0.1:0")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		if !strings.Contains(inside, "10.0.0.1/32") {
			t.Errorf("a process started inside saw:\n%s", inside)
		}
		for range 20 { // on whatever threads
			if out := sh(t, "ip -br address"); strings.Contains(out, "10.0.0.1/32") {
				t.Fatalf("a thread stayed inside:\n%s", out)
			}
		}
		mine := errors.New("mine")
		if err := newKernel(t).EnterName("a", func() error { return mine }); !errors.Is(err, mine) {
			t.Errorf("EnterName returned %v, want the function's error", err)
		}
		if err := newKernel(t).EnterName("none", func() error { return nil }); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a namespace that is not there: %v", err)
		}
	})
}

// A Kernel that is made inside a namespace has that for its own.
func TestOwnNamespaceIsTheMakers(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, "ip netns add a; ip -n a link add br_a type bridge; ip -n a link set br_a alias 'sarn test'")
		var k *kernel.Kernel
		err := kernel.Enter("/run/netns/a", func() (err error) {
			k, err = kernel.New(kernel.Config{NetnsDir: "/run/sarn/netns-of-a"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		have, err := k.Read(t.Context(), netstate.Machine{})
		if err != nil {
			t.Fatal(err)
		}
		if len(have) != 1 || len(have[""].Links) != 1 || have[""].Links[0].Name != "br_a" {
			t.Errorf("read %+v, want br_a alone", have[""])
		}
	})
}
