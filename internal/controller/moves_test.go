package controller

import (
	"context"
	"strings"
	"testing"
	"time"

	"sarn/internal/api"
	"sarn/internal/intent"
)

// applied has the node's agent say that it has applied what the event wants.
func (r *running) applied(t *testing.T, node string, e api.NodeEvent) {
	t.Helper()
	if err := r.client.Report(t.Context(), node, api.NodeReport{Revision: e.Revision, AppliedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

func (r *running) port(t *testing.T, name string) *intent.Port {
	t.Helper()
	p, _ := r.get(intent.Ref{Kind: intent.KindPort, Name: name}).(*intent.Port)
	if p == nil {
		t.Fatalf("there is no port %s", name)
	}
	return p
}

// TestMove follows a port from host1 to host2: make before break, step by step.
func TestMove(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	host1, _ := r.follow(t, "host1", "")
	host2, _ := r.follow(t, "host2", "")
	router, _ := r.follow(t, "router", "")
	next(t, host1)
	next(t, host2)
	r.applied(t, "router", next(t, router))

	r.apply(t, change(t, "{kind: Port, name: vm1, subnet: net1, node: host2}"))
	made := next(t, host2)
	if made.Parts["port vm1"] == nil {
		t.Fatalf("the new host should make %v, want the port", made.Parts)
	}
	r.applied(t, "router", next(t, router)) // told, though it stays with host1
	r.applied(t, "host1", next(t, host1))
	if p := r.port(t, "vm1"); p.Serving() != "host1" || *p.Move != (intent.Move{From: "host1"}) {
		t.Errorf("before host2 has it the port is %+v, %+v", p, p.Move)
	}
	moved := make(chan error, 1)
	go func() {
		err := r.client.Wait(context.Background(), 0, time.Minute)
		moved <- err
	}()

	r.applied(t, "host2", made)
	switched := next(t, router)
	if via := switched.Parts["port vm1"][""].Routes[0].Via.String(); via != "192.168.56.104" {
		t.Errorf("the router sends to %s", via)
	}
	e1, e2 := next(t, host1), next(t, host2)
	if e1.Parts["port vm1"][""].Links == nil {
		t.Error("the old host lets go before all others know")
	}
	r.applied(t, "host1", e1)
	r.applied(t, "host2", e2)
	if p := r.port(t, "vm1"); p.Serving() != "host2" || p.Move == nil {
		t.Errorf("before the router has switched the port is %+v, %+v", p, p.Move)
	}
	select {
	case err := <-moved:
		t.Errorf("the wait ended before the move: %v", err)
	default:
	}
	r.applied(t, "router", switched)
	last := next(t, host1)
	if part, named := last.Parts["port vm1"]; !named || part != nil {
		t.Errorf("the old host should hold %+v, want nothing of the port", last.Parts)
	}
	r.applied(t, "host1", last)
	r.applied(t, "host2", next(t, host2))
	r.applied(t, "router", next(t, router))
	if err := <-moved; err != nil {
		t.Error(err)
	}
	if p := r.port(t, "vm1"); p.Move != nil || p.Node != "host2" || p.Address.String() == "" {
		t.Errorf("in the end the port is %+v", p)
	}
}

// TestMoveFromADeadHost has a host whose agent is gone: nobody waits for it.
func TestMoveFromADeadHost(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	host2, _ := r.follow(t, "host2", "")
	next(t, host2)
	r.apply(t, change(t, "{kind: Port, name: vm1, subnet: net1, node: host2}"))
	for range 2 {
		r.applied(t, "host2", next(t, host2))
	}
	next(t, host2)
	if p := r.port(t, "vm1"); p.Move != nil {
		t.Errorf("the port is still %+v", p.Move)
	}
}

// TestMoveBack turns a move around before the new host has the port, and refuses a
// third host, and a move that somebody makes up.
func TestMoveBack(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base+"\n---\n{kind: Node, name: host3, role: host, address: 192.168.56.105, interface: enp0s8}"))
	host1, _ := r.follow(t, "host1", "")
	e := next(t, host1)
	r.applied(t, "host1", e)
	to := func(node, more string) error {
		_, err := r.client.Apply(t.Context(), change(t, "{kind: Port, name: vm1, subnet: net1, node: "+node+more+"}"))
		return err
	}
	if err := to("host2", ", move: {from: host3}"); err == nil || !strings.Contains(err.Error(), "cannot be chosen") {
		t.Errorf("a made-up move: %v", err)
	}
	if err := to("host2", ""); err != nil {
		t.Fatal(err)
	}
	r.applied(t, "host1", next(t, host1))
	if err := to("host3", ""); err == nil || !strings.Contains(err.Error(), `moves from "host1" to "host2"`) {
		t.Errorf("a third host: %v", err)
	}
	if _, err := r.client.Apply(t.Context(), change(t, "", "node/host1")); err == nil {
		t.Error("a host could be deleted that a port is moving from")
	}
	if err := to("host1", ""); err != nil {
		t.Fatal(err)
	}
	if p := r.port(t, "vm1"); p.Serving() != "host1" {
		t.Errorf("on its way back the port is served by %s", p.Serving())
	}
	r.applied(t, "host1", next(t, host1))
	next(t, host1)
	if p := r.port(t, "vm1"); p.Move != nil || p.Node != "host1" {
		t.Errorf("back again the port is %+v, %+v", p, p.Move)
	}
}

// TestMoveGoesOnAfterARestart stops the controller in the middle of a move.
func TestMoveGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	r := run(t, dir)
	r.apply(t, change(t, base))
	r.apply(t, change(t, "{kind: Port, name: vm1, subnet: net1, node: host2}"))
	r.stop()
	r = run(t, dir)
	host2, _ := r.follow(t, "host2", "")
	for range 2 {
		r.applied(t, "host2", next(t, host2))
	}
	next(t, host2)
	if p := r.port(t, "vm1"); p.Move != nil {
		t.Errorf("the port is still %+v", p.Move)
	}
}

// TestDevicesOfOthers refuses, as ports, devices that are the host's or Sarn's own, and
// one device for two ports.
func TestDevicesOfOthers(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	port := func(name, device string) error {
		_, err := r.client.Apply(t.Context(), change(t, "{kind: Port, name: "+name+", subnet: net1, node: host1, attach: {type: interface, interface: "+device+"}}"))
		return err
	}
	for device, want := range map[string]string{
		"enp0s8": "is the underlay interface", "br_net1": "as Sarn names its own", "vp_vm1": "as Sarn names its own",
	} {
		if err := port("more", device); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", device, err, want)
		}
	}
	if err := port("more", "vnet0"); err != nil {
		t.Error(err)
	}
	if err := port("another", "vnet0"); err == nil || !strings.Contains(err.Error(), `the same as that of port "more"`) {
		t.Errorf("a device for two ports: %v", err)
	}
	if p := r.port(t, "more"); p.Attach.Namespace != "" || p.Attach.Interface != "vnet0" {
		t.Errorf("the port is %+v", p)
	}
}

// TestAnUnderlayIsNoPort gives a node the interface that is a port's device there: it would
// be taken into the port's bridge, and the node out of the network.
func TestAnUnderlayIsNoPort(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	r.apply(t, change(t, "{kind: Port, name: more, subnet: net1, node: host1, attach: {type: interface, interface: eth5}}"))
	_, err := r.client.Apply(t.Context(), change(t, "{kind: Node, name: host1, role: host, address: 192.168.56.103, interface: eth5}"))
	if err == nil || !strings.Contains(err.Error(), `port "more"`) {
		t.Errorf("host1's interface is to be a port's device: %v", err)
	}
}

// TestMoveFromASickHost has the old host fail at something else, pass after pass: the port
// gets away from there.
func TestMoveFromASickHost(t *testing.T) {
	r := run(t, t.TempDir())
	r.mu.Lock()
	r.absence = 50 * time.Millisecond
	r.mu.Unlock()
	r.apply(t, change(t, base))
	host1, _ := r.follow(t, "host1", "")
	host2, _ := r.follow(t, "host2", "")
	next(t, host1)
	next(t, host2)
	r.apply(t, change(t, "{kind: Port, name: vm1, subnet: net1, node: host2}"))
	sick := func(e api.NodeEvent) {
		_ = r.client.Report(t.Context(), "host1", api.NodeReport{Revision: e.Revision, Error: "in network namespace vm2: somebody is root there"})
	}
	sick(next(t, host1))
	r.applied(t, "host2", next(t, host2))
	sick(next(t, host1))
	r.applied(t, "host2", next(t, host2))
	for next(t, host1).Parts["port vm1"] != nil { // until it is to let go
	}
}
