package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sarn/internal/intent"
	"sarn/internal/timetest"
)

func TestMain(m *testing.M) { timetest.Main(m) }

// clientOf returns a client of a server that answers with h.
func clientOf(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	c, err := New(Endpoint{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c
}

func TestEndpoints(t *testing.T) {
	for _, test := range []struct {
		endpoint Endpoint
		want     string // empty: it is good
	}{
		{Endpoint{Address: "unix:///run/sarn/api.sock"}, ""},
		{Endpoint{Address: "http://127.0.0.1:7470"}, ""},
		{Endpoint{Address: "http://localhost:7470/"}, ""},
		{Endpoint{Address: "http://[::1]:7470"}, ""},
		{Endpoint{Address: ""}, "write it like"},
		{Endpoint{Address: "10.0.0.1:7470"}, "write it like"},
		{Endpoint{Address: "unix://"}, "has no path"},
		{Endpoint{Address: "http://10.0.0.1:7470"}, "plain HTTP to another machine; use https://"},
		{Endpoint{Address: "http://127.0.0.1.example:7470"}, "plain HTTP to another machine"},
		{Endpoint{Address: "http://127.0.0.1:7470/v1"}, "write it like"},
		{Endpoint{Address: "ftp://127.0.0.1:7470"}, "use unix, http or https"},
		{Endpoint{Address: "https://10.0.0.1:7470"}, "needs --tls-ca, --tls-cert and --tls-key"},
		{Endpoint{Address: "https://10.0.0.1:7470", CA: "none", Cert: "c", Key: "k"}, "read --tls-ca"},
		{Endpoint{Address: "unix:///run/sarn/api.sock", CA: "ca"}, "--tls-ca ca has no use with controller address unix:///run/sarn/api.sock"},
		{Endpoint{Address: "http://127.0.0.1:7470", Key: "k"}, "--tls-key k has no use"},
	} {
		_, err := New(test.endpoint)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%+v) = %v, want %q", test.endpoint, err, test.want)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	c, err := New(Endpoint{Address: "unix://" + path})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "unix://"+path+" does not answer; is `sarn server` running?") {
		t.Errorf("error is %v, want the address and what to look at", err)
	}
}

func TestNoController(t *testing.T) {
	c := clientOf(t, http.NotFound)
	if _, err := c.List(t.Context(), intent.KindPort); err == nil || !strings.Contains(err.Error(), "is no controller: it answered 404") {
		t.Errorf("error is %v, want that this is no controller", err)
	}
}

func TestProblemsComeBack(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity} {
		c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"detail":"d","errors":[{"location":"port/vm1/attach.type","message":"m"},{"location":"subnet/net1/","message":"n"}]}`)
		})
		_, err := c.Apply(t.Context(), Change{})
		var ps intent.Problems
		if !errors.As(err, &ps) || ps.Error() != "port \"vm1\": attach.type: m\nsubnet \"net1\": n" || ps[0].Kind != intent.KindPort {
			t.Errorf("%d: Apply = %v, want both problems", status, err)
		}
	}
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"detail":"not you"}`)
	})
	if _, err := c.Apply(t.Context(), Change{}); err == nil || !strings.Contains(err.Error(), "not you") {
		t.Errorf("Apply = %v, want the server's word", err)
	}
}

func TestFollowEnds(t *testing.T) {
	event := func(w http.ResponseWriter) {
		_, _ = io.WriteString(w, "\n"+`{"revision":4,"hash":"h"}`+"\n\n")
		_ = http.NewResponseController(w).Flush()
	}
	t.Run("when the server ends it", func(t *testing.T) {
		c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/nodes/host1/state" || r.URL.Query().Get("have") != "old" {
				t.Errorf("asked for %s", r.URL)
			}
			event(w)
		})
		var got []NodeEvent
		err := c.Follow(t.Context(), "host1", "old", func(e NodeEvent) error { got = append(got, e); return nil })
		if len(got) != 1 || got[0].Revision != 4 || err == nil || !strings.Contains(err.Error(), "ended the stream") {
			t.Errorf("Follow = %v with events %+v", err, got)
		}
	})
	t.Run("in the middle of a line", func(t *testing.T) {
		c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"revision":4,"ha`) })
		if err := c.Follow(t.Context(), "host1", "", nil); err == nil || !strings.Contains(err.Error(), "ended the stream") {
			t.Errorf("Follow = %v", err)
		}
	})
	t.Run("when the caller ends it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := clientOf(t, func(w http.ResponseWriter, r *http.Request) { event(w); <-r.Context().Done() })
		err := c.Follow(ctx, "host1", "", func(NodeEvent) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Follow = %v, want %v", err, context.Canceled)
		}
	})
	t.Run("when the caller has enough", func(t *testing.T) {
		enough := errors.New("enough")
		c := clientOf(t, func(w http.ResponseWriter, r *http.Request) { event(w); <-r.Context().Done() })
		if err := c.Follow(t.Context(), "host1", "", func(NodeEvent) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("Follow = %v, want %v", err, enough)
		}
	})
	t.Run("when the server falls silent", func(t *testing.T) {
		c := clientOf(t, func(w http.ResponseWriter, r *http.Request) { event(w); <-r.Context().Done() })
		c.silence = 50 * time.Millisecond
		if err := c.Follow(t.Context(), "host1", "", func(NodeEvent) error { return nil }); err == nil || !strings.Contains(err.Error(), "has said nothing for 50ms") {
			t.Errorf("Follow = %v, want that the controller is silent", err)
		}
	})
}

// TestHeartbeats keep a stream alive for longer than it may be silent. It runs in
// synctest's time, so that no machine is too slow for it.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream, server := io.Pipe()
		c := &Client{base: "http://controller", silence: 200 * time.Millisecond, http: &http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				context.AfterFunc(r.Context(), func() { _ = server.CloseWithError(context.Canceled) })
				return &http.Response{StatusCode: http.StatusOK, Body: stream}, nil
			}),
		}}
		const beat, beats = 150 * time.Millisecond, 6
		go func() {
			for range beats {
				time.Sleep(beat)
				_, _ = io.WriteString(server, "\n")
			}
		}()
		began := time.Now()
		err := c.Follow(t.Context(), "host1", "", nil)
		if took := time.Since(began); took != beats*beat+c.silence || err == nil || !strings.Contains(err.Error(), "has said nothing for 200ms") {
			t.Errorf("Follow = %v after %s, want that it lasted until no more heartbeats came", err, took)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWaitErrorNamesTheLate(t *testing.T) {
	err := fmt.Errorf("apply: %w", &WaitError{Revision: 9, Statuses: []NodeStatus{
		{Node: "a", Wanted: 9, Applied: 9},
		{Node: "b", Wanted: 9, Applied: 7, Connected: true},
		{Node: "c", Wanted: 9, Applied: 7},
		{Node: "d", Wanted: 9, Applied: 9, Error: "no such device"},
		{Node: "e", Wanted: 9, Applied: 9, Error: "again", Connected: true},
	}})
	want := "apply: time ran out before revision 9 was applied on b (at revision 7 of 9), c (its agent is not connected), d (failed: no such device; its agent is not connected), e (failed: again)"
	if err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
}

// TestStateOfManyLines has a part change, and the state begin anew, while it is sent.
func TestStateOfManyLines(t *testing.T) {
	const node = `"node":{"":{"links":[{"name":"eth0"}]}}`
	port := func(name string) string { return `"port a":{"":{"links":[{"name":"` + name + `"}]}}` }
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"revision":1,"whole":true,"more":true,"parts":{`+node+`,"port old":{"":{"links":[{"name":"old"}]}}}}`+"\n"+
			`{"revision":2,"whole":true,"more":true,"parts":{`+node+`,`+port("one")+`,"port b":{"":{"links":[{"name":"b"}]}}}}`+"\n"+
			`{"revision":3,"parts":{`+port("two")+`,"port b":null}}`+"\n")
	})
	m, err := c.State(t.Context(), "host1")
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for _, l := range m[""].Links {
		links = append(links, l.Name)
	}
	if got := strings.Join(links, " "); got != "eth0 two" {
		t.Errorf("got links %s", got)
	}
}
