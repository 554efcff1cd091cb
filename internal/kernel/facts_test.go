package kernel_test

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sarn/internal/kernel"
	"sarn/internal/netnstest"
	"sarn/internal/netstate"
)

// neighbor connects this namespace by eth0 (192.0.2.1) with one that answers for
// 192.0.2.2, and a second machine behind the same bridge.
const neighbor = `
	ip netns add lan; ip -n lan link add br0 type bridge; ip -n lan link set br0 up
	for m in other third; do
		ip netns add $m
		ip link add e0 netns $m type veth peer name p_$m netns lan
		ip -n lan link set p_$m master br0 up
		ip -n $m link set e0 up
	done
	ip link add eth0 type veth peer name p_this netns lan
	ip -n lan link set p_this master br0 up
	ip link set eth0 up; ip address add 192.0.2.1/24 dev eth0
	ip -n other address add 192.0.2.2/24 dev e0
`

func TestHolders(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, neighbor)
		here, there, nobody := addr("192.0.2.1"), addr("192.0.2.2"), addr("192.0.2.3")
		// A busy machine may take longer to answer than is waited for.
		ask := func(want map[netip.Addr][]string) {
			t.Helper()
			for wait := 300 * time.Millisecond; ; wait *= 3 {
				got, err := kernel.Holders(t.Context(), "eth0", []netip.Addr{here, there, nobody}, wait)
				if err != nil {
					t.Fatal(err)
				}
				for a := range got {
					slices.Sort(got[a])
				}
				if reflect.DeepEqual(got, want) {
					return
				}
				if wait > 10*time.Second {
					t.Errorf("got %v, want %v", got, want)
					return
				}
			}
		}
		mac := func(netns string) string {
			return strings.TrimSpace(sh(t, "ip netns exec "+netns+" cat /sys/class/net/e0/address"))
		}
		// This machine's other device on the network answers as well, and is no stranger.
		sh(t, "ip link add eth1 type veth peer name p_too netns lan; ip -n lan link set p_too master br0 up; ip link set eth1 up")
		ask(map[netip.Addr][]string{here: nil, there: {mac("other")}, nobody: nil})
		sh(t, "ip -n third address add 192.0.2.1/24 dev e0; ip -n third address add 192.0.2.2/24 dev e0")
		both := []string{mac("other"), mac("third")}
		slices.Sort(both)
		ask(map[netip.Addr][]string{here: {mac("third")}, there: both, nobody: nil})
		if got := sh(t, "ip -n other neigh; ip -n third neigh"); strings.Contains(got, "192.0.2.1") {
			t.Errorf("others learned from the question: %s", got)
		}
		if _, err := kernel.Holders(t.Context(), "eth9", []netip.Addr{here}, time.Second); err == nil {
			t.Error("no error on a device that is not there")
		}
	})
}

func TestEcho(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, neighbor)
		there, nobody := addr("192.0.2.2"), addr("192.0.2.3")
		largest := func(f kernel.Fragments, wait time.Duration, sizes ...int) map[netip.Addr]int {
			t.Helper()
			got, err := kernel.Echo(t.Context(), "eth0", []netip.Addr{there, nobody}, sizes, f, wait)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		for _, c := range []struct {
			here, there string // MTUs
			f           kernel.Fragments
			want        int
		}{
			{"1500", "1500", kernel.Whole, 1500},
			{"1500", "1400", kernel.Whole, 1400},
			{"1400", "1500", kernel.Whole, 1400},
			{"1400", "1500", kernel.Pieces, 1400}, // the answer is too large for us
			{"1400", "1400", kernel.Pieces, 3000},
		} {
			sh(t, "ip link set eth0 mtu "+c.here+"; ip -n other link set e0 mtu "+c.there)
			// A few bytes more than the MTU may pass, room for a VLAN's tag.
			// A busy machine may take longer to answer than is waited for.
			wait, want := 300*time.Millisecond, map[netip.Addr]int{there: c.want}
			got := largest(c.f, wait, 64, 1400, 1410, 1500, 1510, 3000)
			for !reflect.DeepEqual(got, want) && wait < 10*time.Second {
				wait *= 3
				got = largest(c.f, wait, 64, 1400, 1410, 1500, 1510, 3000)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("MTU %s here and %s there, %v: got %v, want %v", c.here, c.there, c.f, got, want)
			}
		}
	})
}

func TestFeatures(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		before := sh(t, "ip link; nft list tables; ip rule")
		features, err := kernel.Features(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range features {
			if f.Err != nil {
				t.Errorf("%s (%s): %v", f.Name, f.Config, f.Err)
			}
		}
		if after := sh(t, "ip link; nft list tables; ip rule"); after != before || len(features) < 10 {
			t.Errorf("%d features; was:\n%s\nis:\n%s", len(features), before, after)
		}
		if v, err := kernel.NFTVersion(t.Context()); err != nil || strings.Count(v, ".") < 1 {
			t.Errorf("nft has version %q, %v", v, err)
		}
	})
}

func TestSurvey(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, neighbor+`
			ip route add default metric 7 nexthop via 192.0.2.2 dev eth0 nexthop via 192.0.2.3 dev eth0
			ip route add 198.51.100.0/24 via 192.0.2.2 proto 83 table 77
			ip rule add pref 100 from 10.0.0.0/8 iif eth0 lookup 77
			ip rule add pref 101 fwmark 1 lookup 77
			ip rule add pref 102 lookup main suppress_prefixlength 0
			ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent
			ip neigh add 192.0.2.8 lladdr 02:00:00:00:00:08 dev eth0 nud reachable`)
		s, err := kernel.TakeSurvey()
		if err != nil {
			t.Fatal(err)
		}
		rules := map[int]kernel.SurveyRule{}
		made := uint8(0) // the origin that ip(8) gives rules: newer ones give one
		for _, r := range s.Rules {
			rules[r.Priority] = r
			if r.Priority == 100 {
				made = r.Protocol
			}
		}
		for _, want := range []kernel.SurveyRule{
			{Priority: 0, Protocol: 2, Table: 255, Suppress: -1},
			{Priority: 100, Protocol: made, Iif: "eth0", Src: prefix("10.0.0.0/8"), Table: 77, Suppress: -1},
			{Priority: 101, Protocol: made, Table: 77, Narrow: true, Suppress: -1},
			{Priority: 102, Protocol: made, Table: 254, Suppress: 0},
		} {
			if got := rules[want.Priority]; got != want {
				t.Errorf("rule %d is %+v, want %+v", want.Priority, got, want)
			}
		}
		for _, want := range []kernel.SurveyRoute{
			{Route: netstate.Route{Table: 254, Dst: prefix("0.0.0.0/0")}, Protocol: 3, Metric: 7, Links: []string{"eth0", "eth0"}},
			{Route: netstate.Route{Table: 77, Dst: prefix("198.51.100.0/24"), Via: addr("192.0.2.2"), Link: "eth0"}, Protocol: 83, Links: []string{"eth0"}},
			{Route: netstate.Route{Table: 255, Dst: prefix("192.0.2.1/32"), Type: kernel.LocalRoute, Link: "eth0", Src: addr("192.0.2.1")}, Protocol: 2, Links: []string{"eth0"}},
		} {
			if !slices.ContainsFunc(s.Routes, func(r kernel.SurveyRoute) bool { return reflect.DeepEqual(r, want) }) {
				t.Errorf("no %+v in %+v", want, s.Routes)
			}
		}
		at := slices.IndexFunc(s.Devices, func(d kernel.Device) bool { return d.Name == "eth0" })
		if d := s.Devices[at]; !d.Up || !d.Carrier || d.MTU != 1500 || d.Bridge || len(d.Addresses) != 1 || d.Addresses[0].Prefix != prefix("192.0.2.1/24") {
			t.Errorf("eth0 is %+v", d)
		}
		if s.Neighbors != 1 {
			t.Errorf("%d learned neighbours, want 1", s.Neighbors)
		}
		got := kernel.Settings("net/ipv4/conf/eth0/forwarding", "net/ipv4/conf/eth9/forwarding", "kernel/hostname")
		if want := map[string]string{"net/ipv4/conf/eth0/forwarding": "0"}; !reflect.DeepEqual(got, want) {
			t.Errorf("settings %v, want %v", got, want)
		}
	})
}

func TestFilters(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, `nft -f - <<'END'
table ip sarn {
	chain forward { type filter hook forward priority 0; policy drop; }
}
table bridge theirs {
	chain forward { type filter hook forward priority 0; policy drop; }
}
table inet theirs {
	set blocks { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
	chain user { return; }
	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state vmap { established : accept, invalid : drop }
		iifname "br_*" oifname != "wg0" ip saddr { 10.0.0.0/8, 192.0.2.1 } counter log prefix "x" accept
		ip saddr @blocks accept
		ip daddr 10.0.0.1-10.0.0.9 accept
		limit rate 5/second accept
		meta l4proto { tcp, udp } th dport 22 reject
		jump user
	}
}
END
`)
		got, err := kernel.Filters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		unknown := kernel.FilterMatch{}
		want := []kernel.Filter{
			{Family: "inet", Table: "theirs", Chain: "user", Rules: []kernel.FilterRule{{Verdict: "return"}}},
			{Family: "inet", Table: "theirs", Chain: "forward", Hook: "forward", Policy: "drop", Rules: []kernel.FilterRule{
				{Matches: []kernel.FilterMatch{{Field: "state", Values: []string{"invalid"}}}, Verdict: "drop"},
				{Matches: []kernel.FilterMatch{{Field: "state", Values: []string{"established"}}}, Verdict: "accept"},
				{Matches: []kernel.FilterMatch{
					{Field: "iif", Values: []string{"br_*"}}, {Field: "oif", Values: []string{"wg0"}, Not: true},
					{Field: "saddr", Values: []string{"10.0.0.0/8", "192.0.2.1"}},
				}, Verdict: "accept"},
				{Matches: []kernel.FilterMatch{{Field: "saddr", Values: []string{"10.0.0.0/8"}}}, Verdict: "accept"},
				{Matches: []kernel.FilterMatch{{Field: "daddr", Values: []string{"10.0.0.1-10.0.0.9"}}}, Verdict: "accept"},
				{Matches: []kernel.FilterMatch{unknown}, Verdict: "accept"},
				{Matches: []kernel.FilterMatch{{Field: "protocol", Values: []string{"tcp", "udp"}}, {Values: []string{"22"}}}, Verdict: "reject"},
				{Verdict: "jump", Target: "user"},
			}},
		}
		for i := range got {
			for j := range got[i].Rules {
				for k := range got[i].Rules[j].Matches {
					slices.Sort(got[i].Rules[j].Matches[k].Values)
				}
			}
		}
		// The kernel gives the elements of a map in any order.
		if len(got) == 2 && len(got[1].Rules) > 1 && got[1].Rules[0].Verdict == "accept" {
			got[1].Rules[0], got[1].Rules[1] = got[1].Rules[1], got[1].Rules[0]
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%+v\nwant\n%+v", got, want)
		}
	})
}
