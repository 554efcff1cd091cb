package collect

import "bytes"

// sum gathers a process's threads while a pass reads them.
type sum struct {
	pass    uint64 // that it is of
	threads int    // that were seen
	// total is over those threads, ended over those that have ended before. Each thread
	// tells ended anew: if one differs, a thread has ended meanwhile.
	total, ended counters4
	alive        uint64 // threads that there are by the kernel's count
	torn         bool
	leader       bool
	record       processRecord
}

// counters4 are the counters that are sums over threads.
type counters4 struct{ runtime, faults, read, write uint64 }

func (a counters4) plus(b counters4) counters4 {
	return counters4{a.runtime + b.runtime, a.faults + b.faults, a.read + b.read, a.write + b.write}
}

func (t *threadRecord) own() counters4 { return counters4{t.runtime, t.faults, t.read, t.write} }

func (t *threadRecord) ended() counters4 {
	return counters4{t.endedRuntime, t.endedFaults, t.endedRead, t.endedWrite}
}

// readTasks reads the processes by BPF. If it cannot, files are read from now on.
func (c *Collector) readTasks() error {
	c.met = c.met[:0]
	if err := c.bpf.read(c.gather); err != nil {
		c.bpf.close()
		c.bpf, c.noBPF, c.host.Reader = nil, err, string(Files)
		return err
	}
	for _, p := range c.met {
		if p = c.finish(p); p != nil {
			c.live = append(c.live, p)
		}
	}
	return nil
}

// gather adds a thread to its process.
func (c *Collector) gather(t *threadRecord, leader *processRecord) {
	p := c.processes[int(t.pid)]
	if p == nil {
		p = c.meet(int(t.pid))
	}
	s := &p.sum
	if s.pass != c.pass {
		*s = sum{pass: c.pass, ended: t.ended(), alive: t.threads}
		c.met = append(c.met, p)
	}
	s.threads++
	s.total = s.total.plus(t.own())
	s.torn = s.torn || s.ended != t.ended() || s.alive != t.threads
	if leader != nil {
		s.leader, s.record = true, *leader
	}
}

// finish makes a process of what was gathered, or returns nil if it has ended.
func (c *Collector) finish(p *process) *process {
	s := &p.sum
	if !s.leader {
		return nil
	}
	r := &s.record
	now := r.stat()
	if p.age > 0 && now.start != p.stat.start { // another has its number
		kept := *s
		c.forget(p)
		p = c.meet(p.pid)
		p.sum = kept
		s, r = &p.sum, &p.sum.record
	}
	total := s.total.plus(s.ended)
	now.used, now.faults = total.runtime, total.faults
	io := ioCounters{total.read, total.write}
	// Threads came or went while they were read, or the memory did: the kernel's own sum,
	// which it makes under a lock.
	if s.torn || uint64(s.threads) != s.alive || r.changing != 0 {
		var ok bool
		if now, io, ok = c.sumOf(p, now, io); !ok {
			return nil
		}
	}
	c.update(p, now, c.nameOf(p, now, r.comm[:]))
	c.updateIO(p, io)
	c.updateNet(p, traffic{r.rx, r.tx})
	return p
}

// sumOf reads stat and io of one process.
func (c *Collector) sumOf(p *process, now stat, io ioCounters) (stat, ioCounters, bool) {
	data, err := c.once(p.pid, "/stat")
	if err != nil {
		return now, io, false
	}
	_, file, ok := scanStat(data)
	if !ok || file.start != now.start {
		return now, io, false
	}
	if rounded := uint64(2e9 / ticksPerSecond); p.stat.used > file.used && p.stat.used-file.used < rounded {
		file.used = p.stat.used
	}
	if data, err = c.once(p.pid, "/io"); err == nil {
		io = scanIO(data)
	}
	return file, io, true
}

// nameOf takes the name that a record has. Those of kernel threads may be longer, and say
// what a worker works on: proc_task_name in fs/proc/array.c.
func (c *Collector) nameOf(p *process, now stat, comm []byte) (renamed bool) {
	if now.isKernelThread() {
		if p.age > 0 && !c.lookAgain(p) {
			return false
		}
		if data, err := c.once(p.pid, "/comm"); err == nil {
			return p.rename(bytes.TrimSuffix(data, []byte{'\n'}))
		}
	}
	name, _, _ := bytes.Cut(comm, []byte{0})
	return p.rename(name)
}

func (c *Collector) updateNet(p *process, now traffic) {
	p.netRate = unknown
	if c.bpf.noSockets != nil {
		return
	}
	if now == (traffic{}) { // the kernel may be too busy with it to say, before 6.2
		now = p.net
	}
	p.netRate = ioRates{c.per(p.net.rx, now.rx), c.per(p.net.tx, now.tx)}
	p.net = now
}
