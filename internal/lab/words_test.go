package lab

import (
	"fmt"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		words, name           string
		networks, hosts, vms  int
		lan, subnet, lastHost string
	}{
		{"single", "single-2", 1, 1, 2, "192.168.56.0/24", "10.10.10.0/24", "vm2"},
		{"single,4", "single-4", 1, 1, 4, "192.168.56.0/24", "10.10.10.0/24", "vm4"},
		{"single,k=252", "single-252", 1, 1, 252, "192.168.56.0/24", "10.10.10.0/24", "vm252"},
		{"single,253", "single-253", 1, 1, 253, "192.168.56.0/24", "10.10.10.0/23", "vm253"},
		{"linear,8", "linear-8", 1, 8, 8, "192.168.56.0/24", "10.10.10.0/24", "vm8"},
		{"linear,3,2", "linear-3-2", 1, 3, 6, "192.168.56.0/24", "10.10.10.0/24", "vm6"},
		{"linear,n=2,k=3", "linear-3-2", 1, 3, 6, "192.168.56.0/24", "10.10.10.0/24", "vm6"},
		{"linear,400", "linear-400", 1, 400, 400, "192.168.56.0/23", "10.10.10.0/23", "vm400"},
		{"tree", "tree-1-2", 1, 1, 2, "192.168.56.0/24", "10.10.10.0/24", "vm2"},
		{"tree,depth=2,fanout=4", "tree-2-4", 1, 4, 16, "192.168.56.0/24", "10.10.10.0/24", "vm16"},
		{"tree,3,2", "tree-3-2", 3, 4, 8, "192.168.56.0/24", "10.10.10.0/24", "vm8"},
		{"tree,depth=3,fanout=10", "tree-3-10", 11, 100, 1000, "192.168.56.0/24", "10.10.8.0/22", "vm1000"},
		{"tree,depth=4,fanout=1", "tree-4-1", 3, 1, 1, "192.168.56.0/24", "10.10.10.0/24", "vm1"},
	} {
		w, err := ParseWords(c.words)
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		p, err := Parse(c.words, w.YAML(""), "")
		if err != nil {
			t.Errorf("%s: %v\n%s", c.words, err, w.YAML(""))
			continue
		}
		if p.Name != c.name || len(p.Networks) != c.networks || len(p.Intent.Nodes) != c.hosts+1 || len(p.Intent.Ports) != c.vms {
			t.Errorf("%s: lab %s with %d networks, %d nodes, %d ports", c.words, p.Name, len(p.Networks), len(p.Intent.Nodes), len(p.Intent.Ports))
		}
		if p.Networks[0].CIDR.String() != c.lan || p.Intent.Subnets[0].CIDR.String() != c.subnet {
			t.Errorf("%s: LAN %s, subnet %s", c.words, p.Networks[0].CIDR, p.Intent.Subnets[0].CIDR)
		}
		if last := p.Intent.Ports[c.vms-1]; last.Name != c.lastHost || last.Node != fmt.Sprintf("host%d", c.hosts) {
			t.Errorf("%s: the last VM is %s on %s", c.words, last.Name, last.Node)
		}
		if _, err := Owner().Diff(p.Wiring(), nil); err != nil {
			t.Errorf("%s: %v", c.words, err)
		}
	}
}

func TestATreeIsOneLAN(t *testing.T) {
	w, err := ParseWords("tree,depth=3,fanout=2")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse("tree", w.YAML(""), "")
	if err != nil {
		t.Fatal(err)
	}
	ops, err := Owner().Diff(p.Wiring(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, op := range ops {
		all.WriteString(Owner().Command(op) + "\n")
	}
	for _, want := range []string{
		"ip -n switch1 link add to-switch2 type veth peer name to-switch1 netns switch2\n",
		"ip -n switch1 link add to-switch3 type veth peer name to-switch1 netns switch3\n",
		"ip -n switch2 link set to-switch1 master bridge\n",
		"ip -n switch3 link add to-host3 type veth peer name eth0 netns host3\n",
		"ip -n host3 address add 192.168.56.13/24 dev eth0\n",
		"ip -n switch1 link add to-router type veth peer name eth0 netns router\n",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no command %q in\n%s", want, all.String())
		}
	}
}

func TestWordsThatAreNone(t *testing.T) {
	for words, want := range map[string]string{
		"":                            "is not a topology; use single,VMS or linear,HOSTS[,VMS] or tree,depth=D,fanout=F",
		"torus,3,3":                   `"torus,3,3" is not a topology`,
		"single,0":                    `"0" is not a number from 1 on`,
		"single,four":                 `"four" is not a number`,
		"single,-1":                   `"-1" is not a number`,
		"single,4,4":                  `"4" is too much; single has k`,
		"tree,width=4":                `"width=4" is too much; tree has depth and fanout`,
		"single,1024":                 "1024 VMs on one host: a Linux bridge has at most 1023 ports; use linear,HOSTS,VMS",
		"linear,1022":                 "1022 cables in one network",
		"linear,100,1000":             "more than 65532 VMs do not fit",
		"tree,depth=40,fanout=9":      "more than 65532 VMs do not fit",
		"tree,depth=17,fanout=2":      "more than 65532 VMs do not fit",
		"tree,depth=17,fanout=1":      "deeper than 16",
		"single,99999999999999999999": "is not a number",
	} {
		if _, err := ParseWords(words); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", words, err, want)
		}
	}
}
