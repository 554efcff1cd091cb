package collect

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// Config says what to read. The zero value is this machine.
type Config struct {
	// Proc and Sys are where procfs and sysfs are mounted; empty for /proc and /sys.
	Proc, Sys string
	// Descriptors is how many descriptors of processes to keep open at most, 0 for half
	// of what RLIMIT_NOFILE allows. Processes beyond are opened and closed in each pass.
	Descriptors int
	// Reader says how to read processes; empty for BPF where the kernel lets this user,
	// and files otherwise.
	Reader Reader
}

// Reader is how processes are read.
type Reader string

// The readers.
const (
	BPF   Reader = "bpf"
	Files Reader = "proc"
)

// Collector reads one machine, pass by pass. It is for one goroutine.
type Collector struct {
	proc, sys string
	dir       *directory // of Proc
	files     files      // of the system, by path
	buf       buffer
	keep      budget
	pageSize  uint64

	host  sample.Host
	boot  time.Time
	pass  uint64
	last  time.Time // of the pass before, with a monotonic reading
	since uint64    // of the pass before: ticks since boot
	rate  float64   // passes a second: 1/interval, 0 in the first pass
	began uint64    // the collector: ticks since boot

	users     users
	processes map[int]*process
	live      []*process    // in this pass
	graves    map[int]grave // of this pass, by PID
	bpf       *bpf          // nil if processes are read from files
	noBPF     error         // why
	met       []*process    // by BPF in this pass
	readDenied,
	fdsDenied int // in this pass: how many processes did not let us

	cpus     map[int]times
	counters counters
	disks    map[string]*disk
	links    links
	mounts   *mounts
	sensors  *sensors
	machines machines
	monitors *monitors // nil before the first VM
}

// Ticks of /proc are USER_HZ, which is 100 on every architecture that Go knows.
const ticksPerSecond = 100

// New returns a collector. It is an error if Proc is no procfs that can be read.
func New(conf Config) (*Collector, error) {
	c := &Collector{
		proc: conf.Proc, sys: conf.Sys,
		pageSize:  uint64(os.Getpagesize()),
		buf:       buffer{make([]byte, 64<<10)},
		keep:      budget{most: conf.Descriptors},
		began:     ticksNow(),
		processes: map[int]*process{},
		graves:    map[int]grave{},
		cpus:      map[int]times{},
		disks:     map[string]*disk{},
	}
	if c.proc == "" {
		c.proc = "/proc"
	}
	if c.sys == "" {
		c.sys = "/sys"
	}
	if c.keep.most == 0 {
		c.keep.most = halfOfLimit()
	}
	dir, err := openDirectory(c.proc)
	if err != nil {
		return nil, fmt.Errorf("%w; mount procfs there", err)
	}
	c.dir = dir
	c.files = files{}
	if err := c.readHost(); err != nil {
		c.Close()
		return nil, err
	}
	if err := c.choose(conf.Reader); err != nil {
		c.Close()
		return nil, err
	}
	c.links = newLinks()
	c.mounts = newMounts(c.proc)
	c.sensors = newSensors(c.sys)
	c.machines = newMachines(c.proc)
	return c, nil
}

// choose loads the BPF programs, unless files are asked for.
func (c *Collector) choose(reader Reader) error {
	c.host.Reader = string(Files)
	if reader == Files {
		c.noBPF = errors.New("it was not asked for")
		return nil
	}
	if c.bpf, c.noBPF = newBPF(c.proc); c.noBPF == nil {
		c.host.Reader = string(BPF)
	}
	if reader == BPF {
		return c.noBPF
	}
	return nil
}

// Close gives back all descriptors and ends the goroutines, but for those that a dead
// file system holds.
func (c *Collector) Close() {
	c.dir.close()
	for _, p := range c.processes {
		c.forget(p)
	}
	if c.bpf != nil {
		c.bpf.close()
	}
	c.files.close()
	c.links.close()
	c.machines.close()
	if c.monitors != nil {
		c.monitors.close()
	}
	if c.mounts != nil {
		c.mounts.close()
	}
	if c.sensors != nil {
		c.sensors.close()
	}
}

// Pass reads everything once. The sample is the caller's. In the first pass all CPUs are
// idle, as what they did is not known. It is an error if /proc/stat or
// the list of processes cannot be read; whatever else is missing is left out.
func (c *Collector) Pass() (*sample.Sample, error) {
	now := time.Now()
	s := &sample.Sample{
		Time: now.Round(0), Host: c.host,
		CPU: sample.CPU{Cores: []sample.Times{}}, Disks: []sample.Disk{}, Interfaces: []sample.Interface{},
	}
	c.rate = 0
	if !c.last.IsZero() {
		s.Interval = now.Sub(c.last).Seconds()
		c.rate = 1 / max(s.Interval, 1e-6)
	}
	ticks := ticksNow()
	c.pass++
	c.readDenied, c.fdsDenied = 0, 0
	c.mounts.kick()
	c.sensors.kick()

	if err := c.readStat(s); err != nil {
		return nil, err
	}
	c.readLoad(s)
	c.readPressure(s)
	c.readMemory(s)
	c.readDisks(s)
	c.readInterfaces(s)
	if err := c.readProcesses(s); err != nil {
		return nil, err
	}
	c.readMachines(s)
	s.Filesystems = c.mounts.answer()
	s.Sensors = c.sensors.answer()
	s.Missing = c.missing(s)
	c.last, c.since = now, ticks
	return s, nil
}

// per returns the rate of a counter that was before and is now, 0 if it was set back.
func (c *Collector) per(before, now uint64) float64 {
	if now < before {
		return 0
	}
	return float64(now-before) * c.rate
}

// ticksNow returns the time since boot in the unit of a process's start.
func ticksNow() uint64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return uint64(t.Nano()) / (1e9 / ticksPerSecond)
}
