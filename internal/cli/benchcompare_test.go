package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sarn/internal/bench/compare"
	"sarn/internal/timetest"
)

// twoServers are one that answers at once and one that takes its time.
func twoServers(t testing.TB) (fast, slow string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/fast", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		fmt.Fprint(w, "hello")
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL + "/fast", s.URL + "/slow"
}

func compareArgs(more ...string) []string {
	return append([]string{"bench", "compare", "-n", "20", "-c", "2", "--rounds", "3", "--warmup", "0s", "--seed", "5"}, more...)
}

func TestCompareURLs(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		fast, slow := twoServers(t)
		dir := t.TempDir()
		chart, page := filepath.Join(dir, "chart.svg"), filepath.Join(dir, "report.html")
		code, out, errs := run(t, nil, compareArgs(slow, fast, "--rounds", "8", "--chart", chart, "--report", page, "-o", "json")...)
		if code != exitOK {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		for _, want := range []string{"round 8 of 8: ", "wrote " + chart, "wrote " + page} {
			if !strings.Contains(errs, want) {
				t.Errorf("standard error lacks %q: %s", want, errs)
			}
		}
		var r compare.Result
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if r.Config.Seed != 5 || len(r.Order) != 8 || len(r.Servers) != 2 || r.Servers[0].Name != fast || r.Servers[0].Requests != 160 {
			t.Errorf("%s", out)
		}
		if p := r.Pairs[0]; p.Verdict != compare.Differ && p.Verdict != compare.AtLeast || p.Faster != fast || p.Ratio.Low < 1 {
			t.Slow("%+v", p)
		}
		svg, _ := os.ReadFile(chart)
		html, _ := os.ReadFile(page)
		if !bytes.Contains(svg, []byte("Time per request (mean), ms")) || !bytes.Contains(html, []byte("<!DOCTYPE html>")) {
			t.Errorf("the chart is %.80q, the report %.80q", svg, html)
		}
	})
}

func TestCompareTable(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		fast, slow := twoServers(t)
		code, out, errs := run(t, nil, compareArgs(slow, fast)...)
		if code != exitOK {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		lines := strings.Split(out, "\n")
		if !strings.HasPrefix(lines[0], "SERVER") || len(lines) < 3 {
			t.Fatalf("no table: %s", out)
		}
		if !strings.HasPrefix(lines[1], fast) || !strings.HasPrefix(lines[2], slow) || !strings.Contains(out, fast+" is ") || !strings.Contains(out, "as fast as "+slow) {
			t.Slow("the fastest is not first: %s", out)
		}
		for _, want := range []string{"GET, 2 at a time, a connection for each request, 20 requests a round", "3 of 3 rounds, seed 5"} {
			if !strings.Contains(out, want) {
				t.Errorf("the table lacks %q: %s", want, out)
			}
		}
	})
}

// Servers whose certificate nobody has signed that this machine trusts.
func TestCompareTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the one that is not trusted
	dir := t.TempDir()
	ca, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "tls.yaml")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	text := fmt.Sprintf("insecure: true\nservers: [{name: a, url: %s/}, {name: b, url: %[1]s/b}]\n", s.URL)
	for name, b := range map[string][]byte{ca: certificate, file: []byte(text)} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{s.URL, s.URL, "--insecure"}, {s.URL, s.URL, "--tls-ca", ca}, {file}} {
		code, out, errs := run(t, nil, compareArgs(append(args, "-o", "json")...)...)
		var r compare.Result
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitOK || r.Servers[0].Requests != 60 || r.Servers[0].Failures != 0 {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, errs)
		}
	}
	code, _, errs := run(t, nil, compareArgs(s.URL, s.URL)...)
	if code != exitFailed || !strings.Contains(errs, "signed by unknown authority (--tls-ca FILE says whom to trust") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if code, _, errs = run(t, nil, compareArgs(s.URL, s.URL, "--tls-ca", "missing")...); code != exitUsage || !strings.Contains(errs, "--tls-ca: open missing") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestCompareCSV(t *testing.T) {
	fast, slow := twoServers(t)
	code, out, errs := run(t, nil, compareArgs(slow, fast, fast, "-o", "csv")...)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 10 || rows[0][0] != "round" || rows[9][0] != "3" || rows[9][1] != "3" {
		t.Errorf("%v: %s", err, out)
	}
	if !strings.Contains(out, fast+" (2)") {
		t.Errorf("a URL that is given twice has no second name: %s", out)
	}
}

func TestCompareInterrupted(t *testing.T) {
	fast, slow := twoServers(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	errs := &trigger{word: "round 2 of 3", do: cancel}
	code := Run(ctx, compareArgs(fast, slow, "-o", "json"), State{
		In: strings.NewReader(""), Out: &out, Err: errs, Getenv: func(string) string { return "" },
	})
	var r compare.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if code != exitInterrupted || !r.Interrupted || len(r.Order) != 1 || !strings.HasSuffix(errs.String(), "interrupted\n") {
		t.Errorf("exit code %d, %d rounds, %s", code, len(r.Order), errs.String())
	}
}

// trigger does something when a word is written.
type trigger struct {
	bytes.Buffer
	word string
	do   func()
}

func (w *trigger) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if strings.Contains(w.String(), w.word) {
		w.do()
	}
	return n, err
}

// A file's mistakes are all told, with their lines.
func TestCompareBadFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte("rounds: 0x\nservers:\n- {url: x}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, nil, "bench", "compare", file)
	if code != exitUsage || out != "" || !strings.HasPrefix(errs, "sarn: "+file+":1: ") {
		t.Errorf("code %d, out %q, err %q", code, out, errs)
	}
	if err := os.WriteFile(file, []byte("rounds: -1\nservers:\n- {url: x}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs = run(t, nil, "bench", "compare", file)
	if code != exitUsage || !strings.Contains(errs, file+":1: rounds: ") || !strings.Contains(errs, file+":3: servers.0.url: ") {
		t.Errorf("code %d, err %q", code, errs)
	}
}

// The files that the documentation shows can be read.
func TestCompareExample(t *testing.T) {
	const example = "../../examples/bench/five.yaml"
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	c, err := compare.Parse(example, data)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Servers) != 5 || c.Concurrency != 100 || c.KeepAlive {
		t.Errorf("%+v", c)
	}
	docs, err := os.ReadFile("../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(docs), "All that a file may hold:\n")
	text, _, ok := strings.Cut(text, "\n\n`prepare`")
	if !ok {
		t.Fatal("docs/bench.md has no reference file any more")
	}
	if _, err := compare.Parse("bench.md", []byte(text)); err != nil {
		t.Errorf("the file in docs/bench.md: %v", err)
	}
}

// TestCompareAsks: what the flags say of a request is what the servers are asked.
func TestCompareAsks(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing then shows
		mu.Lock()
		defer mu.Unlock()
		user, _, _ := r.BasicAuth()
		seen[fmt.Sprint(r.Method, r.Header["X-Tenant"], r.Header["Content-Type"], user, string(body))]++
	}))
	defer s.Close()
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, []byte("order"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "f.yaml")
	text := fmt.Sprintf("headers: {x-tenant: file}\nservers: [{name: a, url: %q}, {name: b, url: %q}]\n", s.URL+"/a", s.URL+"/b")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, nil, compareArgs(file, "-m", "PUT", "-H", "X-Tenant: flag", "-p", body, "-T", "text/x", "-A", "me:you", "-s", "5")...)
	if code != exitOK || strings.Contains(out+errs, "you") {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	if want := "PUT[flag] [text/x]meorder"; len(seen) != 1 || seen[want] == 0 {
		t.Errorf("the servers were asked %v; want only %s", seen, want)
	}
}

func TestCompareNobodyListens(t *testing.T) {
	code, _, errs := run(t, nil, "bench", "compare", "http://127.0.0.1:9/", "http://127.0.0.1:10/")
	if code == exitOK || !strings.Contains(errs, "nobody listens there") || strings.Contains(errs, "dial tcp") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
