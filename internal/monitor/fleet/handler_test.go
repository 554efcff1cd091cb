package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/sample"
)

// web is a fleet's API on a server of its own.
func web(t *testing.T, f *Fleet) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(Handler(f))
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), token) {
		t.Errorf("%s tells the token", url)
	}
	return res.StatusCode, string(text)
}

func TestHandler(t *testing.T) {
	a, _ := local(t, "a", 1)
	wrong := Host{"wrong", remote.Config{Address: a.Address, Token: "another-token-that-is-none"}}
	f := looking(t, Config{Hosts: []Host{a, wrong, {"away", remote.Config{Address: "127.0.0.1:1"}}}})
	eventually(t, "all is known", f.Settled)
	s := web(t, f)

	var list []Status
	if _, text := get(t, s.URL+"/api/v1/hosts"); json.Unmarshal([]byte(text), &list) != nil || len(list) != 3 {
		t.Fatalf("the list is %s", text)
	}
	up := list[0]
	if up.Name != "a" || up.State != remote.Up || up.Summary.VMs != 1 || len(up.Summary.Processes) != 1 || up.Summary.Processes[0].Name != "of-a" || len(up.Summary.Machines) != 0 {
		t.Errorf("up is %+v, %+v", up, up.Summary)
	}
	if list[1].Name != "away" || list[1].State != remote.Down || list[1].Error == "" || list[2].Error != "it refuses the token" {
		t.Errorf("down are %+v", list[1:])
	}
	for _, c := range []struct {
		path   string
		status int
		has    string
	}{
		{"hosts/top", 200, `"of-a"`},
		{"hosts/top?by=memory&n=1", 200, `"of-a"`},
		{"hosts/top?by=nonsense", 400, "use one of cpu"},
		{"hosts/top?n=0", 400, "from 1 to"},
		{"hosts/machines", 200, `"vm-a"`},
		{"hosts/machines?by=net&n=50", 200, `"vm-a"`},
		{"hosts/machines?by=nonsense", 400, "use one of cpu"},
		{"hosts/a/sample", 200, `"of-a"`},
		{"hosts/a/summary", 200, `"of-a"`},
		{"hosts/a/alerts", 200, `"rules"`},
		{"hosts/a/history", 404, `a: `},
		{"hosts/a/history/at?time=x&resolution=1s", 400, `a: time=`},
		{"hosts/a/sample?x=1", 400, "no parameter"},
		{"hosts/a/sample?%zz", 400, "cannot be read"},
		{"hosts/a/history/range?token=x", 400, "no parameter"},
		{"hosts/a/history/range?field=" + strings.Repeat("x", 9000), 400, "cannot be read"},
		{"hosts/away/sample", 502, "nobody listens"},
		{"hosts/away/stream", 502, "nobody listens"},
		{"hosts/wrong/sample", 502, "refuses the token"}, // a 401 would ask for this server's own
		{"hosts/none/sample", 404, "no host"},
		{"hosts/127.0.0.1:1/sample", 404, "no host"},
		{"hosts/http:%2F%2F127.0.0.1:1/sample", 404, "no host"},
		{"hosts/..%2F..%2Fa/sample", 404, "no host"},
		{"hosts/a/..%2F..%2F..%2Fmetrics", 404, "nothing at this path"},
		{"hosts/a/metrics", 404, "nothing at this path"},
		{"hosts/a/hosts", 404, "nothing at this path"},
		{"hosts/a", 404, "nothing at this path"},
		{"hosts/", 404, "nothing at this path"},
	} {
		status, text := get(t, s.URL+"/api/v1/"+c.path)
		if status != c.status || !strings.Contains(text, c.has) {
			t.Errorf("%s: %d %s; not %d with %s", c.path, status, text, c.status, c.has)
		}
		if status >= 400 {
			var said struct{ Error string }
			if json.Unmarshal([]byte(text), &said) != nil || said.Error == "" {
				t.Errorf("%s: %s says nothing for people", c.path, text)
			}
		}
	}
	res, err := http.Post(s.URL+"/api/v1/hosts/a/sample", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode < 400 {
		t.Errorf("POST is answered with %s", res.Status)
	}
}

// follow reads the first events of a stream.
func follow(t *testing.T, url string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var lines []string
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 1<<20)
	for len(lines) < 2*n && in.Scan() {
		if in.Text() != "" {
			lines = append(lines, in.Text())
		}
	}
	return lines
}

func TestStreams(t *testing.T) {
	a, stop := local(t, "a", 1)
	f := looking(t, Config{Hosts: []Host{a}})
	eventually(t, "it is up", f.Settled)
	s := web(t, f)
	lines := follow(t, s.URL+"/api/v1/hosts/a/stream", 3)
	var first sample.Sample
	if len(lines) != 6 || lines[0] != "event: sample" || json.Unmarshal([]byte(strings.TrimPrefix(lines[1], "data: ")), &first) != nil || first.Host.Name != "a" {
		t.Fatalf("a's stream is %q", lines)
	}
	// On a machine that stalls it is a whole sample again, but not each time.
	for attempt := 1; !strings.Contains(strings.Join(lines, "\n"), "event: delta\n"); attempt++ {
		if attempt == 10 {
			t.Fatalf("there is no delta in %q", lines)
		}
		lines = follow(t, s.URL+"/api/v1/hosts/a/stream", 3)
	}
	lines = follow(t, s.URL+"/api/v1/hosts/stream", 2)
	stop()
	if len(lines) != 4 || lines[0] != "event: hosts" || lines[2] != "event: hosts" || lines[1] == lines[3] {
		t.Errorf("the list's stream is %q", lines)
	}
}

// deadlines knows until when a client may read what it is sent.
type deadlines struct {
	*httptest.ResponseRecorder
	until time.Time
	had   bool
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.until, d.had = t, d.had || !t.IsZero()
	return nil
}

// TestQuietStreamLives: a client has a time for each write, and no deadline in between,
// at which HTTP/2 would end the stream.
func TestQuietStreamLives(t *testing.T) {
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	f := &follower{d, http.NewResponseController(d)}
	if err := f.write("event: x\n\n"); err != nil || !d.had || !d.until.IsZero() {
		t.Errorf("%v; a deadline: %v, the last %v", err, d.had, d.until)
	}
}

// TestStreamsAreBounded lets no more follow than there is room for, and lets others in
// when one goes.
func TestStreamsAreBounded(t *testing.T) {
	f := looking(t, Config{Hosts: []Host{{"away", remote.Config{Address: "127.0.0.1:1"}}}})
	for range mostStreams - 1 {
		f.streams <- struct{}{}
	}
	s := web(t, f)
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/hosts/stream", nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if status, text := get(t, s.URL+"/api/v1/hosts/stream"); status != 503 || !strings.Contains(text, "look on already") {
		t.Errorf("one too many: %d %s", status, text)
	}
	cancel()
	res.Body.Close()
	eventually(t, "there is room again", func() bool { return len(f.streams) == mostStreams-1 })
}

// TestLyingHost: what a host sends that is no JSON, or tries to be more events than one,
// is not sent on.
func TestLyingHost(t *testing.T) {
	var what atomic.Value
	lies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/stream") {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		io.WriteString(w, what.Load().(string))
	}))
	defer lies.Close()
	what.Store("")
	f := looking(t, Config{Hosts: []Host{{"lies", remote.Config{Address: lies.URL}}}})
	eventually(t, "it is known", f.Settled)
	s := web(t, f)
	for _, c := range []struct{ path, text string }{
		{"sample", "<script>alert(1)</script>"},
		{"sample", ""},
		{"sample", `{"a":` + strings.Repeat(" ", mostPassed) + `1}`},
		{"stream", "event: sample\ndata: <script>\n\n"},
		{"stream", "event: sample\ndata: {\ndata: \"a\":1}\n\n"}, // two lines are two of ours
		{"stream", "event: delta\ndata: " + strings.Repeat("x", 1000) + "\n\n"},
	} {
		what.Store(c.text)
		status, text := get(t, s.URL+"/api/v1/hosts/lies/"+c.path)
		if strings.Contains(text, "script") || strings.Contains(text, "data:") || (c.path == "sample" && status != 502) {
			t.Errorf("of %.40q: %d %.100s", c.text, status, text)
		}
	}
	what.Store("event: other\ndata: {}\n\nevent: sample\ndata: {\"a\":1}\n\n")
	if _, text := get(t, s.URL+"/api/v1/hosts/lies/stream"); text != "event: sample\ndata: {\"a\":1}\n\n" {
		t.Errorf("what is right comes as %q", text)
	}
}

// TestPassesAreBounded: however many ask of a host, few answers are on their way at a time,
// and all get theirs.
func TestPassesAreBounded(t *testing.T) {
	var open, most atomic.Int64
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/sample") {
			return
		}
		most.Store(max(most.Load(), open.Add(1)))
		time.Sleep(50 * time.Millisecond) // so that others come meanwhile, if they may
		open.Add(-1)
		io.WriteString(w, "{}")
	}))
	defer h.Close()
	f := looking(t, Config{Hosts: []Host{{"h", remote.Config{Address: h.URL}}}})
	s := web(t, f)
	const askers = 8
	var all sync.WaitGroup
	for range askers {
		all.Go(func() {
			if status, text := get(t, s.URL+"/api/v1/hosts/h/sample"); status != http.StatusOK {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	all.Wait()
	if most.Load() > mostPasses {
		t.Errorf("%d were on their way", most.Load())
	}
}
