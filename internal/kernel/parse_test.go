package kernel

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"testing"

	"sarn/internal/netstate"

	"golang.org/x/sys/unix"
)

// listed is what nft 1.0.6 prints for a table with one of every kind of element, and
// in the last two sets what later versions print for flags and types.
const listed = `{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
{"table": {"family": "bridge", "name": "sarn", "handle": 1}},
{"map": {"family": "bridge", "name": "ports", "table": "sarn", "type": "ifname", "handle": 1, "map": "verdict",
 "elem": [["vp-3", {"goto": {"target": "port_vm1"}}], ["vp_4", {"accept": null}], ["vp_vm1", {"jump": {"target": "port_vm1"}}]]}},
{"map": {"family": "bridge", "name": "pairs", "table": "sarn", "type": ["ifname", "ether_addr"], "handle": 8, "map": "verdict",
 "elem": [[{"concat": ["vp_1", "02:00:00:00:00:01"]}, {"drop": null}]]}},
{"set": {"family": "bridge", "name": "services", "table": "sarn", "type": ["inet_proto", "inet_service"], "handle": 7,
 "elem": [{"concat": ["tcp", 22]}, {"concat": [200, 12]}]}},
{"set": {"family": "bridge", "name": "blocks", "table": "sarn", "type": "ipv4_addr", "handle": 1, "flags": ["interval"],
 "elem": [{"prefix": {"addr": "10.10.10.0", "len": 24}}, {"range": ["10.98.0.0", "10.98.0.4"]}, "10.99.0.1"]}},
{"set": {"family": "bridge", "name": "counted", "table": "sarn", "type": "ipv4_addr", "handle": 11,
 "elem": [{"elem": {"val": "1.2.3.4", "counter": {"packets": 0, "bytes": 0}}}], "stmt": [{"counter": null}]}},
{"set": {"family": "bridge", "name": "later", "table": "sarn", "type": "ipv4_addr", "flags": "interval"}},
{"set": {"family": "bridge", "name": "strange", "table": "sarn", "type": {"typeof": {"payload": {}}}, "elem": [{}, null, true]}},
{"chain": {"family": "bridge", "table": "sarn", "name": "prerouting", "handle": 2, "type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"}},
{"chain": {"family": "bridge", "table": "sarn", "name": "port_vm1", "handle": 3}},
{"rule": {"family": "bridge", "table": "sarn", "chain": "prerouting", "handle": 4, "comment": "sarn:abcdef", "expr": [{"vmap": {}}]}},
{"rule": {"family": "bridge", "table": "sarn", "chain": "prerouting", "handle": 5, "comment": "mine", "expr": []}},
{"rule": {"family": "bridge", "table": "sarn", "chain": "prerouting", "handle": 6, "expr": []}}]}`

func TestParseTable(t *testing.T) {
	got, err := parseTable(netstate.FamilyBridge, []byte(listed))
	if err != nil {
		t.Fatal(err)
	}
	want := netstate.Table{
		Family: netstate.FamilyBridge,
		Sets: []netstate.Set{
			{
				Name: "ports", KeyType: "ifname", ValueType: "verdict",
				Elements: []string{"vp-3 : goto port_vm1", "vp_4 : accept", "vp_vm1 : jump port_vm1"},
			},
			{
				Name: "pairs", KeyType: "ifname . ether_addr", ValueType: "verdict",
				Elements: []string{"vp_1 . 02:00:00:00:00:01 : drop"},
			},
			{Name: "services", KeyType: "inet_proto . inet_service", Elements: []string{"tcp . 22", "200 . 12"}},
			{
				Name: "blocks", KeyType: "ipv4_addr", Interval: true,
				Elements: []string{"10.10.10.0/24", "10.98.0.0-10.98.0.4", "10.99.0.1"},
			},
			{Name: "counted", KeyType: "ipv4_addr", Elements: []string{"1.2.3.4"}},
			{Name: "later", KeyType: "ipv4_addr", Interval: true},
			{Name: "strange", KeyType: "typeof ", Elements: []string{"", "", "true"}},
		},
		Chains: []netstate.Chain{
			{
				Name: "prerouting", Type: "filter", Hook: "prerouting", Priority: -300,
				Rules: []string{"#abcdef", "#foreign", "#foreign"},
			},
			{Name: "port_vm1"},
		},
	}
	for i := range want.Sets {
		if !reflect.DeepEqual(got.Sets[i], want.Sets[i]) {
			t.Errorf("set\n%#v, want\n%#v", got.Sets[i], want.Sets[i])
		}
	}
	if !reflect.DeepEqual(got.Chains, want.Chains) {
		t.Errorf("chains\n%#v, want\n%#v", got.Chains, want.Chains)
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add([]byte(listed))
	f.Add([]byte(`{"nftables": [{"set": {"elem": [[], [[]], {"prefix": {}}, {"range": []}, {"elem": {}}]}}]}`))
	f.Fuzz(func(_ *testing.T, js []byte) {
		_, _ = parseTable(netstate.FamilyIP, js) // must not panic
	})
}

// attribute appends a netlink attribute to b.
func attribute(b []byte, kind uint16, value ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func defaultRoute() []byte {
	b := []byte{unix.AF_INET, 0, 0, 0, unix.RT_TABLE_COMPAT, netstate.Protocol, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0}
	b = attribute(b, unix.RTA_TABLE, binary.NativeEndian.AppendUint32(nil, 10001)...)
	b = attribute(b, unix.RTA_METRICS, 1, 2, 3)
	b = attribute(b, unix.RTA_GATEWAY, 192, 168, 56, 101)
	return attribute(b, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, 7)...)
}

func TestParseRoute(t *testing.T) {
	got := parseRoute(defaultRoute(), map[int]string{7: "eth0"})
	want := netstate.Route{
		Table: 10001, Dst: netip.MustParsePrefix("0.0.0.0/0"),
		Via: netip.MustParseAddr("192.168.56.101"), Link: "eth0",
	}
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	// Its link went away between the listing of links and that of routes.
	if got := parseRoute(defaultRoute(), nil); got.Link != "" {
		t.Errorf("got %v, want no link", got)
	}
}

func FuzzMessages(f *testing.F) {
	body := defaultRoute()
	header := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	header = binary.NativeEndian.AppendUint16(header, unix.RTM_NEWROUTE)
	header = append(header, make([]byte, unix.NLMSG_HDRLEN-len(header))...)
	f.Add(append(header, body...))
	f.Fuzz(func(_ *testing.T, b []byte) { // must neither panic nor go on for ever
		w := watcher{kernel: &Kernel{owner: netstate.Sarn()}, saw: func(netstate.Event) {}, names: map[int]string{}}
		for m := range messages(b) {
			w.network(m)
			w.link(m)
			w.tables(m)
			portFlags(new(netstate.Link), m.body)
			if len(m.body) >= unix.SizeofRtMsg {
				parseRoute(m.body, nil)
			}
		}
	})
}

func TestParseLegacy(t *testing.T) {
	got := parseLegacy(`-P INPUT ACCEPT
-P FORWARD DROP
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -s 10.0.0.0/8 -d 192.0.2.1/32 -p tcp -m tcp --dport 22 -j REJECT --reject-with icmp-port-unreachable
-A FORWARD -i br_+ -j LOG
-A DOCKER-USER -g OTHER
`)
	want := []Filter{
		{Family: "legacy", Table: "filter", Chain: "INPUT", Hook: "input", Policy: "accept"},
		{Family: "legacy", Table: "filter", Chain: "FORWARD", Hook: "forward", Policy: "drop", Rules: []FilterRule{
			{Verdict: "jump", Target: "DOCKER-USER"},
			{Matches: []FilterMatch{{Field: "state", Values: []string{"related", "established"}}}, Verdict: "accept"},
			{Matches: []FilterMatch{{Field: "iif", Values: []string{"docker0"}}, {Field: "oif", Values: []string{"docker0"}, Not: true}}, Verdict: "accept"},
			{Matches: []FilterMatch{
				{Field: "saddr", Values: []string{"10.0.0.0/8"}}, {Field: "daddr", Values: []string{"192.0.2.1"}},
				{Field: "protocol", Values: []string{"tcp"}}, {}, {},
			}, Verdict: "reject"},
			{Matches: []FilterMatch{{Field: "iif", Values: []string{"br_*"}}}},
		}},
		{Family: "legacy", Table: "filter", Chain: "DOCKER-USER", Rules: []FilterRule{{Verdict: "goto", Target: "OTHER"}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func FuzzParseFilters(f *testing.F) {
	f.Add([]byte(`{"nftables":[{"chain":{"family":"ip","table":"t","name":"c","hook":"forward"}},{"rule":{"family":"ip","table":"t","chain":"c","expr":[{"vmap":{"key":{"meta":{"key":"iifname"}},"data":{"set":[["a",{"jump":{"target":"x"}}]]}}}]}}]}`))
	f.Add([]byte(`{"nftables":[{"rule":{"expr":[{"match":null}]}}]}`))
	f.Fuzz(func(_ *testing.T, js []byte) { _, _ = parseFilters(js) }) // any error, no panic
}
