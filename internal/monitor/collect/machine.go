package collect

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"

	"sarn/internal/monitor/sample"
)

// machines are the containers, and the memory of those and the VMs.
type machines struct {
	root       string // of cgroup v2, empty if there is none
	namespace  string // network, of this process
	containers map[string]*box
	cgroups    map[string]string // equal texts kept once
}

// box is a container that is there.
type box struct {
	container
	files    files
	first    *process // the one that started first
	count    int
	cpu      float64 // sums over its processes, where the cgroup does not tell
	resident uint64
	io       ioRates

	usage     uint64 // counters of the pass before
	known     bool
	disk      ioCounters
	knowsDisk bool
	rx, tx    uint64
	netOf     int // the PID whose namespace is read, 0 for none
	netKnown  bool
}

func newMachines(proc string) machines {
	own, err := os.Readlink(proc + "/self/ns/net")
	if err != nil {
		own = ""
	}
	return machines{root: cgroup2(proc), namespace: own, containers: map[string]*box{}, cgroups: map[string]string{}}
}

func (m *machines) close() {
	for _, b := range m.containers {
		b.files.close()
	}
}

func (m *machines) intern(text []byte) string {
	if s, ok := m.cgroups[string(text)]; ok {
		return s
	}
	if len(m.cgroups) > 1<<12 {
		clear(m.cgroups)
	}
	s := string(text)
	m.cgroups[s] = s
	return s
}

func (m *machines) add(id string, c container) {
	if m.containers[id] == nil {
		m.containers[id] = &box{container: c, files: files{}}
	}
}

// readMachines makes the rows of VMs and containers from the processes of this pass.
func (c *Collector) readMachines(s *sample.Sample) {
	s.Machines = []sample.Machine{}
	for _, b := range c.machines.containers {
		b.first, b.count, b.cpu, b.resident, b.io = nil, 0, 0, 0, ioRates{}
	}
	var vms []*process
	for i := range s.Processes {
		row := &s.Processes[i]
		p := c.processes[row.PID]
		if p == nil {
			continue
		}
		if p.vm != nil {
			vms = append(vms, p)
			continue
		}
		if b := c.machines.containers[p.machine]; b != nil {
			b.take(p)
			row.Machine = p.machine
		}
	}
	c.askMonitors(vms)
	nameVMs(vms)
	for _, p := range vms {
		var m sample.Machine
		c.readVM(p, &m)
		s.Machines = append(s.Machines, m)
	}
	for i := range s.Processes {
		if p := c.processes[s.Processes[i].PID]; p != nil && p.vm != nil {
			s.Processes[i].Machine = p.vm.id
		}
	}
	for id, b := range c.machines.containers {
		if b.count == 0 {
			b.files.close()
			delete(c.machines.containers, id)
			continue
		}
		s.Machines = append(s.Machines, c.readBox(id, b))
	}
	slices.SortFunc(s.Machines, func(a, b sample.Machine) int { return cmp.Compare(a.ID, b.ID) })
}

// askMonitors has the guests asked how they are.
func (c *Collector) askMonitors(vms []*process) {
	if len(vms) == 0 && c.monitors == nil {
		return
	}
	if c.monitors == nil {
		c.monitors = newMonitors()
	}
	all := make([]inquiry, len(vms))
	for i, p := range vms {
		all[i] = inquiry{p.pid, p.uid, p.vm.guest.name, p.vm.guest.qmp}
	}
	c.monitors.ask(all)
}

// nameVMs gives each VM its ID. Of two with a name the older process has it alone.
func nameVMs(vms []*process) {
	slices.SortFunc(vms, func(a, b *process) int {
		return cmp.Or(cmp.Compare(a.stat.start, b.stat.start), cmp.Compare(a.pid, b.pid))
	})
	taken := map[string]bool{}
	for _, p := range vms {
		id := "vm/" + p.vm.guest.name
		if taken[id] {
			id += "@" + strconv.Itoa(p.pid)
		}
		taken[id] = true
		p.vm.id = id
	}
}

func (b *box) take(p *process) {
	b.count++
	b.cpu += p.cpu
	b.resident += p.memory.resident
	b.io.read, b.io.write = plus(b.io.read, p.ioRates.read), plus(b.io.write, p.ioRates.write)
	if b.first == nil || p.stat.start < b.first.stat.start {
		b.first = p
	}
}

// plus adds rates, which are unknown if one is.
func plus(a, b float64) float64 {
	if a < 0 || b < 0 {
		return -1
	}
	return a + b
}

// readBox reads a container's cgroup; what that does not tell is the sum of its processes.
func (c *Collector) readBox(id string, b *box) sample.Machine {
	m := sample.Machine{
		ID: id, Kind: sample.Container, Name: b.name, PID: b.first.pid, By: b.by, State: "running", Processes: b.count,
		CPU: b.cpu, Used: b.resident, ReadBytes: b.io.read, WriteBytes: b.io.write, RxBytes: -1, TxBytes: -1,
	}
	c.readBoxNet(b, &m)
	if c.machines.root == "" || strings.Contains(b.path, "/..") { // outside of what this process may see
		return m
	}
	dir := c.machines.root + b.path
	if usage, ok := field(b.files.read(&c.buf, dir+"/cpu.stat"), "usage_usec"); ok {
		if b.known {
			m.CPU = c.per(b.usage, usage) / 1e6
		}
		b.usage, b.known = usage, true
	}
	if now, ok := scanIOStat(b.files.read(&c.buf, dir+"/io.stat")); ok {
		m.ReadBytes, m.WriteBytes = 0, 0
		if b.knowsDisk {
			m.ReadBytes, m.WriteBytes = c.per(b.disk.read, now.read), c.per(b.disk.write, now.write)
		}
		b.disk, b.knowsDisk = now, true
	}
	limit := words(b.files.read(&c.buf, dir+"/cpu.max"))
	if quota, period := limit.number(), limit.number(); quota > 0 && period > 0 {
		m.CPUs = float64(quota) / float64(period)
	}
	if data := words(b.files.read(&c.buf, dir+"/memory.current")); len(data) > 0 {
		m.Used = data.number()
	}
	if data := words(b.files.read(&c.buf, dir+"/memory.max")); len(data) > 0 {
		m.Memory = data.number() // of "max", nothing
	}
	if string(b.files.read(&c.buf, dir+"/cgroup.freeze")) == "1\n" {
		m.State = "paused"
	}
	return m
}

// scanIOStat adds up the devices of io.stat: Documentation/admin-guide/cgroup-v2.rst.
func scanIOStat(data []byte) (sum ioCounters, ok bool) {
	for l := lines(data); ; {
		line, more := l.next()
		if !more {
			return sum, ok
		}
		line.skip(1)
		for word := line.next(); len(word) > 0; word = line.next() {
			if n, is := after(word, "rbytes="); is {
				sum.read, ok = sum.read+number(n), true
			}
			if n, is := after(word, "wbytes="); is {
				sum.write, ok = sum.write+number(n), true
			}
		}
	}
}

// field finds a line with the key, and its number.
func field(data []byte, key string) (uint64, bool) {
	for l := lines(data); ; {
		line, ok := l.next()
		if !ok {
			return 0, false
		}
		if string(line.next()) == key {
			return line.number(), true
		}
	}
}

// readBoxNet reads the traffic of a container that has a network namespace of its own.
func (c *Collector) readBoxNet(b *box, m *sample.Machine) {
	if b.netOf != b.first.pid {
		b.files.close() // of the process that was first before
		b.netOf, b.netKnown = b.first.pid, false
	}
	pid := c.proc + "/" + strconv.Itoa(b.first.pid)
	if ns, err := os.Readlink(pid + "/ns/net"); err != nil || ns == c.machines.namespace {
		return
	}
	var rx, tx uint64
	for l := lines(b.files.read(&c.buf, pid+"/net/dev")); ; {
		line, ok := l.next()
		if !ok {
			break
		}
		name, n, ok := scanLink(line)
		if ok && string(name) != "lo" {
			rx, tx = rx+n.rx[0], tx+n.tx[0]
		}
	}
	if b.netKnown {
		m.RxBytes, m.TxBytes = c.per(b.rx, rx), c.per(b.tx, tx)
	} else {
		m.RxBytes, m.TxBytes = 0, 0
	}
	b.rx, b.tx, b.netKnown = rx, tx, true
}
