package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"sarn/internal/intent"
)

func TestPlan(t *testing.T) {
	for _, n := range []int{2, 10, 300, 1000} {
		p := newPlan(n, 50, intent.ModeDirect)
		if len(p.nodes) != n || len(p.ports) != 50*n {
			t.Errorf("%d nodes: there are %d with %d ports", n, len(p.nodes), len(p.ports))
		}
		all := intent.Set{Nodes: p.nodes, VPCs: p.vpcs, Subnets: p.subnets, Ports: p.ports}
		if problems := all.Check(); len(problems) > 0 {
			t.Errorf("%d nodes: %v", n, problems)
		}
		w := intent.NewWorld(all.Objects()...)
		for _, s := range p.subnets {
			if on := len(w.PortsIn(s.Name)); on > s.CIDR.Size()-4 {
				t.Errorf("%d nodes: %s has %d ports", n, s.Name, on)
			}
		}
		o := p.port(len(p.ports))
		concerned := p.concerned(o)
		for host := range w.HostsOf(w.Subnets[o.Subnet].VPC) {
			if !slices.Contains(concerned, host) {
				t.Errorf("%d nodes: %s is not told of port %s", n, host, o.Name)
			}
		}
		if !slices.Contains(concerned, w.Subnets[o.Subnet].Router) {
			t.Errorf("%d nodes: port %s does not concern its router", n, o.Name)
		}
	}
}

func TestTable(t *testing.T) {
	r := &results{mode: intent.ModeRouter, ports: 50, sizes: []int{10, 30, 100, 300, 1000}}
	for _, n := range r.sizes {
		r.figures = append(r.figures, figures{rest: float64(n * n), portCPU: 2})
	}
	var out bytes.Buffer
	r.table(&out)
	for _, want := range []string{
		"| memory, all agents connected, MB | 100 | 900 | 10,000 | 90,000 | 1,000,000 | 2.0 |",
		"| port created: CPU, ms | 2.00 | 2.00 | 2.00 | 2.00 | 2.00 | 0.0 |",
		"| all ports listed: CPU, ms | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | – |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %s:\n%s", want, &out)
		}
	}
	if picture := string(r.chart("Memory", rest, "")); !strings.Contains(picture, "1,000 nodes") {
		t.Error("the chart lacks its last bar")
	}
}

func TestMistakes(t *testing.T) {
	for _, args := range []string{"-sizes x", "-sizes 1", "-mode both-ways", "-ports 0", "more"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}
