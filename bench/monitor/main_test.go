package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/history"
)

func TestReport(t *testing.T) {
	o, err := parse([]string{"-viewers", "0,10"})
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(&o)
	for _, v := range []float64{1, 2, 4} {
		r.screen("glances", figures{cpuMinute: 10 * v, peakMemory: 50})
		r.screen("sarn top", figures{cpuMinute: v / 2, peakMemory: 20})
		r.served("10 look on", figures{servedCPU: 12 * v})
		r.served("0 look on", figures{servedCPU: 10 * v})
	}
	r.order(&o)
	r.compare("sarn top", "glances", cpuMinute, 0.1)
	r.compare("10 look on", "0 look on", servedCPU, 1.5)
	var out bytes.Buffer
	r.table(&out)
	for _, want := range []string{
		"a refresh a second | sarn top | glances |",
		"| CPU, s a minute | 1.00 (0.50 to 2.00) | 20.0 (10.0 to 40.0) |",
		"| until the first screen, ms | – | – |",
		"| sarn top / glances, CPU, s a minute | 0.05 | 0.05 to 0.05 | 0.1 |",
		"| 10 look on / 0 look on, CPU, ms a second | 1.20 | 1.20 to 1.20 | 1.5 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %s:\n%s", want, &out)
		}
	}
	if picture := string(r.chart(cpuMinute)); !strings.Contains(picture, ">goal 2<") {
		t.Errorf("the chart lacks a tenth of Glances' as its goal:\n%s", picture)
	}
}

// What a program writes is counted by refreshes, and its first list of processes is seen
// through the sequences between the letters.
func TestTerminal(t *testing.T) {
	again := filepath.Join(t.TempDir(), "again")
	const script = `size=$(stty size); printf '%s \033[1mP\033[0mID USER' "$size"; until [ -e "$1" ]; do sleep 0.05; done; printf more; sleep 100`
	m, err := start([]string{"sh", "-c", script, "sh", again}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.end()
	select {
	case <-m.ready:
	case <-time.After(time.Minute):
		t.Fatalf("no processes are seen in %q", m.said())
	}
	time.Sleep(2 * quiet) // so long is nothing written
	if err := os.WriteFile(again, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		sent, refreshes := m.counts()
		if refreshes == 2 {
			if want := int64(len("50 200 \x1b[1mP\x1b[0mID USERmore")); sent != want {
				t.Errorf("%d bytes were counted, %d were sent", sent, want)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d refreshes were seen", refreshes)
		}
	}
}

// The made-up history is whole: its oldest minute and its last second can be asked for.
func TestHistory(t *testing.T) {
	dir := t.TempDir()
	if err := makeHistory(context.Background(), dir, time.Hour); err != nil {
		t.Fatal(err)
	}
	store, err := history.Open(history.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, ago := range []time.Duration{10 * time.Second, 50 * time.Minute} {
		when := time.Now().Add(-ago)
		r, err := store.At(when, time.Minute)
		if err != nil {
			t.Errorf("%s ago: %v", ago, err)
			continue
		}
		if off := when.Sub(r.Sample.Time).Abs(); off > 5*time.Minute || len(r.Sample.Processes) < 10 {
			t.Errorf("%s ago: a record of %s, with %d processes", ago, r.Sample.Time, len(r.Sample.Processes))
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, args := range []string{"-crowd -1", "-rounds 0", "-seconds 0", "-viewers 1,x", "-only all", "more"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}
