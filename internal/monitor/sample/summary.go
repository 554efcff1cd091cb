package sample

import (
	"cmp"
	"slices"
	"time"
)

// Summary is a sample in short, for who looks at many machines: what stands in a list of
// them, and the few processes that matter.
type Summary struct {
	Time     time.Time  `json:"time"`
	Interval float64    `json:"interval"`
	Host     Host       `json:"host"`
	CPU      Times      `json:"cpu"` // the mean of the cores
	Load     [3]float64 `json:"load"`
	Tasks    Tasks      `json:"tasks"`
	Pressure *Pressure  `json:"pressure,omitempty"`
	Memory   Memory     `json:"memory"`
	Swap     Swap       `json:"swap"`

	// ReadBytes and WriteBytes are those of all disks that are not stacked, RxBytes and
	// TxBytes of all physical interfaces, a second; without one of those, of all that are no
	// machine's end and not the loopback.
	ReadBytes  float64 `json:"read_bytes"`
	WriteBytes float64 `json:"write_bytes"`
	RxBytes    float64 `json:"rx_bytes"`
	TxBytes    float64 `json:"tx_bytes"`

	VMs        int       `json:"vms"`
	Containers int       `json:"containers"`
	Machines   []Machine `json:"machines"`
	// Processes are the first of each order that By knows, sorted by PID.
	Processes []Process `json:"processes"`

	// Alerts counts those that fire; Worst is the worst of them.
	Alerts int     `json:"alerts"`
	Worst  *Notice `json:"worst,omitempty"`
}

// Notice is an alert in short.
type Notice struct {
	Level   string    `json:"level"` // careful, warning or critical
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// Figures that processes can be ordered by, the largest first.
const (
	ByCPU    = "cpu"
	ByMemory = "memory" // resident
	ByIO     = "io"     // both disk rates
	ByNet    = "net"    // both network rates
)

// By are the figures' names.
func By() []string { return []string{ByCPU, ByMemory, ByIO, ByNet} }

// Figure is a process's, by its name; 0 of what is not known or not By's.
func (p *Process) Figure(by string) float64 {
	switch by {
	case ByCPU:
		return p.CPU
	case ByMemory:
		return float64(p.Resident)
	case ByIO:
		return max(p.ReadBytes, 0) + max(p.WriteBytes, 0)
	case ByNet:
		return max(p.RxBytes, 0) + max(p.TxBytes, 0)
	}
	return 0
}

// Figure is a machine's, by the same names.
func (m *Machine) Figure(by string) float64 {
	switch by {
	case ByCPU:
		return m.CPU
	case ByMemory:
		return float64(m.Used)
	case ByIO:
		return max(m.ReadBytes, 0) + max(m.WriteBytes, 0)
	case ByNet:
		return max(m.RxBytes, 0) + max(m.TxBytes, 0)
	}
	return 0
}

// Summarize makes a summary with the first n processes of each order; a figure of 0
// makes nobody first. It shares the sample's machines.
func Summarize(s *Sample, n int) *Summary {
	sum := &Summary{
		Time: s.Time, Interval: s.Interval, Host: s.Host, CPU: s.CPU.Total, Load: s.Load, Tasks: s.Tasks, Pressure: s.Pressure,
		Memory: s.Memory, Swap: s.Swap, Machines: s.Machines, Processes: []Process{},
	}
	if sum.Machines == nil {
		sum.Machines = []Machine{}
	}
	for i := range s.Disks {
		if d := &s.Disks[i]; !d.Stacked {
			sum.ReadBytes, sum.WriteBytes = sum.ReadBytes+d.ReadBytes, sum.WriteBytes+d.WriteBytes
		}
	}
	ends := map[string]bool{"lo": true}
	for i := range s.Machines {
		m := &s.Machines[i]
		switch m.Kind {
		case VM:
			sum.VMs++
		case Container:
			sum.Containers++
		}
		for _, name := range m.Interfaces {
			ends[name] = true
		}
	}
	physical := slices.ContainsFunc(s.Interfaces, func(in Interface) bool { return in.Physical })
	for i := range s.Interfaces {
		if in := &s.Interfaces[i]; in.Physical || !physical && !ends[in.Name] {
			sum.RxBytes, sum.TxBytes = sum.RxBytes+in.RxBytes, sum.TxBytes+in.TxBytes
		}
	}
	chosen := map[int]bool{}
	for _, by := range By() {
		for _, i := range first(s.Processes, by, n) {
			if !chosen[i] {
				chosen[i] = true
				sum.Processes = append(sum.Processes, s.Processes[i])
			}
		}
	}
	slices.SortFunc(sum.Processes, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	return sum
}

// first are the places of the n processes with the largest figure, in one pass: n is
// small beside all.
func first(all []Process, by string, n int) []int {
	top := make([]int, 0, n+1)
	for i := range all {
		v := all[i].Figure(by)
		if v <= 0 || (len(top) == n && (n == 0 || v <= all[top[n-1]].Figure(by))) {
			continue
		}
		at := len(top)
		for at > 0 && all[top[at-1]].Figure(by) < v {
			at--
		}
		top = slices.Insert(top, at, i)
		top = top[:min(len(top), n)]
	}
	return top
}
