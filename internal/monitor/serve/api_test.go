package serve

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

func readAll(t *testing.T, a *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func kept(t *testing.T) *history.Store {
	t.Helper()
	store, err := history.Open(history.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestHistory(t *testing.T) {
	store := kept(t)
	start := time.Date(2026, 3, 1, 3, 12, 0, 0, time.UTC)
	for i := range 60 {
		at := start.Add(time.Duration(i) * time.Second)
		if err := store.Add(&sample.Sample{Time: at, Interval: 1, Memory: sample.Memory{Total: 100, Available: uint64(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	s := servingDeps(t, Config{}, Deps{Source: &machine{}, History: store})
	at := "http://" + s.Address() + "/api/v1/history"
	for path, want := range map[string]string{
		"":                                     `200 "memory.used"`,
		"/at?time=2026-03-01T03:12:30Z":        `200 "available":30`,
		"/at?time=2026-03-01T04:12:30%2B01:00": `200 "available":30`,
		"/range?from=2026-03-01T03:12:00Z&to=2026-03-01T03:12:10Z&field=memory.available&step=1s":          `200 "values":[0,1,2,3,4,5,6,7,8,9]`,
		"/range?from=2026-03-01T03:12:00Z&to=2026-03-01T03:13:00Z&field=memory.available":                  `200 "step":1,`,
		"/range?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z" + strings.Repeat("&field=cpu.busy", 32): `200 "lines":`,

		"/at":                                                                             "400 time is missing",
		"/at?time=yesterday":                                                              "400 is not a time",
		"/at?time=2026-03-01T04:12:30+01:00":                                              "400 in a URL, + is %2B",
		"/at?time=0001-01-01T00:00:00Z":                                                   "400 that no history has",
		"/at?time=1970-01-01T00:00:00Z":                                                   "404 nothing is recorded of 1970",
		"/at?time=2026-03-01T03:12:30Z&x=1":                                               "400 there is no parameter",
		"/at?time=2026-03-01T03:12:30Z&time=2":                                            "400 time is given 2 times",
		"/at?time=2026-03-01T03:12:30Z&resolution=-1s":                                    "400 is not a duration",
		"/at?time=%zz":                                                                    "400 the query cannot be read",
		"/at?time=" + strings.Repeat("x", 9000):                                           "400 the query is longer",
		"/range?from=2026-03-01T03:12:00Z&to=2026-03-01T03:12:10Z":                        "400 0 fields: give from 1 to 32",
		"/range?from=2026-03-01T03:12:00Z&to=2026-03-01T03:12:10Z&field=x":                "400 there is no field",
		"/range?from=2026-03-01T03:12:00Z&to=2026-03-01T03:12:00Z&field=cpu.busy":         "400 to must be after from",
		"/range?from=1970-01-01T03:12:00Z&to=9999-03-01T03:12:00Z&field=cpu.busy":         "400 more than ten years",
		"/range?from=2025-03-01T03:12:00Z&to=2026-03-01T03:12:00Z&field=cpu.busy&step=1s": "400 points are more than 10000",
		"/range?from=2026-03-01T03:12:00Z&to=2026-03-01T03:12:10Z&step=1ms&field=x":       "400 is not a duration",
		"/range?from=2026-03-01T03:12:00Z&to=2026-03-01T03:12:10Z" + strings.Repeat("&field=cpu.busy", 33): "400 33 fields",
		"/range?from=2026-03-01T03:12:00Z&field=cpu.busy":                                                  "400 to is missing",
		"/nothing": "404 there is nothing at this path",
	} {
		a, body := get(t, at+path, "", "")
		code, words, _ := strings.Cut(want, " ")
		if fmt.Sprint(a.StatusCode) != code || !strings.Contains(body, words) || !json.Valid([]byte(body)) || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%.90s: %s %.200s, want %s", path, a.Status, body, want)
		}
	}
	if r, _ := post(t, http.DefaultClient, at, nil); r.StatusCode != http.StatusMethodNotAllowed {
		t.Error(r.Status)
	}
}

func TestNoHistory(t *testing.T) {
	s := serving(t, Config{}, &machine{})
	for _, path := range []string{"", "/at?time=2026-03-01T03:12:30Z", "/range?from=2026-03-01T03:12:00Z&to=2026-03-01T03:12:10Z&field=cpu.busy"} {
		if a, body := get(t, "http://"+s.Address()+"/api/v1/history"+path, "", ""); a.StatusCode != http.StatusNotFound || !strings.Contains(body, "no history is kept") {
			t.Errorf("%s: %s %s", path, a.Status, body)
		}
	}
}

// TestASlowDiskIsSaidOnce, and again when it has kept up between.
func TestASlowDiskIsSaidOnce(t *testing.T) {
	var log strings.Builder
	k := &keeper{log: slog.New(slog.NewTextHandler(&log, nil)), samples: make(chan *sample.Sample, mostUnkept)}
	for range 2 {
		log.Reset()
		for range 3 * mostUnkept { // two come while one is written
			k.take(nil)
			k.take(nil)
			<-k.samples
		}
		if n := strings.Count(log.String(), "does not keep up"); n != 1 {
			t.Errorf("said %d times", n)
		}
		for len(k.samples) > 0 {
			<-k.samples
		}
	}
}

// TestKeeps: what is seen is kept, the last second too, and a disk that hangs holds up nobody.
func TestKeeps(t *testing.T) {
	slow := &hung{History: kept(t), stuck: make(chan struct{})}
	m := &machine{}
	s := servingDeps(t, Config{}, Deps{Source: m, History: slow})
	r, _ := open(t, "http://"+s.Address()+"/api/v1/stream")
	for range 6 {
		if _, err := readEvent(r); err != nil {
			t.Fatal(err)
		}
	}
	close(slow.stuck)
	until(t, "all is kept", func() bool {
		bounds, err := slow.Bounds()
		if err != nil {
			t.Fatal(err)
		}
		return bounds[0].Records >= 5
	})
}

type hung struct {
	History
	stuck chan struct{}
}

func (h *hung) Add(s *sample.Sample) error {
	<-h.stuck
	return h.History.Add(s)
}

// TestAHistoryThatFails is told in words, and its reason to the log alone.
func TestAHistoryThatFails(t *testing.T) {
	var log strings.Builder
	s := servingDeps(t, Config{}, Deps{Source: &machine{}, History: &failing{kept(t)}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, path := range []string{"", "/at?time=2026-03-01T03:12:30Z"} {
		a, body := get(t, "http://"+s.Address()+"/api/v1/history"+path, "", "")
		if a.StatusCode != http.StatusInternalServerError || strings.Contains(body, "/secret") || !strings.Contains(body, "log says why") {
			t.Errorf("%s %s", a.Status, body)
		}
	}
	if !strings.Contains(log.String(), "/secret") {
		t.Errorf("the log: %s", log.String())
	}
}

type failing struct{ History }

func (*failing) Bounds() ([]history.Extent, error) { return nil, errors.New("read /secret") }
func (*failing) At(time.Time, time.Duration) (*history.Record, error) {
	return nil, errors.New("read /secret")
}

// rules are an engine of two rules that the machine's processes break.
func rules(t *testing.T) *alert.Engine {
	t.Helper()
	c, err := alert.Parse("x", []byte(`
rules:
- {name: always, of: process, value: count, when: above, careful: "1", for: 0s}
- {name: later, of: process, value: count, when: above, careful: "1", for: 1h}
`))
	if err != nil {
		t.Fatal(err)
	}
	e, err := alert.New(*c, alert.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestAlerts: with nobody looking on they fire, and who comes later sees them first of
// all after the sample.
func TestAlerts(t *testing.T) {
	s := servingDeps(t, Config{}, Deps{Source: &machine{}, Alerts: rules(t)})
	r, _ := open(t, "http://"+s.Address()+"/api/v1/stream")
	var names []string
	for range 2 {
		e, err := readEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.name)
		if e.name != "alerts" {
			continue
		}
		_, body := get(t, "http://"+s.Address()+"/api/v1/alerts", "", "")
		for _, text := range []string{e.data, body} {
			var got alertsBody
			if err := json.Unmarshal([]byte(text), &got); err != nil || got.Rules != 2 || len(got.Active) != 1 || len(got.Pending) != 1 || got.Active[0].Rule != "always" {
				t.Errorf("%v: %s", err, text)
			}
		}
	}
	if strings.Join(names, " ") != "sample alerts" {
		t.Errorf("got %v", names)
	}
}

// TestOthersPages: what a page elsewhere makes a browser ask is refused.
func TestOthersPages(t *testing.T) {
	s := serving(t, Config{}, &machine{})
	for site, want := range map[string]int{"cross-site": 403, "same-origin": 200, "none": 200} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Address()+"/api/v1/sample", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		r.Header.Set("Sec-Fetch-Mode", "no-cors")
		if a, _ := do(t, http.DefaultClient, r); a.StatusCode != want || a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %s", site, a.Status)
		}
	}
}

// TestBadRequests: each gets an answer or a closed connection, and the server goes on.
func TestBadRequests(t *testing.T) {
	s := serving(t, Config{}, &machine{})
	for _, c := range []struct{ request, want string }{
		{"GET /api/v1/sample HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n", " 400 "},
		{"GET /api/v1/sample HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", " 400 "},
		{"GET /api/v1/sample HTTP/1.1\r\n\r\n", " 400 "},
		{"GET /api/v1/sample HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", " 400 "},
		{"GET http://evil.example/api/v1/sample HTTP/1.1\r\nHost: localhost\r\n\r\n", " 421 "},
		{"GET /api/v1/sample HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", " 431 "},
		{"GET /api/v1/sample HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: y\r\n", 10<<10) + "\r\n", " 431 "},
		{"GET /" + strings.Repeat("x", 100<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", " 431 "},
		{"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", " 400 "},
		{"CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n", " 421 "},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", " 421 "},
		{"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", " 404 "},
		{"GET /..%2f..%2fetc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", " 404 "},
		{"GET /api/v1//sample HTTP/1.1\r\nHost: localhost\r\n\r\n", " 307 "},
		{"DELETE /api/v1/sample HTTP/1.1\r\nHost: localhost\r\n\r\n", " 405 "},
	} {
		conn, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(conn, c.request) // which may not all be read
		line, _ := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if !strings.Contains(line, c.want) {
			t.Errorf("%.60q: %q, want%s", c.request, line, c.want)
		}
	}
	if a, _ := get(t, "http://"+s.Address()+"/api/v1/sample", "", ""); a.StatusCode != http.StatusOK {
		t.Error(a.Status)
	}
}
