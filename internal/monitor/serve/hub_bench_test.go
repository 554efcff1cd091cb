package serve

import (
	"fmt"
	"testing"
	"time"

	"sarn/internal/monitor/sample"
)

// watched is a machine of 1,000 processes of which each pass finds 110 changed, as
// bench/monitor has them.
func watched(n int) *sample.Sample {
	s := &sample.Sample{Time: time.Unix(int64(n), 0), Interval: 1}
	for i := range 2 {
		s.CPU.Cores = append(s.CPU.Cores, sample.Times{User: float64(n%97) / 97, System: float64(n%89) / 89, Idle: float64(n%79) / 79})
		s.Disks = append(s.Disks, sample.Disk{Name: fmt.Sprint("vd", i), Reads: float64(n % 5)})
		s.Interfaces = append(s.Interfaces, sample.Interface{Name: fmt.Sprint("eth", i), RxBytes: float64(n % 1013)})
	}
	for i := range 1100 {
		p := sample.Process{PID: i + 1, Parent: 1, Start: time.Unix(int64(i), 1e7*int64(i%100)), User: "root", Name: "sleep", Command: "sleep infinity", State: "S", Threads: 1, Resident: 1802240, Virtual: 2949120, Shared: 1802240}
		if i%10 == 0 {
			p.Name, p.Command = "tail", "tail -s 0.5 -f ---disable-inotify /tmp/bench-monitor3461431/empty"
			p.CPU = float64((n*31+i)%53) / 1e5
			p.CPUTime = float64(n*31+i) / 1e3
		}
		s.Processes = append(s.Processes, p)
	}
	return s
}

// BenchmarkPublish is what a pass costs beyond the pass: with nobody who looks on, and
// what is done once for all who do.
func BenchmarkPublish(b *testing.B) {
	samples := make([]*sample.Sample, 64)
	for i := range samples {
		samples[i] = watched(i)
	}
	for _, look := range []bool{false, true} {
		b.Run(map[bool]string{false: "nobody", true: "somebody"}[look], func(b *testing.B) {
			h := newHub()
			h.publish(samples[len(samples)-1], nil)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.publish(samples[i%len(samples)], nil)
				if f := h.latest.Load(); look {
					f.delta.packed()
				}
			}
		})
	}
}
