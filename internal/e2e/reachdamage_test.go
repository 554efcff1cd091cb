package e2e

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sarn/internal/intent"
	"sarn/internal/netstate"
	"sarn/internal/reach"
)

// damage is something that is not as it should be: in a machine's kernel, and in the
// data that packets are walked over.
type damage struct {
	where string // what the shell line runs in
	node  string
	line  string
	data  func(netstate.Machine)
}

func gone[T any](list func(*netstate.State) *[]T, is func(T) bool) func(netstate.Machine) {
	return func(m netstate.Machine) {
		l := list(m[""])
		*l = slices.DeleteFunc(*l, is)
	}
}

func routes(s *netstate.State) *[]netstate.Route { return &s.Routes }

func noRule(priority int, iif string) func(netstate.Machine) {
	return gone(func(s *netstate.State) *[]netstate.Rule { return &s.Rules }, func(r netstate.Rule) bool { return r.Priority == priority && r.Iif == iif })
}

func noRoute(table uint32, dst string) func(netstate.Machine) {
	return gone(routes, func(r netstate.Route) bool { return r.Table == table && r.Dst.String() == dst })
}

func blackhole(table uint32, dst string) func(netstate.Machine) {
	return func(m netstate.Machine) {
		noRoute(table, dst)(m)
		m[""].Routes = append(m[""].Routes, netstate.Route{Table: table, Dst: netip.MustParsePrefix(dst), Type: netstate.Blackhole})
	}
}

func noAddress(prefix string) func(netstate.Machine) {
	return gone(func(s *netstate.State) *[]netstate.Address { return &s.Addresses }, func(a netstate.Address) bool { return a.Prefix.String() == prefix })
}

func sysctl(name, value string) func(netstate.Machine) {
	return func(m netstate.Machine) {
		s := netstate.Sysctl{Name: "net/ipv4/conf/" + name, Value: value}
		m[""].Sysctls = append(m[""].Sysctls, s)
	}
}

func off(link string) func(netstate.Machine) {
	return func(m netstate.Machine) {
		for i := range m[""].Links {
			m[""].Links[i].Up = m[""].Links[i].Up && m[""].Links[i].Name != link
		}
	}
}

func forge(m netstate.Machine) {
	for i := range m["vm2"].Links {
		if m["vm2"].Links[i].Name == "eth0" {
			m["vm2"].Links[i].MAC = "0a:00:00:00:00:01"
		}
	}
}

// damages are what examples/two-hosts.yaml is spoilt with.
func damages() []damage {
	const conf = "/proc/sys/net/ipv4/conf/"
	host := func(node, line string, data func(netstate.Machine)) damage { return damage{node, node, line, data} }
	return []damage{
		host("host1", "ip link set br_net1 down", off("br_net1")),
		host("host1", "ip link set vp_vm2 down", off("vp_vm2")),
		host("host2", "ip link set br_net2 down", off("br_net2")),
		host("host1", "echo 0 > "+conf+"br_net1/proxy_arp", sysctl("br_net1/proxy_arp", "0")),
		host("host1", "echo 0 > "+conf+"br_net1/proxy_arp_pvlan", sysctl("br_net1/proxy_arp_pvlan", "0")),
		host("host2", "echo 0 > "+conf+"br_net1/forwarding", sysctl("br_net1/forwarding", "0")),
		host("router", "echo 0 > "+conf+"enp0s8/forwarding", sysctl("enp0s8/forwarding", "0")),
		host("host2", "echo 1 > "+conf+"all/rp_filter; echo 1 > "+conf+"enp0s8/rp_filter", func(m netstate.Machine) {
			sysctl("all/rp_filter", "1")(m)
			sysctl("enp0s8/rp_filter", "1")(m)
		}),
		host("host1", "ip rule del pref 10001", noRule(10001, "br_net1")),
		host("host2", "ip rule del pref 10000", noRule(10000, "enp0s8")),
		host("host1", "ip rule del pref 5001 iif br_net1", noRule(5001, "br_net1")),
		host("host2", "ip rule del pref 5001 iif br_net2", noRule(5001, "br_net2")),
		host("host1", "ip route del 10.10.10.11 table 5001", noRoute(5001, "10.10.10.11/32")),
		host("host2", "ip route del "+vm3+" table 5001", noRoute(5001, vm3+"/32")),
		host("host1", "ip route replace blackhole 10.10.20.4 table 5001", blackhole(5001, "10.10.20.4/32")),
		host("host2", "ip route replace 10.10.10.10 via 192.168.56.101 table 5001", func(m netstate.Machine) {
			noRoute(5001, "10.10.10.10/32")(m)
			m[""].Routes = append(m[""].Routes, netstate.Route{Table: 5001, Dst: netip.MustParsePrefix("10.10.10.10/32"),
				Via: netip.MustParseAddr("192.168.56.101"), Link: "enp0s8"})
		}),
		host("host2", "ip route del 10.10.10.0/24 table 10001", noRoute(10001, "10.10.10.0/24")),
		host("host2", "ip route del default table 10002", noRoute(10002, "0.0.0.0/0")),
		host("host1", "ip route del 10.10.10.10 table 10000", noRoute(10000, "10.10.10.10/32")),
		host("router", "ip route del "+vm3, noRoute(netstate.MainTable, vm3+"/32")),
		host("router", "ip route replace blackhole "+vm4, blackhole(netstate.MainTable, vm4+"/32")),
		host("router", "ip addr del 10.10.10.1/32 dev lo", noAddress("10.10.10.1/32")),
		host("host1", "ip addr del 10.10.10.2/32 dev br_net1", func(m netstate.Machine) {
			noAddress("10.10.10.2/32")(m)
			// With a device's last address its routes go too (fib_disable_ip).
			gone(routes, func(r netstate.Route) bool { return r.Link == "br_net1" })(m)
		}),
		host("host2", "ip neigh flush nud permanent dev br_net1; ip neigh del "+vm3+" dev br_net1 2>/dev/null; true",
			gone(func(s *netstate.State) *[]netstate.Neighbor { return &s.Neighbors }, func(n netstate.Neighbor) bool { return n.Link == "br_net1" })),
		host("host2", "bridge fdb del 0a:5a:0a:0a:0a:0c dev vp_vm3 master static",
			gone(func(s *netstate.State) *[]netstate.Forward { return &s.Forwards }, func(f netstate.Forward) bool { return f.Link == "vp_vm3" })),
		host("host1", `nft 'delete element bridge sarn ports { "vp_vm5" }'`, func(m netstate.Machine) {
			set := &m[""].Tables[0].Sets[0]
			set.Elements = slices.DeleteFunc(set.Elements, func(e string) bool { return strings.HasPrefix(e, "vp_vm5 ") })
		}),
		host("host2", "nft delete table bridge sarn", func(m netstate.Machine) { m[""].Tables = nil }),
		{"vm2", "host1", "ip link set eth0 address 0a:00:00:00:00:01", forge},
		{"vm5", "host1", "ip route del default", func(m netstate.Machine) { m["vm5"].Routes = nil }},
	}
}

// TestReachKnowsDamage spoils a fabric in several ways at once, with nobody there to
// mend it, and holds what reach foretells of the spoilt one against real packets.
func TestReachKnowsDamage(t *testing.T) {
	seed := drawSeed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	all := damages()
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	i := 0
	for some := range slices.Chunk(all, 6) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			f := up(t, "two-hosts.yaml")
			mode := string(pick(r, modes))
			f.sarn("vpc", "mode", "main", mode, "--wait")
			network := f.network(f.world(), some)
			for _, node := range []string{"host1", "host2", "router"} {
				f.kill(f.pid("agent", node))
			}
			for _, d := range some {
				f.sh(d.where, d.line+" || true") // another may have taken it away already
			}
			f.compareDamaged(network)
			if t.Failed() {
				t.Logf("SARN_SEED=%d, mode %s", seed, mode)
				for _, d := range some {
					t.Logf("%s: %s", d.where, d.line)
				}
			}
		})
		i++
	}
}

// network is the lab's, as its controller has it, but for the damage.
func (f fabric) network(w *intent.World, some []damage) *reach.Network {
	f.Helper()
	client := f.client()
	return reach.New(w, func(node string) (netstate.Machine, error) {
		now, err := client.Compiled(f.Context(), node)
		for _, d := range some {
			if d.node == node && err == nil {
				d.data(now.State)
			}
		}
		return now.State, err
	})
}

// compareDamaged foretells and sends.
func (f fabric) compareDamaged(network *reach.Network) {
	f.Helper()
	var all []foretold
	for _, from := range []string{"vm1", "vm2", "vm3", "vm5", "vm6", "host1", "host2", "router"} {
		start := reach.Start{Port: from}
		if !strings.HasPrefix(from, "vm") {
			start = reach.Start{Node: from}
		}
		for _, to := range []string{"10.10.10.10", "10.10.10.11", vm3, vm4, "10.10.20.3", "10.10.20.4", "10.10.10.1", "10.10.10.2", "10.10.10.99", "192.168.56.103", "192.168.56.104"} {
			got, err := network.Trace(start, reach.Packet{Destination: netip.MustParseAddr(to)})
			if err != nil {
				f.Fatal(err)
			}
			own := strings.Contains(got.Request.Verdict.Reason, "blackhole") && got.Request.Verdict.Name == from
			if got.Unknown() || own {
				continue // a machine's own routes decide; or its kernel calls the address invalid
			}
			all = append(all, expect(*got, from))
		}
	}
	all = fewer(all)
	f.compare(all, true)
}
