package compare

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// procStat is what /proc says of a process.
type procStat struct {
	pid, parent, session int
	dead                 bool
	ticks                uint64
}

// processes reads proc_pid_stat(5) of all processes.
func processes() []procStat {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var all []procStat
	for _, f := range files {
		if s, ok := statOf(f); ok {
			all = append(all, s)
		}
	}
	return all
}

// statOf reads the file of one process, unless that has ended.
func statOf(file string) (s procStat, ok bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return s, false
	}
	// The program's name stands in parentheses and may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return s, false
	}
	s.dead = fields[0] == "Z" || fields[0] == "X"
	var times [4]uint64 // utime, stime, cutime, cstime
	_, err = fmt.Sscan(strings.Join(append([]string{filepath.Base(filepath.Dir(file)), fields[1], fields[3]}, fields[11:15]...), " "),
		&s.pid, &s.parent, &s.session, &times[0], &times[1], &times[2], &times[3])
	if err != nil {
		return s, false
	}
	for _, t := range times {
		s.ticks += t
	}
	return s, true
}

// kill sends the signal to the process, if it still is ours: the number of one that has
// ended is given to others. os.FindProcess holds on to the process (pidfd_open(2)), so
// that what is asked about then is what gets the signal.
func kill(pid int, signal syscall.Signal, ours func(procStat) bool) {
	one, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	defer one.Release() //nolint:errcheck // nothing is kept
	if s, ok := statOf("/proc/" + strconv.Itoa(pid) + "/stat"); ok && ours(s) {
		_ = one.Signal(signal) // one that has ended meanwhile needs none
	}
}

// orphans are processes whose parents have ended: what a server, or a preparation, that
// went into the background has left. Such a program leaves its session, and nginx
// overwrites its environment too. While they are adopted, this process becomes their
// parent (PR_SET_CHILD_SUBREAPER in prctl(2)), and finds them so.
type orphans struct {
	own     []int // children that this process has had before
	servers func() []*server
}

func adopt(servers func() []*server) (*orphans, error) {
	o := &orphans{servers: servers}
	for _, s := range processes() {
		if s.parent == os.Getpid() {
			o.own = append(o.own, s.pid)
		}
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the parent of what servers leave: %w", err)
	}
	return o, nil
}

// has reports whether the process is an orphan.
func (o *orphans) has(s procStat) bool {
	return s.parent == os.Getpid() && !slices.Contains(o.own, s.pid) &&
		!slices.ContainsFunc(o.servers(), func(p *server) bool { return p.pid == s.pid })
}

// end ends all orphans and adopts no more. It comes after the servers' end.
func (o *orphans) end() error {
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) //nolint:errcheck // what could be set can be taken back
	const polite, hard = 5 * time.Second, 10 * time.Second
	var told []int
	for start := time.Now(); ; time.Sleep(glance) {
		var left []int
		for _, s := range processes() {
			if !o.has(s) {
				continue
			}
			if s.dead {
				_, _ = syscall.Wait4(s.pid, nil, syscall.WNOHANG, nil) // it was ours to bury
				continue
			}
			left = append(left, s.pid)
		}
		switch since := time.Since(start); {
		case len(left) == 0:
			return nil
		case since > hard:
			return fmt.Errorf("stop what the servers have left: processes %v do not end", left)
		case since > polite:
			for _, pid := range left {
				kill(pid, syscall.SIGKILL, o.has)
			}
			continue
		}
		for _, pid := range left {
			if !slices.Contains(told, pid) { // some take a second signal for impatience
				told = append(told, pid)
				kill(pid, syscall.SIGTERM, o.has)
			}
		}
	}
}
