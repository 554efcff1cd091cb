package remote

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sarn/internal/monitor/sample"
	"sarn/internal/monitor/serve"
	"sarn/internal/netnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a Source whose samples count up in Load, with processes that come and go.
type machine struct {
	mu sync.Mutex
	n  int
}

func (m *machine) Pass() (*sample.Sample, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	s := &sample.Sample{Time: time.Now(), Interval: 0.1, Host: sample.Host{Name: "far"}, Load: [3]float64{float64(m.n)}}
	for pid := 1; pid <= 50; pid++ {
		if (pid+m.n)%7 != 0 {
			s.Processes = append(s.Processes, sample.Process{PID: pid, Name: "p", CPU: float64((pid + m.n) % 3)})
		}
	}
	return s, nil
}

// server is a real monitor at an address, until stop.
func server(t *testing.T, listen string) (address string, stop func()) {
	t.Helper()
	s, err := serve.New(serve.Config{Listen: listen, Interval: 100 * time.Millisecond}, serve.Deps{Source: &machine{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return s.Address(), stop
}

// following is a client that runs until the test ends.
func following(t *testing.T, c Config) *Client {
	t.Helper()
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { client.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; client.Close() })
	return client
}

func next(t *testing.T, c *Client) *sample.Sample {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := c.Next(ctx)
	if err != nil {
		t.Fatalf("no sample: %v (%+v)", err, c.Status())
	}
	return s
}

func await(t *testing.T, c *Client, what string, ok func(Status) bool) Status {
	t.Helper()
	var s Status
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if s = c.Status(); ok(s) {
			return s
		}
	}
	t.Fatalf("never %s: %+v", what, s)
	return s
}

// TestFollow sees what the server saw, sample by sample.
func TestFollow(t *testing.T) {
	address, _ := server(t, "127.0.0.1:0")
	c := following(t, Config{Address: address})
	want := &machine{}
	for range 5 {
		s := next(t, c)
		want.mu.Lock()
		want.n = int(s.Load[0]) - 1
		want.mu.Unlock()
		w, _ := want.Pass()
		if s.Host.Name != "far" || fmt.Sprint(s.Processes) != fmt.Sprint(w.Processes) {
			t.Fatalf("sample %v has\n%v, not\n%v", s.Load[0], s.Processes, w.Processes)
		}
	}
	if s := c.Status(); s.State != Up {
		t.Errorf("%+v", s)
	}
	s, err := c.Sample(context.Background())
	if err != nil || s.Host.Name != "far" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestReconnect says since when a server is gone and goes on when it is back.
func TestReconnect(t *testing.T) { netnstest.Run(t, testReconnect) } // where nobody else takes the port

func testReconnect(t *testing.T) {
	address, stop := server(t, "127.0.0.1:0")
	c := following(t, Config{Address: address})
	first := next(t, c)
	stop()
	down := await(t, c, "down", func(s Status) bool { return s.State == Down && strings.Contains(s.Error, "nobody listens there") })
	if !down.Since.After(first.Time) || down.Since.After(time.Now()) {
		t.Errorf("down since %v", down.Since)
	}
	_, stop = server(t, address)
	defer stop()
	for ; first != nil && first.Time.Before(down.Since); first = next(t, c) {
	}
	if s := c.Status(); s.State != Up || s.Since.Before(down.Since) || s.Error != "" {
		t.Errorf("%+v after %+v", s, down)
	}
}

// lying is a server that answers each request with what tell writes.
func lying(t *testing.T, tell http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(tell)
	t.Cleanup(s.Close)
	return s.URL
}

func event(w http.ResponseWriter, name, data string) error {
	_, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data)
	http.NewResponseController(w).Flush() //nolint:errcheck // the next write tells
	return err
}

const (
	good = `{"time":"2026-05-04T03:12:00Z","interval":1,"host":{"name":"far"},"processes":[{"pid":1}]}`
	when = "2026-05-04T03:12:00Z"
)

// TestLies are servers whose stream cannot be: each is a lost connection with its reason,
// and the next connection is made.
func TestLies(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(w http.ResponseWriter)
		why  string
	}{
		"delta first": {func(w http.ResponseWriter) { event(w, "delta", `{"base":"`+when+`","sample":`+good+`}`) }, "not a sample"},
		"delta of other": {func(w http.ResponseWriter) {
			event(w, "sample", good)
			event(w, "delta", `{"base":"2026-05-04T03:11:59Z","sample":`+good+`}`)
		}, "does not follow"},
		"delta empty":   {func(w http.ResponseWriter) { event(w, "sample", good); event(w, "delta", `{}`) }, "not a sample"},
		"delta null":    {func(w http.ResponseWriter) { event(w, "sample", good); event(w, "delta", `null`) }, "not a sample"},
		"null":          {func(w http.ResponseWriter) { event(w, "sample", `null`) }, "not a sample"},
		"no time":       {func(w http.ResponseWriter) { event(w, "sample", `{}`) }, "not a sample"},
		"no JSON":       {func(w http.ResponseWriter) { event(w, "sample", `{"time":`) }, "does not"},
		"NaN":           {func(w http.ResponseWriter) { event(w, "sample", `{"time":"`+when+`","load":[NaN,0,0]}`) }, "does not"},
		"negative size": {func(w http.ResponseWriter) { event(w, "sample", `{"time":"`+when+`","memory":{"total":-1}}`) }, "does not"},
		"out of range":  {func(w http.ResponseWriter) { event(w, "sample", `{"time":"`+when+`","interval":1e999}`) }, "does not"},
		"year 10000":    {func(w http.ResponseWriter) { event(w, "sample", `{"time":"10000-01-01T00:00:00Z"}`) }, "does not"},
		"same PID twice": {func(w http.ResponseWriter) {
			event(w, "sample", `{"time":"`+when+`","processes":[{"pid":1},{"pid":1}]}`)
		}, "not a sample"},
		"PID below": {func(w http.ResponseWriter) { event(w, "sample", `{"time":"`+when+`","processes":[{"pid":-1}]}`) }, "not a sample"},
		"deep": {func(w http.ResponseWriter) {
			event(w, "sample", `{"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`)
		}, "longer lists"},
		"many processes": {func(w http.ResponseWriter) {
			event(w, "sample", `{"time":"`+when+`","processes":[`+strings.Repeat("{},", 3_000_000)+`{}]}`)
		}, "longer lists"},
		"many cores": {func(w http.ResponseWriter) {
			event(w, "sample", `{"time":"`+when+`","cpu":{"cores":[`+strings.Repeat("0,", 100_000)+`0]}}`)
		}, "does not"},
		"endless name": {func(w http.ResponseWriter) { w.Write([]byte("event: ")); endless(w) }, "sends more"},
		"endless line": {func(w http.ResponseWriter) { w.Write([]byte("data: ")); endless(w) }, "sends more"},
		"endless lines": {func(w http.ResponseWriter) {
			for line := []byte("data: " + strings.Repeat("x", 1<<20) + "\n"); ; {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, "sends more"},
		"ends":   {func(http.ResponseWriter) {}, "ended the connection"},
		"alerts": {func(w http.ResponseWriter) { event(w, "alerts", `{"active":[{"level":"terrible"}]}`) }, "does not"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			url := lying(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("Content-Type", "text/event-stream")
				c.tell(w)
			})
			client := following(t, Config{Address: url})
			await(t, client, "down for "+c.why, func(s Status) bool { return s.State == Down && strings.Contains(s.Error, c.why) })
			await(t, client, "asked again", func(Status) bool { return asked.Load() > 1 })
		})
	}
}

func endless(w io.Writer) {
	for piece := []byte(strings.Repeat("x", 1<<16)); ; {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// TestHostileValues are shown, cut to what can be.
func TestHostileValues(t *testing.T) {
	long := strings.Repeat("é", 5000)
	url := lying(t, func(w http.ResponseWriter, r *http.Request) {
		event(w, "later", "what this version does not know")
		event(w, "sample", strings.ReplaceAll(`{"time":"9999-12-31T23:59:59Z","interval":-3,"host":{"name":"`+long+`","cpus":-5},"load":[-1,1e300,0],
"cpu":{"total":{"user":-7,"idle":9},"cores":[{"idle":-1e9}]},"pressure":{"cpu":{"some10":55}},"swap":{"in":-1},
"disks":[{"name":"\u001b[2J","busy":-1,"read_bytes":-5}],"sensors":[{"value":-1e300}],"machines":[{"id":"x","kind":"`+long+`","cpu":-2,"vcpus":[-1],"rx_bytes":-9}],
"processes":[{"pid":7,"parent":-9,"nice":99,"cpu":-1,"cpu_time":-1,"name":"`+long+`","command":"`+long+`","state":"`+long+`","rx_bytes":-1,"read_bytes":-5}]}`, "\n", ""))
		<-r.Context().Done()
	})
	s := next(t, following(t, Config{Address: url}))
	p, m := s.Processes[0], s.Machines[0]
	for what, text := range map[string]string{"host": s.Host.Name, "kind": string(m.Kind), "name": p.Name, "command": p.Command, "state": p.State} {
		if len(text) == 0 || len(text) > mostText || strings.Trim(text, "é") != "" {
			t.Errorf("%s is %d bytes: %.20q", what, len(text), text)
		}
	}
	for what, v := range map[string][2]float64{
		"interval": {s.Interval, 0}, "load": {s.Load[0], 0}, "load 5": {s.Load[1], mostAmount}, "cpus": {float64(s.Host.CPUs), 0}, "user": {s.CPU.Total.User, 0}, "idle": {s.CPU.Total.Idle, 1},
		"core": {s.CPU.Cores[0].Idle, 0}, "pressure": {s.Pressure.CPU.Some10, 1}, "swap": {s.Swap.In, 0}, "busy": {s.Disks[0].Busy, 0}, "read": {s.Disks[0].ReadBytes, 0},
		"sensor": {s.Sensors[0].Value, -mostAmount}, "machine": {m.CPU, 0}, "vcpu": {m.VCPUs[0], 0}, "machine rx": {m.RxBytes, -1},
		"parent": {float64(p.Parent), 0}, "nice": {float64(p.Nice), 19}, "cpu": {p.CPU, 0}, "cpu time": {p.CPUTime, 0}, "rx": {p.RxBytes, -1}, "reads": {p.ReadBytes, -1},
	} {
		if v[0] != v[1] {
			t.Errorf("%s is %v, not %v", what, v[0], v[1])
		}
	}
	if n := len(s.Missing); n != 1 || !strings.Contains(s.Missing[0].Why, "ahead of this one's") {
		t.Errorf("of its clock is said %+v", s.Missing)
	}
}

func (c *Client) latest() *sample.Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// TestManyProcessesByDeltas grows no sample beyond what a machine has.
func TestManyProcessesByDeltas(t *testing.T) {
	url := lying(t, func(w http.ResponseWriter, r *http.Request) {
		event(w, "sample", good)
		for from := 2; ; from += 30_000 {
			var all strings.Builder
			for pid := from; pid < from+30_000; pid++ {
				fmt.Fprintf(&all, `,{"pid":%d}`, pid)
			}
			if event(w, "delta", `{"base":"`+when+`","sample":{"time":"`+when+`"},"changed":[`+all.String()[1:]+`]}`) != nil {
				return
			}
		}
	})
	c := following(t, Config{Address: url})
	most := 0
	end := await(t, c, "down", func(s Status) bool {
		if now := c.latest(); now != nil {
			most = max(most, len(now.Processes))
		}
		return s.State == Down
	})
	if !strings.Contains(end.Error, "longer lists") {
		t.Errorf("down: %s", end.Error)
	}
	if most > mostProcesses {
		t.Errorf("a sample has %d processes", most)
	}
}

// TestFlood reads a server that sends without end no faster than a monitor sends.
func TestFlood(t *testing.T) {
	url := lying(t, func(w http.ResponseWriter, r *http.Request) {
		for event(w, "sample", good) == nil {
		}
	})
	client, err := New(Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const more = 20
	n, began := 0, time.Now()
	client.Stream(ctx, func(Event) error {
		if n++; n == eventsAtOnce+more {
			cancel()
		}
		return nil
	})
	if took := time.Since(began); n < eventsAtOnce+more || took < more*time.Second/eventsASecond*9/10 {
		t.Errorf("read %d events in %v", n, took)
	}
}

// TestSilence gives a server up that says nothing, also one that only begins an answer.
func TestSilence(t *testing.T) {
	for name, tell := range map[string]http.HandlerFunc{
		"nothing": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"headers": func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"sample": func(w http.ResponseWriter, r *http.Request) { event(w, "sample", good); <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			client, err := New(Config{Address: lying(t, tell)})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			client.quiet = 50 * time.Millisecond
			if err := client.follow(context.Background()); err == nil || Why(err) != errSilent.Error() {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}

// TestCommentsAreLife: a server whose passes are far apart says that it lives. One on a
// machine that stalls may be given up, but not each time.
func TestCommentsAreLife(t *testing.T) {
	for attempt := 1; ; attempt++ {
		err := comments(t)
		if strings.Contains(err.Error(), "canceled") {
			return
		}
		if attempt == 5 {
			t.Fatalf("it ends with %v", err)
		}
	}
}

// comments reads a sample that comes after comments alone, and says how the stream ends.
func comments(t *testing.T) error {
	url := lying(t, func(w http.ResponseWriter, r *http.Request) {
		for range 40 {
			io.WriteString(w, ": still here\n\n")
			http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond) // what is tested is the time between
		}
		event(w, "sample", good)
		<-r.Context().Done()
	})
	client, err := New(Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.quiet = 1500 * time.Millisecond // less than all of them, much more than between two
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return client.Stream(ctx, func(Event) error { cancel(); return nil })
}

// TestAddresses says which server an address is.
func TestAddresses(t *testing.T) {
	for _, c := range []struct{ address, ca, want, wrong string }{
		{"127.0.0.1", "", "http://127.0.0.1:61208", ""},
		{"localhost:9", "", "http://localhost:9", ""},
		{"localhost", "ca", "https://localhost:61208", ""},
		{"hyper1", "", "https://hyper1:61208", ""},
		{"hyper1.example:99", "", "https://hyper1.example:99", ""},
		{"https://hyper1", "", "https://hyper1:61208", ""},
		{"HTTPS://hyper1/", "", "https://hyper1:61208", ""},
		{"http://127.0.0.1:9/", "", "http://127.0.0.1:9", ""},
		{"::1", "", "http://[::1]:61208", ""},
		{"[::1]:9", "", "http://[::1]:9", ""},
		{"fd00::5", "", "https://[fd00::5]:61208", ""},
		{"[fd00::5]", "", "https://[fd00::5]:61208", ""},
		{"http://hyper1", "", "", "ssh -L"},
		{"http://localhost", "ca", "", "no use"},
		{"ftp://hyper1", "", "", "scheme is ftp"},
		{"", "", "", "neither a name"},
		{"hyper1/path", "", "", "neither a name"},
		{"hyper1?x", "", "", "neither a name"},
		{"user@hyper1", "", "", "neither a name"},
		{"hyper1:0", "", "", "not a port"},
		{"hyper1:http", "", "", "not a port"},
		{"hyper1:70000", "", "", "not a port"},
		{"a b", "", "", "neither a name"},
		{"hyper1:1:2", "", "", "neither a name"},
		{"-x", "", "", "neither a name"},
	} {
		u, err := (&Config{Address: c.address, CA: c.ca}).base()
		switch {
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%q: %v, %v; not %q", c.address, u, err, c.wrong)
		case c.wrong == "" && (err != nil || u.String() != c.want):
			t.Errorf("%q is %v, %v; not %s", c.address, u, err, c.want)
		}
	}
}

// TestNobodyElseIsAsked: a server that sends one on to another is refused, and the other
// gets no token.
func TestNobodyElseIsAsked(t *testing.T) {
	asked := false
	other := lying(t, func(http.ResponseWriter, *http.Request) { asked = true })
	url := lying(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, http.StatusFound) })
	client, err := New(Config{Address: url, Token: "secret-secret-secret-secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Sample(context.Background()); err == nil || !strings.Contains(err.Error(), "302") || asked {
		t.Errorf("%v; the other was asked: %v", err, asked)
	}
}

// TestWords says what is wrong so that one can mend it.
func TestWords(t *testing.T) {
	const closed = "127.0.0.1:1"
	answer := func(status int, kind, text string) string {
		return lying(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			io.WriteString(w, text)
		})
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nil
	defer secure.Close()
	for _, c := range []struct{ address, token, want string }{
		{closed, "", "nobody listens there"},
		{answer(401, "text/plain", "x"), "", "wants a token; give --token-file"},
		{answer(401, "text/plain", "x"), "some", "refuses the token"},
		{answer(401, "application/json", `{"error":"a client's certificate is needed"}`), "", "give --tls-cert and --tls-key"},
		{answer(404, "text/plain", ""), "", "no monitor of Sarn"},
		{answer(503, "application/json", `{"error":"too many look on"}`), "", ": too many look on"},
		{answer(200, "application/json", `<html>`), "", "what a monitor does not"},
		{answer(200, "application/json", `{}`), "", "not a sample"},
		{strings.Replace(secure.URL, "https", "http", 1), "", "write https://"},
		{secure.URL, "", "none of this system's authorities"},
		{strings.Replace(answer(200, "", ""), "http", "https", 1), "", "does not speak TLS"},
	} {
		client, err := New(Config{Address: c.address, Token: c.token})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Sample(context.Background()); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), client.Where()) {
			t.Errorf("%s: %v; not %q", c.address, err, c.want)
		}
		client.Close()
	}
}
