package collect

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sarn/internal/monitor/sample"
)

// readHost reads what does not change while the collector runs. The time of boot is read
// once so that the start of a process is the same in each sample when the clock is set.
func (c *Collector) readHost() error {
	stat := c.files.read(&c.buf, c.proc+"/stat")
	if stat == nil {
		return fmt.Errorf("%s/stat cannot be read; is procfs mounted at %s?", c.proc, c.proc)
	}
	for l := lines(stat); ; {
		line, ok := l.next()
		if !ok {
			break
		}
		if string(line.next()) == "btime" {
			c.boot = time.Unix(int64(line.number()), 0)
		}
	}
	c.host = sample.Host{
		Name:   c.word("sys/kernel/hostname"),
		OS:     osName(),
		Kernel: c.word("sys/kernel/osrelease"),
		Model:  c.model(),
		Boot:   c.boot,
	}
	return nil
}

func (c *Collector) word(name string) string {
	b, err := os.ReadFile(filepath.Join(c.proc, name))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}

func osName() string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
				return strings.Trim(strings.TrimSpace(v), `"'`)
			}
		}
	}
	return "Linux"
}

func (c *Collector) model() string {
	b, err := os.ReadFile(filepath.Join(c.proc, "cpuinfo"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// times are the counters of a line of /proc/stat, in its order: proc_stat(5).
type times [9]uint64

// shares returns how the time since before was spent. Idle and iowait can run backwards
// (proc_stat(5)), which counts as nothing.
func (t times) shares(before times) sample.Times {
	var d times
	var sum uint64
	for i := range t {
		d[i] = t[i] - min(before[i], t[i])
		if i < 8 { // guest is in user too
			sum += d[i]
		}
	}
	if sum == 0 {
		return sample.Times{Idle: 1}
	}
	at := func(i int) float64 { return float64(d[i]) / float64(sum) }
	return sample.Times{User: at(0), Nice: at(1), System: at(2), Idle: at(3), IOWait: at(4), IRQ: at(5), SoftIRQ: at(6), Steal: at(7), Guest: at(8)}
}

// counters are the system's that only grow.
type counters struct {
	switches, forks uint64
	swapIn, swapOut uint64
}

func (c *Collector) readStat(s *sample.Sample) error {
	stat := c.files.read(&c.buf, c.proc+"/stat")
	if stat == nil {
		return fmt.Errorf("%s/stat cannot be read any more", c.proc)
	}
	for l := lines(stat); ; {
		line, ok := l.next()
		if !ok {
			break
		}
		key := line.next()
		switch {
		case string(key) == "ctxt":
			n := line.number()
			s.Tasks.ContextSwitches = c.per(c.counters.switches, n)
			c.counters.switches = n
		case string(key) == "processes":
			n := line.number()
			s.Tasks.Forks = c.per(c.counters.forks, n)
			c.counters.forks = n
		case string(key) == "cpu":
			s.CPU.Total = c.cpu(-1, line)
		default:
			if n, ok := after(key, "cpu"); ok {
				s.CPU.Cores = append(s.CPU.Cores, c.cpu(int(number(n)), line))
			}
		}
	}
	s.Host.CPUs = len(s.CPU.Cores)
	return nil
}

// cpu reads a line. A CPU is known by its number, as lines come and go with hotplug; one
// that is new, and all in the first pass, have been idle.
func (c *Collector) cpu(n int, line words) sample.Times {
	var now times
	for i := range now {
		now[i] = line.number()
	}
	before, known := c.cpus[n]
	c.cpus[n] = now
	if !known || c.rate == 0 {
		return sample.Times{Idle: 1}
	}
	return now.shares(before)
}

func (c *Collector) readLoad(s *sample.Sample) {
	line := words(c.files.read(&c.buf, c.proc+"/loadavg"))
	for i := range s.Load {
		s.Load[i] = decimal(line.next())
	}
}

func (c *Collector) readPressure(s *sample.Sample) {
	var p sample.Pressure
	told := false
	for _, r := range []struct {
		name string
		to   *sample.Stall
	}{{"/pressure/cpu", &p.CPU}, {"/pressure/memory", &p.Memory}, {"/pressure/io", &p.IO}} {
		data := c.files.read(&c.buf, c.proc+r.name)
		told = told || len(data) > 0
		for l := lines(data); ; {
			line, ok := l.next()
			if !ok {
				break
			}
			ten, minute := &r.to.Some10, &r.to.Some60
			if string(line.next()) == "full" {
				ten, minute = &r.to.Full10, &r.to.Full60
			}
			*ten, *minute = share(line.next(), "avg10="), share(line.next(), "avg60=")
		}
	}
	if told {
		s.Pressure = &p
	}
}

func share(word []byte, prefix string) float64 {
	v, _ := after(word, prefix)
	return decimal(v) / 100
}

func (c *Collector) readMemory(s *sample.Sample) {
	m, swap := &s.Memory, &s.Swap
	for l := lines(c.files.read(&c.buf, c.proc+"/meminfo")); ; {
		line, ok := l.next()
		if !ok {
			break
		}
		key := line.next()
		bytes := line.number() << 10
		switch string(key) {
		case "MemTotal:":
			m.Total = bytes
		case "MemAvailable:":
			m.Available = bytes
		case "MemFree:":
			m.Free = bytes
		case "Buffers:":
			m.Buffers = bytes
		case "Cached:":
			m.Cached = bytes
		case "Shmem:":
			m.Shared = bytes
		case "Slab:":
			m.Slab = bytes
		case "Dirty:":
			m.Dirty = bytes
		case "SwapTotal:":
			swap.Total = bytes
		case "SwapFree:":
			swap.Free = bytes
		}
	}
	c.readSwapping(swap)
}

func (c *Collector) readSwapping(swap *sample.Swap) {
	for l := lines(c.files.read(&c.buf, c.proc+"/vmstat")); ; {
		line, ok := l.next()
		if !ok {
			return
		}
		var before *uint64
		var rate *float64
		switch string(line.next()) {
		case "pswpin":
			before, rate = &c.counters.swapIn, &swap.In
		case "pswpout":
			before, rate = &c.counters.swapOut, &swap.Out
		default:
			continue
		}
		now := line.number() * c.pageSize
		*rate = c.per(*before, now)
		*before = now
	}
}
