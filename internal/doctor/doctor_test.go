package doctor

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/kernel"
	"sarn/internal/netstate"
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func world() *intent.World {
	node := func(name string, role intent.Role, address, uplink string) *intent.Node {
		return &intent.Node{Header: intent.Header{Name: name}, Role: role, Address: intent.Addr{Addr: addr(address)}, Interface: "eth1", Uplink: uplink}
	}
	return intent.NewWorld(
		node("host1", intent.RoleHost, "192.0.2.11", ""), node("host2", intent.RoleHost, "192.0.2.12", ""),
		node("router", intent.RoleRouter, "192.0.2.1", "eth0"),
		&intent.VPC{Header: intent.Header{Name: "main"}, CIDRs: []intent.CIDR{{Prefix: prefix("10.10.0.0/16")}}},
		&intent.Subnet{Header: intent.Header{Name: "net1"}, VPC: "main", CIDR: intent.CIDR{Prefix: prefix("10.10.10.0/24")}, Gateway: intent.Addr{Addr: addr("10.10.10.1")}, Bridge: intent.Addr{Addr: addr("10.10.10.2")}, Router: "router", NAT: true, Table: 10001},
	)
}

// well returns the facts about a machine that is well: a host, or the router.
func well(node string) Facts {
	w := world()
	n := w.Nodes[node]
	f := Facts{
		Intent:   Intent{Where: "unix:///c", Name: node, World: w, Connected: true},
		NetAdmin: true, SysAdmin: true, Release: "6.1.0-18-amd64", NFT: "1.0.6",
		Features: []kernel.Feature{{Name: "veth pairs", Config: "CONFIG_VETH", Module: "veth"}, {Name: "rate limits (tbf)", Config: "CONFIG_NET_SCH_TBF", Optional: true}},
		Agents:   []Agent{{PID: 7, Args: []string{"sarn", "agent", "--node", node, "--server=unix:///c"}}},
		Programs: map[string]bool{},
		Survey: kernel.Survey{
			Devices: []kernel.Device{
				{Name: "lo", Up: true, Carrier: true, MTU: 65536},
				{Name: "eth1", Up: true, Carrier: true, MTU: 1500, Addresses: []netstate.Address{{Link: "eth1", Prefix: netip.PrefixFrom(n.Address.Addr, 24)}}},
				{Name: "eth0", Up: true, Carrier: true, MTU: 1500, Addresses: []netstate.Address{{Link: "eth0", Prefix: prefix("203.0.113.2/24")}}},
				{Name: "br_net1", Alias: "sarn subnet net1", Bridge: true, Up: true, MTU: 1500},
			},
			Routes: []kernel.SurveyRoute{
				{Route: netstate.Route{Table: 254, Dst: anywhere, Via: addr("203.0.113.1"), Link: "eth0"}, Links: []string{"eth0"}, Metric: 100},
				{Route: netstate.Route{Table: 254, Dst: prefix("10.10.10.10/32"), Link: "br_net1"}, Protocol: netstate.Protocol},
				{Route: netstate.Route{Table: 255, Dst: prefix("10.10.10.2/32"), Link: "br_net1", Type: kernel.LocalRoute}, Protocol: 2},
			},
			Rules: []kernel.SurveyRule{
				{Priority: 0, Table: 255, Suppress: -1},
				{Priority: 10000, Protocol: netstate.Protocol, Iif: "eth1", Table: 10000, Suppress: -1},
				{Priority: 32766, Table: 254, Suppress: -1},
			},
		},
		Holders: map[netip.Addr][]string{}, Paths: map[netip.Addr]Path{},
		Disk: &Disk{Dir: "/store", Free: 50 << 30, Total: 100 << 30},
	}
	f.Settings = map[string]string{
		"net/ipv4/conf/all/rp_filter": "1", "net/ipv4/conf/eth1/rp_filter": "2", "net/ipv4/conf/eth0/rp_filter": "1",
		"net/ipv4/conf/all/send_redirects": "0", "net/ipv4/conf/eth1/send_redirects": "0",
		"net/ipv4/conf/all/accept_redirects": "1", "net/ipv4/conf/eth1/accept_redirects": "0",
		"net/ipv4/conf/eth1/forwarding": "1", "net/ipv4/conf/eth0/forwarding": "1",
		"net/bridge/bridge-nf-call-iptables": "1", "net/ipv4/neigh/default/gc_thresh3": "1024",
		"net/netfilter/nf_conntrack_max": "262144", "net/netfilter/nf_conntrack_count": "12",
	}
	for _, s := range bridgeSettings("br_net1") {
		f.Settings[s.Name] = s.Value
	}
	for _, p := range f.Intent.peers() {
		f.Holders[p.Address.Addr] = []string{"02:00:00:00:00:01"}
		f.Paths[p.Address.Addr] = Path{Out: 1500, In: true}
	}
	return f
}

// wrong returns the checks that are not content, warnings with a question mark.
func wrong(f Facts) (checks []string, found []Finding) {
	for _, x := range Examine(f) {
		switch x.Status {
		case Problem:
			checks = append(checks, x.Check)
		case Warning:
			checks = append(checks, x.Check+"?")
		default:
			continue
		}
		found = append(found, x)
	}
	return checks, found
}

func TestWellIsWell(t *testing.T) {
	for _, node := range []string{"host1", "router"} {
		if checks, found := wrong(well(node)); len(checks) > 0 {
			t.Errorf("%s: %+v", node, found)
		}
	}
}

// certified leaves the controller's answer as a node's certificate gets it.
func certified(f *Facts) {
	f.Intent.State, f.Intent.World = f.Intent.wanted(), nil
	f.Survey.Rules = nil // what is known is known from the State
}

// docker is what Docker makes of a machine's forwarding.
func docker() []kernel.Filter {
	established := kernel.FilterMatch{Field: "state", Values: []string{"related", "established"}}
	return []kernel.Filter{
		{Family: "ip", Table: "filter", Chain: "DOCKER-USER", Rules: []kernel.FilterRule{{Verdict: "return"}}},
		{Family: "ip", Table: "filter", Chain: "FORWARD", Hook: "forward", Policy: "drop", Rules: []kernel.FilterRule{
			{Verdict: "jump", Target: "DOCKER-USER"},
			{Matches: []kernel.FilterMatch{established}, Verdict: "accept"},
			{Matches: []kernel.FilterMatch{{}}, Verdict: "accept"},
			{Matches: []kernel.FilterMatch{{Field: "iif", Values: []string{"docker0"}}}, Verdict: "accept"},
		}},
	}
}

func base(policy string, rules ...kernel.FilterRule) []kernel.Filter {
	return []kernel.Filter{{Family: "inet", Table: "t", Chain: "f", Hook: "forward", Policy: policy, Rules: rules}}
}

func match(field string, values ...string) []kernel.FilterMatch {
	return []kernel.FilterMatch{{Field: field, Values: values}}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name, node string
		fault      func(*Facts)
		want       string // checks
		cause      string
		cure       string
	}{
		{"not root", "host1", func(f *Facts) {
			f.NetAdmin = false
			f.FeaturesErr, f.FiltersErr, f.OpsErr, f.WireErr = errRights, errRights, errRights, errRights
		}, "privileges", "may not change", "sudo sarn doctor"},
		{"old kernel", "host1", func(f *Facts) { f.Release = "4.15.0-1" }, "kernel", "too old", "# install"},
		{"no veth", "host1", func(f *Facts) { f.Features[0].Err = errors.ErrUnsupported }, "features", "lacks veth pairs (CONFIG_VETH)", "modprobe veth"},
		{"no tbf", "host1", func(f *Facts) { f.Features[1].Err = errors.ErrUnsupported }, "features?", "tbf", "# if that"},
		{"no nft", "host1", func(f *Facts) { f.NFTErr = errors.New("not found") }, "nft", "not found", "install nftables"},
		{"ancient nft", "host1", func(f *Facts) { f.NFT = "0.8.2" }, "nft", "too old", "nftables"},
		{"old nft", "host1", func(f *Facts) { f.NFT = "0.9.3" }, "nft?", "older than", "nftables"},
		{"no controller", "host1", func(f *Facts) { f.Intent.World, f.Intent.Err = nil, errors.New("refused") }, "controller", "unix:///c", "sarn status"},
		{"no controller named", "host1", func(f *Facts) { f.Intent.World, f.Intent.Err, f.Intent.Default = nil, errors.New("refused"), true }, "controller?", "no controller was named", "environment"},
		{"a node's certificate", "host1", certified, "", "", ""},
		{"a node's certificate, leftovers", "host1", func(f *Facts) {
			certified(f)
			f.Ops = []netstate.Op{{Verb: netstate.Delete, Object: netstate.Rule{Priority: 10001, Iif: "br_old", Table: 10001}}}
		}, "leftovers", "1 object", "ip rule delete pref 10001"},
		{"a node's certificate, strict", "host1", func(f *Facts) { certified(f); f.Settings["net/ipv4/conf/eth1/rp_filter"] = "1" }, "rp-filter", "eth1", "rp_filter=2"},
		{"a router's certificate, no forwarding", "router", func(f *Facts) {
			certified(f)
			f.Settings["net/ipv4/conf/eth0/forwarding"], f.Filters = "0", docker()
		}, "forwarding forward-filter bridge-netfilter?", "comes in by eth1 and leaves by it again", "eth0.forwarding=1"},
		{"a controller that refuses all", "host1", func(f *Facts) { f.Intent.World, f.Intent.Err = nil, errors.New("403") }, "controller", "403", "sarn status"},
		{"inside a port", "host1", func(f *Facts) {
			f.Survey.Devices[0].Alias, f.Agents, f.Intent.Name = "sarn port vm1", nil, "vm1"
			f.Ops = []netstate.Op{{Verb: netstate.Delete, Object: netstate.Link{Name: "eth0"}}}
		}, "", "", ""},
		{"another name", "host1", func(f *Facts) { f.Intent.Name = "h1"; f.Agents = nil }, "node?", "it has host1, host2, router", "sarn doctor --node host1"},
		{"no agent", "host1", func(f *Facts) { f.Agents = nil }, "agent", "no agent runs", "sarn agent --node host1"},
		{"two agents", "host1", func(f *Facts) { f.Agents = append(f.Agents, Agent{PID: 8}) }, "agent", "2 agents", "kill 8"},
		{"deaf agent", "host1", func(f *Facts) { f.Intent.Connected = false }, "agent", "does not follow", "sarn agent"},
		{"agent in trouble", "host1", func(f *Facts) { f.Intent.Trouble = "no link x" }, "agent", "no link x", "sarn node describe host1"},
		{"no underlay", "host1", func(f *Facts) { f.Survey.Devices[1].Name = "eth9" }, "underlay", "no such device; it has eth9, eth0", "sarn node get host1"},
		{"no address", "host1", func(f *Facts) { f.Survey.Devices[1].Addresses = nil }, "underlay", "no device has", "ip address add 192.0.2.11/24 dev eth1"},
		{"address elsewhere", "host1", func(f *Facts) {
			f.Survey.Devices[2].Addresses, f.Survey.Devices[1].Addresses = f.Survey.Devices[1].Addresses, nil
		}, "underlay", "is on eth0", "echo 'interface: eth0'"},
		{"switched off", "host1", func(f *Facts) { f.Survey.Devices[1].Up = false }, "underlay", "switched off", "ip link set eth1 up"},
		{"no carrier", "host1", func(f *Facts) { f.Survey.Devices[1].Carrier = false }, "underlay", "no carrier", "ip -statistics"},
		{"no forwarding", "router", func(f *Facts) { f.Settings["net/ipv4/conf/eth0/forwarding"] = "0" }, "forwarding", "eth0", "sysctl -w net.ipv4.conf.eth0.forwarding=1"},
		{"strict by all", "host1", func(f *Facts) { f.Settings["net/ipv4/conf/eth1/rp_filter"] = "0" }, "rp-filter", "net.ipv4.conf.all.rp_filter", "sysctl -w net.ipv4.conf.eth1.rp_filter=2"},
		{"redirects sent", "router", func(f *Facts) { f.Settings["net/ipv4/conf/all/send_redirects"] = "1" }, "redirects?", "send", "all.send_redirects=0"},
		{"redirects believed", "host1", func(f *Facts) { f.Settings["net/ipv4/conf/eth1/accept_redirects"] = "1" }, "redirects?", "believes", "eth1.accept_redirects=0"},
		{"slow ARP", "host1", func(f *Facts) { f.Settings["net/ipv4/neigh/br_net1/proxy_delay"] = "80" }, "bridges", "proxy_delay is 80", "br_net1.proxy_delay=0"},
		{"Docker", "host1", func(f *Facts) { f.Filters = docker() }, "forward-filter bridge-netfilter?", "chain FORWARD of Docker", "nft insert rule ip filter FORWARD"},
		{"Docker's own tool", "host1", func(f *Facts) { f.Filters, f.Programs["iptables"] = docker(), true }, "forward-filter bridge-netfilter?", "policy is drop", "iptables -I DOCKER-USER -i br_+ -j ACCEPT"},
		{"Docker on a router", "router", func(f *Facts) { f.Filters, f.Programs["iptables"] = docker(), true }, "forward-filter bridge-netfilter?", "comes in by eth1 and leaves by it again", "iptables -I DOCKER-USER -i eth1 -j ACCEPT"},
		{"Docker, cured", "host1", func(f *Facts) {
			f.Filters = docker()
			f.Filters[0].Rules = slices.Insert(f.Filters[0].Rules, 0,
				kernel.FilterRule{Matches: match("oif", "br_*"), Verdict: "accept"}, kernel.FilterRule{Matches: match("iif", "br_*"), Verdict: "accept"})
		}, "", "", ""},
		{"half cured", "host1", func(f *Facts) {
			f.Filters = base("drop", kernel.FilterRule{Matches: match("iif", "br_net1"), Verdict: "accept"})
		}, "forward-filter bridge-netfilter?", "from eth1 to br_net1", "nft insert rule inet t f"},
		{"a block let through", "router", func(f *Facts) {
			f.Filters = base("drop", kernel.FilterRule{Matches: match("saddr", "10.0.0.0/8"), Verdict: "accept"})
		}, "", "", ""},
		{"a range let through", "router", func(f *Facts) {
			f.Filters = base("drop", kernel.FilterRule{Matches: match("saddr", "10.10.0.0-10.10.255.255"), Verdict: "accept"})
		}, "", "", ""},
		{"another range", "router", func(f *Facts) {
			f.Filters = base("drop", kernel.FilterRule{Matches: match("saddr", "10.11.0.0-10.11.255.255"), Verdict: "accept"})
		}, "forward-filter bridge-netfilter?", "policy is drop", "iifname"},
		{"only some dropped", "host1", func(f *Facts) {
			f.Filters = base("accept", kernel.FilterRule{Matches: match("state", "invalid"), Verdict: "drop"}, kernel.FilterRule{Matches: match("", ""), Verdict: "drop"})
		}, "", "", ""},
		{"firewalld", "host1", func(f *Facts) {
			f.Filters = []kernel.Filter{{Family: "inet", Table: "firewalld", Chain: "filter_FORWARD", Hook: "forward", Policy: "accept", Rules: []kernel.FilterRule{{Verdict: "reject"}}}}
			f.Settings["net/bridge/bridge-nf-call-iptables"] = "0"
		}, "forward-filter", "filter_FORWARD of firewalld", "firewall-cmd --permanent --zone=trusted --add-interface=br_net1"},
		{"old iptables", "host1", func(f *Facts) {
			f.Filters = []kernel.Filter{{Family: "legacy", Table: "filter", Chain: "FORWARD", Hook: "forward", Policy: "drop"}}
		}, "forward-filter bridge-netfilter?", "iptables-legacy", "iptables-legacy -I FORWARD -i br_+"},
		{"a filter not looked into", "host1", func(f *Facts) { f.LegacyErr = errors.New("no iptables-legacy") }, "forward-filter?", "no iptables-legacy", "iptables"},
		{"no answer", "host1", func(f *Facts) { f.Holders[addr("192.0.2.12")] = nil }, "nodes?", "address of host2", "sarn doctor"},
		{"my address twice", "host1", func(f *Facts) { f.Holders[addr("192.0.2.11")] = []string{"02:00:00:00:00:99"} }, "duplicates", "02:00:00:00:00:99", "# on the machine"},
		{"another's twice", "host1", func(f *Facts) { f.Holders[addr("192.0.2.12")] = []string{"02:00:00:00:00:98", "02:00:00:00:00:99"} }, "duplicates", "2 machines", "192.0.2.12"},
		{"narrow path", "host1", func(f *Facts) { f.Paths[addr("192.0.2.12")] = Path{Out: 1400, In: true} }, "mtu?", "above 1400 bytes do not get to host2", "ip link set eth1 mtu 1500"},
		{"small here", "host1", func(f *Facts) {
			f.Survey.Devices[1].MTU = 1400
			f.Paths[addr("192.0.2.12")] = Path{Out: 1400}
		}, "mtu?", "full packets of host2", "ip link set eth1 mtu 1500"},
		{"tiny here", "host1", func(f *Facts) { f.Survey.Devices[1].MTU = 1200 }, "mtu?", "below 1280", "mtu 1500"},
		{"no pings", "host1", func(f *Facts) { f.Paths = nil }, "", "", ""},
		{"no default route", "router", func(f *Facts) { f.Survey.Routes = f.Survey.Routes[1:] }, "uplink", "no default route", "dev eth0"},
		{"no uplink said", "router", func(f *Facts) { f.Intent.World.Nodes["router"].Uplink = "" }, "uplink", "it has no uplink, which stands for eth1", "echo 'uplink: eth0'"},
		{"uplink needless", "router", func(f *Facts) { f.Survey.Routes[0].Links = []string{"eth1"} }, "uplink", "leaves by eth1", "grep -v '^uplink:'; }"},
		{"uplink is not there", "router", func(f *Facts) { f.Intent.World.Nodes["router"].Uplink = "eth7" }, "uplink", "no such device", "echo 'uplink: eth0'"},
		{"uplink is off", "router", func(f *Facts) { f.Survey.Devices[2].Up = false }, "uplink", "eth0 is switched off", "ip link set eth0 up"},
		{"something is missing", "host1", func(f *Facts) {
			f.Ops = []netstate.Op{{Verb: netstate.Add, Object: netstate.Rule{Priority: 10001, Iif: "br_net1", Table: 10001}}}
		}, "state", "ip rule add pref 10001", "sarn agent --node host1"},
		{"something is left", "host1", func(f *Facts) {
			f.Ops = []netstate.Op{{Verb: netstate.Delete, Object: netstate.Rule{Priority: 10001, Iif: "br_old", Table: 10001}}, {Verb: netstate.Change, Object: netstate.NFT{Line: "delete table inet sarn"}}}
		}, "leftovers", "2 objects", "ip rule delete pref 10001"},
		{"left of a node that was", "host1", func(f *Facts) {
			f.Intent.Name, f.Agents = "gone", nil
			f.Ops = []netstate.Op{{Verb: netstate.Delete, Object: netstate.Link{Name: "br_x", Kind: netstate.Bridge}}}
		}, "node? leftovers?", "no node \"gone\"", "ip link delete br_x"},
		{"nobody knows", "host1", func(f *Facts) {
			f.Intent.World, f.Intent.Offline, f.Agents = nil, true, nil
			f.Ops = []netstate.Op{{Verb: netstate.Delete, Object: netstate.Link{Name: "br_x", Kind: netstate.Bridge}}}
		}, "leftovers?", "no agent runs", "# ip link delete br_x"},
		{"rule before ours", "host1", func(f *Facts) {
			f.Survey.Rules = append(f.Survey.Rules, kernel.SurveyRule{Priority: 5000, Table: 254, Suppress: -1})
		}, "shadows", "priority 5000", "ip rule delete pref 5000"},
		{"rules that do no harm", "host1", func(f *Facts) {
			f.Survey.Routes = append(f.Survey.Routes, kernel.SurveyRoute{Route: netstate.Route{Table: 52, Dst: prefix("100.64.0.0/10")}})
			f.Survey.Rules = append(f.Survey.Rules,
				kernel.SurveyRule{Priority: 5270, Table: 52, Suppress: -1},
				kernel.SurveyRule{Priority: 5210, Table: 254, Narrow: true, Suppress: -1},
				kernel.SurveyRule{Priority: 5220, Table: 254, Iif: "wg0", Suppress: -1},
				kernel.SurveyRule{Priority: 5230, Table: 254, Src: prefix("172.16.0.0/12"), Suppress: -1},
				kernel.SurveyRule{Priority: 32000, Table: 254, Suppress: -1},
			)
		}, "", "", ""},
		{"Docker's network in the VPC", "host1", func(f *Facts) {
			f.Survey.Devices = append(f.Survey.Devices, kernel.Device{Name: "docker0", Addresses: []netstate.Address{{Link: "docker0", Prefix: prefix("10.10.99.1/24")}}})
			f.Survey.Routes = append(f.Survey.Routes,
				kernel.SurveyRoute{Route: netstate.Route{Table: 254, Dst: prefix("10.10.99.0/24"), Link: "docker0"}, Protocol: 2},
				kernel.SurveyRoute{Route: netstate.Route{Table: 255, Dst: prefix("10.10.99.1/32"), Link: "docker0", Type: kernel.LocalRoute}, Protocol: 2})
		}, "shadows", "10.10.0.0/16", "ip address delete 10.10.99.1/24 dev docker0"},
		{"a wider route", "host1", func(f *Facts) {
			f.Survey.Routes = append(f.Survey.Routes, kernel.SurveyRoute{Route: netstate.Route{Table: 254, Dst: prefix("10.0.0.0/8"), Via: addr("192.0.2.254"), Link: "eth1"}})
		}, "", "", ""},
		{"a stranger in our table", "host1", func(f *Facts) {
			f.Survey.Routes = append(f.Survey.Routes, kernel.SurveyRoute{Route: netstate.Route{Table: 10001, Dst: prefix("198.51.100.0/24"), Via: addr("192.0.2.254"), Link: "eth1"}, Metric: 5})
		}, "shadows?", "Sarn's table 10001", "ip route delete 198.51.100.0/24 via 192.0.2.254 dev eth1 table 10001 metric 5"},
		{"ARP table full", "host1", func(f *Facts) { f.Survey.Neighbors = 1000 }, "limits?", "ARP table", "gc_thresh3=4000"},
		{"too few connections", "router", func(f *Facts) { f.Settings["net/netfilter/nf_conntrack_count"] = "250000" }, "limits?", "connection tracking", "nf_conntrack_max=500000"},
		{"disk nearly full", "host1", func(f *Facts) { f.Disk.Free = 500 << 20 }, "disk?", "500 MiB", "du"},
		{"disk full", "host1", func(f *Facts) { f.Disk.Free = 1 << 20 }, "disk", "1 MiB", "du"},
		{"offline", "host1", func(f *Facts) { f.Intent = Intent{Offline: true} }, "", "", ""},
		{"offline and strict", "host1", func(f *Facts) {
			f.Intent = Intent{Offline: true}
			f.Settings["net/ipv4/conf/eth1/rp_filter"] = "1"
		}, "rp-filter", "eth1", "sysctl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := well(c.node)
			c.fault(&f)
			checks, found := wrong(f)
			if got := strings.Join(checks, " "); got != c.want {
				t.Fatalf("found %q, want %q\n%+v", got, c.want, found)
			}
			said := ""
			for _, x := range found {
				said += x.Cause + "\n" + strings.Join(x.Cure, "\n") + "\n"
				if x.Cause == "" || len(x.Cure) == 0 || x.Title == "" {
					t.Errorf("no cause or no cure: %+v", x)
				}
			}
			if !strings.Contains(said, c.cause) || !strings.Contains(said, c.cure) {
				t.Errorf("want the cause %q and the cure %q in:\n%s", c.cause, c.cure, said)
			}
		})
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"4.17.9", "4.18", true}, {"4.18.0-80.el8", "4.18", false}, {"6.18.44-fc", "4.18", false}, {"0.9.8", "0.9.8", false}, {"0.10", "0.9.8", false}, {"4.18-rc1", "4.18", false}} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%s, %s) = %v", c.a, c.b, got)
		}
	}
}

func TestAgentFlags(t *testing.T) {
	a := well("host1").Agents[0]
	if a.Flag("node") != "host1" || a.Flag("server") != "unix:///c" || a.Flag("tls-ca") != "" {
		t.Errorf("flags of %v: %q, %q, %q", a.Args, a.Flag("node"), a.Flag("server"), a.Flag("tls-ca"))
	}
}

// What compile wants of a node is no distance away from itself, and a namespace with
// nothing in it is.
func TestDistance(t *testing.T) {
	w := world()
	w.Put(&intent.Port{Header: intent.Header{Name: "vm1"}, Subnet: "net1", Node: "host1", Address: intent.Addr{Addr: addr("10.10.10.10")}, Attach: intent.Attach{Type: intent.AttachNetns, Namespace: "vm1", Interface: "eth0"}})
	want := compile.Node(w, "host1")[""]
	have := *want
	have.Links = slices.Clone(want.Links)
	for i := range have.Links {
		have.Links[i].Peer, have.Links[i].PeerNetns = "", ""
	}
	for i := range have.Tables {
		for j := range have.Tables[i].Chains {
			c := &have.Tables[i].Chains[j]
			c.Rules = slices.Clone(c.Rules)
			for k, r := range c.Rules {
				c.Rules[k] = "#" + netstate.RuleID(r)
			}
		}
	}
	want = compile.Node(w, "host1")[""]
	if ops, err := distance(want, &have); err != nil || len(ops) > 0 {
		t.Errorf("from itself: %v, %v", ops, err)
	}
	empty := &netstate.State{Links: []netstate.Link{{Name: "eth1", Up: true}}}
	ops, err := distance(want, empty)
	if err != nil || !slices.ContainsFunc(ops, func(o netstate.Op) bool {
		return strings.Contains(o.Command(), "ip link add vp_vm1 type veth peer name eth0 netns vm1")
	}) {
		t.Errorf("from nothing: %v, %v", ops, err)
	}
}
