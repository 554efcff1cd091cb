package controller

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
)

// base is the world that most cases begin with, as YAML.
const base = `
kind: Node
name: router
role: router
address: 192.168.56.101
interface: enp0s8
---
kind: Node
name: host1
role: host
address: 192.168.56.103
interface: enp0s8
---
kind: Node
name: host2
role: host
address: 192.168.56.104
interface: enp0s8
---
kind: VPC
name: main
cidrs: [10.10.0.0/16]
---
kind: Subnet
name: net1
vpc: main
cidr: 10.10.10.0/24
---
kind: Port
name: vm1
subnet: net1
node: host1
address: 10.10.10.10
---
kind: Port
name: vm2
subnet: net1
node: host1
`

func objects(t testing.TB, text string) []intent.Object {
	t.Helper()
	docs, err := intent.Decode("test.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []intent.Object
	for _, d := range docs {
		all = append(all, d.Value.(intent.Object))
	}
	return all
}

// change makes a change of YAML documents and of deletions like "port/vm1".
func change(t testing.TB, text string, deletes ...string) api.Change {
	t.Helper()
	var c api.Change
	for _, o := range objects(t, text) {
		c.Add(o)
	}
	for _, d := range deletes {
		noun, name, _ := strings.Cut(d, "/")
		at := slices.IndexFunc(intent.Kinds, func(k intent.Kind) bool { return k.Noun() == noun })
		c.Delete = append(c.Delete, intent.Ref{Kind: intent.Kinds[at], Name: name})
	}
	return c
}

// commit applies an admitted plan as the watch would.
func commit(l *ledger, p plan, revision int64) {
	for _, ref := range p.deletes {
		l.remove(ref)
	}
	for _, o := range p.puts {
		l.remove(intent.RefOf(o))
	}
	for _, o := range p.puts {
		o.Head().Revision = revision
		l.put(o)
	}
}

// admit judges a change as the controller does.
func admit(l *ledger, c api.Change) (plan, error) {
	if err := wellFormed(c); err != nil {
		return plan{}, err
	}
	return l.admit(c)
}

func must(t testing.TB, l *ledger, c api.Change) plan {
	t.Helper()
	p, err := admit(l, c)
	if err != nil {
		t.Fatalf("change refused:\n%v", err)
	}
	commit(l, p, 7)
	return p
}

func baseLedger(t testing.TB) *ledger {
	l := newLedger()
	must(t, l, change(t, base))
	return l
}

func TestDefaults(t *testing.T) {
	l := baseLedger(t)
	must(t, l, change(t, `
kind: Subnet
name: net2
vpc: main
cidr: 10.10.20.0/24
gateway: 10.10.20.2
---
kind: Subnet
name: net3
vpc: main
cidr: 10.10.30.0/24
bridge: 10.10.30.1
---
kind: Port
name: tap1
subnet: net2
node: host2
attach: {type: tap, owner: 1000}
`))
	w := l.world
	for _, test := range []struct{ what, got, want string }{
		{"gateway", w.Subnets["net1"].Gateway.String(), "10.10.10.1"},
		{"bridge", w.Subnets["net1"].Bridge.String(), "10.10.10.2"},
		{"router", w.Subnets["net1"].Router, "router"},
		{"table", fmt.Sprint(w.Subnets["net1"].Table), "10001"},
		{"second table", fmt.Sprint(w.Subnets["net2"].Table), "10002"},
		{"bridge beside a chosen gateway", w.Subnets["net2"].Bridge.String(), "10.10.20.1"},
		{"gateway beside a chosen bridge", w.Subnets["net3"].Gateway.String(), "10.10.30.2"},
		{"address", w.Ports["vm2"].Address.String(), "10.10.10.3"},
		{"address in a subnet with a chosen gateway", w.Ports["tap1"].Address.String(), "10.10.20.3"},
		{"MAC", string(w.Ports["vm1"].MAC), "0a:5a:0a:0a:0a:0a"},
		{"attach", fmt.Sprint(w.Ports["vm1"].Attach), "{netns vm1 eth0 0}"},
		{"attach of a tap", fmt.Sprint(w.Ports["tap1"].Attach), "{tap   1000}"},
	} {
		if test.got != test.want {
			t.Errorf("%s is %s, want %s", test.what, test.got, test.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  string
		deletes []string
		status  int
		want    string // a part of the one problem; lines are several problems
	}{
		{
			"VPCs overlap", "{kind: VPC, name: other, cidrs: [10.10.0.0/24]}", nil, 409,
			`vpc "other": cidrs: 10.10.0.0/24 overlaps 10.10.0.0/16 of vpc "main"`,
		},
		{
			"VPC holds a node", "{kind: VPC, name: other, cidrs: [192.168.0.0/16]}", nil, 409,
			`vpc "other": cidrs: 192.168.0.0/16 holds 192.168.56.101, the address of node "router"` + "\n" +
				`vpc "other": cidrs: 192.168.0.0/16 holds 192.168.56.103, the address of node "host1"` + "\n" +
				`vpc "other": cidrs: 192.168.0.0/16 holds 192.168.56.104, the address of node "host2"`,
		},
		{
			"node lies in a VPC", "{kind: Node, name: host3, role: host, address: 10.10.99.1, interface: eth0}", nil, 409,
			`node "host3": address: 10.10.99.1 lies in 10.10.0.0/16 of vpc "main"`,
		},
		{
			"VPC shrinks from its subnet", "{kind: VPC, name: main, cidrs: [10.10.128.0/17]}", nil, 409,
			`vpc "main": cidrs: no longer covers 10.10.10.0/24 of subnet "net1"`,
		},
		{
			"subnet in no VPC", "{kind: Subnet, name: net2, vpc: nine, cidr: 10.10.20.0/24}", nil, 422,
			`subnet "net2": vpc: there is no vpc "nine"`,
		},
		{
			"subnet outside its VPC", "{kind: Subnet, name: net2, vpc: main, cidr: 10.20.20.0/24}", nil, 422,
			`subnet "net2": cidr: 10.20.20.0/24 is not inside an address block of vpc "main", which has 10.10.0.0/16`,
		},
		{
			"subnets overlap", "{kind: Subnet, name: net2, vpc: main, cidr: 10.10.10.128/25}", nil, 409,
			`subnet "net2": cidr: 10.10.10.128/25 overlaps 10.10.10.0/24 of subnet "net1"`,
		},
		{
			"two new subnets overlap",
			"{kind: Subnet, name: net2, vpc: main, cidr: 10.10.20.0/24}\n---\n{kind: Subnet, name: net3, vpc: main, cidr: 10.10.16.0/20}", nil, 409,
			`subnet "net2": cidr: 10.10.20.0/24 overlaps 10.10.16.0/20 of subnet "net3"`,
		},
		{
			"subnet moves under its ports", "{kind: Subnet, name: net1, vpc: main, cidr: 10.10.20.0/24}", nil, 409,
			`subnet "net1": cidr: cannot change from 10.10.10.0/24 to 10.10.20.0/24: it is used by port "vm1", port "vm2"`,
		},
		{
			"gateway of a port's address", "{kind: Subnet, name: net1, vpc: main, cidr: 10.10.10.0/24, gateway: 10.10.10.10}", nil, 409,
			`subnet "net1": gateway: 10.10.10.10 is held by port "vm1"`,
		},
		{
			"bridge of a port's address", "{kind: Subnet, name: net1, vpc: main, cidr: 10.10.10.0/24, bridge: 10.10.10.3}", nil, 409,
			`subnet "net1": bridge: 10.10.10.3 is held by port "vm2"`,
		},
		{
			"gateway is the bridge that it has", "{kind: Subnet, name: net1, vpc: main, cidr: 10.10.10.0/24, gateway: 10.10.10.2}", nil, 422,
			`subnet "net1": bridge: 10.10.10.2 is the gateway too`,
		},
		{
			"router that is none", "{kind: Subnet, name: net2, vpc: main, cidr: 10.10.20.0/24, router: host1}", nil, 422,
			`subnet "net2": router: node "host1" is a host; the routers are router`,
		},
		{
			"router that is not there", "{kind: Subnet, name: net2, vpc: main, cidr: 10.10.20.0/24, router: r9}", nil, 422,
			`subnet "net2": router: there is no node "r9"; the routers are router`,
		},
		{
			"which router", "{kind: Subnet, name: net2, vpc: main, cidr: 10.10.20.0/24}\n---\n{kind: Node, name: r2, role: router, address: 192.168.56.102, interface: eth0}", nil, 422,
			`subnet "net2": router: is missing; the routers are r2, router`,
		},
		{
			"table chosen", "{kind: Subnet, name: net2, vpc: main, cidr: 10.10.20.0/24, table: 10050}", nil, 422,
			`subnet "net2": table: cannot be chosen; leave it out`,
		},
		{
			"table altered", "{kind: Subnet, name: net1, vpc: main, cidr: 10.10.10.0/24, table: 10002}", nil, 422,
			`subnet "net1": table: cannot be chosen; leave it out`,
		},
		{
			"node addresses twice", "{kind: Node, name: host3, role: host, address: 192.168.56.103, interface: eth0}", nil, 409,
			`node "host3": address: 192.168.56.103 is the address of node "host1"`,
		},
		{
			"host with ports becomes router", "{kind: Node, name: host1, role: router, address: 192.168.56.103, interface: eth0}", nil, 409,
			`node "host1": role: cannot change from host to router: it is used by port "vm1", port "vm2"`,
		},
		{
			"router with subnets becomes host", "{kind: Node, name: router, role: host, address: 192.168.56.101, interface: eth0}", nil, 409,
			`node "router": role: cannot change from router to host: it is used by subnet "net1"`,
		},
		{
			"port of nothing", "{kind: Port, name: vm3, subnet: net9, node: host9}", nil, 422,
			`port "vm3": subnet: there is no subnet "net9"` + "\n" + `port "vm3": node: there is no node "host9"`,
		},
		{
			"port on a router", "{kind: Port, name: vm3, subnet: net1, node: router}", nil, 422,
			`port "vm3": node: node "router" is a router; only hosts carry ports`,
		},
		{
			"address outside", "{kind: Port, name: vm3, subnet: net1, node: host1, address: 10.10.11.5}", nil, 422,
			`port "vm3": address: 10.10.11.5 is outside subnet "net1" (10.10.10.0/24)`,
		},
		{
			"network address", "{kind: Port, name: vm3, subnet: net1, node: host1, address: 10.10.10.0}", nil, 422,
			`10.10.10.0 is the network address of subnet "net1"`,
		},
		{
			"broadcast address", "{kind: Port, name: vm3, subnet: net1, node: host1, address: 10.10.10.255}", nil, 422,
			`10.10.10.255 is the broadcast address of subnet "net1"`,
		},
		{
			"gateway's address", "{kind: Port, name: vm3, subnet: net1, node: host1, address: 10.10.10.1}", nil, 409,
			`port "vm3": address: 10.10.10.1 is the gateway of subnet "net1"`,
		},
		{
			"bridge's address", "{kind: Port, name: vm3, subnet: net1, node: host1, address: 10.10.10.2}", nil, 409,
			`port "vm3": address: 10.10.10.2 is the bridge of subnet "net1"`,
		},
		{
			"address held", "{kind: Port, name: vm3, subnet: net1, node: host2, address: 10.10.10.10, mac: '02:00:00:00:00:01'}", nil, 409,
			`port "vm3": address: 10.10.10.10 is held by port "vm1"`,
		},
		{
			"address given twice in one change", `{kind: Port, name: vm3, subnet: net1, node: host2, address: 10.10.10.30, mac: '02:00:00:00:00:01'}
---
{kind: Port, name: vm4, subnet: net1, node: host2, address: 10.10.10.30}`, nil, 409,
			`port "vm4": address: 10.10.10.30 is held by port "vm3"`,
		},
		{
			"MAC held", "{kind: Port, name: vm3, subnet: net1, node: host2, mac: '0a:5a:0a:0a:0a:0a'}", nil, 409,
			`port "vm3": mac: 0a:5a:0a:0a:0a:0a is the MAC of port "vm1"`,
		},
		{
			"bridge's MAC", "{kind: Port, name: vm3, subnet: net1, node: host2, mac: '0e:5a:0a:0a:0a:02'}", nil, 409,
			`port "vm3": mac: 0e:5a:0a:0a:0a:02 is the MAC of the bridge of subnet "net1"`,
		},
		{
			"interface held", "{kind: Port, name: vm3, subnet: net1, node: host1, attach: {namespace: vm1}}", nil, 409,
			`port "vm3": attach: namespace and interface vm1/eth0 on node "host1" are those of port "vm1"`,
		},
		{
			"port changes subnet", "{kind: Subnet, name: net2, vpc: main, cidr: 10.10.20.0/24}\n---\n{kind: Port, name: vm1, subnet: net2, node: host1}", nil, 422,
			`port "vm1": subnet: cannot change from "net1" to "net2"; delete the port and create it anew`,
		},
		{
			"port changes type", "{kind: Port, name: vm1, subnet: net1, node: host1, attach: {type: tap}}", nil, 422,
			`port "vm1": attach.type: cannot change from netns to tap; delete the port and create it anew`,
		},
		{"unknown deleted", "", []string{"port/vm9"}, 404, `port "vm9": there is no such port`},
		{"VPC in use", "", []string{"vpc/main"}, 409, `vpc "main": is used by subnet "net1"; delete what uses it first`},
		{"node in use", "", []string{"node/host1"}, 409, `node "host1": is used by port "vm1", port "vm2"`},
		{"router in use", "", []string{"node/router"}, 409, `node "router": is used by subnet "net1"`},
		{"deleted and given", "{kind: Port, name: vm1, subnet: net1, node: host1}", []string{"port/vm1"}, 422, `port "vm1": is both given and deleted`},
		{"deleted twice", "", []string{"port/vm1", "port/vm1"}, 422, `port "vm1": is deleted twice`},
		{"stale", "{kind: Port, name: vm1, revision: 6, subnet: net1, node: host2}", nil, 409, `port "vm1": revision: is 6, but the port has changed since, at revision 7`},
		{"deleted since", "{kind: Port, name: vm9, revision: 6, subnet: net1, node: host2}", nil, 409, `port "vm9": revision: is 6, but it has been deleted since`},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := baseLedger(t)
			before := l.world.Set()
			_, err := admit(l, change(t, test.change, test.deletes...))
			var refused *Refusal
			if !errors.As(err, &refused) {
				t.Fatalf("admit = %v, want a refusal", err)
			}
			if refused.Status != test.status {
				t.Errorf("status is %d, want %d", refused.Status, test.status)
			}
			got := strings.Split(err.Error(), "\n")
			slices.Sort(got)
			for want := range strings.SplitSeq(test.want, "\n") {
				if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, want) || strings.Contains(line, ": "+want) }) {
					t.Errorf("problems are\n%s\nwant\n%s", strings.Join(got, "\n"), want)
				}
			}
			if test.want != "" && len(got) != strings.Count(test.want, "\n")+1 {
				t.Errorf("%d problems, want %d:\n%s", len(got), strings.Count(test.want, "\n")+1, strings.Join(got, "\n"))
			}
			if !reflect.DeepEqual(before, l.world.Set()) {
				t.Error("a refused change changed the world")
			}
		})
	}
}

func TestCreateOfWhatIsThere(t *testing.T) {
	c := change(t, "{kind: Port, name: vm1, subnet: net1, node: host1}")
	c.Create = true
	_, err := admit(baseLedger(t), c)
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Status != http.StatusConflict || !strings.Contains(err.Error(), "the port exists already") {
		t.Errorf("admit = %v, want that the port exists already", err)
	}
}

func TestNoRouter(t *testing.T) {
	_, err := admit(newLedger(), change(t, "{kind: VPC, name: v, cidrs: [10.0.0.0/8]}\n---\n{kind: Subnet, name: s, vpc: v, cidr: 10.0.0.0/24}"))
	if err == nil || !strings.Contains(err.Error(), "router: is missing; create a node with role router first") {
		t.Errorf("admit = %v, want to be told to create a router", err)
	}
}

func TestManyDependents(t *testing.T) {
	l := baseLedger(t)
	for i := range 3 {
		must(t, l, change(t, fmt.Sprintf("{kind: Port, name: x%d, subnet: net1, node: host2}", i)))
	}
	_, err := admit(l, change(t, "", "subnet/net1"))
	want := `subnet "net1": is used by port "vm1", port "vm2", port "x0" and 2 more, 5 in all; delete what uses it first`
	if err == nil || err.Error() != want {
		t.Errorf("admit = %v, want %s", err, want)
	}
}

func TestNamesOfDevicesCollide(t *testing.T) {
	a, b := collidingNames()
	l := baseLedger(t)
	port := "{kind: Port, name: %s, subnet: net1, node: %s}"
	must(t, l, change(t, fmt.Sprintf(port, a, "host1")))
	if _, err := admit(l, change(t, fmt.Sprintf(port, b, "host1"))); err == nil || !strings.Contains(err.Error(), `would be the same as that of port "`+a) {
		t.Errorf("second port of the same device name: %v", err)
	}
	must(t, l, change(t, fmt.Sprintf(port, b, "host2"))) // devices are apart there
	subnet := "{kind: Subnet, name: %s, vpc: main, cidr: 10.10.%d.0/24}"
	must(t, l, change(t, fmt.Sprintf(subnet, a, 20)))
	if _, err := admit(l, change(t, fmt.Sprintf(subnet, b, 30))); err == nil || !strings.Contains(err.Error(), `would be the same as that of subnet "`+a) {
		t.Errorf("second subnet of the same bridge name: %v", err)
	}
}

func TestAdmitted(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  string
		deletes []string
		want    string // outcomes
		see     func(w *intent.World) string
		state   string // what see returns
	}{
		{
			"the same again", base, nil,
			"unchanged unchanged unchanged unchanged unchanged unchanged unchanged", nil, "",
		},
		{
			"address given away in the change that frees it", "{kind: Port, name: vm3, subnet: net1, node: host2, address: 10.10.10.10}",
			[]string{"port/vm1"}, "created deleted", nil, "",
		},
		{
			"addresses exchanged", `{kind: Port, name: vm1, subnet: net1, node: host1, address: 10.10.10.3}
---
{kind: Port, name: vm2, subnet: net1, node: host1, address: 10.10.10.10}`, nil, "updated updated",
			func(w *intent.World) string { return string(w.Ports["vm1"].MAC + " " + w.Ports["vm2"].MAC) },
			"0a:5a:0a:0a:0a:03 0a:5a:0a:0a:0a:0a",
		},
		{
			"everything deleted at once", "", []string{"vpc/main", "node/host1", "node/router", "subnet/net1", "port/vm1", "port/vm2"},
			"deleted deleted deleted deleted deleted deleted", nil, "",
		},
		{
			"moved to another node, address and MAC kept", "{kind: Port, name: vm2, subnet: net1, node: host2}", nil, "updated",
			func(w *intent.World) string {
				p := w.Ports["vm2"]
				return fmt.Sprintf("%s %s %s", p.Node, p.Address, p.MAC)
			},
			"host2 10.10.10.3 0a:5a:0a:0a:0a:03",
		},
		{
			"subnet moved in the change that deletes its ports", "{kind: Subnet, name: net1, vpc: main, cidr: 10.10.20.0/24}",
			[]string{"port/vm1", "port/vm2"}, "updated deleted deleted",
			func(w *intent.World) string {
				s := w.Subnets["net1"]
				return s.Gateway.String() + " " + s.Bridge.String()
			},
			"10.10.20.1 10.10.20.2",
		},
		{
			"router replaced and made a host", `{kind: Subnet, name: net1, vpc: main, cidr: 10.10.10.0/24, router: r2}
---
{kind: Node, name: router, role: host, address: 192.168.56.101, interface: enp0s8}
---
{kind: Node, name: r2, role: router, address: 192.168.56.102, interface: enp0s8}`, nil, "updated created updated", nil, "",
		},
		{
			"asked-for addresses come before allocated ones", `{kind: Port, name: a, subnet: net1, node: host1}
---
{kind: Port, name: b, subnet: net1, node: host1, address: 10.10.10.4}`, nil, "created created",
			func(w *intent.World) string { return w.Ports["a"].Address.String() },
			"10.10.10.5",
		},
		{
			"an address whose MAC is taken is passed over", `{kind: Port, name: a, subnet: net1, node: host1, address: 10.10.10.20, mac: '0a:5a:0a:0a:0a:04'}
---
{kind: Port, name: b, subnet: net1, node: host1}`, nil, "created created",
			func(w *intent.World) string { return w.Ports["b"].Address.String() },
			"10.10.10.5",
		},
		{
			"two interfaces in one namespace", "{kind: Port, name: vm1b, subnet: net1, node: host1, attach: {namespace: vm1, interface: eth1}}", nil, "created", nil, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := baseLedger(t)
			p := must(t, l, change(t, test.change, test.deletes...))
			var got []string
			for _, o := range p.outcomes {
				got = append(got, string(o.Action))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("outcomes are %v, want %s", got, test.want)
			}
			if test.see != nil && test.see(l.world) != test.state {
				t.Errorf("got %s, want %s", test.see(l.world), test.state)
			}
			if fresh := newLedger(l.world.Set().Objects()...); !reflect.DeepEqual(fresh, l) {
				t.Error("the ledger differs from one made of its objects")
			}
		})
	}
}

// collidingNames returns two names whose devices have the same name.
func collidingNames() (string, string) {
	seen := map[string]string{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("a-rather-long-name-%d", i)
		device := compile.PortDevice(name)
		if other, ok := seen[device]; ok {
			return other, name
		}
		seen[device] = name
	}
}
