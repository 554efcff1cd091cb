package term

import (
	"fmt"
	"time"

	"sarn/internal/monitor/sample"
)

func when() time.Time { return time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC) }

// busy is a sample with much in it: cores CPUs, as many processes and machines as asked.
func busy(cores, processes, machines int) *sample.Sample {
	s := &sample.Sample{
		Time: when(), Interval: 2,
		Host:     sample.Host{Name: "hyper1", CPUs: cores, Model: "Model Of CPU @ 2.40GHz", Boot: when().Add(-75 * time.Hour)},
		Load:     [3]float64{1.25, 0.5, 12},
		Tasks:    sample.Tasks{Processes: processes, Threads: processes * 3, Running: 2, Blocked: 1},
		Pressure: &sample.Pressure{IO: sample.Stall{Some10: 0.25}},
		Memory:   sample.Memory{Total: 64 << 30, Available: 40 << 30, Free: 10 << 30},
		Swap:     sample.Swap{Total: 8 << 30, Free: 6 << 30},
		Missing:  []sample.Missing{{What: "disk rates of others", Why: "not root", Help: "run it as root"}},
	}
	s.CPU.Total = sample.Times{User: 0.3, System: 0.1, IOWait: 0.05, Steal: 0.02, Idle: 0.53}
	for i := range cores {
		f := float64(i%10) / 10
		s.CPU.Cores = append(s.CPU.Cores, sample.Times{User: f, Idle: 1 - f})
	}
	for i := range 12 {
		s.Disks = append(s.Disks, sample.Disk{Name: fmt.Sprintf("nvme%dn1", i), ReadBytes: 1e6 * float64(i), Busy: 0.08 * float64(i)})
		s.Filesystems = append(s.Filesystems, sample.Filesystem{Mount: fmt.Sprintf("/srv/%d", i), Size: 1 << 40, Used: uint64(i) << 36, Available: uint64(16-i) << 36, Stale: i == 3})
		s.Interfaces = append(s.Interfaces, sample.Interface{Name: fmt.Sprintf("eth%d", i), Up: i%2 == 0, RxBytes: 1e5 * float64(i), TxDrops: float64(i / 11)})
		s.Sensors = append(s.Sensors, sample.Sensor{Chip: "coretemp", Label: fmt.Sprintf("Core %d", i), Kind: "temperature", Value: 40 + 5*float64(i), High: 90})
	}
	for i := range processes {
		pid := 100 + i
		s.Processes = append(s.Processes, sample.Process{
			PID: pid, Parent: 100 + i/4 - 1, Start: when().Add(-time.Duration(i) * time.Minute), User: fmt.Sprintf("user%d", i%7),
			Name: fmt.Sprintf("prog%d", i), Command: fmt.Sprintf("/usr/bin/prog%d --serve -p %d", i, 8000+i), State: "S",
			Threads: 1 + i%5, Nice: i % 3, CPU: float64(processes-i) / 100, CPUTime: float64(i * 37), Resident: uint64(i) << 20,
			Virtual: uint64(i) << 22, ReadBytes: -1, RxBytes: float64(i % 13 * 1000),
		})
	}
	for i := range machines {
		s.Machines = append(s.Machines, sample.Machine{
			ID: fmt.Sprintf("vm/web%d", i), Kind: sample.VM, Name: fmt.Sprintf("web%d", i), PID: 100 + i, By: "qemu", State: "running",
			CPUs: 4, CPU: float64(i) / 3, VCPUs: []float64{0.5, 0.1}, Memory: 4 << 30, Used: 1 << 30, RxBytes: 2e6, Processes: 1,
			Interfaces: []string{"tap0"},
		})
	}
	return s
}

// moved is the sample one interval later: the processes in others have used CPU too.
func moved(s *sample.Sample, others float64) *sample.Sample {
	n := *s
	n.Time = s.Time.Add(2 * time.Second)
	n.Processes = append([]sample.Process(nil), s.Processes...)
	for i := range int(float64(len(n.Processes)) * others) {
		n.Processes[i].CPU += 0.01
		n.Processes[i].CPUTime += 0.4
		if others == 1 { // all else is other than before too
			n.Processes[i].CPU = s.Processes[len(n.Processes)-1-i].CPU
			n.Processes[i].Resident += 1 << 30
		}
	}
	return &n
}
