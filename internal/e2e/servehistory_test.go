package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

// month makes a history of 30 days: a pass a second in the last minutes, every 10 s in
// the last day, and one a minute before, so that all tiers are full.
func month(t *testing.T, dir string) (from, to time.Time) {
	t.Helper()
	store, err := history.Open(history.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	to = time.Now().Truncate(time.Minute)
	from = to.Add(-30 * 24 * time.Hour)
	rnd := rand.New(rand.NewPCG(1, 2))
	s := &sample.Sample{Host: sample.Host{Name: "kvm7", CPUs: 4}, CPU: sample.CPU{Cores: make([]sample.Times, 4)}, Disks: make([]sample.Disk, 1), Interfaces: make([]sample.Interface, 2), Machines: make([]sample.Machine, 2)}
	for i := range s.Disks {
		s.Disks[i].Name = fmt.Sprint("sd", i)
	}
	for i := range s.Interfaces {
		s.Interfaces[i].Name = fmt.Sprint("tap", i)
	}
	for i := range s.Machines {
		s.Machines[i] = sample.Machine{ID: fmt.Sprint("vm/web", i), Kind: sample.VM, Name: fmt.Sprint("web", i)}
	}
	for i := range 5 {
		s.Processes = append(s.Processes, sample.Process{PID: 100 + i, Name: fmt.Sprint("prog", i), Command: fmt.Sprintf("/usr/bin/prog%d --verbose", i)})
	}
	for when := from; when.Before(to); {
		gap := time.Minute
		switch ago := to.Sub(when); {
		case ago <= 11*time.Minute:
			gap = time.Second
		case ago <= 2*time.Hour:
			gap = 10 * time.Second
		}
		when = when.Add(gap)
		s.Time, s.Interval = when, gap.Seconds()
		s.CPU.Total.Idle = rnd.Float64()
		for i := range s.CPU.Cores {
			s.CPU.Cores[i].Idle = rnd.Float64()
		}
		for i := range s.Disks {
			s.Disks[i].ReadBytes = rnd.ExpFloat64() * 1e6
		}
		for i := range s.Interfaces {
			s.Interfaces[i].RxBytes, s.Interfaces[i].TxBytes = rnd.ExpFloat64()*1e6, rnd.ExpFloat64()*1e6
		}
		for i := range s.Machines {
			s.Machines[i].CPU = rnd.Float64()
		}
		for i := range s.Processes {
			s.Processes[i].CPU, s.Processes[i].Resident = rnd.Float64(), rnd.Uint64N(1<<30)
		}
		if err := store.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return from, to
}

// TestMonitorServeMemory: with 30 days of history on disk, asked for all of it and with
// ten who look on, the process stays small.
func TestMonitorServeMemory(t *testing.T) {
	state := t.TempDir()
	from, to := month(t, filepath.Join(state, "history"))
	w := watch(t, "--state", state)
	defer w.look(10, nil)()
	q := url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}, "field": {"cpu.busy", "memory.used", "disks[sd0].read_bytes", "machines[vm/web1].cpu"}}
	for i := range 5 {
		var chart struct{ Lines []struct{ Values []*float64 } }
		w.get("/api/v1/history/range?"+q.Encode(), &chart)
		known := 0
		for _, v := range chart.Lines[3].Values {
			if v != nil {
				known++
			}
		}
		if len(chart.Lines) != 4 || known < 590 {
			t.Errorf("of 30 days %d points are known", known)
		}
		w.get("/api/v1/history/at?resolution=1m&time="+url.QueryEscape(from.Add(time.Duration(6*i)*24*time.Hour+time.Hour).Format(time.RFC3339)), nil)
		w.get("/metrics", nil)
	}
	const bound = 40 << 20
	now, most := w.resident()
	t.Logf("%d KiB are resident, %d at the most", now>>10, most>>10)
	if now > bound || most > bound {
		t.Error("that is too much")
	}
}
