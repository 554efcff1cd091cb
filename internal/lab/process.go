package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sarn/internal/kernel"
)

const (
	serverName = "server"
	// termTime is how long a process has to end by itself.
	termTime = 5 * time.Second
	killTime = 5 * time.Second
	// glance is the time between two looks at processes that are not our children.
	glance = 10 * time.Millisecond
	// processVar marks a lab's own processes in their environment, with the path of
	// their pid file. Unlike that file it is there from the start of the process on.
	processVar = "SARN_LAB_PROCESS="
)

func agentName(node string) string { return "agent-" + node }

// process is a process as its pid file names it. The time it began tells it from a
// later one with the same number.
type process struct {
	name  string
	pid   int
	began string // in clock ticks since boot, as /proc/PID/stat has it
}

// start launches the lab's own program in the network namespace at netns.
func (l *Lab) start(name, netns string, args ...string) error {
	return l.launch(command{name: name, netns: netns, dir: "/", program: l.binary, args: args})
}

// command is a process to be.
type command struct {
	name, netns string // netns is empty for the caller's
	dir         string
	program     string
	args        []string
}

// launch starts a process and leaves it to itself: it outlives the caller and its
// terminal.
func (l *Lab) launch(c command) error {
	name, netns := c.name, c.netns
	log, err := os.OpenFile(l.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has its own
	cmd := exec.Command(c.program, c.args...)
	cmd.Dir = c.dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		// A service manager that waits for this command is not told by what it starts.
		return strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, processVar)
	}), processVar+l.path("pids", name))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if netns == "" {
		err = cmd.Start()
	} else {
		err = kernel.Enter(netns, cmd.Start)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	began, _, err := processStat(cmd.Process.Pid)
	if err == nil {
		err = os.WriteFile(l.path("pids", name), fmt.Appendf(nil, "%d %s\n", cmd.Process.Pid, began), 0o644)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("record %s: %w", name, err), cmd.Process.Kill())
	}
	return cmd.Process.Release()
}

func (l *Lab) log(process string) string { return l.path("logs", process+".log") }

// processes reads the pid files.
func (l *Lab) processes() ([]process, error) {
	entries, err := os.ReadDir(l.path("pids"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the processes of lab %s: %w", l.Name, err)
	}
	var ps []process
	for _, e := range entries {
		text, err := os.ReadFile(l.path("pids", e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the processes of lab %s: %w", l.Name, err)
		}
		p := process{name: e.Name()}
		if _, err := fmt.Sscan(string(text), &p.pid, &p.began); err == nil { // else a crash cut it short
			ps = append(ps, p)
		}
	}
	return ps, nil
}

// alive reports whether the process runs. One that has ended but whose parent has not
// looked yet (a zombie) does not.
func (p process) alive() bool {
	began, running, err := processStat(p.pid)
	return err == nil && began == p.began && running
}

// processStat returns the time a process began and whether it runs: proc_pid_stat(5).
func processStat(pid int) (began string, running bool, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false, err
	}
	// The program's name stands in parentheses and may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return "", false, fmt.Errorf("process %d has a strange stat", pid)
	}
	// A zombie that is more than one thread is one whose first thread alone has ended.
	state, threads := fields[0], fields[17]
	return fields[19], state != "X" && (state != "Z" || threads != "1"), nil
}

func (p process) signal(s os.Signal) error {
	found, err := os.FindProcess(p.pid)
	if err != nil {
		return err
	}
	defer found.Release() //nolint:errcheck // always nil
	if !p.alive() {       // asked after FindProcess, which holds on to this very process
		return os.ErrProcessDone
	}
	return found.Signal(s)
}

// stop ends the processes: politely, and after termTime not so.
func stop(ctx context.Context, ps []process) error {
	for _, round := range []struct {
		signal os.Signal
		time   time.Duration
	}{{syscall.SIGTERM, termTime}, {syscall.SIGKILL, killTime}} {
		for _, p := range ps {
			if err := p.signal(round.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("stop %s (process %d): %w", p.name, p.pid, err)
			}
		}
		deadline := time.Now().Add(round.time)
		for time.Now().Before(deadline) {
			ps = slices.DeleteFunc(ps, func(p process) bool { return !p.alive() })
			if len(ps) == 0 {
				return nil
			}
			if err := pause(ctx, glance); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("process %d (%s) does not end", ps[0].pid, ps[0].name)
}

// everyProcess returns the lab's own processes and those that are in one of the
// namespaces, by what the kernel says of them: a crash may have left no pid file.
func (l *Lab) everyProcess(namespaces map[string]bool) ([]process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var ps []process
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		name := l.ownProcess(d)
		if ns, err := os.Readlink(filepath.Join(d, "ns/net")); err == nil && name == "" && namespaces[ns] {
			name = "a command inside the lab"
		}
		if name == "" || pid == os.Getpid() {
			continue
		}
		if began, _, err := processStat(pid); err == nil {
			ps = append(ps, process{name, pid, began})
		}
	}
	return ps, nil
}

// ownProcess returns the name of the lab's own process that is at dir in /proc, or
// nothing if another is. Somebody else's is not, whatever its environment says.
func (l *Lab) ownProcess(dir string) string {
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || int(s.Uid) != os.Geteuid() {
		return ""
	}
	environment, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return ""
	}
	for v := range strings.SplitSeq(string(environment), "\x00") {
		if name, ok := strings.CutPrefix(v, processVar+l.path("pids")+"/"); ok {
			return name
		}
	}
	return ""
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// tail returns the last lines of a log, indented.
func (l *Lab) tail(file string) string {
	const most = 12
	text, err := os.ReadFile(file)
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	// Of a Go program's crash the first line matters, and then where it was.
	crash := slices.IndexFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ")
	})
	if crash >= 0 {
		lines = lines[crash:min(crash+most, len(lines))]
	}
	lines = lines[max(0, len(lines)-most):]
	return "\n  " + strings.Join(lines, "\n  ")
}
