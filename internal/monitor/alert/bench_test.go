package alert

import (
	"fmt"
	"testing"

	"sarn/internal/monitor/sample"
)

// A thousand processes, none of which is past a threshold.
func BenchmarkObserve(b *testing.B) {
	bed := newBed(b, `
rules:
  - {name: a, of: process, value: cpu, match: {name: "~^p[0-9]*$"}, warning: 80%}
  - {name: b, of: process, value: memory, warning: 1GiB}
  - {name: c, of: process, value: absent, match: {name: p1}}
  - {name: d, of: process, value: flapping, match: {name: "p9*"}}
  - {name: e, of: system, value: cpu, warning: 80%}`, "")
	s := sample.Sample{Interval: 1}
	for i := range 1000 {
		s.Processes = append(s.Processes, sample.Process{PID: i + 1, Name: fmt.Sprintf("p%d", i), Command: "/usr/bin/p --with arguments", CPU: .1, Resident: 1e6})
	}
	b.ReportAllocs()
	for b.Loop() {
		bed.e.Observe(&s)
	}
}
