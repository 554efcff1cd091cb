package remote

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
	"sarn/internal/monitor/serve"
)

// TestHistory asks a real monitor with a real history.
func TestHistory(t *testing.T) {
	store, err := history.Open(history.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	start := time.Now().Add(-time.Minute).Truncate(time.Second)
	for i := range 30 {
		s := &sample.Sample{Time: start.Add(time.Duration(i) * time.Second), Interval: 1, Load: [3]float64{float64(i)},
			Processes: []sample.Process{{PID: 9, Start: start, Name: "b", CPU: 0.5}, {PID: 4, Start: start, Name: "a", CPU: 1}}}
		if err := store.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	s, err := serve.New(serve.Config{Listen: "127.0.0.1:0"}, serve.Deps{Source: &machine{}, History: store, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	<-s.Ready()
	c, err := New(Config{Address: s.Address()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	bounds, err := c.Bounds(ctx)
	if err != nil || len(bounds) == 0 || bounds[0].Records < 30 || !bounds[0].From.Equal(start) {
		t.Errorf("bounds are %+v, %v", bounds, err)
	}
	r, err := c.At(ctx, start.Add(7*time.Second), time.Second)
	if err != nil || r.Sample.Load[0] != 7 || len(r.Sample.Processes) != 2 || r.Sample.Processes[0].PID != 4 {
		t.Errorf("at 7 s: %+v, %v", r, err)
	}
	series, err := c.Range(ctx, start.Add(-5*time.Minute), start.Add(4*time.Second), time.Second, "load.1")
	if err != nil || len(series.Lines) != 1 || !math.IsNaN(series.Lines[0].Values[0]) || series.Lines[0].Values[len(series.Lines[0].Values)-1] != 3 {
		t.Errorf("range: %+v, %v", series, err)
	}
	if _, err := c.Range(ctx, start, start.Add(time.Second), 0, "nonsense"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a field that is none: %v", err)
	}
}

// TestNoHistory says so in words.
func TestNoHistory(t *testing.T) {
	address, _ := server(t, "127.0.0.1:0")
	c, err := New(Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Bounds(context.Background()); err == nil || !strings.Contains(err.Error(), "history") {
		t.Errorf("%v", err)
	}
}

// TestLyingHistory: what is no history is an error, and what could be harms nobody.
func TestLyingHistory(t *testing.T) {
	answer := ""
	url := lying(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) })
	c, err := New(Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	for _, answer = range []string{
		"", "null", "{}", `{"sample":null}`, `{"sample":{}}`, `{"sample":{"time":"` + when + `","processes":[{"pid":1},{"pid":1}]}}`,
		`{"sample":{"time":"` + when + `","cpu":{"cores":[` + strings.Repeat("{},", 200_000) + `{}]}}}`,
		`{"sample":` + good + `,"peak":{"disks":[` + strings.Repeat("{},", 10_001) + `{}]}}`,
	} {
		if r, err := c.At(ctx, time.Now(), time.Second); err == nil {
			t.Errorf("%.60s is taken as %+v", answer, r)
		}
	}
	answer = `{"step":-5,"sample":` + good + `,"peak":{"load":[-1,0,0],"cpu":{"total":{"user":7,"idle":-0.2},"cores":[{"idle":-9}]}}}`
	if r, err := c.At(ctx, time.Now(), time.Second); err != nil || r.Step != 0 || r.Peak.Load[0] != 0 || r.Peak.CPU.Total.User != 1 || r.Peak.CPU.Total.Idle != -0.2 || r.Peak.CPU.Cores[0].Idle != -1 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, answer = range []string{"", `{"lines":[{"values":["x"]}]}`, `{"lines":[{"values":[` + strings.Repeat("1,", 300_000) + `1]}]}`} {
		if s, err := c.Range(ctx, time.Now(), time.Now(), 0, "load.1"); err == nil {
			t.Errorf("%.60s is taken as %+v", answer, fmt.Sprint(s)[:60])
		}
	}
}
