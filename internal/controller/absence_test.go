package controller

import (
	"testing"
	"time"
)

// TestMoveWaitsForARouterThatIsAway has a router's agent start anew in the middle of a
// move, and the controller too: the old host does not let go before the router is back.
func TestMoveWaitsForARouterThatIsAway(t *testing.T) {
	dir := t.TempDir()
	r := run(t, dir)
	patient := func() { r.mu.Lock(); r.absence = time.Minute; r.mu.Unlock() }
	patient()
	r.apply(t, change(t, base))
	_, leave := r.follow(t, "router", "")
	host2, _ := r.follow(t, "host2", "")
	next(t, host2)
	r.apply(t, change(t, "{kind: Port, name: vm1, subnet: net1, node: host2}"))
	leave()
	made := next(t, host2)
	r.applied(t, "host2", made)
	r.applied(t, "host2", next(t, host2))
	if p := r.port(t, "vm1"); p.Move == nil || !p.Move.Switched {
		t.Errorf("while the router starts anew the port is %+v", p.Move)
	}
	r.stop()
	r = run(t, dir)
	patient()
	host2, _ = r.follow(t, "host2", "")
	r.applied(t, "host2", next(t, host2))
	if p := r.port(t, "vm1"); p.Move == nil || !p.Move.Switched {
		t.Errorf("while the controller and the router start anew the port is %+v", p.Move)
	}
	router, _ := r.follow(t, "router", "")
	r.applied(t, "router", next(t, router))
	next(t, host2)
	if p := r.port(t, "vm1"); p.Move != nil {
		t.Errorf("with all there the port is still %+v", p.Move)
	}
}
