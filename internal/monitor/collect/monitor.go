package collect

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// askEvery is how often a guest is asked, and askAfterSilence one that did not answer.
	askEvery        = time.Second
	askAfterSilence = 30 * time.Second
	// askDeadline is how long a guest's monitor may take in all.
	askDeadline = 300 * time.Millisecond
)

// monitors asks QEMU whether guests run or are paused, which no figure of the kernel tells.
// A goroutine asks one after the other; a pass takes what is known, and never waits.
type monitors struct {
	work chan []inquiry
	done chan struct{}

	mu     sync.Mutex
	known  map[int]verdict
	closed bool
}

// inquiry is about one guest.
type inquiry struct {
	pid       int
	uid       uint32
	name, qmp string
}

type verdict struct {
	state string // empty if nobody knows
	next  time.Time
}

func newMonitors() *monitors {
	m := &monitors{work: make(chan []inquiry, 1), done: make(chan struct{}), known: map[int]verdict{}}
	go m.run()
	return m
}

// close waits for the one that is being asked, which has a deadline.
func (m *monitors) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	close(m.work)
	<-m.done
}

// ask has guests asked whose turn it is, and forgets those that are not among them.
func (m *monitors) ask(all []inquiry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	var due []inquiry
	there := make(map[int]verdict, len(all))
	for _, q := range all {
		v := m.known[q.pid]
		there[q.pid] = v
		if now.After(v.next) {
			due = append(due, q)
		}
	}
	m.known = there
	if len(due) == 0 {
		return
	}
	select {
	case m.work <- due:
	default: // it has not come to the last ones yet
	}
}

// state returns what is known of a guest.
func (m *monitors) state(pid int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[pid].state
}

func (m *monitors) run() {
	defer close(m.done)
	for all := range m.work {
		for _, q := range all {
			if !m.learn(q) {
				return
			}
		}
	}
}

// learn asks about one guest, and reports whether to go on.
func (m *monitors) learn(q inquiry) bool {
	state, err := libvirtState(q)
	if errors.Is(err, os.ErrNotExist) && q.qmp != "" {
		state, err = qmpState(q)
	}
	v := verdict{state, time.Now().Add(askEvery)}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		v.next = time.Now().Add(askAfterSilence)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.known[q.pid]; there {
		m.known[q.pid] = v
	}
	return !m.closed
}

// libvirtState reads the file in which libvirt keeps a guest's state. Its monitor is not
// touched: that belongs to libvirt, which may be dead.
func libvirtState(q inquiry) (string, error) {
	if q.name == "" || strings.ContainsAny(q.name, "/\x00") {
		return "", os.ErrNotExist
	}
	f, err := os.Open(filepath.Join("/run/libvirt/qemu", q.name+".xml"))
	if err != nil {
		return "", err
	}
	defer f.Close()                                        //nolint:errcheck // nothing was written
	for d := xml.NewDecoder(io.LimitReader(f, 4<<10)); ; { // virDomainObjFormat in src/conf/domain_conf.c
		token, err := d.Token()
		if err != nil {
			return "", err
		}
		root, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		was := map[string]string{}
		for _, a := range root.Attr {
			was[a.Name.Local] = a.Value
		}
		if was["pid"] != strconv.Itoa(q.pid) {
			return "", os.ErrNotExist
		}
		return stateWord(was["state"])
	}
}

// stateWord lets through what may be a state.
func stateWord(s string) (string, error) {
	if s == "" || len(s) > 32 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") != "" {
		return "", errors.New("this is no state of a guest")
	}
	return s, nil
}

// qmpState asks by QMP: docs/interop/qmp-spec.rst of QEMU.
func qmpState(q inquiry) (string, error) {
	conn, err := dialOwned(q.qmp, q.uid)
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	if err := conn.SetDeadline(time.Now().Add(askDeadline)); err != nil {
		return "", err
	}
	var reply struct {
		QMP    json.RawMessage
		Return *struct{ Status string }
		Error  json.RawMessage
	}
	d := json.NewDecoder(io.LimitReader(conn, 64<<10))
	// Who is served by it now keeps others waiting, and nothing is said until it greets.
	if err := d.Decode(&reply); err != nil {
		return "", err
	}
	if reply.QMP == nil {
		return "", errors.New("this is no QMP server")
	}
	for _, command := range []string{"qmp_capabilities", "query-status"} {
		if _, err := io.WriteString(conn, `{"execute":"`+command+`"}`+"\n"); err != nil {
			return "", err
		}
		for reply.Return = nil; reply.Return == nil; { // events may be in between
			if err := d.Decode(&reply); err != nil {
				return "", err
			}
			if reply.Error != nil {
				return "", errors.New("the QMP server refuses")
			}
		}
	}
	return stateWord(reply.Return.Status)
}

// dialOwned connects to a socket that belongs to the user. Its path is from a command
// line, which anybody can write; nobody is to have root connect to others' sockets.
func dialOwned(path string, uid uint32) (net.Conn, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || st.Uid != uid {
		return nil, errors.New("this is no socket of the guest's user")
	}
	return net.DialTimeout("unix", "/proc/self/fd/"+strconv.Itoa(fd), askDeadline)
}
