package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// webServer is an nginx with an access log, on two ports: without TLS and with TLS and
// HTTP/2.
type webServer struct {
	*testing.T
	dir           string
	plain, secure string // URLs
}

// startNginx starts Debian's nginx, with its worker on one CPU.
func startNginx(t *testing.T) webServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "sarn-nginx-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := webServer{T: t, dir: dir}
	if out, err := bounded(t, program, "pki", "init", dir+"/pki").CombinedOutput(); err != nil {
		t.Fatalf("pki init: %v\n%s", err, out)
	}
	if out, err := bounded(t, program, "pki", "issue", "--dir", dir+"/pki", "--server", "localhost").CombinedOutput(); err != nil {
		t.Fatalf("pki issue: %v\n%s", err, out)
	}
	crt, _ := filepath.Glob(dir + "/pki/*localhost*.crt")
	key, _ := filepath.Glob(dir + "/pki/*localhost*.key")
	if len(crt) != 1 || len(key) != 1 {
		t.Fatalf("pki made %v %v", crt, key)
	}
	at := addresses(t, 2)
	n.plain, n.secure = "http://"+at[0]+"/", strings.Replace("https://"+at[1]+"/", "127.0.0.1", "localhost", 1)
	conf := fmt.Sprintf(`daemon off; user root; worker_processes 1; worker_cpu_affinity 10; pid nginx.pid; error_log stderr;
events { worker_connections 1024; }
http {
    access_log access.log; keepalive_requests 1000000; client_body_temp_path .;
    server { listen %s; root .; }
    server {
        listen %s ssl http2; root .;
        ssl_certificate %s; ssl_certificate_key %s;
    }
}`, at[0], at[1], crt[0], key[0])
	for name, text := range map[string]string{"nginx.conf": conf, "index.html": "Hello, World!"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	cmd := bounded(t, "/usr/sbin/nginx", "-p", dir, "-c", "nginx.conf")
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("nginx: %s", said.String())
		}
	})
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", at[0]); err == nil {
			c.Close()
			return n
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not listen: %s", said.String())
		}
	}
}

// logged is how many requests nginx has served since the last call. A request is logged
// after its answer is sent, so the last ones are waited for.
func (n webServer) logged(want int) int {
	n.Helper()
	path := filepath.Join(n.dir, "access.log")
	var got int
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err != nil {
			n.Fatal(err)
		}
		if got = bytes.Count(b, []byte("\n")); got >= want {
			break
		}
	}
	if err := os.Truncate(path, 0); err != nil {
		n.Fatal(err)
	}
	return got
}

// loadResult is the part of the JSON that these tests look at.
type loadResult struct {
	Protocol          string         `json:"protocol"`
	RequestsPerSecond float64        `json:"requests_per_second"`
	Requests          int            `json:"requests"`
	CutOff            int            `json:"cut_off"`
	Failed            int            `json:"failed"`
	Statuses          map[string]int `json:"statuses"`
	Connections       int            `json:"connections"`
	Notes             []string       `json:"notes"`
	Client            struct {
		Limit      bool    `json:"limit"`
		Busy       float64 `json:"busy"`
		Queued     float64 `json:"queued"`
		CPUSeconds float64 `json:"cpu_seconds"`
	} `json:"client"`
}

// bench runs sarn bench http.
func bench(t *testing.T, args ...string) loadResult {
	t.Helper()
	var errs bytes.Buffer
	cmd := bounded(t, append([]string{program, "bench", "http", "-o", "json"}, args...)...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bench http %v: %v\n%s", args, err, errs.String())
	}
	var r loadResult
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

// TestBenchCountsAsTheAccessLog holds what is reported against what nginx logs.
func TestBenchCountsAsTheAccessLog(t *testing.T) {
	n := startNginx(t)
	ca := filepath.Join(n.dir, "pki", "ca.crt")
	for _, args := range [][]string{
		{n.plain, "-n", "1"},
		{n.plain, "-n", "5000", "-c", "100"},
		{n.plain, "-n", "5000", "-c", "100", "-k"},
		{n.plain, "-t", "0.5", "-c", "20", "-k"},
		{n.plain, "-t", "0.5", "-c", "20"},
		{n.plain, "-t", "1", "-c", "20", "-k", "--rate", "1000"},
		{n.plain, "-n", "300", "-c", "3", "-m", "HEAD", "-k"},
		{n.secure, "-n", "500", "-c", "10", "--tls-ca", ca},
		{n.secure, "-n", "500", "-c", "10", "-k", "--insecure"},
		{n.secure, "-n", "3000", "-c", "20", "--http2", "--tls-ca", ca},
		{n.secure, "-t", "0.5", "-c", "20", "--http2", "--streams", "5", "--insecure", "--rate", "1000"},
	} {
		r := bench(t, args...)
		if got := n.logged(r.Requests); got != r.Requests || r.Failed != 0 || r.Statuses["200"] != r.Requests || r.RequestsPerSecond <= 0 {
			t.Errorf("%v: nginx served %d, reported %+v", args, got, r)
		}
		if i := slices.Index(args, "-n"); i > 0 && args[i+1] != strconv.Itoa(r.Requests) {
			t.Errorf("%v: %d requests", args, r.Requests)
		}
	}
	r := bench(t, n.plain+"missing", "-n", "10")
	if got := n.logged(10); got != 10 || r.Statuses["404"] != 10 || !strings.Contains(strings.Join(r.Notes, ""), "10 of 10 answers were errors of HTTP") {
		t.Errorf("%d logged, %+v", got, r)
	}
}

// TestBenchEndsByItself and TestBenchInterrupted: no test is endless, and Ctrl-C gives
// what there is.
func TestBenchEndsByItself(t *testing.T) {
	n := startNginx(t)
	start := time.Now()
	if r := bench(t, n.plain); r.Requests == 0 || time.Since(start) < 10*time.Second {
		t.Errorf("%d requests in %s, want ten seconds of them", r.Requests, time.Since(start))
	}
}

func TestBenchInterrupted(t *testing.T) {
	n := startNginx(t)
	var out, errs bytes.Buffer
	cmd := bounded(t, program, "bench", "http", n.plain, "-k", "-c", "10", "-t", "60", "-o", "json")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fabric{T: t}.eventually("requests are logged", func() bool {
		s, err := os.Stat(filepath.Join(n.dir, "access.log"))
		return err == nil && s.Size() > 100_000
	})
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	var r loadResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || cmd.ProcessState.ExitCode() != 130 {
		t.Fatalf("exit code %d, %v: %s%s", cmd.ProcessState.ExitCode(), err, out.String(), errs.String())
	}
	if got := n.logged(r.Requests); r.Requests == 0 || r.Failed != 0 || got < r.Requests || got > r.Requests+r.CutOff {
		t.Errorf("nginx served %d, reported %d and %d cut off, %d failed", got, r.Requests, r.CutOff, r.Failed)
	}
}

// TestBenchSaysThatItIsTheLimit asks a server that does less for an answer than the load
// test, which has one CPU. While the machine does much else the server may be the slower
// one, and then it is not said.
func TestBenchSaysThatItIsTheLimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for b := make([]byte, 4096); ; {
					if _, err := c.Read(b); err != nil {
						return
					}
					if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")); err != nil {
						return
					}
				}
			}()
		}
	}()
	address := "http://" + l.Addr().String() + "/"
	var r loadResult
	for range 3 {
		out, err := bounded(t, "taskset", "-c", "0", program, "bench", "http", address, "-k", "-c", "100", "-t", "1", "-o", "json").Output()
		if err == nil {
			err = json.Unmarshal(out, &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Contains(strings.Join(r.Notes, ""), "The load test was the limit")
		// A load test that was late says so too, however much it did.
		if full := r.Client.Busy+r.Client.Queued >= 0.9; full && !r.Client.Limit || said != r.Client.Limit {
			t.Errorf("%+v", r)
		}
		if r.Client.Busy <= 0 || r.Client.CPUSeconds <= 0 {
			t.Errorf("all these requests cost no CPU: %+v", r)
		}
	}
	for range 30 { // a busy machine may hold the load test up, which it then says
		if r = bench(t, address, "-k", "-c", "2", "--rate", "100", "-t", "1"); !r.Client.Limit {
			return
		}
	}
	t.Errorf("a hundred requests a second: %+v", r)
}

// TestBenchBesidePeers asks the same nginx with wrk and hey in the same run, each on one
// CPU. bench/load.sh measures how they compare; this only sees if that is lost.
func TestBenchBesidePeers(t *testing.T) {
	n := startNginx(t)
	pinned := func(argv ...string) string {
		out, err := bounded(t, append([]string{"taskset", "-c", "0"}, argv...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
		return string(out)
	}
	after := func(text, mark string) float64 {
		_, rest, _ := strings.Cut(text, mark)
		var v float64
		if _, err := fmt.Sscan(rest, &v); err != nil {
			t.Fatalf("no figure behind %q: %s", mark, text)
		}
		return v
	}
	// The median of some rounds; more where the machine does much else meanwhile.
	const fewest, most = 5, 25
	var wrk, hey []float64
	for i := 0; i < fewest || i < most && (wrk[i/2] < 0.5 || hey[i/2] < 1); i++ {
		var r loadResult
		if err := json.Unmarshal([]byte(pinned(program, "bench", "http", n.plain, "-k", "-c", "50", "-t", "0.5", "-o", "json")), &r); err != nil {
			t.Fatal(err)
		}
		wrk = append(wrk, r.RequestsPerSecond/after(pinned("wrk", "-t", "1", "-c", "50", "-d", "1", n.plain), "Requests/sec:"))
		hey = append(hey, r.RequestsPerSecond/after(pinned("hey", "-cpus", "1", "-c", "50", "-z", "500ms", n.plain), "Requests/sec:"))
		slices.Sort(wrk)
		slices.Sort(hey)
	}
	t.Logf("of wrk %.2f, of hey %.2f", wrk, hey)
	if r := wrk[len(wrk)/2]; r < 0.5 {
		t.Errorf("%.2f of wrk's rate; the goal is 0.9", r)
	}
	if r := hey[len(hey)/2]; r < 1 {
		t.Errorf("%.2f of hey's rate; the goal is 2", r)
	}
}

// TestBenchOutputs prints the same test in every format, and nothing from the server
// that steers a terminal or a page.
func TestBenchOutputs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", `<script>alert("x")</script>`)
		w.Header().Set("Location", `http://x/"><script>`)
		w.WriteHeader(http.StatusFound)
	})}
	go s.Serve(l) //nolint:errcheck // it is shut down
	defer s.Shutdown(context.Background())
	address := "http://" + l.Addr().String() + "/"
	raw := escapes(t)
	for _, path := range []string{"good", "bad"} {
		out, err := bounded(t, program, "bench", "http", raw+path, "-n", "2").CombinedOutput()
		if bytes.ContainsAny(out, "\x1b\x07") || !strings.Contains(string(out), `\x1b[2J`) || (err == nil) != (path == "good") {
			t.Errorf("%s: %v, %q", path, err, out)
		}
	}
	print := func(format string) string {
		out, err := bounded(t, program, "bench", "http", address, "-n", "50", "-c", "5", "-k", "-o", format).Output()
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		return string(out)
	}
	if out := print("table"); !strings.Contains(out, "302: 50") || !strings.Contains(out, "P99.9") || !strings.Contains(out, "note: The server redirects to") {
		t.Errorf("table: %s", out)
	}
	if out := print("yaml"); !strings.Contains(out, "\nrequests: 50\n") {
		t.Errorf("yaml: %s", out)
	}
	rows, err := csv.NewReader(strings.NewReader(print("csv"))).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[0]) != len(rows[1]) || rows[1][slices.Index(rows[0], "requests")] != "50" {
		t.Errorf("csv: %v %v", rows, err)
	}
	page := print("html")
	if !strings.Contains(page, `src="data:image/svg`) || !strings.Contains(page, "302") || !strings.Contains(page, address) {
		t.Errorf("html: %s", page)
	}
	if strings.Contains(page, "<script") || strings.Count(page, "src=") != strings.Count(page, `src="data:`) || strings.Contains(page, "href=") {
		t.Error("the page has a script, or needs another file")
	}
}

// escapes is a server that tries to steer a terminal, in a header or instead of an answer.
func escapes(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				switch {
				case err != nil:
				case r.URL.Path == "/bad":
					fmt.Fprint(c, "H\x1b[2J\x1b]0;x\x07\r\n\r\n")
				default:
					fmt.Fprint(c, "HTTP/1.1 302 Found\r\nServer: a\x1b[2J\x1b]0;x\x07\r\nLocation: b\x1b[2J\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}
