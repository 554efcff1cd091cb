package collect

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// vm is a process of QEMU.
type vm struct {
	guest guest
	id    string
	vcpus []*vcpu
	taps  []string
	// looked is the number of threads when they were last looked through.
	looked    int
	fdsDenied bool
}

// vcpu is a thread that is a virtual CPU.
type vcpu struct {
	number, tid int
	fd          int // of its stat, -1 if none is kept
	used        uint64
	first       bool
}

// setVM looks at a new command.
func (c *Collector) setVM(p *process, cmdline []byte) {
	if p.vm != nil {
		p.vm.close()
		p.vm = nil
	}
	if !bytes.Contains(cmdline, []byte("qemu")) && !bytes.Contains(cmdline, []byte("kvm")) {
		return
	}
	if g, ok := parseQEMU(string(cmdline)); ok {
		if g.name == "" {
			g.name = "qemu-" + strconv.Itoa(p.pid)
		}
		p.vm = &vm{guest: g}
	}
}

func (v *vm) close() {
	for _, t := range v.vcpus {
		if t.fd >= 0 {
			_ = unix.Close(t.fd)
		}
	}
	v.vcpus = nil
}

// readVM makes the machine of a process that runs one.
func (c *Collector) readVM(p *process, m *sample.Machine) {
	v := p.vm
	again := p.age <= 3 || c.lookAgain(p)
	if again {
		c.findTaps(p)
	}
	// Threads of QEMU come and go with what the disk does; those alone are no reason.
	if again || len(v.vcpus) != v.guest.cpus && v.looked != p.stat.threads {
		v.looked = p.stat.threads
		c.findVCPUs(p)
	}
	if v.fdsDenied {
		c.fdsDenied++
	}
	*m = sample.Machine{
		ID: v.id, Kind: sample.VM, Name: v.guest.name, PID: p.pid, By: "qemu", State: "running",
		CPUs: float64(v.guest.cpus), CPU: p.cpu, Memory: v.guest.memory, Used: p.memory.resident,
		ReadBytes: p.ioRates.read, WriteBytes: p.ioRates.write, RxBytes: -1, TxBytes: -1,
		Interfaces: slices.Clone(v.taps), Processes: 1,
	}
	if known := c.monitors.state(p.pid); known != "" {
		m.State = known
	}
	if s := p.stat.state; s == 'T' || s == 't' || s == 'Z' {
		m.State = "stopped"
	}
	for _, t := range v.vcpus {
		m.VCPUs = append(m.VCPUs, c.readVCPU(p.pid, t))
	}
	if v.guest.user && len(v.taps) == 0 {
		m.RxBytes, m.TxBytes = p.netRate.read, p.netRate.write
	}
	for _, name := range v.taps {
		link := c.links.known[name]
		if link == nil { // in another network namespace
			continue
		}
		// What the host receives, the guest has sent.
		m.RxBytes = max(m.RxBytes, 0) + link.rate.tx
		m.TxBytes = max(m.TxBytes, 0) + link.rate.rx
	}
}

func (c *Collector) readVCPU(pid int, t *vcpu) float64 {
	var data []byte
	var err error
	if t.fd >= 0 {
		data, err = c.buf.one(t.fd)
	} else {
		data, err = c.once(pid, "/task/"+strconv.Itoa(t.tid)+"/stat")
	}
	if err != nil {
		return 0
	}
	_, now, ok := scanStat(data)
	if !ok {
		return 0
	}
	before := t.used
	t.used = now.used
	if t.first {
		t.first = false
		return 0
	}
	return c.per(before, now.used) / 1e9
}

// findVCPUs looks through the threads for those that QEMU names after virtual CPUs.
// Without debug-threads=on in -name it names none.
func (c *Collector) findVCPUs(p *process) {
	was := map[int]*vcpu{}
	for _, t := range p.vm.vcpus {
		was[t.tid] = t
	}
	var now []*vcpu
	for _, tid := range numbersIn(c.proc, strconv.Itoa(p.pid), "task") {
		file := "/task/" + strconv.Itoa(tid)
		name, err := c.once(p.pid, file+"/comm")
		if err != nil {
			continue
		}
		number, ok := vcpuNumber(bytes.TrimRight(name, "\n"))
		if !ok {
			continue
		}
		t := was[tid]
		if t == nil {
			t = &vcpu{number: number, tid: tid, fd: -1, first: true}
			if fd, err := c.open(p.pid, file+"/stat", unix.O_RDONLY); err == nil {
				t.fd = fd
			}
		}
		delete(was, tid)
		now = append(now, t)
	}
	for _, t := range was {
		if t.fd >= 0 {
			_ = unix.Close(t.fd)
		}
	}
	slices.SortFunc(now, func(a, b *vcpu) int { return a.number - b.number })
	p.vm.vcpus = now
}

// vcpuNumber reads such as "CPU 3/KVM" or "CPU 0/TCG"; one thread for all is the first.
func vcpuNumber(name []byte) (int, bool) {
	if string(name) == "ALL CPUs/TCG" {
		return 0, true
	}
	rest, ok := after(name, "CPU ")
	digits, _, slash := bytes.Cut(rest, []byte{'/'})
	if !ok || !slash {
		return 0, false
	}
	return pidOf(digits)
}

// findTaps finds the interfaces that QEMU holds: libvirt passes descriptors, whose
// fdinfo names the interface.
func (c *Collector) findTaps(p *process) {
	v := p.vm
	v.taps, v.fdsDenied = slices.Clone(v.guest.taps), false
	fdinfo := filepath.Join(c.proc, strconv.Itoa(p.pid), "fdinfo")
	if _, err := os.ReadDir(fdinfo); err != nil {
		v.fdsDenied = os.IsPermission(err)
		return
	}
	for _, fd := range numbersIn(fdinfo) {
		data, err := c.once(p.pid, "/fdinfo/"+strconv.Itoa(fd))
		if err != nil {
			continue
		}
		for l := lines(data); ; {
			line, ok := l.next()
			if !ok {
				break
			}
			if string(line.next()) != "iff:" {
				continue
			}
			if name := string(line.next()); name != "" && !slices.Contains(v.taps, name) {
				v.taps = append(v.taps, name)
			}
		}
	}
	slices.Sort(v.taps)
}
