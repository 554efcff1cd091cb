package history

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sarn/internal/monitor/sample"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func opened(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func add(t testing.TB, s *Store, all ...*sample.Sample) {
	t.Helper()
	for _, sm := range all {
		if err := s.Add(sm); err != nil {
			t.Fatal(err)
		}
	}
}

func at(t testing.TB, s *Store, when time.Time, step time.Duration) *Record {
	t.Helper()
	r, err := s.At(when, step)
	if err != nil {
		t.Fatalf("at %s: %v", when, err)
	}
	return r
}

// full is a sample with every field set, to a value that the format keeps exactly.
func full(when time.Time) *sample.Sample {
	n := 0
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		n++
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(noon.Add(time.Duration(-n) * time.Hour)))
		case v.Kind() == reflect.Float64:
			v.SetFloat(float64(n))
		case v.Kind() == reflect.Uint64:
			v.SetUint(uint64(n) << 20)
		case v.Kind() == reflect.Int:
			v.SetInt(int64(n))
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		case v.Kind() == reflect.String:
			v.SetString(fmt.Sprintf("s%d<\x1b>", n))
		case v.Kind() == reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem())
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		case v.Kind() == reflect.Array:
			for i := range v.Len() {
				fill(v.Index(i))
			}
		case v.Kind() == reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range v.Len() {
				fill(v.Index(i))
			}
		}
	}
	s := &sample.Sample{}
	fill(reflect.ValueOf(s).Elem())
	s.Time, s.Interval = when, 1
	for i := range s.Machines {
		s.Machines[i].Interfaces = []string{"tap0", "tap1"}
	}
	return s
}

// TestNothingIsForgotten: a field that is added to sample must be given a column.
func TestNothingIsForgotten(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s := opened(t, cfg)
	want := full(noon)
	add(t, s, want)
	check := func(s *Store) {
		t.Helper()
		got := at(t, s, noon, 0)
		a, _ := json.MarshalIndent(want, "", " ")
		b, _ := json.MarshalIndent(got.Sample, "", " ")
		if string(a) != string(b) {
			t.Errorf("kept\n%s\ngot\n%s", a, b)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(opened(t, cfg))
}

func host(when time.Time, all ...sample.Process) *sample.Sample {
	return &sample.Sample{Time: when, Interval: 1, Processes: all}
}

func process(pid int, cpu float64) sample.Process {
	return sample.Process{PID: pid, Start: noon, Name: fmt.Sprint("p", pid), CPU: cpu, Resident: uint64(1000 + pid), RxBytes: -1, TxBytes: -1}
}

func find(all []sample.Process, pid int) *sample.Process {
	for i := range all {
		if all[i].PID == pid {
			return &all[i]
		}
	}
	return nil
}

// TestWhoMadeTheSpike: a process that is busy for one second of a day is found a month
// after, when only the minutes are left.
func TestWhoMadeTheSpike(t *testing.T) {
	s := opened(t, Config{Dir: t.TempDir(), Top: 2, Tiers: []Tier{{time.Second, 40 * time.Second}, {10 * time.Second, 4 * time.Minute}, {time.Minute, time.Hour}}})
	for i := range 1800 {
		var all []sample.Process
		for pid := range 50 {
			all = append(all, process(pid+1, 0.5+float64(pid)/100))
		}
		if i == 333 {
			culprit := process(4711, 7)
			culprit.Resident = 1 // or it were kept for its memory
			all = append(all, culprit)
		}
		add(t, s, host(noon.Add(time.Duration(i)*time.Second), all...))
	}
	r := at(t, s, noon.Add(333*time.Second), 0)
	if r.Step != 60 || !r.Time.Equal(noon.Add(5*time.Minute)) {
		t.Fatalf("a record of %v s at %s, want the minute", r.Step, r.Time)
	}
	p, peak := find(r.Sample.Processes, 4711), find(r.Peak.Processes, 4711)
	if p == nil || peak == nil {
		t.Fatalf("the culprit is not among %d processes", len(r.Sample.Processes))
	}
	if peak.CPU != 7 || math.Abs(p.CPU-7./60) > 0.0002 || p.RxBytes != -1 {
		t.Errorf("mean %v, peak %v, rx %v", p.CPU, peak.CPU, p.RxBytes)
	}
	if n := len(r.Sample.Processes); n > 4*60+8*2 {
		t.Errorf("%d processes in one record", n)
	}
}

// TestRollUp holds two coarser tiers against means and maxima taken from the samples.
func TestRollUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		cfg := Config{Dir: dir, Top: 3, Tiers: []Tier{{time.Second, time.Minute}, {5 * time.Second, 10 * time.Minute}, {15 * time.Second, time.Hour}}}
		s, err := Open(cfg)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { s.Close() }()
		var all []*sample.Sample
		when := noon
		for range rapid.IntRange(1, 150).Draw(rt, "samples") {
			when = when.Add(time.Duration(rapid.IntRange(1, 3).Draw(rt, "seconds")) * time.Second)
			sm := &sample.Sample{Time: when, Interval: float64(rapid.IntRange(1, 30).Draw(rt, "interval")) / 10}
			sm.CPU.Total.User = float64(rapid.IntRange(0, 1000).Draw(rt, "user")) / 1000
			sm.Memory.Available = uint64(rapid.IntRange(0, 1<<30).Draw(rt, "available"))
			if rapid.Bool().Draw(rt, "disk") {
				sm.Disks = []sample.Disk{{Name: "sda", ReadBytes: float64(rapid.IntRange(0, 1<<30).Draw(rt, "read"))}}
			}
			all = append(all, sm)
			if err := s.Add(sm); err != nil {
				rt.Fatal(err)
			}
			if rapid.IntRange(0, 20).Draw(rt, "restart") == 0 {
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				if s, err = Open(cfg); err != nil {
					rt.Fatal(err)
				}
			}
		}
		for _, step := range []time.Duration{5 * time.Second, 15 * time.Second} {
			naive(rt, s, all, step)
		}
	})
}

func naive(rt *rapid.T, s *Store, all []*sample.Sample, step time.Duration) {
	for start := all[0].Time.Truncate(step); start.Add(2 * step).Before(all[len(all)-1].Time); start = start.Add(step) {
		var weight, user, userPeak, read, readPeak float64
		var available uint64
		least, n := uint64(math.MaxUint64), 0
		for _, sm := range all {
			if !sm.Time.Truncate(step).Equal(start) {
				continue
			}
			n++
			weight += sm.Interval
			user += sm.CPU.Total.User * sm.Interval
			userPeak = max(userPeak, sm.CPU.Total.User)
			available, least = sm.Memory.Available, min(least, sm.Memory.Available)
			for _, d := range sm.Disks {
				read += d.ReadBytes * sm.Interval
				readPeak = max(readPeak, d.ReadBytes)
			}
		}
		if n == 0 {
			continue
		}
		r, err := s.At(start.Add(step-time.Millisecond), step)
		if err != nil {
			rt.Fatal(err)
		}
		if !r.Time.Equal(start) || r.Step != step.Seconds() {
			// A restart in a period that is not over leaves it to the next sample.
			rt.Fatalf("%s: a record of %s, %v s", start, r.Time, r.Step)
		}
		near := func(what string, got, want, within float64) {
			if math.Abs(got-want) > within {
				rt.Fatalf("%s, %s of %s: %v, want %v", start, what, step, got, want)
			}
		}
		near("user", r.Sample.CPU.Total.User, user/weight, 0.00011)
		near("peak user", r.Peak.CPU.Total.User, userPeak, 0)
		near("available", float64(r.Sample.Memory.Available), float64(available), 0)
		near("least available", float64(r.Peak.Memory.Available), float64(least), 0)
		near("interval", r.Sample.Interval, weight, 0.0011)
		if len(r.Sample.Disks) > 0 {
			near("read", r.Sample.Disks[0].ReadBytes, read/weight, 1.1)
			near("peak read", r.Peak.Disks[0].ReadBytes, readPeak, 0)
		} else {
			near("no disk", readPeak, 0, 0)
		}
	}
}

// TestRange also reads across the end of a tier.
func TestRange(t *testing.T) {
	s := opened(t, Config{Dir: t.TempDir(), Tiers: []Tier{{time.Second, time.Minute}, {10 * time.Second, 10 * time.Minute}}})
	for i := range 300 {
		sm := host(noon.Add(time.Duration(i)*time.Second), process(9, float64(i)))
		sm.CPU.Total.User = float64(i) / 1000
		sm.Disks = []sample.Disk{{Name: "a]b.c", ReadBytes: float64(i)}}
		add(t, s, sm)
	}
	fields := []string{"cpu.user", "disks[a]b.c].read_bytes", "processes[" + ProcessKey(process(9, 0)) + "].cpu", "disks[none].busy"}
	got, err := s.Range(noon, noon.Add(310*time.Second), time.Second, fields...)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Lines[0].Values); n != 310 {
		t.Fatalf("%d points", n)
	}
	for i, v := range got.Lines[1].Values {
		switch {
		case i >= 300:
			if !math.IsNaN(v) {
				t.Errorf("point %d of the future: %v", i, v)
			}
		case i >= 240: // certainly kept as seconds
			if v != float64(i) {
				t.Errorf("point %d: %v", i, v)
			}
		case i < 200: // expired
			if want := float64(i/10*10) + 4.5; math.Abs(v-want) > 0.51 || got.Lines[1].Peaks[i] != float64(i/10*10+9) {
				t.Errorf("point %d: %v, peak %v, want %v", i, v, got.Lines[1].Peaks[i], want)
			}
		}
	}
	if v := got.Lines[2].Values[299]; v != 299 {
		t.Errorf("the process at the end: %v", v)
	}
	if v := got.Lines[3].Values[299]; !math.IsNaN(v) {
		t.Errorf("a disk that there is not: %v", v)
	}
	text, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(text), "null") {
		t.Errorf("%v: %s", err, text)
	}
	for _, bad := range []string{"", "x", "cpu", "cpu.x", "disks.busy", "disks[a]", "cpu[0].user", "[x].y"} {
		if _, err := s.Range(noon, noon.Add(time.Minute), time.Second, bad); err == nil || !strings.Contains(err.Error(), "there is no field") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, f := range Fields() {
		if _, err := s.Range(noon, noon.Add(time.Minute), time.Second, strings.Replace(f, "[]", "[x]", 1)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// TestRetention: what is kept does not grow, and is as much as was asked for.
// TestNoRatesAreNotKept: a program that has just been started has no rates yet; a chart does
// not show that as a machine that stood still.
func TestNoRatesAreNotKept(t *testing.T) {
	s := opened(t, Config{Dir: t.TempDir()})
	for i := range 4 {
		sm := host(noon.Add(time.Duration(i) * time.Second))
		sm.CPU.Total.User = 0.5
		if i == 2 { // started again
			sm.Interval, sm.CPU.Total.User = 0, 0
		}
		add(t, s, sm)
	}
	got, err := s.Range(noon, noon.Add(4*time.Second), time.Second, "cpu.user")
	if err != nil {
		t.Fatal(err)
	}
	if values := got.Lines[0].Values; values[1] != 0.5 || values[2] == 0 || values[3] != 0.5 {
		t.Errorf("%v", values)
	}
}

func TestRetention(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Tiers: []Tier{{time.Second, 2 * time.Minute}, {10 * time.Second, 10 * time.Minute}}}
	s := opened(t, cfg)
	for i := range 3000 {
		add(t, s, host(noon.Add(time.Duration(i)*time.Second), process(1, 1)))
	}
	bounds, err := s.Bounds()
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bounds {
		want := cfg.Tiers[i].records()
		if b.Records < want || b.Records > want*5/4+2*cfg.block(i) {
			t.Errorf("%d records of %v s, want %d", b.Records, b.Step, want)
		}
	}
	if !bounds[0].To.Equal(noon.Add(2999 * time.Second)) {
		t.Errorf("the newest is of %s", bounds[0].To)
	}
}

func TestBoundOfBytes(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), MaxBytes: leastBytes}
	s := opened(t, cfg)
	for i := range 1500 {
		sm := host(noon.Add(time.Duration(i) * 10 * time.Second))
		for d := range 300 { // what does not compress
			x := float64((i*7919+d*104729)%1_000_003) * 37
			sm.Disks = append(sm.Disks, sample.Disk{Name: fmt.Sprint("d", d), ReadBytes: x * x, WriteBytes: x * 3})
		}
		add(t, s, sm)
		if i%100 == 0 {
			if n := onDisk(t, cfg.Dir); n > cfg.MaxBytes+4096 {
				t.Fatalf("%d bytes on disk, the bound is %d", n, cfg.MaxBytes)
			}
		}
	}
	at(t, s, noon.Add(14990*time.Second), 0)
}

func onDisk(t testing.TB, dir string) (n int64) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", f.Name(), info.Mode())
		}
	}
	return n
}

// TestClockSteps: a clock that is set, to and fro, loses nothing.
func TestClockSteps(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Tiers: []Tier{{time.Second, 10 * time.Minute}, {10 * time.Second, time.Hour}}}
	s := opened(t, cfg)
	mark := func(start time.Time, n int, pid int) {
		for i := range n {
			add(t, s, host(start.Add(time.Duration(i)*time.Second), process(pid, 1)))
		}
	}
	future := noon.AddDate(70, 0, 0)
	mark(noon, 100, 1)
	mark(future, 5, 2)
	mark(time.Unix(3, 0), 5, 3)
	mark(noon.Add(-50*time.Second), 155, 4) // writes the first 100 s anew, and on
	for range 2 {
		for _, x := range []struct {
			when time.Time
			pid  int
		}{{noon.Add(20 * time.Second), 4}, {noon.Add(103 * time.Second), 4}, {noon.Add(-20 * time.Second), 4}, {future, 2}, {time.Unix(5, 0), 3}} {
			r := at(t, s, x.when, time.Second)
			if p := find(r.Sample.Processes, x.pid); p == nil || !r.Time.Equal(x.when) {
				t.Errorf("at %s: a record of %s with %v, want process %d", x.when, r.Time, r.Sample.Processes, x.pid)
			}
		}
		if _, err := s.At(time.Unix(-20, 0), 0); err != ErrNone {
			t.Errorf("before all: %v", err)
		}
		got, err := s.Range(noon.Add(-50*time.Second), noon.Add(100*time.Second), 10*time.Second, "tasks.processes")
		if err != nil || slices.ContainsFunc(got.Lines[0].Values, math.IsNaN) {
			t.Errorf("%v: %v", err, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = opened(t, cfg)
	}
}

func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	if _, err := Open(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("the second: %v", err)
	}
	s.Close()
	opened(t, Config{Dir: dir})
}

// fromTheFuture puts a segment of the next format into a directory.
func fromTheFuture(t *testing.T, dir string) {
	t.Helper()
	b := segmentStart()[:8]
	b = binary.LittleEndian.AppendUint32(b, version+1)
	sum := checksum(b)
	b = append(b, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
	if err := os.WriteFile(filepath.Join(dir, "1s-0000000000.seg"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFormatFromTheFuture(t *testing.T) {
	dir := t.TempDir()
	fromTheFuture(t, dir)
	if _, err := Open(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), fmt.Sprint("format ", version+1)) {
		t.Errorf("%v", err)
	}
}

func TestValidate(t *testing.T) {
	for want, c := range map[string]Config{
		"no directory":     {},
		"whole seconds":    {Dir: "x", Tiers: []Tier{{time.Millisecond, time.Hour}}},
		"must be a mult":   {Dir: "x", Tiers: []Tier{{2 * time.Second, time.Minute}, {5 * time.Second, time.Hour}}},
		"one longer":       {Dir: "x", Tiers: []Tier{{time.Second, time.Hour}, {5 * time.Second, time.Minute}}},
		"at least four":    {Dir: "x", Tiers: []Tier{{time.Second, time.Minute}, {time.Minute, time.Hour}}},
		"next to nothing":  {Dir: "x", MaxBytes: 1},
		"number of proces": {Dir: "x", Top: -1},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
}

// TestWildValues: no value of a sample makes trouble.
func TestWildValues(t *testing.T) {
	s := opened(t, Config{Dir: t.TempDir()})
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -1e300} {
		sm := full(noon.Add(time.Duration(i) * 11 * time.Second))
		sm.Interval, sm.CPU.Total.User, sm.Disks[0].ReadBytes, sm.Processes[0].CPU = v, v, v, v
		sm.Memory.Total = math.MaxUint64
		sm.Processes[0].Command = strings.Repeat("ä", 1<<16)
		add(t, s, sm)
	}
	for _, step := range []time.Duration{time.Second, 10 * time.Second} {
		r := at(t, s, noon.Add(44*time.Second), step)
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	}
	if err := s.Add(&sample.Sample{}); err == nil {
		t.Error("a sample without a time is taken")
	}
}
