package reach_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sarn/internal/intent"
	"sarn/internal/netstate"
	"sarn/internal/reach"
)

// TestWays is who has the packet, and the answer, on every kind of way that is open.
func TestWays(t *testing.T) {
	n := network(fabric(), nil)
	for _, tc := range []struct {
		from        reach.Start
		to          string
		there, back string
	}{
		{port("vm1"), "10.10.10.11", "vm1 host1 vm2", "vm2 host1 vm1"},
		{port("vm1"), "10.10.20.3", "vm1 host1 vm5", "vm5 host1 vm1"},
		{port("vm1"), "10.10.10.12", "vm1 host1 router host2 vm3", "vm3 host2 router host1 vm1"},
		{port("vm1"), "10.10.20.4", "vm1 host1 router host2 vm6", "vm6 host2 router host1 vm1"},
		{port("vm6"), "10.10.10.10", "vm6 host2 router host1 vm1", "vm1 host1 router host2 vm6"},
		{port("vm1"), "10.10.10.10", "vm1", "vm1"},
		{port("vm1"), "10.10.10.2", "vm1 host1", "host1 vm1"},
		{port("vm1"), "192.168.56.103", "vm1 host1", "host1 vm1"},
		{port("vm1"), "192.168.56.104", "vm1 host1 router host2", "host2 router host1 vm1"},
		{port("vm1"), "10.10.10.1", "vm1 host1 router", "router host1 vm1"},
		{port("vm1"), "8.8.8.8", "vm1 host1 router outside", "outside router host1 vm1"},
		{port("vm5"), "8.8.8.8", "vm5 host1 router outside", "outside router host1 vm5"},
		{reach.Start{Node: "host1"}, "10.10.10.12", "host1 router host2 vm3", "vm3 host2 router host1"},
		{reach.Start{Node: "host1"}, "10.10.10.10", "host1 vm1", "vm1 host1"},
		{reach.Start{Node: "host1"}, "192.168.56.104", "host1 host2", "host2 host1"},
		{reach.Start{Node: "router"}, "10.10.20.4", "router host2 vm6", "vm6 host2 router"},
		{reach.Start{Node: "router"}, "8.8.8.8", "router outside", "outside router"},
		{reach.Start{Outside: ip("203.0.113.1")}, "10.10.20.3", "outside router host1 vm5", "vm5 host1 router outside"},
		{reach.Start{Outside: ip("203.0.113.1")}, "192.168.56.101", "outside router", "router outside"},
	} {
		for _, proto := range []reach.Protocol{reach.ICMP, reach.TCP, reach.UDP} {
			got := trace(t, n, tc.from, reach.Packet{Destination: ip(tc.to), Protocol: proto, Port: 80})
			if !got.Answered || path(&got.Request) != tc.there || path(got.Reply) != tc.back {
				t.Errorf("want %q and %q:\n%s", tc.there, tc.back, told(got))
			}
		}
	}
}

// without deletes what match picks.
func without[T any](all []T, match func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), match)
}

// set gives a sysctl of the node's own namespace another value.
func set(m netstate.Machine, name, value string) {
	for i := range m[""].Sysctls {
		if m[""].Sysctls[i].Name == name {
			m[""].Sysctls[i].Value = value
		}
	}
}

func down(m netstate.Machine, link string) {
	for i := range m[""].Links {
		if m[""].Links[i].Name == link {
			m[""].Links[i].Up = false
		}
	}
}

// TestRefusals is every way in which a packet does not arrive: with what is damaged on
// which node, who ends it, how, and what decided.
func TestRefusals(t *testing.T) {
	everyone := func(string, netstate.Machine) {}
	on := func(node string, f func(netstate.Machine)) func(string, netstate.Machine) {
		return func(name string, m netstate.Machine) {
			if name == node {
				f(m)
			}
		}
	}
	other := ip("10.10.10.55")
	for name, tc := range map[string]struct {
		damage  func(string, netstate.Machine)
		from    reach.Start
		to      string
		source  netip.Addr
		outcome reach.Outcome
		at      string
		icmp    string
		reason  string
	}{
		"another VPC":                       {everyone, port("vm1"), "10.20.10.10", netip.Addr{}, reach.Rejected, "host1", "communication prohibited", "ip route prohibit 10.20.0.0/16"},
		"another VPC's gateway":             {everyone, port("vm1"), "10.20.10.1", netip.Addr{}, reach.Rejected, "host1", "communication prohibited", "ip route prohibit 10.20.0.0/16"},
		"nobody's, of a subnet":             {everyone, port("vm1"), "10.10.10.99", netip.Addr{}, reach.Rejected, "router", "host unreachable", "ip route unreachable 10.10.10.0/24"},
		"nobody's, of no subnet":            {everyone, port("vm1"), "10.10.77.1", netip.Addr{}, reach.Rejected, "host1", "host unreachable", "ip route unreachable 10.10.0.0/16"},
		"nobody's, from a host":             {everyone, reach.Start{Node: "host1"}, "10.10.77.1", netip.Addr{}, reach.Rejected, "host1", "host unreachable", "ip route unreachable 10.10.0.0/16"},
		"a private subnet":                  {everyone, reach.Start{Outside: ip("203.0.113.1")}, "10.10.10.10", netip.Addr{}, reach.Dropped, "router", "", `nft ip sarn forward: iifname "enp0s3" ip daddr @nat counter drop`},
		"a source that is the router's own": {everyone, reach.Start{Outside: ip("203.0.113.1")}, "10.10.20.3", ip("192.168.56.101"), reach.Dropped, "router", "", "192.168.56.101 is this machine's own address"},
		"the way of a host":                 {everyone, reach.Start{Node: "host1"}, "8.8.8.8", netip.Addr{}, reach.Unknown, "host1", "", "not known"},
		"a broadcast":                       {everyone, port("vm1"), "10.10.10.255", netip.Addr{}, reach.Unknown, "vm1", "", "broadcast 10.10.10.255"},
		"a forged source":                   {everyone, port("vm1"), "10.10.10.12", other, reach.Dropped, "host1", "", "nft bridge sarn port_vm1: ether type ip counter drop"},
		"a forged source, by a tap":         {everyone, port("vm6"), "10.10.10.12", other, reach.Dropped, "host2", "", "nft bridge sarn port_vm6: ether type ip counter drop"},
		"a forged MAC":                      {on("host1", func(m netstate.Machine) { m["vm1"].Links[1].MAC = "0a:00:00:00:00:01" }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Dropped, "host1", "", "its ARP request: nft bridge sarn port_vm1: ether saddr != 0a:5a:0a:0a:0a:0a counter drop"},
		"no rules for the port":             {on("host1", func(m netstate.Machine) { m[""].Tables[0].Sets[0].Elements = nil }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Dropped, "host1", "", `nft bridge sarn prerouting: iifname "vp_*" counter drop`},
		"the bridge is down":                {on("host1", func(m netstate.Machine) { down(m, "br_net1") }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Dropped, "host1", "", "ip link: the bridge br_net1 is not there or down"},
		"the far bridge is down":            {on("host2", func(m netstate.Machine) { down(m, "br_net1") }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Rejected, "host2", "host unreachable", "ip route unreachable 10.10.0.0/16"},
		"the port is down":                  {on("host1", func(m netstate.Machine) { down(m, "vp_vm1") }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Dropped, "vm1", "", "vp_vm1 of host1"},
		"the far port is down":              {on("host2", func(m netstate.Machine) { down(m, "vp_vm3") }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Dropped, "host2", "", "ip link: vp_vm3 is down"},
		"no ARP answers":                    {on("host1", func(m netstate.Machine) { set(m, "net/ipv4/conf/br_net1/proxy_arp", "0") }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Rejected, "vm1", "host unreachable", "ip neigh: nobody answers for 10.10.10.12 on eth0"},
		"no ARP answers on one host":        {on("host1", func(m netstate.Machine) { set(m, "net/ipv4/conf/br_net1/proxy_arp_pvlan", "0") }), port("vm1"), "10.10.10.11", netip.Addr{}, reach.Rejected, "vm1", "host unreachable", "ip neigh: nobody answers for 10.10.10.11 on eth0"},
		"no forwarding on the LAN":          {on("router", func(m netstate.Machine) { set(m, "net/ipv4/conf/enp0s8/forwarding", "0") }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Dropped, "router", "", "sysctl net.ipv4.conf.enp0s8.forwarding=0"},
		"no forwarding on a bridge":         {on("host1", func(m netstate.Machine) { set(m, "net/ipv4/conf/br_net1/forwarding", "0") }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Rejected, "vm1", "host unreachable", "nobody answers"},
		"no host route": {on("router", func(m netstate.Machine) {
			m[""].Routes = without(m[""].Routes, func(r netstate.Route) bool { return r.Dst.String() == "10.10.10.12/32" })
		}), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Rejected, "router", "host unreachable", "ip route unreachable 10.10.10.0/24"},
		"no rule for the bridge": {on("host1", func(m netstate.Machine) {
			m[""].Rules = without(m[""].Rules, func(r netstate.Rule) bool { return r.Iif == "br_net1" })
		}), port("vm1"), "8.8.8.8", netip.Addr{}, reach.Unknown, "host1", "", "not known"},
		"no neighbour, and a guest that may not answer": {on("host2", func(m netstate.Machine) {
			m[""].Neighbors = nil
			m["vm3"].Addresses = nil
		}), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Rejected, "host2", "host unreachable", "nobody answers for 10.10.10.12 on br_net1"},
		"no forwarding entry": {on("host2", func(m netstate.Machine) { m[""].Forwards = nil }), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Dropped, "host2", "", "bridge fdb: br_net1 has no entry for 0a:5a:0a:0a:0a:0c"},
		"a strict reverse path": {on("host2", func(m netstate.Machine) {
			m[""].Sysctls = append(m[""].Sysctls, netstate.Sysctl{Name: "net/ipv4/conf/all/rp_filter", Value: "1"})
			set(m, "net/ipv4/conf/enp0s8/rp_filter", "0")
			for i, r := range m[""].Routes {
				if r.Table == 10001 && r.Dst.String() == "10.10.10.0/24" {
					m[""].Routes[i].Link = "br_net2"
				}
			}
		}), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Dropped, "host2", "", "sysctl net.ipv4.conf.enp0s8.rp_filter=1: the way to 10.10.10.10 is"},
		"a loose reverse path, and no way back": {on("host2", func(m netstate.Machine) {
			m[""].Routes = without(m[""].Routes, func(r netstate.Route) bool { return r.Table == 10001 && r.Via.IsValid() })
		}), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Dropped, "host2", "", "sysctl net.ipv4.conf.enp0s8.rp_filter=2: towards 10.10.10.10 there is ip route unreachable 10.10.0.0/16"},
		"a blackhole": {on("router", func(m netstate.Machine) {
			m[""].Routes = append(m[""].Routes, netstate.Route{Table: netstate.MainTable, Dst: netip.MustParsePrefix("9.9.9.9/32"), Type: netstate.Blackhole})
		}), port("vm1"), "9.9.9.9", netip.Addr{}, reach.Dropped, "router", "", "ip route blackhole 9.9.9.9"},
		"a loop": {on("router", func(m netstate.Machine) {
			m[""].Routes = append(m[""].Routes, netstate.Route{Table: netstate.MainTable, Dst: netip.MustParsePrefix("10.20.10.99/32"), Via: ip("192.168.56.104"), Link: "enp0s8"})
		}), reach.Start{Node: "router"}, "10.20.10.99", netip.Addr{}, reach.Rejected, "host2", "host unreachable", "ip route unreachable 10.20.0.0/16"},
		"a rule of nft that nobody knows": {on("router", func(m netstate.Machine) {
			c := &m[""].Tables[0].Chains[1]
			c.Rules = append([]string{"ip daddr 10.10.10.12 meta cpu 0 drop"}, c.Rules...)
		}), port("vm1"), "10.10.10.12", netip.Addr{}, reach.Unknown, "router", "", `rule "ip daddr 10.10.10.12 meta cpu 0 drop" of chain ip sarn forward: "meta cpu 0 drop" is not known here`},
	} {
		got := trace(t, network(fabric(), tc.damage), tc.from, reach.Packet{Source: tc.source, Destination: ip(tc.to)})
		v := got.Request.Verdict
		if got.Delivered || got.Reply != nil || v.Outcome != tc.outcome || v.Name != tc.at || v.ICMP != tc.icmp || !strings.Contains(v.Reason, tc.reason) {
			t.Errorf("%s: want %s at %s, ICMP %q, since %q:\n%s", name, tc.outcome, tc.at, tc.icmp, tc.reason, told(got))
		}
		if got.Unknown() != (tc.outcome == reach.Unknown) {
			t.Errorf("%s: unknown is %v", name, got.Unknown())
		}
	}
}

// TestUntouched: an nft rule that is not known matters only to packets that come to it.
func TestUntouched(t *testing.T) {
	n := network(fabric(), func(node string, m netstate.Machine) {
		if node == "router" {
			c := &m[""].Tables[0].Chains[1]
			c.Rules = append([]string{"ip daddr 10.10.20.0/24 meta cpu 0 drop"}, c.Rules...)
		}
	})
	if got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.10.10.12")}); !got.Answered {
		t.Error(told(got))
	}
}

// TestLoopEndsByTTL has two nodes that send a packet to each other.
func TestLoopEndsByTTL(t *testing.T) {
	nobody := netip.MustParsePrefix("10.10.10.99/32")
	n := network(fabric(), func(node string, m netstate.Machine) {
		r := netstate.Route{Table: netstate.MainTable, Dst: nobody, Via: ip("192.168.56.103"), Link: "enp0s8"}
		if node == "host1" {
			r.Table, r.Via = 10000, ip("192.168.56.101")
		}
		m[""].Routes = append(m[""].Routes, r)
	})
	for ttl, want := range map[int]int{0: 64, 10: 10, 1: 1} {
		got := trace(t, n, port("vm1"), reach.Packet{Destination: nobody.Addr(), TTL: ttl})
		v := got.Request.Verdict
		if v.Outcome != reach.Rejected || v.ICMP != "time exceeded" || len(got.Request.Hops) != want+1 {
			t.Errorf("TTL %d: %d hops, want the sender and %d:\n%s", ttl, len(got.Request.Hops), want, v)
		}
	}
}

// TestAnswerIsLost has a request arrive whose answer does not come back.
func TestAnswerIsLost(t *testing.T) {
	n := network(fabric(), func(node string, m netstate.Machine) {
		if node == "host2" {
			for i, r := range m[""].Routes {
				if r.Table == 10001 && r.Dst.String() == "10.10.10.0/24" {
					m[""].Routes[i].Via = ip("192.168.56.99")
				}
			}
		}
	})
	got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.10.10.12")})
	if !got.Delivered || got.Answered || got.Reply.Verdict.Name != "host2" || got.Reply.Verdict.ICMP != "host unreachable" {
		t.Error(told(got))
	}
}

// TestUnseenRouter has hosts send to each other directly, and the errors of the host on
// the way lost, which go by the router: traceroute does not see that host.
func TestUnseenRouter(t *testing.T) {
	for _, forwarding := range []string{"1", "0"} {
		w := fabric()
		w.VPCs["main"].Mode = intent.ModeDirect
		n := network(w, func(node string, m netstate.Machine) {
			if node == "router" {
				set(m, "net/ipv4/conf/enp0s8/forwarding", forwarding)
			}
		})
		got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.10.10.12")})
		seen := got.Request.Routers()
		if !got.Answered || path(&got.Request) != "vm1 host1 host2 vm3" || len(seen) != 2 || seen[0] != ip("10.10.10.2") || seen[1].IsValid() != (forwarding == "1") {
			t.Errorf("forwarding %s at the router, and seen are %v:\n%s", forwarding, seen, told(got))
		}
	}
}

// TestNotice: who rejects a packet tells its sender, if there is a way.
func TestNotice(t *testing.T) {
	nobody := reach.Packet{Destination: ip("10.10.10.99")}
	got := trace(t, network(fabric(), nil), port("vm1"), nobody)
	if !got.Told() || path(got.Notice) != "router host1 vm1" || got.Notice.Hops[0].Source != "192.168.56.101" {
		t.Errorf("want the router's word to come back:\n%s", told(got))
	}
	got = trace(t, network(fabric(), nil), port("vm1"), reach.Packet{Destination: ip("10.20.10.10")})
	if !got.Told() || path(got.Notice) != "host1 vm1" || got.Notice.Hops[0].Source != "10.10.10.2" {
		t.Errorf("want the host's word to come back:\n%s", told(got))
	}
	got = trace(t, network(fabric(), nil), reach.Start{Node: "host1"}, reach.Packet{Destination: ip("10.10.77.1")})
	if !got.Told() || got.Notice != nil {
		t.Errorf("who rejects its own packet needs no notice:\n%s", told(got))
	}
	deaf := network(fabric(), func(node string, m netstate.Machine) {
		if node == "host1" {
			m[""].Routes = without(m[""].Routes, func(r netstate.Route) bool { return r.Table == 10000 && r.Dst.IsSingleIP() })
		}
	})
	got = trace(t, deaf, port("vm1"), nobody)
	if got.Told() || got.Notice == nil || got.Notice.Verdict.Name != "host1" {
		t.Errorf("host1 has no way for the router's word:\n%s", told(got))
	}
}

// TestNoRuleIsAHole: what keeps VPCs apart is the rule that chooses the subnet's table.
// Without it the host's main table decides, and only the answer is refused.
func TestNoRuleIsAHole(t *testing.T) {
	n := network(fabric(), func(_ string, m netstate.Machine) {
		m[""].Rules = without(m[""].Rules, func(r netstate.Rule) bool { return r.Iif == "br_net1" })
	})
	got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.20.10.10")})
	if !got.Delivered || got.Answered || got.Reply.Verdict.ICMP != "communication prohibited" {
		t.Error(told(got))
	}
}

// TestTablesFollowEachOther: a rule whose table has no route for a packet leaves it to the
// next, and one that has it decides alone.
func TestTablesFollowEachOther(t *testing.T) {
	n := network(fabric(), func(node string, m netstate.Machine) {
		if node == "host1" {
			m[""].Rules = append(m[""].Rules, netstate.Rule{Priority: 9000, Iif: "br_net1", Table: 9000})
			m[""].Routes = append(m[""].Routes,
				netstate.Route{Table: 9000, Dst: netip.MustParsePrefix("10.10.10.12/32"), Via: ip("192.168.56.104"), Link: "enp0s8"},
				netstate.Route{Table: 9000, Dst: netip.MustParsePrefix("10.10.10.13/32"), Type: netstate.Prohibit})
		}
	})
	for to, want := range map[string]string{"10.10.10.12": "vm1 host1 host2 vm3", "10.10.10.11": "vm1 host1 vm2", "10.10.20.4": "vm1 host1 router host2 vm6"} {
		if got := trace(t, n, port("vm1"), reach.Packet{Destination: ip(to)}); !got.Answered || path(&got.Request) != want {
			t.Errorf("want %s:\n%s", want, told(got))
		}
	}
	got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.10.10.13")})
	// The bridge answers no ARP request for what is prohibited.
	if v := got.Request.Verdict; v.Name != "vm1" || v.ICMP != "host unreachable" {
		t.Error(told(got))
	}
}

// TestPortOnTwoHosts has a port on the host that it leaves and on the one that it moves to.
func TestPortOnTwoHosts(t *testing.T) {
	before, after := fabric(), fabric()
	moved := *after.Ports["vm3"]
	moved.Node = "host1"
	after.Put(&moved)
	old, next := network(before, nil), network(after, nil)
	both := *next
	both.Load = func(node string) (netstate.Machine, error) {
		if node == "host2" {
			return old.Load(node)
		}
		return next.Load(node)
	}
	for from, want := range map[string]string{"vm1": "vm1 host1 vm3", "vm4": "vm4 host2 vm3", "vm6": "vm6 host2 vm3"} {
		got := trace(t, &both, port(from), reach.Packet{Destination: ip("10.10.10.12")})
		if !got.Answered || path(&got.Request) != want {
			t.Errorf("want %s:\n%s", want, told(got))
		}
	}
	got := trace(t, &both, port("vm3"), reach.Packet{Destination: ip("10.10.10.13")})
	if v := got.Reply.Verdict; !got.Delivered || got.Answered || v.Outcome != reach.Dropped || !strings.Contains(v.Reason, "nobody here waits") {
		t.Errorf("host2 keeps the answer for itself:\n%s", told(got))
	}
}

// TestTranslation: private subnets leave with the router's address, and nothing but
// answers comes back; the fabric itself sees their own addresses.
func TestTranslation(t *testing.T) {
	n := network(fabric(), nil)
	sourceAt := func(from reach.Start, to, at string) string {
		t.Helper()
		got := trace(t, n, from, reach.Packet{Destination: ip(to), Protocol: reach.TCP, Port: 443})
		if !got.Answered {
			t.Error(told(got))
		}
		for _, h := range got.Request.Hops {
			if h.Name == at {
				return h.Source
			}
		}
		return ""
	}
	if s := sourceAt(port("vm1"), "8.8.8.8", "outside"); s != "the address of enp0s3 of router" {
		t.Errorf("a private subnet's packets come out from %s", s)
	}
	if s := sourceAt(port("vm5"), "8.8.8.8", "outside"); s != "10.10.20.3" {
		t.Errorf("another subnet's packets come out from %s", s)
	}
	if s := sourceAt(port("vm1"), "192.168.56.104", "host2"); s != "10.10.10.10" {
		t.Errorf("a node sees %s", s)
	}
	w := fabric()
	w.Nodes["router"].Uplink = ""
	n = network(w, nil)
	if s := sourceAt(port("vm1"), "8.8.8.8", "outside"); s != "192.168.56.101" {
		t.Errorf("from a router with one interface they come out from %s", s)
	}
	got := trace(t, n, reach.Start{Outside: ip("203.0.113.1")}, reach.Packet{Destination: ip("10.10.10.10")})
	if got.Delivered || !strings.Contains(got.Request.Verdict.Reason, "ip daddr @nat ip saddr != @fabric counter drop") {
		t.Error(told(got))
	}
}

// TestRoutersAsTracerouteSeesThem holds the addresses against docs/fabric.md.
func TestRoutersAsTracerouteSeesThem(t *testing.T) {
	got := trace(t, network(fabric(), nil), port("vm1"), reach.Packet{Destination: ip("10.10.10.12")})
	want := []netip.Addr{ip("10.10.10.2"), ip("192.168.56.101"), ip("192.168.56.104")}
	if !slices.Equal(got.Request.Routers(), want) {
		t.Errorf("%v, want %v", got.Request.Routers(), want)
	}
}

// TestNonsense is refused with a reason.
func TestNonsense(t *testing.T) {
	n := network(fabric(), nil)
	for _, tc := range []struct {
		from reach.Start
		to   string
		want error
	}{
		{port("vm9"), "10.10.10.10", reach.ErrNoStart},
		{reach.Start{Node: "vm1"}, "10.10.10.10", reach.ErrNoStart},
		{reach.Start{Outside: ip("1.1.1.1")}, "8.8.8.8", reach.ErrNoStart},
		{port("vm1"), "224.0.0.1", reach.ErrNoTarget},
		{port("vm1"), "127.0.0.1", reach.ErrNoTarget},
		{port("vm1"), "255.255.255.255", reach.ErrNoTarget},
		{port("vm1"), "::1", reach.ErrNoTarget},
	} {
		if got, err := n.Trace(tc.from, reach.Packet{Destination: ip(tc.to)}); !errors.Is(err, tc.want) {
			t.Errorf("%+v to %s: %v, %v", tc.from, tc.to, got, err)
		}
	}
	broken := errors.New("no controller")
	n.Load = func(string) (netstate.Machine, error) { return nil, broken }
	for _, from := range []reach.Start{port("vm1"), {Node: "host1"}, {Outside: ip("1.1.1.1")}} {
		if got, err := n.Trace(from, reach.Packet{Destination: ip("10.10.10.12")}); !errors.Is(err, broken) {
			t.Errorf("%+v: %v, %v", from, got, err)
		}
	}
	load := network(fabric(), nil).Load
	n.Load = func(node string) (netstate.Machine, error) {
		if node == "router" {
			return nil, broken
		}
		return load(node)
	}
	if got, err := n.Trace(port("vm1"), reach.Packet{Destination: ip("10.10.10.12")}); !errors.Is(err, broken) {
		t.Errorf("the router's state cannot be had: %v, %v", got, err)
	}
}

// TestLocalSenders: nothing but accept_local decides whether a bridge takes a packet
// with an address of its own host as the sender, once nobody checks senders.
func TestLocalSenders(t *testing.T) {
	for value, want := range map[string]string{"0": "192.168.56.103 is this machine's own address", "1": ""} {
		n := network(fabric(), func(node string, m netstate.Machine) {
			if node == "host1" {
				m[""].Tables = nil
				set(m, "net/ipv4/conf/br_net1/accept_local", value)
			}
		})
		got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.10.10.12"), Source: ip("192.168.56.103")})
		if got.Delivered != (want == "") || !strings.HasPrefix(got.Request.Verdict.Reason, want) {
			t.Errorf("accept_local=%s: delivered %v, %q", value, got.Delivered, got.Request.Verdict.Reason)
		}
	}
}
