package serve

import (
	"maps"
	"sync"

	"sarn/internal/monitor/sample"
)

// totals sums up rates to counters, which lose nothing between two scrapes, however far
// they are from each other. What is gone is forgotten: should it come back its counters
// begin at 0, as they do after a restart.
type totals struct {
	mu       sync.Mutex
	passes   uint64
	failures uint64
	pass     float64 // seconds that the last one took
	counts   map[thing]*count
}

// thing is whose counters they are: all of a kind, or one by its name.
type thing struct {
	kind string
	name string
}

type count struct {
	pass   uint64 // in which it was seen last
	values [8]float64
}

func newTotals() *totals { return &totals{counts: map[thing]*count{}} }

// add takes a sample, which took so many seconds to make.
func (t *totals) add(s *sample.Sample, took float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.passes++
	t.pass = took
	c, cpus := s.CPU.Total, float64(len(s.CPU.Cores))
	t.count(s, "cpu", "", c.User*cpus, c.Nice*cpus, c.System*cpus, c.Idle*cpus, c.IOWait*cpus, c.IRQ*cpus, c.SoftIRQ*cpus, c.Steal*cpus)
	t.count(s, "system", "", s.Tasks.ContextSwitches, s.Tasks.Forks, s.Swap.In, s.Swap.Out)
	for i := range s.Disks {
		d := &s.Disks[i]
		t.count(s, "disk", d.Name, d.Reads, d.Writes, d.ReadBytes, d.WriteBytes, d.Busy)
	}
	for i := range s.Interfaces {
		n := &s.Interfaces[i]
		t.count(s, "interface", n.Name, n.RxBytes, n.TxBytes, n.RxPackets, n.TxPackets, n.RxErrors, n.TxErrors, n.RxDrops, n.TxDrops)
	}
	for i := range s.Machines {
		m := &s.Machines[i]
		t.count(s, "machine", m.ID, m.CPU, m.ReadBytes, m.WriteBytes, m.RxBytes, m.TxBytes)
	}
	for k, c := range t.counts {
		if c.pass != t.passes {
			delete(t.counts, k)
		}
	}
}

// count adds rates over the interval. What nobody tells (-1) is nothing.
func (t *totals) count(s *sample.Sample, kind, name string, rates ...float64) {
	c := t.counts[thing{kind, name}]
	if c == nil {
		c = &count{}
		t.counts[thing{kind, name}] = c
	}
	c.pass = t.passes
	for i, r := range rates {
		c.values[i] += max(r, 0) * s.Interval
	}
}

func (t *totals) failed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures++
}

// now returns a copy.
func (t *totals) now() *totals {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := &totals{passes: t.passes, failures: t.failures, pass: t.pass, counts: maps.Clone(t.counts)}
	for k, c := range own.counts {
		copied := *c
		own.counts[k] = &copied
	}
	return own
}

// of returns what was counted of a thing.
func (t *totals) of(kind, name string) [8]float64 {
	if c := t.counts[thing{kind, name}]; c != nil {
		return c.values
	}
	return [8]float64{}
}
