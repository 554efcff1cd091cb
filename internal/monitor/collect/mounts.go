package collect

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

const (
	// unanswered is after how long a file system is stale.
	unanswered = 500 * time.Millisecond
	// firstAnswer is how long the first pass waits for what is asked beside it.
	firstAnswer = 200 * time.Millisecond
)

// mounts asks file systems how full they are. One goroutine asks one after the other;
// when one does not answer, another goroutine goes on with the rest, so that as many are
// stuck as there are dead mounts, and no pass ever is.
type mounts struct {
	path   string // of mountinfo
	watch  int    // a descriptor of it, -1 before the first round
	kicks  chan struct{}
	first  chan struct{} // closed after the first round, or the first that hangs
	once   sync.Once
	statfs func(string, *unix.Statfs_t) error

	mu      sync.Mutex
	known   map[string]*mount // by where it is mounted
	order   []string
	turn    int       // of the goroutine that asks; those before end when they can
	busy    time.Time // since when it waits for an answer; zero if it does not
	started bool
	closed  bool
}

type mount struct {
	fs     sample.Filesystem
	device string // major:minor
	asked  time.Time
}

func newMounts(proc string) *mounts {
	return &mounts{
		path: proc + "/self/mountinfo", watch: -1, kicks: make(chan struct{}, 1), first: make(chan struct{}),
		statfs: unix.Statfs, known: map[string]*mount{},
	}
}

// kick has all file systems asked, by somebody else.
func (m *mounts) kick() {
	m.mu.Lock()
	stuck := !m.busy.IsZero() && time.Since(m.busy) > unanswered
	if !m.started || stuck {
		m.started = true
		m.turn++
		m.busy = time.Time{}
		go m.work(m.turn)
	}
	m.mu.Unlock()
	select {
	case m.kicks <- struct{}{}:
	default: // it has not come to the last one yet
	}
}

// answer returns what is known.
func (m *mounts) answer() []sample.Filesystem {
	select {
	case <-m.first:
	case <-time.After(firstAnswer):
		m.once.Do(func() { close(m.first) })
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]sample.Filesystem, 0, len(m.order))
	for _, at := range m.order {
		e := m.known[at]
		stale := !e.asked.IsZero() && time.Since(e.asked) > unanswered
		if !stale && e.fs.Size == 0 {
			continue
		}
		fs := e.fs
		fs.Stale = stale
		list = append(list, fs)
	}
	return list
}

func (m *mounts) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	close(m.kicks)
}

func (m *mounts) work(turn int) {
	defer m.leave(turn)
	for range m.kicks {
		for _, at := range m.list() {
			if !m.ask(turn, at) {
				return
			}
		}
		m.once.Do(func() { close(m.first) })
	}
}

// leave gives the descriptor back when the collector is closed.
func (m *mounts) leave(turn int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed && m.turn == turn && m.watch >= 0 {
		_ = unix.Close(m.watch)
		m.watch = -1
	}
}

// list returns where file systems are mounted. It reads that when it has changed.
func (m *mounts) list() []string {
	if !m.changed() {
		return m.order
	}
	text, err := os.ReadFile(m.path)
	if err != nil {
		return nil
	}
	found := scanMounts(string(text))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.order = make([]string, 0, len(found))
	for at := range found {
		m.order = append(m.order, at)
	}
	slices.Sort(m.order)
	for at, f := range found {
		if e := m.known[at]; e == nil || e.device != f.device {
			m.known[at] = f
		}
	}
	maps.DeleteFunc(m.known, func(at string, _ *mount) bool { return found[at] == nil })
	return m.order
}

// changed reports whether something was mounted or unmounted since the last call, as the
// kernel tells who polls mountinfo: proc_pid_mounts(5).
func (m *mounts) changed() bool {
	if m.watch < 0 {
		fd, err := unix.Open(m.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			m.watch = fd
		}
		return err == nil
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(m.watch), Events: unix.POLLPRI}}, 0)
	return err != nil || n > 0
}

// ask asks one file system, unless somebody waits for its answer already. It reports
// whether this goroutine is still the one that asks.
func (m *mounts) ask(turn int, at string) bool {
	m.mu.Lock()
	e := m.known[at]
	if m.turn != turn {
		m.mu.Unlock()
		return false
	}
	if e == nil || !e.asked.IsZero() {
		m.mu.Unlock()
		return true
	}
	e.asked = time.Now()
	m.busy = e.asked
	m.mu.Unlock()

	var st unix.Statfs_t
	err := m.statfs(at, &st)

	m.mu.Lock()
	defer m.mu.Unlock()
	e.asked = time.Time{}
	if err == nil {
		unit := uint64(st.Frsize)
		e.fs.Size, e.fs.Available, e.fs.Used = st.Blocks*unit, st.Bavail*unit, (st.Blocks-st.Bfree)*unit
		e.fs.Inodes, e.fs.FreeNodes = st.Files, st.Ffree
	}
	if m.turn != turn {
		return false
	}
	m.busy = time.Time{}
	return true
}

// scanMounts reads mountinfo (proc_pid_mountinfo(5)): by where they are mounted, those
// that keep files, each device once.
func scanMounts(text string) map[string]*mount {
	found := map[string]*mount{}
	for line := range strings.Lines(text) {
		left, right, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		f, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 5 || len(r) < 2 {
			continue
		}
		at := unescape(f[4])
		delete(found, at) // it is below this one now
		if !keepsFiles(r[0], at) {
			continue
		}
		found[at] = &mount{device: f[2], fs: sample.Filesystem{Mount: at, Device: unescape(r[1]), Type: r[0]}}
	}
	best := map[string]string{}
	for at, m := range found {
		if other, twice := best[m.device]; !twice || len(at) < len(other) || len(at) == len(other) && at < other {
			best[m.device] = at
		}
	}
	maps.DeleteFunc(found, func(at string, m *mount) bool { return best[m.device] != at })
	return found
}

// keepsFiles leaves out the kernel's own file systems and those of images. Of those in
// memory and of layers, the ones of the machine itself stay.
func keepsFiles(kind, at string) bool {
	switch kind {
	case "tmpfs", "ramfs":
		return at == "/tmp" || at == "/run" || at == "/dev/shm" || at == "/"
	case "overlay":
		return at == "/"
	case "proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "autofs", "mqueue", "debugfs", "tracefs", "securityfs", "pstore", "bpf",
		"configfs", "fusectl", "hugetlbfs", "binfmt_misc", "nsfs", "rpc_pipefs", "efivarfs", "selinuxfs", "squashfs":
		return false
	}
	return true
}

// unescape reads what mountinfo writes of blanks: a backslash and three octal digits.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
