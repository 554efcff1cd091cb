package kernel_test

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

const (
	vm1MAC = "02:53:0a:0a:0a:0a"
	vm2MAC = "02:53:0a:0a:0a:0b"
)

// host is a machine with one of everything: a bridge with a namespace's port and a
// tap, tables and rules for them, what keeps ports honest, and translation.
func host() netstate.Machine {
	return netstate.Machine{
		"": {
			Links: []netstate.Link{
				{Name: "eth0"},
				{
					Name: "br_net1", Kind: netstate.Bridge, Up: true,
					Alias: "sarn subnet net1", MAC: "02:53:0a:0a:0a:02",
				},
				{
					Name: "vp_vm1", Kind: netstate.Veth, Up: true, Alias: "sarn port vm1",
					Master: "br_net1", Isolated: true, Static: true, Peer: "eth0", PeerNetns: "vm1",
				},
				{
					Name: "vp_vm2", Kind: netstate.Tap, Up: true, Alias: "sarn port vm2", MTU: 1400,
					Master: "br_net1", Isolated: true, Static: true, Owner: 1000,
				},
			},
			Addresses: []netstate.Address{
				{Link: "br_net1", Prefix: prefix("10.10.10.2/32")},
				{Link: "lo", Prefix: prefix("10.10.10.1/32"), Label: "lo:sarn"},
			},
			Neighbors: []netstate.Neighbor{
				{Link: "br_net1", Address: addr("10.10.10.10"), MAC: vm1MAC},
				{Link: "br_net1", Address: addr("10.10.10.11"), MAC: vm2MAC},
			},
			Forwards: []netstate.Forward{{Link: "vp_vm1", MAC: vm1MAC}, {Link: "vp_vm2", MAC: vm2MAC}},
			Routes: []netstate.Route{
				{Table: 254, Dst: prefix("10.10.10.10/32"), Link: "br_net1"},
				{Table: 254, Dst: prefix("10.10.10.0/24"), Via: addr("192.168.56.101"), Link: "eth0", Src: addr("192.168.56.103")},
				{Table: 254, Dst: prefix("10.0.0.0/8"), Type: netstate.Unreachable},
				{Table: 10000, Dst: prefix("10.10.10.10/32"), Link: "br_net1"},
				{Table: 10000, Dst: prefix("10.0.0.0/8"), Type: netstate.Unreachable},
				{Table: 10001, Dst: prefix("0.0.0.0/0"), Via: addr("192.168.56.101")},
				{Table: 10001, Dst: prefix("172.16.0.0/12"), Type: netstate.Prohibit},
				{Table: 10001, Dst: prefix("192.0.2.0/24"), Type: netstate.Blackhole},
			},
			Rules: []netstate.Rule{
				{Priority: 10000, Iif: "eth0", Table: 10000},
				{Priority: 10001, Iif: "br_net1", Table: 10001},
			},
			Sysctls: []netstate.Sysctl{
				{Name: "net/ipv4/conf/br_net1/proxy_arp", Value: "1"},
				{Name: "net/ipv4/conf/br_net1/proxy_arp_pvlan", Value: "1"},
				{Name: "net/ipv4/neigh/br_net1/proxy_delay", Value: "0"},
				{Name: "net/ipv4/ip_local_port_range", Value: "20000 30000"},
				{Name: "net/ipv6/conf/vp_vm1/disable_ipv6", Value: "1"},
			},
			Tables: []netstate.Table{antispoof(), nat()},
		},
		"vm1": {
			Alias: "sarn port vm1",
			Links: []netstate.Link{
				{Name: "lo", Up: true},
				{Name: "eth0", Kind: netstate.Veth, Up: true, MAC: vm1MAC, Alias: "sarn port vm1"},
			},
			Addresses: []netstate.Address{{Link: "eth0", Prefix: prefix("10.10.10.10/24")}},
			Routes:    []netstate.Route{{Table: 254, Dst: prefix("0.0.0.0/0"), Via: addr("10.10.10.1"), Link: "eth0"}},
		},
	}
}

func antispoof() netstate.Table {
	return netstate.Table{
		Family: netstate.FamilyBridge,
		Sets: []netstate.Set{
			{
				Name: "ports", KeyType: "ifname", ValueType: "verdict",
				Elements: []string{"vp_vm1 : jump port_vm1", "vp_vm2 : drop"},
			},
			{Name: "pairs", KeyType: "ipv4_addr . ether_addr", Elements: []string{"10.10.10.10 . " + vm1MAC}},
			{Name: "services", KeyType: "inet_service", Elements: []string{"22", "443"}},
		},
		Chains: []netstate.Chain{
			{
				Name: "prerouting", Type: "filter", Hook: "prerouting", Priority: -300,
				Rules: []string{"iifname vmap @ports"},
			},
			{Name: "port_vm1", Rules: []string{
				"ether saddr != " + vm1MAC + " counter drop",
				"ether type arp arp saddr ether " + vm1MAC + " arp saddr ip { 0.0.0.0, 10.10.10.10 } accept",
				"ether type ip ip saddr 10.10.10.10 accept",
				"counter drop",
			}},
		},
	}
}

func nat() netstate.Table {
	return netstate.Table{
		Family: netstate.FamilyIP,
		Sets: []netstate.Set{{
			Name: "nat", KeyType: "ipv4_addr", Interval: true,
			Elements: []string{"10.10.10.0/24", "10.10.11.0/24", "10.99.0.1"},
		}},
		Chains: []netstate.Chain{{
			Name: "postrouting", Type: "nat", Hook: "postrouting", Priority: 100,
			Rules: []string{`oifname "eth0" ip saddr @nat ip daddr != @nat masquerade`},
		}},
	}
}

// foreign is what other programs have set up on the machine. A table of theirs has
// our name in a family that we do not use, a route is in a table of ours, and a rule
// is the same as one of ours.
const foreign = `
ip link add eth0 type veth peer name wire
ip link set eth0 up
ip link set wire up
ip address add 192.168.56.103/24 dev eth0
ip link add docker0 type bridge
ip link set docker0 alias 'made by docker'
ip address add 172.17.0.1/16 dev docker0
ip neigh add 192.168.56.200 lladdr 02:00:00:00:00:99 dev eth0 nud permanent
ip route add 198.51.100.0/24 via 192.168.56.1
ip route add 198.51.100.0/24 via 192.168.56.1 table 10001 proto static
ip rule add pref 500 iif eth0 lookup main
ip rule add pref 10000 iif eth0 lookup 10000
nft add table ip docker
nft add chain ip docker forward '{ type filter hook forward priority 0; policy drop; }'
nft add rule ip docker forward counter accept
nft add table ip6 sarn
ip netns add container
ip -n container link set lo alias 'made by another program'
ip -n container link set lo up`

// show prints what foreign made. The kernel's own IPv6 addresses come when they come.
const show = `
ip -d link show dev docker0 | grep -v link/
ip -4 address show dev eth0 | grep inet
ip -4 address show dev docker0 | grep inet
ip neigh show nud permanent to 192.168.56.200
ip route show 198.51.100.0/24 table all
ip rule show | grep -v 'proto 83'
nft list table ip docker
nft list table ip6 sarn
ip -n container address show`

func sh(t testing.TB, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.TrimSpace(script), err, out)
	}
	return string(out)
}

func newKernel(t testing.TB) *kernel.Kernel {
	t.Helper()
	k, err := kernel.New(kernel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func diff(t testing.TB, k *kernel.Kernel, want netstate.Machine) []netstate.Op {
	t.Helper()
	have, err := k.Read(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	ops, err := netstate.Diff(want, have)
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// converge applies what is missing and checks that nothing is missing then.
func converge(t testing.TB, k *kernel.Kernel, want netstate.Machine) []netstate.Op {
	t.Helper()
	ops := diff(t, k, want)
	if err := k.Apply(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
	for _, op := range diff(t, k, want) {
		t.Errorf("still to do: %s", op.Command())
	}
	return ops
}
