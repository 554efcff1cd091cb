package reach_test

import (
	"net/netip"
	"strings"
	"testing"

	"sarn/internal/netstate"
	"sarn/internal/reach"
)

// chain returns a chain of a node's table of the ip family.
func chain(m netstate.Machine, name string) *netstate.Chain {
	for i := range m[""].Tables {
		for j, c := range m[""].Tables[i].Chains {
			if m[""].Tables[i].Family == netstate.FamilyIP && c.Name == name {
				return &m[""].Tables[i].Chains[j]
			}
		}
	}
	return nil
}

// TestAnswersAreNotTranslated: nat chains see the first packet of a connection alone.
func TestAnswersAreNotTranslated(t *testing.T) {
	n := network(fabric(), func(node string, m netstate.Machine) {
		if node == "router" {
			chain(m, "postrouting").Rules = []string{"masquerade"}
		}
	})
	got := trace(t, n, reach.Start{Outside: ip("203.0.113.1")}, reach.Packet{Destination: ip("10.10.20.3"), Protocol: reach.TCP, Port: 22})
	if !got.Answered || got.Reply.Hops[len(got.Reply.Hops)-1].Source != "10.10.20.3" {
		t.Error(told(got))
	}
	if s := got.Request.Hops[len(got.Request.Hops)-1].Source; s != "192.168.56.101" {
		t.Errorf("the request comes from %s:\n%s", s, told(got))
	}
}

// TestChainsByPriority has two chains that drop; the one with the lower priority does.
func TestChainsByPriority(t *testing.T) {
	n := network(fabric(), func(node string, m netstate.Machine) {
		if node == "router" {
			late := netstate.Chain{Name: "late", Type: "filter", Hook: "forward", Priority: 20, Rules: []string{"drop"}}
			early := netstate.Chain{Name: "early", Type: "filter", Hook: "forward", Priority: 10, Rules: []string{"drop"}}
			m[""].Tables = append(m[""].Tables, netstate.Table{Family: netstate.FamilyInet, Chains: []netstate.Chain{late, early}})
		}
	})
	got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.10.10.12")})
	if got.Request.Verdict.Reason != "nft inet sarn early: drop" {
		t.Error(told(got))
	}
}

// TestIsolation has a guest that knows another's MAC and asks nobody: isolated ports
// exchange no frames, others do.
func TestIsolation(t *testing.T) {
	for isolated, want := range map[bool]string{true: "bridge link: vp_vm1 and vp_vm2 are isolated", false: ""} {
		n := network(fabric(), func(node string, m netstate.Machine) {
			if node != "host1" {
				return
			}
			m["vm1"].Neighbors = []netstate.Neighbor{{Link: "eth0", Address: ip("10.10.10.11"), MAC: "0a:5a:0a:0a:0a:0b"}}
			for i := range m[""].Links {
				m[""].Links[i].Isolated = m[""].Links[i].Isolated && isolated
			}
		})
		got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.10.10.11")})
		if got.Delivered == isolated || got.Request.Verdict.Reason != want {
			t.Errorf("isolated %v:\n%s", isolated, told(got))
		}
		if !isolated && (got.Request.Hops[1].Action != reach.Bridges || len(got.Request.Routers()) > 0) {
			t.Errorf("a frame that a bridge passes on meets no router:\n%s", told(got))
		}
	}
}

// TestGuestsAnswerForThemselves: a host that has no neighbour entry asks, and what its
// guest may not send is no answer.
func TestGuestsAnswerForThemselves(t *testing.T) {
	for mac, answered := range map[string]bool{"0a:5a:0a:0a:0a:0c": true, "0a:00:00:00:00:01": false} {
		n := network(fabric(), func(node string, m netstate.Machine) {
			if node == "host2" {
				m[""].Neighbors = nil
				m["vm3"].Links[1].MAC = mac
			}
		})
		got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.10.10.12")})
		if got.Answered != answered || !answered && !strings.Contains(got.Request.Verdict.Reason, "nobody answers for 10.10.10.12 on br_net1") {
			t.Errorf("MAC %s:\n%s", mac, told(got))
		}
	}
}

// TestNoticesAreRelated: a chain that drops what it cannot place lets errors pass that
// are about what it has seen.
func TestNoticesAreRelated(t *testing.T) {
	n := network(fabric(), func(node string, m netstate.Machine) {
		switch node {
		case "router":
			c := chain(m, "forward")
			c.Rules = append([]string{"ct state invalid drop"}, c.Rules...)
		case "host2":
			m[""].Routes = without(m[""].Routes, func(r netstate.Route) bool {
				return r.Table == 10000 && r.Dst == netip.MustParsePrefix("10.10.10.12/32")
			})
		}
	})
	got := trace(t, n, port("vm1"), reach.Packet{Destination: ip("10.10.10.12")})
	if got.Request.Verdict.Name != "host2" || !got.Told() || path(got.Notice) != "host2 router host1 vm1" {
		t.Error(told(got))
	}
}
