package controller

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sarn/internal/api"
	"sarn/internal/intent"
)

// TestDescribed walks the whole OpenAPI document: everything in it has a description.
func TestDescribed(t *testing.T) {
	c, err := New(Config{Socket: "x", Version: "1.2.3"}, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := c.handler()
	for _, path := range []string{"/openapi.json", "/openapi.yaml"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "3.1.0") {
			t.Errorf("%s answers %d", path, w.Code)
		}
		if path == "/openapi.yaml" {
			continue
		}
		var doc map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		if seen := described(t, "", doc); seen < 100 {
			t.Errorf("only %d things are described; is the document whole?", seen)
		}
		for operation, schema := range map[string]string{"/v1/changes post": "Change", "/v1/nodes/{name}/report put": "NodeReport"} {
			path, method, _ := strings.Cut(operation, " ")
			at := doc["paths"]
			for _, key := range []string{path, method, "requestBody", "content", "application/json", "schema", "$ref"} {
				below, _ := at.(map[string]any)
				at = below[key]
			}
			if at != "#/components/schemas/"+schema {
				t.Errorf("the body of %s is described by %v, want %s", operation, at, schema)
			}
		}
	}
}

// described reports what lacks a description and returns how much has one.
func described(t *testing.T, at string, v any) (seen int) {
	check := func(at string, v any) {
		if m, ok := v.(map[string]any); ok {
			if d, _ := m["description"].(string); d == "" {
				t.Errorf("%s has no description", at)
			}
			seen++
		}
	}
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			seen += described(t, fmt.Sprintf("%s/%d", at, i), e)
		}
	case map[string]any:
		for key, e := range v {
			below := at + "/" + key
			switch {
			case key == "properties" && strings.Contains(at, "/schemas/"):
				for name, p := range e.(map[string]any) {
					check(below+"/"+name, p)
				}
			case key == "parameters":
				for i, p := range e.([]any) {
					check(fmt.Sprintf("%s/%d", below, i), p)
				}
			case strings.Count(at, "/") >= 2 && strings.HasPrefix(at, "/paths/"):
				switch key {
				case "get", "put", "post", "delete":
					check(below, e)
				}
			}
			seen += described(t, below, e)
		}
	}
	return seen
}

// do sends a raw request over the controller's socket.
func (r *running) do(t *testing.T, method, path string, body io.Reader) (int, string) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestRawRequests(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	for _, test := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"health", "GET", "/healthz", "", 200, `"revision":`},
		{"one object is just the object", "GET", "/v1/vpcs/main", "", 200, `{"name":"main",`},
		{"an empty change", "POST", "/v1/changes", `{}`, 200, `"outcomes":[]`},
		{"a key twice", "POST", "/v1/changes", `{"vpcs":[],"ports":[],"vpcs":[]}`, 422, `key \"vpcs\" stands twice`},
		{"a key twice inside", "POST", "/v1/changes", `{"ports":[{"name":"a","attach":{"type":"tap","type":"tap"}}]}`, 422, `key \"type\" stands twice`},
		{"the same key in two objects", "POST", "/v1/changes", `{"ports":[{"name":"A"},{"name":"B"}]}`, 422, `"location":"port/B/name"`},
		{"a key of the wrong case", "POST", "/v1/changes", `{"dryrun":true}`, 422, `unknown field \"dryrun\"; upper`},
		{"a bad name", "POST", "/v1/changes", `{"ports":[{"name":"a/b"}]}`, 422, `"location":"port/a%2Fb/name"`},
		{"a bad name to delete", "POST", "/v1/changes", `{"delete":[{"kind":"Port","name":"a/b"}]}`, 422, `"location":"port/a%2Fb/name"`},
		{"report of a key twice", "PUT", "/v1/nodes/host1/report", `{"revision":0,"revision":0}`, 422, `key \"revision\" stands twice`},
		{"report of the wrong case", "PUT", "/v1/nodes/host1/report", `{"Revision":0}`, 422, `unknown field \"Revision\"`},
		{"report of the past", "PUT", "/v1/nodes/host1/report", `{"revision":-1}`, 422, `about revision -1`},
		{"report of the future", "PUT", "/v1/nodes/host1/report", `{"revision":1000000}`, 422, `about revision 1000000, and node \"host1\" is to be at`},
		{"no body", "POST", "/v1/changes", ``, 400, "request body is required"},
		{"no JSON", "POST", "/v1/changes", `ports:`, 422, "the body is not a change"},
		{"two changes", "POST", "/v1/changes", `{}{}`, 422, "goes on after the change"},
		{"unknown field", "POST", "/v1/changes", `{"ports":[{"name":"a","adress":"10.0.0.1"}]}`, 422, `unknown field \"adress\"`},
		{"null", "POST", "/v1/changes", `{"ports":[null]}`, 422, "null where an object should be"},
		{"bad address", "POST", "/v1/changes", `{"ports":[{"name":"a","address":"10.0.0"}]}`, 422, "is not an IPv4 address"},
		{"bad object", "POST", "/v1/changes", `{"ports":[{"name":"A"}]}`, 422, `"location":"port/A/name"`},
		{"not there", "GET", "/v1/ports/none", "", 404, `"location":"port/none/"`},
		{"in use", "DELETE", "/v1/subnets/net1", "", 409, `"location":"subnet/net1/"`},
		{"deleted", "DELETE", "/v1/ports/vm2", "", 200, `"action":"deleted"`},
		{"bad timeout", "GET", "/v1/wait?revision=1&timeout=long", "", 422, "write it like 30s"},
		{"late", "GET", "/v1/wait?revision=1&timeout=1ms", "", 504, `"statuses":[{`},
		{"unknown parameter", "GET", "/v1/wait?revison=1", "", 422, "revison"},
		{"unknown path", "GET", "/v1/routers", "", 404, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, text := r.do(t, test.method, test.path, strings.NewReader(test.body))
			if status != test.status || !strings.Contains(text, test.want) {
				t.Errorf("answer is %d %s\nwant %d with %s", status, text, test.status, test.want)
			}
		})
	}
}

// TestTooLarge sends more than a change may have. The controller does not read it to its
// end, and what it answers is there for who looks in spite of that.
func TestTooLarge(t *testing.T) {
	r := run(t, t.TempDir())
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = fmt.Fprintf(conn, "POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", maxChange+1)
		_, _ = conn.Write(make([]byte, maxChange+1))
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Error(err)
	} else if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too large is answered %s", res.Status)
	}
	_ = conn.Close()
	<-written
}

func TestSocket(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "sub", "api.sock")
	r := run(t, t.TempDir(), func(c *Config) { c.Socket = path })
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket is %v, %v; want mode 0600", info.Mode(), err)
	}
	if _, err := listenUnix(path); err == nil || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("second listener: %v", err)
	}
	r.stop()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after the controller the socket is left: %v", err)
	}

	// What a killed controller leaves.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if again, err := listenUnix(path); err != nil {
		t.Errorf("a stale socket was not replaced: %v", err)
	} else {
		_ = again.Close()
	}

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(file); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("listening on a file: %v", err)
	}
	if text, err := fs.ReadFile(os.DirFS(dir), "file"); err != nil || string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

func TestConfigRefused(t *testing.T) {
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{}, "nowhere to listen"},
		{Config{Listen: "7470"}, "write it like 127.0.0.1:7470"},
		{Config{Listen: "127.0.0.1:99999"}, "write it like 127.0.0.1:7470"},
		{Config{Socket: strings.Repeat("x", 120)}, "longer than the 107 characters"},
		{Config{Listen: "10.0.0.1:7470", TLSCert: "none", TLSKey: "k", TLSClientCA: "a"}, "read --tls-cert and --tls-key: open none"},
		{Config{Listen: ":7470"}, "give --tls-cert, --tls-key and --tls-ca, or listen on 127.0.0.1"},
		{Config{Listen: "10.0.0.1:7470"}, "can be reached by other machines"},
		{Config{Listen: "10.0.0.1:7470", TLSCert: "c"}, "give all three or none"},
		{Config{Socket: "s", TLSCert: "c", TLSKey: "k", TLSClientCA: "a"}, "are for --listen"},
	} {
		if _, err := New(test.config, Deps{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%+v) = %v, want %q", test.config, err, test.want)
		}
	}
}

func TestLoopbackIsGuarded(t *testing.T) {
	r := run(t, t.TempDir(), func(c *Config) { c.Listen = "127.0.0.1:0" })
	at := r.addresses[1]
	client, err := api.New(api.Endpoint{Address: "http://" + at})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Status(t.Context()); err != nil {
		t.Errorf("the client is refused: %v", err)
	}
	_, port, _ := net.SplitHostPort(at)
	for _, test := range []struct {
		host, origin string
		status       int
	}{
		{"localhost:" + port, "", 200},
		{"[::1]:" + port, "", 200},
		{"[::1]", "", 200},
		{"rebound.example:" + port, "", 403},
		{"127.0.0.1.example", "", 403},
		{at, "http://evil.example", 403},
		{at, "http://" + at, 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+at+"/v1/changes", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.Close = test.host, true
		if test.origin != "" {
			req.Header.Set("Origin", test.origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != test.status {
			t.Errorf("host %q, origin %q: %s, want %d", test.host, test.origin, res.Status, test.status)
		}
	}
}

// TestSlowFollower opens a stream that nobody reads, while many changes are made.
func TestSlowFollower(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprint(conn, "GET /v1/nodes/host1/state HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	fast, _ := r.follow(t, "host1", "")
	next(t, fast)
	for i := range 40 {
		var c api.Change
		for k := range 5 {
			c.Add(&intent.Port{Header: intent.Header{Name: fmt.Sprintf("s%d-%d", i, k)}, Subnet: "net1", Node: "host1"})
		}
		r.apply(t, c)
	}
	want := r.status(t, "host1").Wanted
	for next(t, fast).Revision != want {
	}
	// The slow one gets the newest too, though not every one before it.
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the slow follower never got revision %d: %v", want, err)
		}
		if strings.HasPrefix(line, fmt.Sprintf(`{"revision":%d,`, want)) {
			return
		}
	}
}

func TestHeartbeat(t *testing.T) {
	c, err := New(Config{Socket: "x"}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	c.heartbeat = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	beats := &beatWriter{ResponseRecorder: httptest.NewRecorder(), enough: cancel}
	c.stream(ctx, beats, &follower{wake: make(chan struct{}, 1)})
	if got := beats.Body.String(); !strings.HasPrefix(got, "\n\n\n") {
		t.Errorf("a still stream says %q, want empty lines", got)
	}
}

// beatWriter ends the stream after three writes.
type beatWriter struct {
	*httptest.ResponseRecorder
	writes int
	enough func()
}

func (w *beatWriter) Write(p []byte) (int, error) {
	if w.writes++; w.writes == 3 {
		w.enough()
	}
	return w.ResponseRecorder.Write(p)
}
