package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

// host makes up samples of a hypervisor with 16 CPUs, 20 guests and 200 processes, of
// which one ends in each pass. Nearly all values are noise, which does not compress.
type host struct {
	rnd  *rand.Rand
	boot time.Time
	all  []sample.Process
	born int
}

func newHost(boot time.Time) *host {
	h := &host{rnd: rand.New(rand.NewPCG(1, 2)), boot: boot}
	for range 200 {
		h.all = append(h.all, h.process())
	}
	return h
}

func (h *host) process() sample.Process {
	h.born++
	n := h.born
	return sample.Process{
		PID: 1000 + n, Parent: 1, Start: h.boot.Add(time.Duration(n) * time.Second), User: fmt.Sprint("user", n%7),
		Name: fmt.Sprint("prog", n%60), State: "S", Threads: 1 + n%20, Virtual: 8 << 30, Shared: 1 << 20, Resident: h.bytes(4 << 30),
		Command: fmt.Sprintf("/usr/lib/some/where/prog%d --config /etc/prog/%x.conf --listen 10.0.%d.%d:%d", n%60, n*7919, n%250, n%200, 1024+n),
	}
}

// some is mostly little and seldom much.
func (h *host) some(most float64) float64 { return h.rnd.ExpFloat64() * most / 10 }

func (h *host) bytes(most uint64) uint64 { return h.rnd.Uint64N(most>>12) << 12 }

func (h *host) times() sample.Times {
	user, system, wait := h.rnd.Float64()/2, h.rnd.Float64()/8, h.rnd.Float64()/20
	return sample.Times{User: user, System: system, IOWait: wait, Idle: 1 - user - system - wait}
}

func (h *host) sample(when time.Time, interval float64) *sample.Sample {
	s := &sample.Sample{
		Time: when, Interval: interval, Host: sample.Host{Name: "kvm7", OS: "Debian", Kernel: "6.12", CPUs: 16, Model: "made up", Boot: h.boot},
		Load: [3]float64{h.some(40), h.some(40), h.some(40)}, Tasks: sample.Tasks{Processes: 200, Threads: 900, ContextSwitches: h.some(1e5)},
		Pressure: &sample.Pressure{CPU: sample.Stall{Some10: h.rnd.Float64() / 10}}, CPU: sample.CPU{Total: h.times()},
		Memory: sample.Memory{Total: 64 << 30, Available: h.bytes(60 << 30), Cached: h.bytes(20 << 30)},
	}
	for range 16 {
		s.CPU.Cores = append(s.CPU.Cores, h.times())
	}
	for i := range 4 {
		s.Disks = append(s.Disks, sample.Disk{Name: fmt.Sprint("nvme", i), Reads: h.some(1e3), Writes: h.some(1e3),
			ReadBytes: h.some(1e8), WriteBytes: h.some(1e8), Wait: h.some(0.01), Busy: h.rnd.Float64()})
		s.Filesystems = append(s.Filesystems, sample.Filesystem{Mount: fmt.Sprint("/srv/", i), Device: "/dev/x", Type: "ext4", Size: 1 << 40, Available: h.bytes(1 << 39), Used: 1 << 39})
	}
	for i := range 20 {
		name, tap := fmt.Sprint("web", i), fmt.Sprint("tap", i)
		s.Interfaces = append(s.Interfaces, sample.Interface{Name: tap, Up: true, RxBytes: h.some(1e7), TxBytes: h.some(1e7), RxPackets: h.some(1e4), TxPackets: h.some(1e4)})
		s.Machines = append(s.Machines, sample.Machine{ID: "vm/" + name, Kind: sample.VM, Name: name, PID: 500 + i, By: "qemu", State: "running", CPUs: 2,
			CPU: h.some(5), VCPUs: []float64{h.rnd.Float64(), h.rnd.Float64()}, Memory: 4 << 30, Used: h.bytes(4 << 30), ReadBytes: h.some(1e6),
			WriteBytes: h.some(1e6), RxBytes: h.some(1e7), TxBytes: h.some(1e7), Interfaces: []string{tap}})
	}
	h.all[h.rnd.IntN(len(h.all))] = h.process()
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

// makeHistory writes history up to now: a pass a second in the last 12 minutes, each 10 s
// in the last day, and one a minute before, since all seconds would take an hour to make. No
// period of any tier is without a pass.
func makeHistory(ctx context.Context, dir string, span time.Duration) error {
	store, err := history.Open(history.Config{Dir: dir})
	if err != nil {
		return err
	}
	end := time.Now().Truncate(time.Second)
	when := end.Add(-span)
	h := newHost(when)
	for when.Before(end) && ctx.Err() == nil {
		gap := time.Minute
		switch left := end.Sub(when); {
		case left <= 12*time.Minute:
			gap = time.Second
		case left <= 24*time.Hour:
			gap = 10 * time.Second
		}
		when = when.Add(gap)
		if err := store.Add(h.sample(when, gap.Seconds())); err != nil {
			return errors.Join(err, store.Close())
		}
	}
	return errors.Join(ctx.Err(), store.Close())
}
