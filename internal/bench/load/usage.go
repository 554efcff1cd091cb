package load

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what this process, and the machine, have used of the CPUs during a test.
type usage struct {
	start   time.Time
	seconds float64 // that passed
	process float64 // CPU seconds of this process
	queued  float64 // seconds that its threads were ready and had no CPU
	machine float64 // share of all CPUs' time that was not idle, or -1
	all     machineTime
	own     machineTime // of the CPUs that this process may use
}

func newUsage() *usage {
	all, own := readMachineTime()
	return &usage{start: time.Now(), process: processTime(), queued: queueTime(), all: all, own: own}
}

// stop ends the measurement.
func (u *usage) stop() {
	u.seconds = time.Since(u.start).Seconds()
	u.process = processTime() - u.process
	u.queued = max(queueTime()-u.queued, 0)
	all, own := readMachineTime()
	u.machine = -1
	if busy, ok := u.all.busyUntil(all); ok {
		u.machine = busy
	}
	// Threads of ours that wait for each other are counted as often as there are of them,
	// and in a CPU that has idle time nobody waits for long.
	if busy, ok := u.own.busyUntil(own); ok {
		u.queued = min(u.queued, max(busy*u.seconds*float64(own.cpus)-u.process, 0))
	}
}

// client is the process's part of a result.
func (u *usage) client() Client {
	c := Client{CPUs: runtime.GOMAXPROCS(0), CPUSeconds: u.process}
	if u.seconds > 0 {
		c.Busy = u.process / (float64(c.CPUs) * u.seconds)
		c.Queued = u.queued / (float64(c.CPUs) * u.seconds)
	}
	return c
}

// queueTime is how long this process's threads have been ready to run without a CPU, in
// seconds: the second figure of schedstat (Documentation/scheduler/sched-stats.rst). It is
// 0 where the kernel does not count it.
func queueTime() float64 {
	threads, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		return 0
	}
	sum := 0.0
	for _, t := range threads {
		// One that has just ended has nothing to say.
		if text, err := os.ReadFile(t); err == nil {
			if words := strings.Fields(string(text)); len(words) == 3 {
				ns, _ := strconv.ParseFloat(words[1], 64)
				sum += ns / float64(time.Second)
			}
		}
	}
	return sum
}

// processTime is what this process has used so far, in CPU seconds.
func processTime() float64 {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / float64(time.Second)
}

// machineTime is what some CPUs have done since the machine's start, in the kernel's
// ticks: proc_stat(5).
type machineTime struct {
	idle, total int64
	cpus        int
}

// busyUntil is the share of the time between two readings that was not idle.
func (m machineTime) busyUntil(now machineTime) (share float64, ok bool) {
	total := now.total - m.total
	if total <= 0 {
		return 0, false
	}
	return 1 - float64(now.idle-m.idle)/float64(total), true
}

// readMachineTime reads the time of all CPUs, and that of those that this process may
// use.
func readMachineTime() (all, own machineTime) {
	var may unix.CPUSet
	text, err := os.ReadFile("/proc/stat")
	if err != nil || unix.SchedGetaffinity(0, &may) != nil {
		return all, own
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || !strings.HasPrefix(words[0], "cpu") {
			break // the CPUs come first
		}
		cpu, err := strconv.Atoi(words[0][len("cpu"):])
		if err != nil { // the line of all of them
			all.add(words[1:])
			continue
		}
		all.cpus++
		if may.IsSet(cpu) {
			own.add(words[1:])
			own.cpus++
		}
	}
	return all, own
}

func (m *machineTime) add(words []string) {
	for i, word := range words {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || i > 7 { // guests' time is in user's too
			continue
		}
		m.total += n
		if i == 3 || i == 4 { // idle, iowait
			m.idle += n
		}
	}
}
