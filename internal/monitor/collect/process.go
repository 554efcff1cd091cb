package collect

import (
	"time"

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
	ioGrown ioCounters // in this pass
	knowsIO bool       // io is of an earlier pass, or this one
	noIO    bool       // the kernel does not let this user
	net     traffic
	memory  memory
	ioRates ioRates
	netRate ioRates // received and sent, -1 if nobody counts
	cpu     float64 // in this pass, in CPUs
	sum     sum     // by BPF

	name, command, user string
	uid                 uint32
	cgroup              string
	vm                  *vm // nil unless it runs a VM
	machine             string
}

// memory is in bytes.
type memory struct{ resident, shared uint64 }

type ioCounters struct{ read, write uint64 }

// since is how much it has grown, and nothing where it was set back.
func (a ioCounters) since(b ioCounters) ioCounters {
	return ioCounters{a.read - min(a.read, b.read), a.write - min(a.write, b.write)}
}

type ioRates struct{ read, write float64 }

var unknown = ioRates{-1, -1}

// traffic is in bytes since the collector was made.
type traffic struct{ rx, tx uint64 }

// stat is what is used of /proc/PID/stat: proc_pid_stat(5).
type stat struct {
	state          byte
	parent         int
	flags          uint64
	faults         uint64
	used           uint64 // CPU time of all threads in nanoseconds, of those that have ended too
	nice, threads  int
	start          uint64 // ticks since boot
	virtual, pages uint64 // bytes; resident, roughly
}

// isKernelThread is PF_KTHREAD of the kernel's include/linux/sched.h.
func (s stat) isKernelThread() bool { return s.flags&0x00200000 != 0 }

// meet makes a process that was not there in the pass before.
func (c *Collector) meet(pid int) *process {
	p := &process{pid: pid, kept: [3]int{-1, -1, -1}}
	c.processes[pid] = p
	return p
}

// grave is what is left of a process that has ended in this pass.
type grave struct {
	parent int
	io     ioCounters
}

func (c *Collector) forget(p *process) {
	if p.age > 0 {
		c.graves[p.pid] = grave{p.stat.parent, p.io}
	}
	c.release(p)
	if p.vm != nil {
		p.vm.close()
	}
	delete(c.processes, p.pid)
}

func (c *Collector) readProcesses(s *sample.Sample) error {
	c.live = c.live[:0]
	if c.bpf == nil || c.readTasks() != nil {
		if err := c.readNumbers(); err != nil {
			return err
		}
	}
	s.Host.Reader = c.host.Reader
	for _, p := range c.live {
		p.seen = c.pass
		p.age++
	}
	c.bury()
	s.Processes = make([]sample.Process, 0, len(c.live))
	for _, p := range c.live {
		p.ioRates = unknown
		if p.knowsIO {
			p.ioRates = ioRates{float64(p.ioGrown.read) * c.rate, float64(p.ioGrown.write) * c.rate}
		}
		s.Processes = append(s.Processes, c.row(p))
		count(&s.Tasks, p.stat)
	}
	return nil
}

// bury forgets the processes that have ended. Their parents, when they wait for them, get
// all that they have read and written in their lives (wait_task_zombie in kernel/exit.c):
// what was seen of it before is not the parent's doing now.
func (c *Collector) bury() {
	for _, p := range c.processes {
		if p.seen != c.pass {
			c.forget(p)
		}
	}
	for _, g := range c.graves {
		parent := g.parent
		for range len(c.graves) { // that has ended too, up to one that has not
			above, ended := c.graves[parent]
			if !ended {
				break
			}
			parent = above.parent
		}
		if heir := c.processes[parent]; heir != nil {
			heir.ioGrown = heir.ioGrown.since(g.io)
		}
	}
	clear(c.graves)
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

// rename reports whether the name is another one.
func (p *process) rename(name []byte) bool {
	if p.name == string(name) {
		return false
	}
	p.name = string(name)
	return true
}

// update takes what this pass has read of a process.
func (c *Collector) update(p *process, now stat, renamed bool) {
	before := p.stat
	p.stat = now
	if p.age == 0 {
		p.start = c.startOf(now)
	}
	// A young process may run another program or become another user under the same name.
	young := p.age < 3 && now.start+3*ticksPerSecond > c.began
	if p.age == 0 || renamed || young || c.lookAgain(p) {
		c.identify(p)
	}
	if p.age == 0 && !c.newborn(p) {
		before.used = now.used
	}
	p.cpu = c.per(before.used, now.used) / 1e9
	c.readResident(p, before)
}

// newborn reports whether the process began after the pass before, so that all that it
// has used, it has used since.
func (c *Collector) newborn(p *process) bool {
	return p.age == 0 && c.rate > 0 && p.stat.start >= c.since
}

func (c *Collector) updateIO(p *process, now ioCounters) {
	before := p.io
	if !p.knowsIO && !c.newborn(p) {
		before = now
	}
	p.io, p.ioGrown, p.knowsIO = now, now.since(before), true
}

// readResident reads what stat tells only roughly (the kernel's get_mm_counter), when it may
// have changed.
func (c *Collector) readResident(p *process, before stat) {
	now := p.stat
	if now.virtual == 0 {
		p.memory = memory{} // a kernel thread, or one that has ended
		return
	}
	same := now.pages == before.pages && now.virtual == before.virtual && now.faults == before.faults
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
		CPU: p.cpu, CPUTime: float64(p.stat.used) / 1e9,
		Resident: p.memory.resident, Virtual: p.stat.virtual, Shared: p.memory.shared,
		ReadBytes: p.ioRates.read, WriteBytes: p.ioRates.write,
		RxBytes: p.netRate.read, TxBytes: p.netRate.write,
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
