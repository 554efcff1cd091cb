package collect

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// process is what is known of one, from its first pass to its last.
type process struct {
	pid  int
	seen uint64 // pass
	age  int    // passes
	kept [3]int // descriptors by file, -1 if none is open

	stat    stat
	start   time.Time
	io      ioCounters
	knowsIO bool // io is of an earlier pass
	noIO    bool // the kernel does not let this user
	memory  memory
	ioRates ioRates
	cpu     float64 // in this pass, in CPUs

	name, command, user string
	uid                 uint32
	cgroup              string
	vm                  *vm // nil unless it runs a VM
	machine             string
}

// The files of a process that are kept open.
const (
	fileStat = iota
	fileIO
	fileStatm
)

// memory is in bytes.
type memory struct{ resident, shared uint64 }

type ioCounters struct{ read, write uint64 }

type ioRates struct{ read, write float64 }

// stat is what is used of /proc/PID/stat: proc_pid_stat(5).
type stat struct {
	state                  byte
	parent                 int
	flags                  uint64
	minorFaults, majFaults uint64
	ticks                  uint64 // of all threads, in user and kernel mode
	nice, threads          int
	start                  uint64 // ticks since boot
	virtual, pages         uint64
}

// isKernelThread is PF_KTHREAD of the kernel's include/linux/sched.h.
func (s stat) isKernelThread() bool { return s.flags&0x00200000 != 0 }

// scanStat reads a line. The name may hold anything, parentheses and newlines too, so it
// ends at the last parenthesis.
func scanStat(line []byte) (name []byte, s stat, ok bool) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return nil, s, false
	}
	rest := words(line[end+1:])
	state := rest.next()
	if len(state) == 0 {
		return nil, s, false
	}
	s.state = state[0]
	s.parent = signed(rest.next())
	rest.skip(4)
	s.flags, s.minorFaults = rest.number(), rest.number()
	rest.skip(1)
	s.majFaults = rest.number()
	rest.skip(1)
	s.ticks = rest.number() + rest.number()
	rest.skip(3)
	s.nice, s.threads = signed(rest.next()), signed(rest.next())
	rest.skip(1)
	s.start, s.virtual = rest.number(), rest.number()
	pages := rest.next()
	s.pages = number(pages)
	return line[open+1 : end], s, len(pages) > 0
}

// open opens a file of a process, and the process's directory if name is empty. When the
// program has run out of descriptors it gives back some of those that are kept.
func (c *Collector) open(pid int, name string, flags int) (int, error) {
	var b [64]byte
	p := path(b[:0]).number(pid).name(name)
	fd, err := openAt(c.dir.fd, p, flags)
	if errors.Is(err, unix.EMFILE) {
		c.shrink()
		fd, err = openAt(c.dir.fd, p, flags)
	}
	return fd, err
}

// readOf reads a file of a process, by the descriptor that is kept or one to keep.
func (c *Collector) readOf(p *process, file int, name string) ([]byte, error) {
	if fd := p.kept[file]; fd >= 0 {
		return c.buf.one(fd)
	}
	fd, err := c.open(p.pid, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	data, err := c.buf.one(fd)
	if err == nil && c.keep.take() {
		p.kept[file] = fd
	} else {
		_ = unix.Close(fd)
	}
	return data, err
}

// shrink gives back half of the descriptors when the program has run out of them.
func (c *Collector) shrink() {
	c.keep.most = c.keep.kept / 2
	for _, p := range c.processes {
		if c.keep.kept <= c.keep.most {
			return
		}
		c.release(p)
	}
}

// release closes a process's descriptors; it is read without from now on.
func (c *Collector) release(p *process) {
	for i, fd := range p.kept {
		if fd >= 0 {
			_ = unix.Close(fd)
			p.kept[i] = -1
			c.keep.kept--
		}
	}
}

func (c *Collector) forget(p *process) {
	c.release(p)
	if p.vm != nil {
		p.vm.close()
	}
	delete(c.processes, p.pid)
}

func (c *Collector) readProcesses(s *sample.Sample) error {
	pids, err := c.dir.list()
	if err != nil {
		return fmt.Errorf("list %s: %w", c.proc, err)
	}
	s.Processes = make([]sample.Process, 0, len(pids))
	for _, pid := range pids {
		p := c.readProcess(pid)
		if p == nil {
			continue
		}
		p.seen = c.pass
		p.age++
		s.Processes = append(s.Processes, c.row(p))
		count(&s.Tasks, p.stat)
	}
	for _, p := range c.processes {
		if p.seen != c.pass {
			c.forget(p)
		}
	}
	return nil
}

func count(t *sample.Tasks, s stat) {
	t.Processes++
	t.Threads += s.threads
	switch s.state {
	case 'R':
		t.Running++
	case 'D':
		t.Blocked++
	case 'Z':
		t.Zombie++
	}
}

// readProcess reads one, or returns nil if it has ended.
func (c *Collector) readProcess(pid int) *process {
	p := c.processes[pid]
	var data []byte
	if p != nil {
		var err error
		if data, err = c.readOf(p, fileStat, "/stat"); err != nil {
			// The process behind the descriptor has ended; its number may be another's.
			c.forget(p)
			p = nil
		}
	}
	if p == nil {
		p = &process{pid: pid, kept: [3]int{-1, -1, -1}}
		var err error
		if data, err = c.readOf(p, fileStat, "/stat"); err != nil {
			return nil
		}
		c.processes[pid] = p
	}
	name, now, ok := scanStat(data)
	if !ok {
		c.forget(p)
		return nil
	}
	if p.age > 0 && now.start != p.stat.start { // read without a descriptor, and another by now
		c.forget(p)
		return c.readProcess(pid)
	}
	before := p.stat
	p.stat = now
	changed := p.age == 0 || !sameName(p.name, name)
	if changed {
		p.name = realName(name)
	}
	if p.age == 0 {
		p.start = c.startOf(now)
	}
	// A young process may run another program or become another user under the same name.
	if changed || p.age < 3 || c.lookAgain(p) {
		c.identify(p)
	}
	c.readCPU(p, before)
	c.readIO(p)
	c.readResident(p, before)
	return p
}

// newborn reports whether the process began after the pass before, so that all that it
// has used, it has used since.
func (c *Collector) newborn(p *process) bool {
	return p.age == 0 && c.rate > 0 && p.stat.start >= c.since
}

func (c *Collector) readCPU(p *process, before stat) {
	if p.age == 0 && !c.newborn(p) {
		before.ticks = p.stat.ticks
	}
	p.cpu = c.per(before.ticks, p.stat.ticks) / ticksPerSecond
}

func (c *Collector) readIO(p *process) {
	p.ioRates = ioRates{-1, -1}
	if p.noIO {
		c.readDenied++
		return
	}
	data, err := c.readOf(p, fileIO, "/io")
	if err != nil {
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
			p.noIO = true
			c.readDenied++
		}
		return
	}
	var now ioCounters
	for l := lines(data); ; {
		line, ok := l.next()
		if !ok {
			break
		}
		switch string(line.next()) {
		case "read_bytes:":
			now.read = line.number()
		case "write_bytes:":
			now.write = line.number()
		}
	}
	before := p.io
	if !p.knowsIO && !c.newborn(p) {
		before = now
	}
	p.io, p.knowsIO = now, true
	p.ioRates = ioRates{c.per(before.read, now.read), c.per(before.write, now.write)}
}

// readResident reads what stat tells only roughly (the kernel's get_mm_counter), when it may
// have changed.
func (c *Collector) readResident(p *process, before stat) {
	now := p.stat
	if now.virtual == 0 {
		p.memory = memory{} // a kernel thread, or one that has ended
		return
	}
	same := now.pages == before.pages && now.virtual == before.virtual && now.minorFaults == before.minorFaults && now.majFaults == before.majFaults
	if same && !c.lookAgain(p) {
		return
	}
	data, err := c.readOf(p, fileStatm, "/statm")
	if err != nil {
		p.memory = memory{now.pages * c.pageSize, p.memory.shared}
		return
	}
	line := words(data)
	line.skip(1)
	p.memory.resident = line.number() * c.pageSize
	p.memory.shared = line.number() * c.pageSize
}

// lookAgain reports whether it is this process's turn to be looked at again without a
// reason: a few are in each pass.
func (c *Collector) lookAgain(p *process) bool { return (c.pass+uint64(p.pid))%rarely == 0 }

func (c *Collector) row(p *process) sample.Process {
	return sample.Process{
		PID: p.pid, Parent: p.stat.parent, Start: p.start,
		User: p.user, Name: p.name, Command: p.command,
		State: stateName(p.stat.state), Threads: p.stat.threads, Nice: p.stat.nice,
		CPU: p.cpu, CPUTime: float64(p.stat.ticks) / ticksPerSecond,
		Resident: p.memory.resident, Virtual: p.stat.virtual, Shared: p.memory.shared,
		ReadBytes: p.ioRates.read, WriteBytes: p.ioRates.write,
		RxBytes: -1, TxBytes: -1,
	}
}

// stateName is the letter as text, without making one each time.
func stateName(b byte) string {
	const letters = "RSDZTtIXxKWP"
	for i := range len(letters) {
		if letters[i] == b {
			return letters[i : i+1]
		}
	}
	return "?"
}
