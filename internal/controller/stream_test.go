package controller

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"sarn/internal/api"
	"sarn/internal/netstate"
)

func TestFollow(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	host1, _ := r.follow(t, "host1", "")
	host2, _ := r.follow(t, "host2", "")
	first1, first2 := next(t, host1), next(t, host2)
	if first1.State == nil || first1.Hash == "" || first1.Revision != r.status(t, "host1").Wanted {
		t.Errorf("first event is %+v, want a state of the wanted revision", first1)
	}
	if s := r.status(t, "host1"); !s.Connected || s.Ports != 2 {
		t.Errorf("status is %+v, want a connected node of two ports", s)
	}

	result := r.apply(t, change(t, "{kind: Port, name: vm3, subnet: net1, node: host1}"))
	second := next(t, host1)
	if second.Revision != result.Revision || second.Hash == first1.Hash || second.State == nil {
		t.Errorf("event is %+v, want the state of revision %d", second, result.Revision)
	}
	if s := r.status(t, "host2"); s.Wanted != first2.Revision {
		t.Errorf("a port on host1 moved host2 from revision %d to %d", first2.Revision, s.Wanted)
	}
	if s := r.status(t, "router"); s.Wanted != result.Revision {
		t.Errorf("the router is at revision %d, want %d", s.Wanted, result.Revision)
	}

	// Moved away: both hosts and the router learn of it.
	moved := r.apply(t, change(t, "{kind: Port, name: vm3, subnet: net1, node: host2}"))
	if e := next(t, host1); e.Revision != moved.Revision || e.Hash != first1.Hash {
		t.Errorf("event is %+v, want the state that was there before the port", e)
	}
	if e := next(t, host2); e.Revision != moved.Revision {
		t.Errorf("event is %+v, want revision %d", e, moved.Revision)
	}
}

func TestFollowResumes(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	events, quit := r.follow(t, "host1", "")
	first := next(t, events)
	quit()

	events, quit = r.follow(t, "host1", first.Hash)
	if e := next(t, events); e.State != nil || e.Hash != first.Hash || e.Revision != first.Revision {
		t.Errorf("resumed with %+v, want the hash and revision and no state", e)
	}
	quit()
	r.apply(t, change(t, "", "port/vm2"))
	events, _ = r.follow(t, "host1", first.Hash)
	if e := next(t, events); e.State == nil || e.Hash == first.Hash {
		t.Errorf("resumed with %+v, want the new state", e)
	}
}

func TestStreamOfDeletedNodeEnds(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	events, _ := r.follow(t, "host2", "")
	next(t, events)
	deleted := r.apply(t, change(t, "", "node/host2"))
	last := next(t, events)
	nothing := netstate.Machine{"": {}}
	if last.Revision != deleted.Revision || last.Hash != netstate.Hash(nothing) || !reflect.DeepEqual(last.State, nothing) {
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
	ended := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		ended <- r.client.Follow(context.Background(), "host1", "", func(api.NodeEvent) error { close(began); return nil })
	}()
	<-began
	start := time.Now()
	r.stop()
	if took := time.Since(start); took > grace {
		t.Errorf("stopping took %s", took)
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
