package controller

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/netstate"
	"sarn/internal/store"
)

func TestFollow(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	host1, _ := r.follow(t, "host1", "")
	host2, _ := r.follow(t, "host2", "")
	first1, first2 := next(t, host1), next(t, host2)
	if !first1.Whole || first1.Parts["node"] == nil || len(first1.Parts) != 4 || first1.Revision != r.status(t, "host1").Wanted {
		t.Errorf("first event is %+v, want the node's, a subnet's and two ports' parts at the wanted revision", first1)
	}
	if s := r.status(t, "host1"); !s.Connected || s.Ports != 2 {
		t.Errorf("status is %+v, want a connected node of two ports", s)
	}

	result := r.apply(t, change(t, "{kind: Port, name: vm3, subnet: net1, node: host1}"))
	second := next(t, host1)
	if second.Revision != result.Revision || second.Whole || len(second.Parts) != 1 || second.Parts["port vm3"] == nil {
		t.Errorf("event is %+v, want the one part that is new at revision %d", second, result.Revision)
	}
	if s := r.status(t, "host2"); s.Wanted != first2.Revision {
		t.Errorf("a port on host1 moved host2 from revision %d to %d", first2.Revision, s.Wanted)
	}
	if s := r.status(t, "router"); s.Wanted != result.Revision {
		t.Errorf("the router is at revision %d, want %d", s.Wanted, result.Revision)
	}

	deleted := r.apply(t, change(t, "", "port/vm3"))
	third := next(t, host1)
	if part, named := third.Parts["port vm3"]; !named || part != nil || len(third.Parts) != 1 || third.Revision != deleted.Revision {
		t.Errorf("event is %+v, want that the port's part is gone", third)
	}
}

// fingerprint is what an agent that has the event's parts says it has.
func fingerprint(e api.NodeEvent) string {
	var f netstate.Fingerprint
	for key, part := range e.Parts {
		f.Add(key, part)
	}
	return f.String()
}

// TestLargeState has more parts than one event holds, and changes that come while
// they are sent.
func TestLargeState(t *testing.T) {
	r := run(t, t.TempDir())
	var b strings.Builder
	b.WriteString(base)
	for i := range 2*most + 10 {
		fmt.Fprintf(&b, "\n---\n{kind: Port, name: p%d, subnet: large, node: host2, attach: {type: tap}}", i)
	}
	b.WriteString("\n---\n{kind: Subnet, name: large, vpc: main, cidr: 10.10.128.0/17}")
	r.apply(t, change(t, b.String()))
	events, _ := r.follow(t, "router", "")
	parts := map[string]netstate.Machine{}
	lines := 0
	for {
		e := next(t, events)
		lines++
		if e.Whole != (lines == 1) || len(e.Parts) > most {
			t.Fatalf("line %d: whole is %v, %d parts", lines, e.Whole, len(e.Parts))
		}
		if lines == 1 {
			r.apply(t, change(t, "", "port/p7"))
		}
		for key, part := range e.Parts {
			parts[key] = part
			if part == nil {
				delete(parts, key)
			}
		}
		if !e.More && e.Revision == r.status(t, "router").Wanted {
			break
		}
	}
	if lines < 3 || parts["port p7"] != nil || len(parts) != 1+2+2+2*most+9 {
		t.Errorf("%d lines brought %d parts", lines, len(parts))
	}
	if have := fingerprint(api.NodeEvent{Parts: parts}); have != r.fingerprint("router") {
		t.Errorf("the parts add up to %s, want %s", have, r.fingerprint("router"))
	}
}

func TestFollowResumes(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	events, quit := r.follow(t, "host1", "")
	first := next(t, events)
	quit()

	events, quit = r.follow(t, "host1", fingerprint(first))
	if e := next(t, events); e.Whole || len(e.Parts) > 0 || e.Revision != first.Revision {
		t.Errorf("resumed with %+v, want the revision and no parts", e)
	}
	quit()
	r.apply(t, change(t, "", "port/vm2"))
	events, _ = r.follow(t, "host1", fingerprint(first))
	if e := next(t, events); !e.Whole || len(e.Parts) != 3 {
		t.Errorf("resumed with %+v, want the new state", e)
	}
}

// TestFingerprintOfDirectHosts compares what hosts of a direct VPC are told with what the
// controller, which does not go through all of it, takes them to have.
func TestFingerprintOfDirectHosts(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	r.apply(t, change(t, "{kind: VPC, name: main, cidrs: [10.10.0.0/16], mode: direct}"))
	r.apply(t, change(t, "{kind: Port, name: vm3, subnet: net1, node: host2}\n---\n{kind: Port, name: vm4, subnet: net1, node: host2}"))
	for range 2 {
		for _, name := range []string{"host1", "host2", "router"} {
			events, quit := r.follow(t, name, "")
			first := next(t, events)
			quit()
			if have := fingerprint(first); have != r.fingerprint(name) {
				t.Errorf("%s has %s and the controller thinks %s", name, have, r.fingerprint(name))
			}
		}
		// A port that moves is carried by both hosts.
		r.apply(t, change(t, "{kind: Port, name: vm1, subnet: net1, node: host2}"))
	}
}

func TestStreamOfDeletedNodeEnds(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	events, _ := r.follow(t, "host2", "")
	next(t, events)
	deleted := r.apply(t, change(t, "", "node/host2"))
	last := next(t, events)
	if last.Revision != deleted.Revision || !last.Whole || len(last.Parts) > 0 {
		t.Errorf("the last event is %+v, want an empty state of revision %d", last, deleted.Revision)
	}
	if e, open := <-events; open {
		t.Errorf("after the last event came %+v", e)
	}
	err := r.client.Follow(t.Context(), "host2", "", func(api.NodeEvent) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "there is no such node") {
		t.Errorf("following it again = %v, want that there is no such node", err)
	}
}

func TestStopEndsStreamsAtOnce(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	r.grace = 2 * time.Minute // what it would take if streams were waited for
	ended := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		ended <- r.client.Follow(context.Background(), "host1", "", func(api.NodeEvent) error { close(began); return nil })
	}()
	<-began
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(time.Minute):
		t.Error("the stop waits for a stream")
		<-stopped
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "ended the stream") {
		t.Errorf("Follow = %v, want that the stream ended", err)
	}
}

func TestStopEndsWaits(t *testing.T) {
	r := run(t, t.TempDir())
	result := r.apply(t, change(t, base))
	ended := make(chan bool)
	waits := httptest.NewRecorder()
	go func() {
		path := fmt.Sprintf("/v1/wait?revision=%d&timeout=1m", result.Revision)
		r.handler().ServeHTTP(waits, httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil))
		close(ended)
	}()
	r.stop()
	<-ended
	if waits.Code != http.StatusServiceUnavailable || !strings.Contains(waits.Body.String(), `"type":"`+api.Stopping+`"`) {
		t.Errorf("a wait is answered %d %s, want that the controller is stopping", waits.Code, waits.Body)
	}
}

// TestNothingIsLostWhileALargeStateIsListed has so much change, between the listing of a
// state's parts and the event, that the state begins anew.
func TestNothingIsLostWhileALargeStateIsListed(t *testing.T) {
	c, err := New(Config{Socket: "x"}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	put := func(revision int64, yaml string) {
		if err := c.apply(store.Batch{Revision: revision, Puts: objects(t, yaml)}); err != nil {
			t.Fatal(err)
		}
		c.tell()
	}
	put(1, "{kind: Node, name: host1, role: host, address: 192.168.56.103, interface: enp0s8}")
	f, leave, err := c.follow("host1", "")
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	c.listParts(f)
	put(2, "{kind: VPC, name: main, cidrs: [10.10.0.0/16], table: 5001, mode: router}\n---\n"+
		"{kind: Subnet, name: net1, vpc: main, cidr: 10.10.10.0/24, gateway: 10.10.10.1, bridge: 10.10.10.2, table: 10001, router: router}\n---\n"+
		"{kind: Port, name: vm1, subnet: net1, node: host1, address: 10.10.10.10, mac: '0a:5a:0a:0a:0a:0a', attach: {type: tap}}")
	keys, _, _ := c.take(f)
	if !slices.Contains(keys, compile.PortKey("vm1")) {
		t.Errorf("the event tells of %v", keys)
	}
}
