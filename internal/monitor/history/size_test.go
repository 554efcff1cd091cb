package history

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/sample"
)

// hypervisor makes samples of a host with 16 CPUs and 20 machines, where 200 processes
// change places. Much of it is noise, which does not compress.
type hypervisor struct {
	rnd  *rand.Rand
	all  []sample.Process
	seen int
}

func newHypervisor() *hypervisor {
	h := &hypervisor{rnd: rand.New(rand.NewPCG(1, 2))}
	for range 200 {
		h.all = append(h.all, h.born())
	}
	return h
}

func (h *hypervisor) born() sample.Process {
	h.seen++
	return sample.Process{
		PID: 1000 + h.seen, Parent: 1, Start: noon.Add(time.Duration(h.seen) * time.Second), User: fmt.Sprint("user", h.seen%7),
		Name: fmt.Sprint("prog", h.seen%60), State: "S", Threads: 1 + h.seen%20,
		Command:  fmt.Sprintf("/usr/lib/some/where/prog%d --config /etc/prog/%x.conf --listen 10.0.%d.%d:%d --verbose", h.seen%60, h.seen*7919, h.seen%250, h.seen%200, 1024+h.seen),
		Resident: uint64(h.rnd.IntN(4<<18)) << 12, Virtual: 8 << 30, Shared: 1 << 20,
	}
}

func (h *hypervisor) some(most float64) float64 { return h.rnd.ExpFloat64() * most / 10 }

func (h *hypervisor) times() sample.Times {
	user, system, wait := h.rnd.Float64()/2, h.rnd.Float64()/8, h.rnd.Float64()/20
	return sample.Times{User: user, System: system, IOWait: wait, SoftIRQ: 0.01, Idle: 0.99 - user - system - wait}
}

func (h *hypervisor) sample(when time.Time, interval float64) *sample.Sample {
	s := &sample.Sample{
		Time: when, Interval: interval, Host: sample.Host{Name: "kvm7", OS: "Debian", Kernel: "6.12", CPUs: 16, Model: "some CPU", Boot: noon},
		Load: [3]float64{h.some(40), h.some(40), 4}, Tasks: sample.Tasks{Processes: 200 + h.rnd.IntN(9), Threads: 900, ContextSwitches: h.some(1e5)},
		Pressure: &sample.Pressure{CPU: sample.Stall{Some10: h.rnd.Float64() / 10}},
		Memory:   sample.Memory{Total: 64 << 30, Available: uint64(30<<30 + h.rnd.IntN(1<<20)<<12), Cached: uint64(h.rnd.IntN(1<<22)) << 12},
		CPU:      sample.CPU{Total: h.times()},
	}
	for range 16 {
		s.CPU.Cores = append(s.CPU.Cores, h.times())
	}
	for i := range 4 {
		s.Disks = append(s.Disks, sample.Disk{Name: fmt.Sprint("nvme", i), Reads: h.some(1000), Writes: h.some(1000), ReadBytes: h.some(1e8), WriteBytes: h.some(1e8), Wait: h.some(0.01), Busy: h.rnd.Float64()})
		s.Filesystems = append(s.Filesystems, sample.Filesystem{Mount: fmt.Sprint("/srv/", i), Device: "/dev/x", Type: "ext4", Size: 1 << 40, Available: uint64(h.rnd.IntN(1<<20)) << 12, Used: 1 << 39})
		s.Sensors = append(s.Sensors, sample.Sensor{Chip: "coretemp", Label: fmt.Sprint("Core ", i), Kind: "temperature", Value: 40 + float64(h.rnd.IntN(20))})
	}
	for i := range 25 {
		s.Interfaces = append(s.Interfaces, sample.Interface{Name: fmt.Sprint("tap", i), Up: true, RxBytes: h.some(1e7), TxBytes: h.some(1e7), RxPackets: h.some(1e4), TxPackets: h.some(1e4)})
	}
	for i := range 20 {
		name := fmt.Sprint("web", i)
		s.Machines = append(s.Machines, sample.Machine{ID: "vm/" + name, Kind: sample.VM, Name: name, PID: 500 + i, By: "qemu", State: "running", CPUs: 2, CPU: h.some(5), VCPUs: []float64{h.rnd.Float64(), h.rnd.Float64()}, Memory: 4 << 30, Used: uint64(h.rnd.IntN(1<<20)) << 12, ReadBytes: h.some(1e6), WriteBytes: h.some(1e6), RxBytes: h.some(1e7), TxBytes: h.some(1e7), Interfaces: []string{fmt.Sprint("tap", i)}})
	}
	h.all[h.rnd.IntN(len(h.all))] = h.born()
	for i := range h.all {
		p := &h.all[i]
		p.CPU, p.ReadBytes, p.WriteBytes, p.RxBytes, p.TxBytes = 0, 0, 0, -1, -1
		if i < 12 || h.rnd.IntN(10) == 0 {
			p.CPU, p.ReadBytes, p.WriteBytes = h.some(1), h.some(1e6), h.some(1e6)
			p.CPUTime += p.CPU
		}
	}
	s.Processes = h.all
	return s
}

// filled is a store that was written to for a time: a pass a second in the last twelve
// minutes, every 10 s in the time of tens, and one a minute before, since a month of
// seconds takes an hour to make. So no period of what is kept is without a pass.
func filled(b testing.TB, span, tens time.Duration) (*Store, time.Time) {
	s := opened(b, Config{Dir: b.TempDir()})
	h := newHypervisor()
	when, end := noon, noon.Add(span)
	dense := end.Add(-12 * time.Minute)
	busy := end.Add(-tens)
	for when.Before(end) {
		gap := time.Minute
		switch {
		case !when.Before(dense):
			gap = time.Second
		case !when.Before(busy):
			gap = 10 * time.Second
		}
		when = when.Add(gap)
		add(b, s, h.sample(when, gap.Seconds()))
	}
	return s, end
}

func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSize holds half a day against bounds that only a broken store exceeds.
func TestSize(t *testing.T) {
	before := live()
	s, end := filled(t, 14*time.Hour, 3*time.Hour)
	if held := int64(live()) - int64(before); held > 24<<20 {
		t.Errorf("%d bytes of memory are held", held)
	}
	if n := onDisk(t, s.cfg.Dir); n > 50<<20 {
		t.Errorf("%d bytes on disk", n)
	}
	if r := at(t, s, end.Add(-time.Hour), 0); r.Step != 10 || len(r.Sample.Machines) != 20 || len(r.Sample.Machines[3].VCPUs) != 2 {
		t.Errorf("an hour ago: %v s, %d machines", r.Step, len(r.Sample.Machines))
	}
}

// BenchmarkMonth measures 30 days of a hypervisor: what they take, and what it costs to
// ask.
func BenchmarkMonth(b *testing.B) {
	before := live()
	start := time.Now()
	s, end := filled(b, 30*24*time.Hour, 25*time.Hour)
	took := time.Since(start)
	held := float64(int64(live())-int64(before)) / (1 << 20)
	b.Run("size", func(b *testing.B) {
		for b.Loop() {
			bounds, err := s.Bounds()
			if err != nil {
				b.Fatal(err)
			}
			for _, x := range bounds {
				b.ReportMetric(float64(x.Bytes)/(1<<20), fmt.Sprintf("MiB-of-%.0fs", x.Step))
				b.ReportMetric(float64(x.Records), fmt.Sprintf("records-of-%.0fs", x.Step))
			}
		}
		b.ReportMetric(held, "MiB-held")
		b.ReportMetric(took.Seconds(), "s-to-fill")
	})
	for name, back := range map[string]time.Duration{"seconds": 5 * time.Minute, "10s": 12 * time.Hour, "minutes": 20 * 24 * time.Hour} {
		b.Run("At/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				at(b, s, end.Add(-back), 0)
			}
		})
	}
	for _, q := range []struct {
		name  string
		span  time.Duration
		field string
	}{{"month-cpu", 30 * 24 * time.Hour, "cpu.busy"}, {"month-disk", 30 * 24 * time.Hour, "disks[nvme1].read_bytes"}, {"day-cpu", 24 * time.Hour, "cpu.busy"}, {"10min-cpu", 10 * time.Minute, "cpu.busy"}} {
		b.Run("Range/"+q.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Range(end.Add(-q.span), end, 0, q.field); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			var err error
			if s, err = Open(s.cfg); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(rss(b), "MiB-RSS-peak")
	})
	h := newHypervisor()
	sm := h.sample(end, 1)
	b.Run("Add", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			end = end.Add(time.Second)
			sm.Time = end
			add(b, s, sm)
		}
	})
	s.Close()
}

// rss is the most memory that this process has had, in MiB.
func rss(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	var kib float64
	for line := range strings.Lines(string(text)) {
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}
