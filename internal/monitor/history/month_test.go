package history

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// quietHost is a small machine: what a month of it takes to write is seconds.
func quietHost(when time.Time, n int) *sample.Sample {
	s := host(when, process(1, 0.1), process(2+n/1000, float64(n%100)/100))
	s.Interval = 60
	s.CPU.Total = sample.Times{User: float64(n%50) / 50, Idle: 1 - float64(n%50)/50}
	s.CPU.Cores = []sample.Times{s.CPU.Total, s.CPU.Total}
	s.Disks = []sample.Disk{{Name: "sda", Busy: float64(n%7) / 10}}
	return s
}

// fastest is the least CPU time that f takes of several times: the others were disturbed.
func fastest(t *testing.T, f func() error) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := time.Hour
	for range 7 {
		start := threadTime(t)
		if err := f(); err != nil {
			t.Fatal(err)
		}
		best = min(best, threadTime(t)-start)
	}
	return best
}

// threadTime is the CPU time of this thread, to which others on a busy machine add nothing.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}

// TestMonth: 30 days of history take little memory, whoever has it open, and the picture
// of a time costs the same whether there is a day or a month of it.
func TestMonth(t *testing.T) {
	before := live()
	day, month := Config{Dir: t.TempDir()}, Config{Dir: t.TempDir()}
	end := noon
	fill := func(cfg Config, days int) *Store {
		s := opened(t, cfg)
		end = noon
		for i := range days * 24 * 60 {
			end = end.Add(time.Minute)
			add(t, s, quietHost(end, i))
		}
		return s
	}
	of := func(s *Store) (picture, chart time.Duration) {
		picture = fastest(t, func() error {
			_, err := s.At(end.Add(-20*time.Hour), time.Minute)
			return err
		})
		span := end.Sub(noon)
		chart = fastest(t, func() error {
			_, err := s.Range(end.Add(-span), end, 0, "cpu.busy")
			return err
		})
		return picture, chart
	}
	s := fill(day, 1)
	dayPicture, dayChart := of(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = fill(month, 30)
	monthPicture, monthChart := of(s)
	bounds, err := s.Bounds()
	if err != nil {
		t.Fatal(err)
	}
	if days := bounds[2].To.Sub(bounds[2].From).Hours() / 24; days < 29.9 {
		t.Fatalf("the minutes are of %.1f days", days)
	}
	held := int64(live()) - int64(before)
	r := watched(t, month.Dir)
	both := int64(live()) - int64(before)
	t.Logf("a day: picture %v, chart %v; a month: picture %v, chart %v; heap of the writer %d KiB, of a reader %d KiB",
		dayPicture, dayChart, monthPicture, monthChart, held>>10, (both-held)>>10)
	if held > 12<<20 || both-held > 8<<20 {
		t.Errorf("a month holds %d bytes of memory, and a reader %d more", held, both-held)
	}
	if monthPicture > 6*dayPicture {
		t.Errorf("a picture takes %v in a month, %v in a day", monthPicture, dayPicture)
	}
	// 30 times as many records; opening blocks costs the same each.
	if monthChart > 60*dayChart {
		t.Errorf("a chart of a month takes %v, of a day %v", monthChart, dayChart)
	}
	if _, err := r.At(end.Add(-20*24*time.Hour), time.Minute); err != nil {
		t.Error(err)
	}
}
