package history

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/sample"
)

// watched is a reader that looks at the directory for every question.
func watched(t testing.TB, dir string) *Reader {
	t.Helper()
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	r.often = 0
	return r
}

// TestReaderFollows: a reader sees what the writer adds, all the time that segments come
// and go, and has for each time what the writer has, apart from the last ten passes.
func TestReaderFollows(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Tiers: []Tier{{time.Second, 2 * time.Minute}, {10 * time.Second, 10 * time.Minute}, {time.Minute, 4 * time.Hour}}}
	s := opened(t, cfg)
	add(t, s, host(noon, process(7, 1)))
	var r *Reader
	for i := 1; i < 4000; i++ {
		when := noon.Add(time.Duration(i) * time.Second)
		add(t, s, host(when, process(7, float64(i%60)/60)))
		if i%97 != 0 {
			continue
		}
		if r == nil {
			r = watched(t, cfg.Dir)
		}
		for _, step := range []time.Duration{0, 10 * time.Second, time.Minute} {
			for _, back := range []time.Duration{12 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute} {
				asked := when.Add(-back)
				if asked.Before(noon) {
					continue
				}
				got, err := r.At(asked, step)
				if err != nil {
					t.Fatalf("after %d s, %s back, step %s: %v", i, back, step, err)
				}
				if late := asked.Sub(got.Time).Seconds(); late < 0 || late >= max(got.Step, 2)*2 {
					t.Fatalf("after %d s, %s back, step %s: a record of %s (%v s)", i, back, step, got.Time, got.Step)
				}
			}
		}
		from := when.Add(-time.Hour).Truncate(time.Minute)
		if from.Before(noon) {
			from = noon
		}
		series, err := r.Range(from, when.Add(-10*time.Second), time.Minute, "tasks.processes")
		if err != nil {
			t.Fatal(err)
		}
		for j, v := range series.Lines[0].Values {
			if math.IsNaN(v) {
				t.Fatalf("after %d s the chart has a hole at point %d of %v", i, j, series.Lines[0].Values)
			}
		}
	}
	theirs, err := s.Bounds()
	if err != nil {
		t.Fatal(err)
	}
	mine, err := r.Bounds()
	if err != nil || len(mine) != len(theirs) || !mine[0].From.Equal(theirs[0].From) {
		t.Errorf("bounds %v, %v; the writer's %v", mine, err, theirs)
	}
}

// TestReaderDisturbsNobody: it changes no file, and a writer may come and go meanwhile.
func TestReaderDisturbsNobody(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	for i := range 25 {
		add(t, s, host(noon.Add(time.Duration(i)*time.Second), process(1, 1)))
	}
	// What a crash has left is the writer's to mend.
	newest := segmentPath(dir, time.Second, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(whole[:len(whole):len(whole)], whole[segmentHeader:segmentHeader+200]...)
	if err := os.WriteFile(newest, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	r := watched(t, dir)
	if got, err := r.At(noon.Add(time.Hour), 0); err != nil || !got.Time.Equal(noon.Add(24*time.Second)) {
		t.Errorf("the newest: %+v, %v", got, err)
	}
	if now, err := os.ReadFile(newest); err != nil || string(now) != string(torn) {
		t.Errorf("the reader has changed the file: %v", err)
	}
	s = opened(t, Config{Dir: dir}) // which cuts off the torn end, and has the lock
	for i := range 10 {
		add(t, s, host(noon.Add(time.Duration(100+i)*time.Second), process(2, 1)))
	}
	if got, err := r.At(noon.Add(time.Hour), 0); err != nil || find(got.Sample.Processes, 2) == nil {
		t.Errorf("after another writer came: %+v, %v", got, err)
	}
	// Somebody removes all, and begins anew with the same names.
	removeAll := func() {
		s.Close()
		all, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
		for _, f := range all {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	removeAll()
	s = opened(t, Config{Dir: dir})
	for i := range 10 {
		add(t, s, host(noon.Add(time.Duration(i)*time.Minute), process(3, 1)))
	}
	if got, err := r.At(noon.Add(time.Hour), 0); err != nil || find(got.Sample.Processes, 3) == nil {
		t.Errorf("after a new beginning: %+v, %v", got, err)
	}
	removeAll()
	if _, err := r.At(noon.Add(time.Hour), 0); !errors.Is(err, ErrNone) {
		t.Errorf("with all files gone: %v", err)
	}
}

func TestReaderRefuses(t *testing.T) {
	if _, err := OpenReader(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := OpenReader(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	dir := t.TempDir()
	fromTheFuture(t, dir)
	if _, err := OpenReader(dir); err == nil || !strings.Contains(err.Error(), fmt.Sprint("format ", version+1)) {
		t.Errorf("a newer format: %v", err)
	}
}

// TestMemory: what is kept in memory is as on disk, is bounded, and leaves nothing.
func TestMemory(t *testing.T) {
	s := opened(t, Config{Memory: true, MaxBytes: leastBytes, Tiers: smallTiers()})
	h := newHypervisor()
	when := noon
	for range 600 {
		when = when.Add(time.Second)
		add(t, s, h.sample(when, 1))
	}
	if got := at(t, s, when.Add(-30*time.Second), 0); len(got.Sample.Processes) == 0 || len(got.Sample.Machines) != 20 {
		t.Errorf("half a minute ago: %d processes, %d machines", len(got.Sample.Processes), len(got.Sample.Machines))
	}
	bounds, err := s.Bounds()
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, b := range bounds {
		total += b.Bytes
	}
	if total > leastBytes {
		t.Errorf("%d bytes are more than the bound of %d", total, leastBytes)
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("neither a directory nor memory was given")
	}
}

// TestAny: one name for all disks has the busiest of each second, and the least of what
// is free.
func TestAny(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Tiers: []Tier{{time.Second, 40 * time.Second}, {10 * time.Second, 10 * time.Minute}}}
	s := opened(t, cfg)
	for i := range 300 {
		sm := host(noon.Add(time.Duration(i) * time.Second))
		sm.Disks = []sample.Disk{{Name: "sda", Busy: 0.1}, {Name: "*", Busy: 0.2}}
		sm.Filesystems = []sample.Filesystem{{Mount: "/", Available: 1000}, {Mount: "/srv", Available: 50}}
		if i >= 100 && i < 105 {
			sm.Disks[0].Busy = 0.9
		}
		add(t, s, sm)
	}
	for range 2 {
		got, err := s.Range(noon, noon.Add(300*time.Second), 10*time.Second, "disks[*].busy", "disks[sda].busy", "filesystems[*].available", "interfaces[*].rx_bytes")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 29 {
			mean, peak := 0.2, 0.2
			if i == 10 {
				mean, peak = 0.5, 0.9
			}
			if v, p := got.Lines[0].Values[i], got.Lines[0].Peaks[i]; math.Abs(v-mean) > 0.01 || p != peak {
				t.Errorf("point %d: the busiest disk has %v, at most %v; want %v, %v", i, v, p, mean, peak)
			}
			if v := got.Lines[2].Values[i]; v != 50 {
				t.Errorf("point %d: %v bytes are free where there is least", i, v)
			}
			if v := got.Lines[3].Values[i]; !math.IsNaN(v) {
				t.Errorf("point %d: %v of an interface that is not there", i, v)
			}
		}
		if got.Lines[1].Values[5] != 0.1 {
			t.Errorf("sda alone has %v", got.Lines[1].Values[5])
		}
		if err := s.Close(); err != nil { // from disk too
			t.Fatal(err)
		}
		s = opened(t, cfg)
	}
}

// TestPassesFarApart: passes every 2 s and more, and late ones, leave no hole in a chart of
// seconds, and each value stands where it was measured and nowhere else.
func TestPassesFarApart(t *testing.T) {
	s := opened(t, Config{Memory: true})
	when := noon
	for i, gap := range []time.Duration{2000, 2000, 1990, 2010, 3500, 2000, 1000, 1000, 1060, 990, 2000} {
		when = when.Add(gap * time.Millisecond)
		sm := host(when)
		sm.Interval = (gap * time.Millisecond).Seconds()
		sm.Swap.In = float64(100 + i)
		add(t, s, sm)
	}
	got, err := s.Range(noon.Add(time.Second), when, time.Second, "swap.in")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[float64]int{}
	for i, v := range got.Lines[0].Peaks {
		if math.IsNaN(v) {
			t.Errorf("second %d is not known: %v", i+1, got.Lines[0].Peaks)
		}
		seen[v]++
	}
	if seen[104] < 3 || seen[106] > 2 || seen[101] > 2 {
		t.Errorf("values stand in that many seconds: %v", seen)
	}
}
