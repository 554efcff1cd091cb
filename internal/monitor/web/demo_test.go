package web_test

import (
	"fmt"
	"math"
	"sync"
	"time"

	"sarn/internal/monitor/sample"
)

// hypervisor is a source of made-up samples: a host with guests, of which one has a
// spike of some seconds at a time that the test chooses.
type hypervisor struct {
	mu        sync.Mutex
	n         int
	spike     time.Time
	processes int
	change    func(*sample.Sample) // what else a test wants, or nil
}

const spikeTime = 25 * time.Second

func (h *hypervisor) set(change func(*sample.Sample)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.change = change
}

// Pass implements serve.Source.
func (h *hypervisor) Pass() (*sample.Sample, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	s := h.at(time.Now())
	if h.n == 1 {
		s.Interval = 0
	}
	if h.change != nil {
		h.change(s)
	}
	return s, nil
}

// wave is between 0 and 1, and steady: the same for the same time and thing.
func wave(t time.Time, thing int) float64 {
	x := float64(t.UnixMilli()) / 1000
	f := float64(thing)
	return 0.5 + 0.25*math.Sin(x/(7+3*f)+f) + 0.15*math.Sin(x/(1.7+f/9)+3*f) + 0.1*math.Sin(x/(53+11*f))
}

const gib = 1 << 30

// at is the sample of a time. Nothing in it is by chance.
func (h *hypervisor) at(now time.Time) *sample.Sample {
	now = now.UTC().Truncate(time.Millisecond)
	spiking := !now.Before(h.spike) && now.Before(h.spike.Add(spikeTime))
	s := &sample.Sample{
		Time: now, Interval: 1,
		Host: sample.Host{Name: "hyper1", OS: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.1.0-26-amd64", CPUs: 16, Model: "AMD EPYC 7543 32-Core Processor", Boot: now.Add(-75 * time.Hour).Truncate(time.Hour)},
		Load: [3]float64{3.2 + 2*wave(now, 4), 3.71, 3.02},
		Tasks: sample.Tasks{Processes: h.processes + 40, Threads: 4*h.processes + 300, Running: 3, Blocked: 1,
			ContextSwitches: 21000 + 4000*wave(now, 8), Forks: 12 * wave(now, 9)},
		Pressure: &sample.Pressure{CPU: sample.Stall{Some10: 0.02 * wave(now, 2)}, Memory: sample.Stall{}, IO: sample.Stall{Some10: 0.18 * wave(now, 3), Full10: 0.07 * wave(now, 3)}},
		Memory:   sample.Memory{Total: 64 * gib, Available: uint64((30 - 6*wave(now, 12)) * gib), Free: 6 * gib, Buffers: gib / 2, Cached: 14 * gib, Shared: gib / 3, Slab: gib, Dirty: 40 << 20},
		Swap:     sample.Swap{Total: 8 * gib, Free: 7*gib + gib/3, In: 0, Out: 0},
	}
	h.cores(s, spiking)
	h.devices(s)
	h.guests(s, spiking)
	s.Missing = []sample.Missing{{What: "network rates of processes", Why: "/proc counts traffic by interface, not by process", Help: "run as root on a kernel with BPF"}}
	return s
}

func (h *hypervisor) cores(s *sample.Sample, spiking bool) {
	var sum sample.Times
	for i := range s.Host.CPUs {
		w := wave(s.Time, i)
		t := sample.Times{User: 0.45 * w * w, System: 0.12 * w, IOWait: 0.06 * wave(s.Time, i+30) * float64(i%3), Steal: 0.015 * float64(i%2), SoftIRQ: 0.01, Nice: 0.02 * float64(i%4)}
		if spiking && i < 8 {
			t.User = 0.8
		}
		t.Idle = 1 - t.User - t.System - t.IOWait - t.Steal - t.SoftIRQ - t.Nice
		t.Guest = t.User / 2
		s.CPU.Cores = append(s.CPU.Cores, t)
		for _, p := range [][2]*float64{{&sum.User, &t.User}, {&sum.System, &t.System}, {&sum.IOWait, &t.IOWait}, {&sum.Steal, &t.Steal},
			{&sum.SoftIRQ, &t.SoftIRQ}, {&sum.Nice, &t.Nice}, {&sum.Idle, &t.Idle}, {&sum.Guest, &t.Guest}} {
			*p[0] += *p[1] / float64(s.Host.CPUs)
		}
	}
	s.CPU.Total = sum
}

func (h *hypervisor) devices(s *sample.Sample) {
	now := s.Time
	for i, name := range []string{"nvme0n1", "nvme1n1", "sda"} {
		w := wave(now, 20+i)
		s.Disks = append(s.Disks, sample.Disk{Name: name, Reads: 400 * w, Writes: 900 * w, ReadBytes: 24e6 * w * w, WriteBytes: 61e6 * w * w * w, Wait: 0.0008 * w, Busy: 0.4 * w})
	}
	s.Disks[2].Busy, s.Disks[2].Wait = 0.94, 0.042
	s.Filesystems = []sample.Filesystem{
		{Mount: "/", Device: "/dev/nvme0n1p2", Type: "ext4", Size: 252 * gib, Used: 31 * gib, Available: 208 * gib},
		{Mount: "/var/lib/libvirt", Device: "/dev/nvme1n1", Type: "xfs", Size: 1800 * gib, Used: 1690 * gib, Available: 110 * gib},
		{Mount: "/srv/images", Device: "nas:/images", Type: "nfs4", Size: 8000 * gib, Used: 5000 * gib, Available: 3000 * gib, Stale: true},
	}
	s.Interfaces = []sample.Interface{
		{Name: "lo", Up: true, RxBytes: 2100, TxBytes: 2100},
		{Name: "eth0", Up: true, Speed: 25e9, RxBytes: 130e6 * wave(now, 40), TxBytes: 82e6 * wave(now, 41), RxPackets: 9e4, TxPackets: 7e4},
		{Name: "eth1", Up: true, Speed: 25e9, RxBytes: 31e6 * wave(now, 42), TxBytes: 4e6 * wave(now, 43), RxDrops: 3},
		{Name: "eth2", Speed: 25e9},
	}
	s.Sensors = []sample.Sensor{
		{Chip: "k10temp", Label: "Tctl", Kind: "temperature", Value: 48 + 9*wave(now, 50), High: 95},
		{Chip: "nvme", Label: "Composite", Kind: "temperature", Value: 81, High: 80},
		{Chip: "nct6775", Label: "fan1", Kind: "fan", Value: 4100 + 300*wave(now, 51)},
		{Chip: "amd_energy", Label: "socket0", Kind: "power", Value: 118.4},
	}
}

// guests are VMs, containers and processes.
func (h *hypervisor) guests(s *sample.Sample, spiking bool) {
	now, boot := s.Time, s.Host.Boot
	names := []string{"web1", "web2", "db1", "mail", "build", "cache"}
	for i, name := range names {
		w := wave(now, 60+i)
		tap := fmt.Sprintf("tap%d", i)
		m := sample.Machine{ID: "vm/" + name, Kind: sample.VM, Name: name, PID: 2000 + i, By: "qemu", State: "running", CPUs: 4, CPU: 1.6 * w * w, Memory: 8 * gib,
			Used: uint64(3*gib + float64(i)*gib/2 + w*gib/8), ReadBytes: 3e6 * w * w, WriteBytes: 9e6 * w, RxBytes: 12e6 * w, TxBytes: 7e6 * w, Interfaces: []string{tap}, Processes: 1}
		if name == "build" && spiking {
			m.CPU = 3.9
		}
		m.VCPUs = []float64{m.CPU / 4, m.CPU / 4, m.CPU / 4, m.CPU / 4}
		if name == "mail" {
			m.State, m.CPU, m.VCPUs = "paused", 0, []float64{0, 0, 0, 0}
		}
		s.Machines = append(s.Machines, m)
		s.Interfaces = append(s.Interfaces, sample.Interface{Name: tap, Up: true, RxBytes: m.TxBytes, TxBytes: m.RxBytes})
		s.Processes = append(s.Processes, sample.Process{PID: m.PID, Parent: 1, Start: boot.Add(time.Duration(i+2) * time.Minute), User: "libvirt-qemu", Name: "qemu-system-x86",
			Command: "/usr/bin/qemu-system-x86_64 -name guest=" + name + ",debug-threads=on -accel kvm -smp 4 -m 8192", State: "S", Threads: 9, CPU: m.CPU, CPUTime: 40000 + 900*float64(i), Resident: m.Used,
			Virtual: 11 * gib, Shared: 20 << 20, ReadBytes: m.ReadBytes, WriteBytes: m.WriteBytes, RxBytes: m.RxBytes, TxBytes: m.TxBytes, Machine: m.ID})
	}
	for i, name := range []string{"registry", "grafana"} {
		w := wave(now, 80+i)
		s.Machines = append(s.Machines, sample.Machine{ID: "docker/" + name, Kind: sample.Container, Name: name, PID: 3000 + i, By: "docker", State: "running", CPU: 0.2 * w,
			Used: 300 << 20, ReadBytes: 1e4 * w, WriteBytes: 2e5 * w, RxBytes: 5e4 * w, TxBytes: 3e5 * w, Processes: 3})
	}
	commands := []string{"/usr/sbin/nginx -g daemon on;", "postgres: main: walwriter", "/usr/lib/systemd/systemd-journald", "sshd: admin@pts/1", "/usr/bin/python3 /opt/backup/run.py --all", "[kworker/3:1-events]", "node /srv/app/server.js"}
	s.Processes = append(s.Processes, sample.Process{PID: 1, Start: boot, User: "root", Name: "systemd", Command: "/sbin/init", State: "S", Threads: 1, CPUTime: 77, Resident: 13 << 20, Virtual: 160 << 20, RxBytes: -1, TxBytes: -1})
	for i := range h.processes {
		w := wave(now.Truncate(time.Duration(1+i%5)*time.Second), 100+i)
		c := commands[i%len(commands)]
		p := sample.Process{PID: 4000 + i, Parent: 1, Start: boot.Add(time.Duration(i) * time.Second), User: []string{"root", "www-data", "postgres"}[i%3], Name: fmt.Sprintf("proc%d", i), Command: c, State: "S", Threads: 1 + i%8,
			CPUTime: float64(i * 13), Resident: uint64(i%90) << 20, Virtual: uint64(i%300) << 20, ReadBytes: -1, WriteBytes: -1, RxBytes: -1, TxBytes: -1}
		if i%20 == 0 {
			p.CPU, p.State = 0.3*w*w, "R"
		}
		s.Processes = append(s.Processes, p)
	}
	if spiking {
		s.Processes = append(s.Processes, sample.Process{PID: 31337, Parent: 1, Start: h.spike, User: "ci", Name: "cc1plus", Command: "/usr/libexec/gcc/cc1plus -O3 huge.cc", State: "R", Threads: 8, CPU: 7.8, CPUTime: 50, Resident: 2 * gib, Virtual: 3 * gib, RxBytes: -1, TxBytes: -1})
	}
}

// while changes what a test's own change reads.
func (h *hypervisor) while(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
}
