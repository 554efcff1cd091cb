package serve

import (
	"maps"
	"math"
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
	// What nobody tells (-1) is nothing.
	time := func(rate float64) float64 { return max(rate, 0) * s.Interval }
	things := func(rate float64) float64 { return math.Round(time(rate)) } // they were whole before they were a rate
	c, cpus := s.CPU.Total, float64(len(s.CPU.Cores))
	t.count("cpu", "", time(c.User*cpus), time(c.Nice*cpus), time(c.System*cpus), time(c.Idle*cpus), time(c.IOWait*cpus), time(c.IRQ*cpus),
		time(c.SoftIRQ*cpus), time(c.Steal*cpus))
	t.count("system", "", things(s.Tasks.ContextSwitches), things(s.Tasks.Forks), things(s.Swap.In), things(s.Swap.Out))
	for i := range s.Disks {
		d := &s.Disks[i]
		t.count("disk", d.Name, things(d.Reads), things(d.Writes), things(d.ReadBytes), things(d.WriteBytes), time(d.Busy))
	}
	for i := range s.Interfaces {
		n := &s.Interfaces[i]
		t.count("interface", n.Name, things(n.RxBytes), things(n.TxBytes), things(n.RxPackets), things(n.TxPackets), things(n.RxErrors),
			things(n.TxErrors), things(n.RxDrops), things(n.TxDrops))
	}
	for i := range s.Machines {
		m := &s.Machines[i]
		t.count("machine", m.ID, time(m.CPU), things(m.ReadBytes), things(m.WriteBytes), things(m.RxBytes), things(m.TxBytes))
	}
	for k, c := range t.counts {
		if c.pass != t.passes {
			delete(t.counts, k)
		}
	}
}

// count adds to what was counted of a thing.
func (t *totals) count(kind, name string, more ...float64) {
	c := t.counts[thing{kind, name}]
	if c == nil {
		c = &count{}
		t.counts[thing{kind, name}] = c
	}
	c.pass = t.passes
	for i, n := range more {
		c.values[i] += n
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
