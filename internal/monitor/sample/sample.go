package sample

import "time"

// Sample is one pass over a machine.
type Sample struct {
	Time time.Time `json:"time"`
	// Interval is the time since the pass before, in seconds by a clock that nobody
	// steps. It is 0 in the first pass, and then all rates are 0.
	Interval float64 `json:"interval"`

	Host        Host         `json:"host"`
	CPU         CPU          `json:"cpu"`
	Load        [3]float64   `json:"load"` // over 1, 5 and 15 minutes
	Tasks       Tasks        `json:"tasks"`
	Pressure    *Pressure    `json:"pressure,omitempty"` // nil if the kernel does not tell
	Memory      Memory       `json:"memory"`
	Swap        Swap         `json:"swap"`
	Disks       []Disk       `json:"disks"`
	Filesystems []Filesystem `json:"filesystems"`
	Interfaces  []Interface  `json:"interfaces"`
	Sensors     []Sensor     `json:"sensors"`
	// Machines are the VMs and containers.
	Machines  []Machine `json:"machines"`
	Processes []Process `json:"processes"`
	// Missing says what could not be seen.
	Missing []Missing `json:"missing,omitempty"`
}

// Host is what changes seldom.
type Host struct {
	Name   string    `json:"name"`
	OS     string    `json:"os"`
	Kernel string    `json:"kernel"`
	CPUs   int       `json:"cpus"`
	Model  string    `json:"model"` // of the CPUs
	Boot   time.Time `json:"boot"`
	// Reader is how its processes are read: bpf or proc.
	Reader string `json:"reader,omitempty"`
}

// CPU is how the CPUs spent the time. Total is the mean of the cores.
type CPU struct {
	Total Times   `json:"total"`
	Cores []Times `json:"cores"`
}

// Times are shares of the time: proc_stat(5). Guest is in User too.
type Times struct {
	User    float64 `json:"user"`
	Nice    float64 `json:"nice"`
	System  float64 `json:"system"`
	Idle    float64 `json:"idle"`
	IOWait  float64 `json:"iowait"`
	IRQ     float64 `json:"irq"`
	SoftIRQ float64 `json:"softirq"`
	Steal   float64 `json:"steal"`
	Guest   float64 `json:"guest"`
}

// Busy is the share of the time in which the CPU did something.
func (t Times) Busy() float64 { return min(max(1-t.Idle-t.IOWait, 0), 1) }

// Tasks counts processes by state, and threads.
type Tasks struct {
	Processes int `json:"processes"`
	Threads   int `json:"threads"`
	Running   int `json:"running"`
	Blocked   int `json:"blocked"` // in uninterruptible sleep
	Zombie    int `json:"zombie"`
	// ContextSwitches and Forks are a second.
	ContextSwitches float64 `json:"context_switches"`
	Forks           float64 `json:"forks"`
}

// Pressure is what the kernel tells of stalls (PSI): Documentation/accounting/psi.rst.
type Pressure struct {
	CPU    Stall `json:"cpu"`
	Memory Stall `json:"memory"`
	IO     Stall `json:"io"`
}

// Stall is the share of the last 10 s and minute in which some, or all, tasks waited.
type Stall struct {
	Some10 float64 `json:"some10"`
	Some60 float64 `json:"some60"`
	Full10 float64 `json:"full10"`
	Full60 float64 `json:"full60"`
}

// Memory is proc_meminfo(5), in bytes.
type Memory struct {
	Total     uint64 `json:"total"`
	Available uint64 `json:"available"`
	Free      uint64 `json:"free"`
	Buffers   uint64 `json:"buffers"`
	Cached    uint64 `json:"cached"`
	Shared    uint64 `json:"shared"`
	Slab      uint64 `json:"slab"`
	Dirty     uint64 `json:"dirty"`
}

// Used is what is not available.
func (m Memory) Used() uint64 { return m.Total - min(m.Available, m.Total) }

// Swap is in bytes; In and Out a second.
type Swap struct {
	Total uint64  `json:"total"`
	Free  uint64  `json:"free"`
	In    float64 `json:"in"`
	Out   float64 `json:"out"`
}

// Disk is a block device: Documentation/admin-guide/iostats.rst. All but Wait and Busy
// are a second.
type Disk struct {
	Name       string  `json:"name"`
	Reads      float64 `json:"reads"`
	Writes     float64 `json:"writes"`
	ReadBytes  float64 `json:"read_bytes"`
	WriteBytes float64 `json:"write_bytes"`
	Wait       float64 `json:"wait"` // seconds for a request, mean
	Busy       float64 `json:"busy"` // share of the time
	// Stacked says that it is made of other disks (device mapper, RAID), of a file (loop)
	// or of memory (zram): in a sum of all disks its bytes would count twice.
	Stacked bool `json:"stacked,omitempty"`
}

// Filesystem is a mounted one. Stale says that it does not answer (a server of files
// that is gone): then the figures are those of when it last did.
type Filesystem struct {
	Mount     string `json:"mount"`
	Device    string `json:"device"`
	Type      string `json:"type"`
	Size      uint64 `json:"size"`
	Available uint64 `json:"available"` // to users who are not root
	Used      uint64 `json:"used"`
	Inodes    uint64 `json:"inodes"`
	FreeNodes uint64 `json:"free_inodes"`
	Stale     bool   `json:"stale,omitempty"`
}

// Interface is a network interface. Bytes, packets, errors and drops are a second.
type Interface struct {
	Name      string  `json:"name"`
	Up        bool    `json:"up"`
	Speed     uint64  `json:"speed,omitempty"` // bits a second, 0 if nobody knows
	RxBytes   float64 `json:"rx_bytes"`
	TxBytes   float64 `json:"tx_bytes"`
	RxPackets float64 `json:"rx_packets"`
	TxPackets float64 `json:"tx_packets"`
	RxErrors  float64 `json:"rx_errors"`
	TxErrors  float64 `json:"tx_errors"`
	RxDrops   float64 `json:"rx_drops"`
	TxDrops   float64 `json:"tx_drops"`
	// Physical says that there is a device behind it. What goes through a bridge, a bond or
	// a tunnel goes through one of those too, if the machine has any.
	Physical bool `json:"physical,omitempty"`
}

// Sensor is a reading of hwmon: Documentation/hwmon/sysfs-interface.rst.
type Sensor struct {
	Chip  string  `json:"chip"`
	Label string  `json:"label"`
	Kind  string  `json:"kind"`           // temperature, fan or power
	Value float64 `json:"value"`          // degrees Celsius, turns a minute, watts
	High  float64 `json:"high,omitempty"` // from where on it is too much, 0 if nobody says
}

// Process is one process with all of its threads. CPU is over the interval. Rates that
// the kernel does not tell this user are -1.
type Process struct {
	PID     int       `json:"pid"`
	Parent  int       `json:"parent"`
	Start   time.Time `json:"start"`
	User    string    `json:"user"`
	Name    string    `json:"name"`    // comm, up to 15 bytes
	Command string    `json:"command"` // arguments with spaces between; of a kernel thread its name in brackets
	State   string    `json:"state"`   // R, S, D, Z, T, t, I: proc_pid_stat(5)
	Threads int       `json:"threads"`
	Nice    int       `json:"nice"`

	CPU      float64 `json:"cpu"`
	CPUTime  float64 `json:"cpu_time"` // seconds, of threads that have ended too
	Resident uint64  `json:"resident"`
	Virtual  uint64  `json:"virtual"`
	Shared   uint64  `json:"shared"`

	ReadBytes  float64 `json:"read_bytes"`
	WriteBytes float64 `json:"write_bytes"`
	// RxBytes and TxBytes are data of IP sockets, without headers.
	RxBytes float64 `json:"rx_bytes"`
	TxBytes float64 `json:"tx_bytes"`

	// Machine is the VM or container that it belongs to, by Machine.ID.
	Machine string `json:"machine,omitempty"`
}

// MachineKind is what sort of machine a Machine is.
type MachineKind string

// The kinds of machines.
const (
	VM        MachineKind = "vm"
	Container MachineKind = "container"
)

// Machine is a VM or a container. Traffic is as the machine itself sees it: what the host
// receives from a VM's tap is what the VM has sent.
type Machine struct {
	ID    string      `json:"id"` // unique on this machine and lasting, such as vm/web1
	Kind  MachineKind `json:"kind"`
	Name  string      `json:"name"`
	PID   int         `json:"pid"`   // of the process that runs it, or of its first one
	By    string      `json:"by"`    // qemu, docker, podman, lxc, systemd-nspawn ...
	State string      `json:"state"` // running, paused ...

	CPUs   float64   `json:"cpus"`            // that it was given, 0 for no limit
	CPU    float64   `json:"cpu"`             // that it uses
	VCPUs  []float64 `json:"vcpus,omitempty"` // by virtual CPU, of a VM
	Memory uint64    `json:"memory"`          // that it was given, 0 for no limit
	Used   uint64    `json:"used"`            // of the host's memory

	ReadBytes  float64  `json:"read_bytes"`
	WriteBytes float64  `json:"write_bytes"`
	RxBytes    float64  `json:"rx_bytes"`
	TxBytes    float64  `json:"tx_bytes"`
	Interfaces []string `json:"interfaces,omitempty"` // the host's ends
	Processes  int      `json:"processes"`
}

// Missing is something that could not be seen: what, why, and what would help.
type Missing struct {
	What string `json:"what"`
	Why  string `json:"why"`
	Help string `json:"help,omitempty"`
}
