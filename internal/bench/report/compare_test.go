package report

import (
	"bytes"
	"encoding/base64"
	"html"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"sarn/internal/bench/compare"
)

func result() *compare.Result {
	round := []compare.Round{{Number: 1}}
	warmup := compare.Duration(time.Second)
	return &compare.Result{
		Title: "Three <servers>", Started: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Program: "v1.2.3",
		Machine: compare.Machine{CPU: "Z80", CPUs: 2, Kernel: "6.1", System: "Debian", Arch: "amd64"},
		Config: compare.Config{Concurrency: 100, Requests: 12345, Rounds: 4, Seed: 99, Warmup: &warmup, Servers: []compare.ServerConfig{
			{Name: "a", URL: "http://127.0.0.1:1/", Command: []string{"serve", "<a>"}, CPU: compare.CPUs{1}}, {Name: "b", URL: "http://127.0.0.1:2/"}, {Name: "<script>alert(1)</script>"},
		}},
		Order: [][]string{{"a", "b"}},
		Servers: []compare.Server{
			{Name: "a", Rounds: round, RequestsPerSecond: compare.Estimate{Value: 12345, Low: 12000, High: 12600}, TimePerRequest: compare.Estimate{Value: 8.1, Low: 8, High: 8.2}, Failures: 3, BadCodes: 1, Latency: compare.Latency{P99: 17.25}},
			{Name: "b", Rounds: round, RequestsPerSecond: compare.Estimate{Value: 100, Low: 100, High: 100}, TimePerRequest: compare.Estimate{Value: 1000, Low: 1000, High: 1000}},
			{Name: "<script>alert(1)</script>", Failure: "in round 1 it ended"},
		},
		Pairs: []compare.Pair{{Faster: "a", Slower: "b", Ratio: compare.Estimate{Value: 1.8, Low: 1.7, High: 1.9}, Verdict: compare.Differ}},
		Notes: []string{"<b>mind</b> the gap"},
	}
}

func TestComparison(t *testing.T) {
	var b bytes.Buffer
	if err := Comparison(&b, result()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	text := html.UnescapeString(page)
	for _, want := range []string{
		"<title>Three <servers></title>", "4 March 2026, 05:06 UTC", "sarn v1.2.3", "2 × Z80 (amd64)", "12\u202f345", "12\u202f000 to 12\u202f600",
		"8.10", "1.8× (1.7–1.9)", "17.2", "dropped out", "<b>mind</b> the gap", "100 at a time, a connection for each request, 12\u202f345 requests a round",
		"1 of 4", "seed 99", "serve <a>", "only addressed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"<script", "<b>mind", "Three <servers", "http-equiv=\"refresh", "src=\"http", "href="} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if n := strings.Count(page, "1.8× (1.7"); n != 1 {
		t.Errorf("the verdict stands %d times in the matrix", n)
	}
	image := regexp.MustCompile(`src="data:image/svg\+xml;base64,([^"]*)"`).FindStringSubmatch(text)
	if image == nil {
		t.Fatal("the page has no chart")
	}
	svg, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, strings.NewReader(image[1])))
	if err != nil || !bytes.Contains(svg, []byte("Time per request (mean), ms")) {
		t.Errorf("the chart: %v, %.100q", err, svg)
	}
}

// A comparison of which nothing is left is a page too, without a chart.
func TestComparisonOfNothing(t *testing.T) {
	r := result()
	r.Order, r.Pairs, r.Interrupted = nil, nil, true
	for i := range r.Servers {
		r.Servers[i].Rounds = nil
	}
	var b bytes.Buffer
	if err := Comparison(&b, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "<img") || !strings.Contains(b.String(), "0 of 4 rounds are whole") {
		t.Errorf("%s", b.String())
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1.00", 12.34: "12.3", 0.01234: "0.0123", 123.4: "123", 1234567: "1\u202f234\u202f567", -1234: "-1\u202f234", 999.9: "1\u202f000", -12.34: "-12.3",
	} {
		if got := figure(v); got != want {
			t.Errorf("figure(%g) = %q, want %q", v, got, want)
		}
	}
}
