package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sarn/internal/monitor/sample"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}

// machine is a source whose samples a test makes.
type machine struct {
	mu     sync.Mutex
	n      int
	broken bool
}

func (m *machine) Pass() (*sample.Sample, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return nil, errors.New("no /proc")
	}
	m.n++
	s := &sample.Sample{Time: time.Unix(int64(m.n), 0).UTC(), Interval: 1}
	// In the wrong order, one that comes and goes, and one with a name from outside.
	s.Processes = []sample.Process{{PID: 9, Name: `</script>"` + "\n\ndata: x\x1b"}, {PID: 2, CPUTime: float64(m.n)}}
	if m.n%2 == 0 {
		s.Processes = append(s.Processes, sample.Process{PID: 5})
	}
	return s, nil
}

func serving(t *testing.T, c Config, m *machine) *Server {
	t.Helper()
	return servingDeps(t, c, Deps{Source: m})
}

func servingDeps(t *testing.T, c Config, d Deps) *Server {
	t.Helper()
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Interval == 0 {
		c.Interval = 100 * time.Millisecond
	}
	s, err := New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	return s
}

// run runs a server to the end of the test.
func run(t *testing.T, s *Server) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
}

func get(t *testing.T, address, host, token string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, string(body)
}

func TestSample(t *testing.T) {
	s := serving(t, Config{}, &machine{})
	a, body := get(t, "http://"+s.Address()+"/api/v1/sample", "", "")
	var got sample.Sample
	if err := json.Unmarshal([]byte(body), &got); err != nil || a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s %v: %s", a.Status, err, body)
	}
	if len(got.Processes) < 2 || got.Processes[0].PID != 2 {
		t.Errorf("got %+v", got.Processes)
	}
}

// sent is a server-sent event, as it arrives.
type sent struct{ name, id, data string }

func readEvent(r *bufio.Reader) (e sent, err error) {
	for {
		l, err := r.ReadString('\n')
		if err != nil {
			return e, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(l, "\n"), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data += value
		case "":
			return e, nil
		}
	}
}

func open(t *testing.T, address string) (*bufio.Reader, *http.Response) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute) // or who reads may wait for ever
	t.Cleanup(stop)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Body.Close() })
	return bufio.NewReader(a.Body), a
}

// TestStream sends one whole sample, then deltas that make the next ones. On a machine that
// stalls it may be a whole one again.
func TestStream(t *testing.T) {
	s := serving(t, Config{}, &machine{})
	r, a := open(t, "http://"+s.Address()+"/api/v1/stream")
	if a.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %v", a.Header)
	}
	var now *sample.Sample
	for i, deltas := 0, 0; deltas < 4; i++ {
		e, err := readEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if e.name != "alerts" { // once, as nothing fires
				t.Fatalf("goes on with %+v", e)
			}
			continue
		}
		if i == 0 && e.name != "sample" {
			t.Fatalf("begins with %+v", e)
		}
		if e.name == "sample" {
			now = nil
			if err := json.Unmarshal([]byte(e.data), &now); err != nil {
				t.Fatal(err)
			}
			continue
		}
		deltas++
		var d sample.Delta
		if err := json.Unmarshal([]byte(e.data), &d); err != nil || e.name != "delta" {
			t.Fatalf("%+v: %v", e, err)
		}
		before := now
		if now, err = d.Apply(before); err != nil {
			t.Fatal(err)
		}
		want, _ := (&machine{n: int(now.Time.Unix()) - 1}).Pass()
		want.Sort()
		if !reflect.DeepEqual(now, want) {
			t.Errorf("got %+v, want %+v", now, want)
		}
		for _, c := range d.Changed {
			if c.PID == 9 {
				t.Error("a process that did nothing is sent")
			}
		}
	}
}

// TestSlowViewer reads nothing for a while: it does not hold others up, and goes on with a
// whole sample.
func TestSlowViewer(t *testing.T) {
	h := newHub()
	m := &machine{}
	publish := func() *frame {
		s, _ := m.Pass()
		s.Sort()
		h.publish(s, nil)
		return h.latest.Load()
	}
	at := publish()
	publish()
	last := publish()
	<-at.done
	if last.number != at.number+2 || len(last.delta.body()) == 0 {
		t.Errorf("got %+v", last)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s := serving(t, Config{Viewers: 3}, &machine{})
	address := "http://" + s.Address() + "/api/v1/stream"
	for range 3 {
		if _, a := open(t, address); a.StatusCode != http.StatusOK {
			t.Fatal(a.Status)
		}
	}
	for range 5 {
		if a, body := get(t, address, "", ""); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "look on already") || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s", a.Status, body)
		}
	}
	if a, _ := get(t, "http://"+s.Address()+"/api/v1/sample", "", ""); a.StatusCode != http.StatusOK {
		t.Errorf("a sample: %s", a.Status)
	}
}

// TestHost refuses who was sent here under another name.
func TestHost(t *testing.T) {
	s := serving(t, Config{Names: []string{"web1.example"}}, &machine{})
	_, port, _ := net.SplitHostPort(s.Address())
	for host, want := range map[string]int{
		"": 200, "localhost:" + port: 200, "127.0.0.1": 200, "[::1]:" + port: 200, "web1.example:" + port: 200,
		"evil.example": 421, "evil.example:" + port: 421, "10.0.0.1:" + port: 421, "localhost.evil.example": 421,
	} {
		if a, body := get(t, "http://"+s.Address()+"/api/v1/sample", host, ""); a.StatusCode != want {
			t.Errorf("%q: %s, want %d: %.80s", host, a.Status, want, body)
		}
	}
}

func TestToken(t *testing.T) {
	token := "0123456789abcdef012345"
	s := serving(t, Config{Token: token}, &machine{})
	for shown, want := range map[string]int{"": 401, "wrong": 401, token + "x": 401, token: 200} {
		for _, path := range []string{"/api/v1/sample", "/nothing"} {
			expect := want
			if path == "/nothing" && want == 200 {
				expect = 404
			}
			a, body := get(t, "http://"+s.Address()+path, "", shown)
			if a.StatusCode != expect || strings.Contains(body, token) {
				t.Errorf("%s with %q: %s, want %d", path, shown, a.Status, expect)
			}
		}
	}
}

func TestConfig(t *testing.T) {
	token := strings.Repeat("x", 24)
	for want, c := range map[string]Config{
		"HOST:PORT":           {Listen: "nonsense"},
		"from 100ms":          {Interval: time.Millisecond},
		"belong together":     {TLSCert: "x"},
		"too short":           {Token: "secret"},
		"takes a certificate": {Listen: ":80"},
		"from other machines": {Listen: "10.0.0.1:80", Token: token},
	} {
		if _, err := New(c, Deps{Source: &machine{}, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
	}
	for _, c := range []Config{{}, {Listen: "[::1]:0"}, {Listen: "localhost:1"}, {Listen: ":80", Token: token, TLSCert: "a", TLSKey: "b"}, {Listen: ":80", TLSCert: "a", TLSKey: "b", ClientCA: "c"}} {
		if _, err := New(c, Deps{Source: &machine{}, Log: slog.New(slog.DiscardHandler)}); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestAPassThatFails is waited for, and what was seen before stays.
func TestAPassThatFails(t *testing.T) {
	m := &machine{}
	s := serving(t, Config{}, m)
	get(t, "http://"+s.Address()+"/api/v1/sample", "", "")
	m.mu.Lock()
	m.broken = true
	m.mu.Unlock()
	if a, _ := get(t, "http://"+s.Address()+"/api/v1/sample", "", ""); a.StatusCode != http.StatusOK {
		t.Error(a.Status)
	}
}
