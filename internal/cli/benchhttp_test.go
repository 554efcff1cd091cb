package cli

import (
	"encoding/csv"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sarn/internal/bench/netload"
)

// TestLoadDefaults are what a test does of which little is said.
func TestLoadDefaults(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := loadOptions{concurrency: 1, timeout: seconds(time.Second)}
	posted, put, counted := plain, plain, plain
	posted.body = empty
	put.body, put.method = empty, http.MethodPut
	counted.requests = 5
	for _, c := range []struct {
		o        loadOptions
		method   string
		duration time.Duration
	}{{plain, "", 10 * time.Second}, {posted, http.MethodPost, 10 * time.Second}, {put, http.MethodPut, 10 * time.Second}, {counted, "", 0}} {
		got, err := c.o.config(&app{}, "http://127.0.0.1/")
		if err != nil || got.Method != c.method || got.Duration != c.duration {
			t.Errorf("%+v: %q for %s, %v", c.o, got.Method, got.Duration, err)
		}
	}
}

// TestSecretsAreNotSaid of a header that cannot be sent.
func TestSecretsAreNotSaid(t *testing.T) {
	o := loadOptions{concurrency: 1, timeout: seconds(time.Second), headers: []string{"Authorization: sec\x01ret"}}
	if _, err := o.config(&app{}, "http://127.0.0.1/"); err == nil || !strings.Contains(err.Error(), "Authorization") || strings.Contains(err.Error(), "ret") {
		t.Errorf("got %v", err)
	}
}

// TestNoAnswerIsNotZero: a figure that nothing was measured for is left out, not 0.
func TestNoAnswerIsNotZero(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
	defer server.Wait()
	defer l.Close()
	bench := func(form string) string {
		code, out, errs := run(t, nil, "bench", "http", "http://"+l.Addr().String()+"/", "-n", "3", "-o", form)
		if code == exitOK || !strings.Contains(errs, "no request was answered") {
			t.Fatalf("exit %d: %s", code, errs)
		}
		return out
	}
	rows, err := csv.NewReader(strings.NewReader(bench("csv"))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%q, %v", rows, err)
	}
	for i, name := range rows[0] {
		none := name == "rate" || name == "time_per_request_ms" || strings.HasPrefix(name, "latency")
		if cell := rows[1][i]; (cell == "") != none || name == "failed" && cell != "3" {
			t.Errorf("%s is %q", name, cell)
		}
	}
	var result map[string]any
	if err := json.Unmarshal([]byte(bench("json")), &result); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rate", "time_per_request_ms", "latency", "latency_corrected"} {
		if v, there := result[name]; there {
			t.Errorf("JSON has %s: %v", name, v)
		}
	}
	for form, want := range map[string][]string{"table": {"requests", "no answer", "FAILED"}, "html": {"no answer", "Failures"}} {
		out := bench(form)
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s does not say %q:\n%s", form, w, out)
			}
		}
		for _, no := range []string{"requests/s", "time/request", "time per request", "a body has", "request   ", "<td>request</td>"} {
			if strings.Contains(out, no) {
				t.Errorf("%s has %q:\n%s", form, no, out)
			}
		}
	}
}

// TestNetFigures: a test that got no answer says so, and is not taken for a stream of nothing.
func TestNetFigures(t *testing.T) {
	one := int64(1)
	for want, r := range map[string]*netload.Result{
		"no answer; 64 bytes each way, 3 not answered": {Kind: netload.UDPRR, Size: 64, Seconds: 1, TimedOut: 3},
		"200 /s; 64 bytes each way":                    {Kind: netload.TCPRR, Size: 64, Transactions: 100, TransactionsPerSecond: 200},
		"50.0 Mbit/s; 1 stream, 1 retransmit":          {Kind: netload.TCPStream, Streams: 1, MbitPerSecond: 50, Retransmits: &one},
	} {
		if rate, detail := netFigures(r); rate+"; "+detail != want {
			t.Errorf("got %s; %s, want %s", rate, detail, want)
		}
	}
}
