package collect

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// longest is how much of a command a sample has, in bytes.
const longest = 4096

// identify reads who a process is: its command, its user, its cgroup, and with those
// whether it runs a VM or belongs to a container.
func (c *Collector) identify(p *process) {
	p.noIO = false
	c.readUser(p)
	c.readCgroup(p)
	if p.stat.isKernelThread() {
		if len(p.command) != len(p.name)+2 || p.command[1:len(p.command)-1] != p.name {
			p.command = "[" + p.name + "]"
		}
		return
	}
	data, err := c.once(p.pid, "/cmdline")
	if err != nil {
		data = nil // it has ended, or is none of this user's business
	}
	if c.setCommand(p, bytes.TrimRight(data, "\x00")) {
		c.setVM(p, data)
	}
}

// once reads a file of a process without keeping it.
func (c *Collector) once(pid int, name string) ([]byte, error) {
	fd, err := c.open(pid, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	return c.buf.one(fd)
}

// setCommand sets the command from arguments with a NUL between, and reports whether it
// is another one. What it had is kept if it has none any more: a process that ends.
func (c *Collector) setCommand(p *process, args []byte) bool {
	if len(args) == 0 {
		if p.command == "" {
			p.command = "[" + p.name + "]"
		}
		return false
	}
	if sameCommand(p.command, args) {
		return false
	}
	text := bytes.ReplaceAll(args[:min(len(args), longest)], []byte{0}, []byte{' '})
	p.command = string(text)
	return true
}

func sameCommand(command string, args []byte) bool {
	if len(command) != min(len(args), longest) {
		return false
	}
	for i := range len(command) {
		if command[i] != args[i] && (args[i] != 0 || command[i] != ' ') {
			return false
		}
	}
	return true
}

// readUser asks who owns the process's directory: its effective user.
func (c *Collector) readUser(p *process) {
	fd, err := c.open(p.pid, "", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return
	}
	if p.user == "" || p.uid != st.Uid {
		p.uid, p.user = st.Uid, c.users.name(st.Uid)
	}
}

// users are the names of /etc/passwd. A directory service is not asked: it may hang.
type users struct {
	names map[uint32]string
	read  time.Time // when the file was written that was read
}

func (u *users) name(uid uint32) string {
	if name, known := u.names[uid]; known {
		return name
	}
	const file = "/etc/passwd"
	if st, err := os.Stat(file); u.names == nil || err == nil && !st.ModTime().Equal(u.read) {
		u.names = map[uint32]string{}
		if err == nil {
			u.read = st.ModTime()
		}
		text, _ := os.ReadFile(file) // without it, numbers are names
		for line := range strings.Lines(string(text)) {
			f := strings.SplitN(line, ":", 4)
			if len(f) < 4 {
				continue
			}
			if n, err := strconv.ParseUint(f[2], 10, 32); err == nil && u.names[uint32(n)] == "" {
				u.names[uint32(n)] = f[0]
			}
		}
	}
	name, known := u.names[uid]
	if !known {
		name = strconv.FormatUint(uint64(uid), 10)
		u.names[uid] = name
	}
	return name
}

// missing says what this user does not see, and what would help.
func (c *Collector) missing(s *sample.Sample) []sample.Missing {
	var list []sample.Missing
	if m := c.missingBPF(); m.What != "" {
		list = append(list, m)
	}
	// The first process of a namespace is always there; to most users on some machines it
	// does not show.
	if c.bpf == nil && c.processes[1] == nil && os.Geteuid() != 0 {
		list = append(list, sample.Missing{What: "other users' processes", Why: "procfs is mounted with hidepid", Help: "run as root"})
	}
	if c.readDenied > 0 {
		list = append(list, denied("disk rates", c.readDenied, "processes"))
	}
	if c.fdsDenied > 0 {
		list = append(list, denied("network interfaces", c.fdsDenied, "VMs"))
	}
	if s.Pressure == nil {
		list = append(list, sample.Missing{
			What: "pressure", Why: "the kernel does not tell it", Help: "boot with psi=1, or a kernel with CONFIG_PSI",
		})
	}
	return list
}

func denied(what string, count int, of string) sample.Missing {
	m := sample.Missing{What: what + " (" + of + ": " + strconv.Itoa(count) + ")", Why: "other users' are not shown to this one", Help: "run as root"}
	if os.Geteuid() == 0 {
		m.Why, m.Help = "the kernel protects them even from this root", ""
	}
	return m
}

// missingBPF says what there is not as BPF is not there.
func (c *Collector) missingBPF() sample.Missing {
	m := sample.Missing{What: "network rates of processes"}
	err := c.noBPF
	if c.bpf != nil {
		err = c.bpf.noSockets
	}
	switch {
	case err == nil:
		return sample.Missing{}
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		m.Why, m.Help = "BPF programs count them, and the kernel does not let this user load any", "run as root"
		if os.Geteuid() == 0 {
			m.Help = "give it CAP_BPF and CAP_PERFMON"
		}
	case lacks(err):
		m.Why, m.Help = "BPF programs count them, and this kernel has not what they need", "Linux 5.12 or newer with CONFIG_DEBUG_INFO_BTF"
	default:
		m.Why = "BPF programs count them, and there are none: " + err.Error()
	}
	return m
}
