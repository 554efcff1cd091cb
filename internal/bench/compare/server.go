package compare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tmpWord and dirWord stand for the run's temporary directory and the server's own.
	tmpWord, dirWord = "{tmp}", "{dir}"
	// markVar marks a server's processes in their environment, with the temporary
	// directory of their run and the server's name, so that one that leaves its session
	// is found as well.
	markVar = "SARN_BENCH_SERVER="
	// lastWords is how many bytes of a server's output are kept.
	lastWords = 4096
	// drain is how long the output of a server that has ended is waited for.
	drain = 500 * time.Millisecond
	// glance is the time between two looks at processes that are not our children.
	glance = 10 * time.Millisecond
	// ticksPerSecond is USER_HZ, which is the same on all of Linux's machines that Go knows.
	ticksPerSecond = 100
)

// server is one that runs.
type server struct {
	config *ServerConfig
	mark   string
	pid    int // of its leader, which leads its session too
	output tail
	exited chan struct{} // closed when the leader has ended
	state  *os.ProcessState
	over   atomic.Bool // its session has no member any more
}

// command returns argv with its placeholders filled in.
func command(s *ServerConfig, argv []string, tmp string) *exec.Cmd {
	dir := strings.ReplaceAll(s.Dir, tmpWord, tmp)
	fill := strings.NewReplacer(tmpWord, tmp, dirWord, dir).Replace
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = fill(w)
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		// A service manager that waits for this program is not told by what it starts.
		return strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, markVar)
	})
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+fill(value))
	}
	cmd.Env = append(cmd.Env, mark(s, tmp))
	return cmd
}

func mark(s *ServerConfig, tmp string) string { return markVar + tmp + "/" + s.Name }

// prepare runs what comes before a server's start, and waits for its end.
func prepare(ctx context.Context, s *ServerConfig, tmp string, cpus CPUs) error {
	if len(s.Prepare) == 0 {
		return nil
	}
	p, err := launch(s, command(s, s.Prepare, tmp), tmp, cpus)
	if err != nil {
		return fmt.Errorf("prepare %s: %w", s.Name, err)
	}
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.stop())
	case <-p.exited:
	}
	if err := p.stop(); err != nil { // what it may have left in the background
		return err
	}
	if !p.state.Success() {
		return fmt.Errorf("prepare %s: %s: %s%s", s.Name, s.Prepare[0], p.state, p.output.words())
	}
	return nil
}

// start starts a server, pinned to the CPUs.
func start(s *ServerConfig, tmp string, cpus CPUs) (*server, error) {
	p, err := launch(s, command(s, s.Command, tmp), tmp, cpus)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	return p, nil
}

// launch starts a process in a session of its own: the terminal's Ctrl-C is not for it,
// and its children are known by it.
func launch(s *ServerConfig, cmd *exec.Cmd, tmp string, cpus CPUs) (*server, error) {
	stop, err := s.Stop.signal()
	if err != nil {
		return nil, err
	}
	p := &server{config: s, mark: mark(s, tmp), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &p.output, &p.output, drain
	// If this program is killed, the server is told to stop: by the signal that makes
	// it take its own children along, which SIGKILL would not.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: stop}
	started := make(chan error)
	go p.run(cmd, cpus, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run starts the process and waits for its end, on one thread all the while: what the
// kernel calls the parent's death is that of the thread that started the process
// (PR_SET_PDEATHSIG in prctl(2)), and a process begins with the CPUs of that thread.
func (p *server) run(cmd *exec.Cmd, cpus CPUs, started chan<- error) {
	runtime.LockOSThread()
	before, err := allowedCPUs()
	if err == nil {
		err = unix.SchedSetaffinity(0, cpus.set())
	}
	if err != nil {
		started <- fmt.Errorf("pin to CPUs %s: %w", cpus, err)
		return // the thread ends with the goroutine
	}
	err = cmd.Start()
	if back := unix.SchedSetaffinity(0, before.set()); back == nil {
		defer runtime.UnlockOSThread()
	}
	if err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	_ = cmd.Wait() // how it ended is in its state; that output was cut short is no matter
	p.state = cmd.ProcessState
	p.over.Store(!slices.ContainsFunc(processes(), func(s procStat) bool { return s.session == p.pid }))
	close(p.exited)
}

func (c *StopConfig) signal() (syscall.Signal, error) {
	s := unix.SignalNum(c.Signal)
	if s == 0 {
		return 0, fmt.Errorf("%q is not a signal", c.Signal)
	}
	return s, nil
}

// gone says how the server ended, if it has.
func (p *server) gone() error {
	select {
	case <-p.exited:
		hint := ""
		if p.state.Success() {
			hint = "; one that goes into the background must be told to stay (`daemon off` of nginx)"
		}
		return fmt.Errorf("it ended (%s)%s%s", p.state, hint, p.output.words())
	default:
		return nil
	}
}

// perhapsEnded gives a server that may be dying the time to be known as dead.
func (p *server) perhapsEnded() {
	select {
	case <-p.exited:
	case <-time.After(2 * drain):
	}
}

// stop ends the server and everything that it has started: politely, and after the
// timeout not so. It does not depend on a context, for it must be done in any case.
func (p *server) stop() error {
	signal, err := p.config.Stop.signal()
	if err != nil {
		return err
	}
	p.signal(signal)
	deadline := time.Now().Add(time.Duration(p.config.Stop.Timeout))
	select {
	case <-p.exited:
	case <-time.After(time.Until(deadline)):
	}
	for p.left() && time.Now().Before(deadline) { // its children may outlive it
		time.Sleep(glance)
	}
	hard := time.Now().Add(5 * time.Second)
	for p.left() {
		if time.Now().After(hard) {
			return fmt.Errorf("stop %s: processes %v do not end", p.config.Name, p.members())
		}
		p.signal(syscall.SIGKILL)
		time.Sleep(glance)
	}
	<-p.exited
	return nil
}

func (p *server) left() bool { return len(p.members()) > 0 }

// members lists the server's processes that live: those of its session, and those that
// have its mark.
func (p *server) members() []int {
	var pids []int
	session := false
	for _, s := range processes() {
		session = session || s.session == p.pid
		if p.owns(s) {
			pids = append(pids, s.pid)
		}
	}
	if !session && p.gone() != nil {
		p.over.Store(true)
	}
	return pids
}

func (p *server) owns(s procStat) bool {
	return !s.dead && s.pid != os.Getpid() && (p.inSession(s) || p.marked(s.pid))
}

// inSession reports whether the process is in the server's session. The kernel gives the
// number of a leader that has ended to nobody as long as its session has a member; once
// it has none, whoever has the number is somebody else.
func (p *server) inSession(s procStat) bool { return s.session == p.pid && !p.over.Load() }

// signal sends the signal to all of the server's processes.
func (p *server) signal(s syscall.Signal) {
	for _, pid := range p.members() {
		kill(pid, s, p.owns)
	}
}

// marked reports whether the process has this server's mark.
func (p *server) marked(pid int) bool {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	return slices.Contains(strings.Split(string(environment), "\x00"), p.mark)
}

// cpuSeconds returns how much time the server's processes have used on CPUs, to the
// clock tick (10 ms), with those of their children that have ended.
func (p *server) cpuSeconds() float64 {
	ticks := uint64(0)
	for _, s := range processes() {
		if p.inSession(s) {
			ticks += s.ticks
		}
	}
	return float64(ticks) / ticksPerSecond
}

// occupied says so if somebody listens already where the server is to.
func occupied(ctx context.Context, s *ServerConfig) error {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", s.address())
	if err != nil {
		return nil //nolint:nilerr // nobody there: as it should be
	}
	_ = conn.Close() // it was opened to see that it can be
	return fmt.Errorf("%s: somebody listens at %s already; stop that program (`ss -ltnp` names it), or give the server another port", s.Name, s.address())
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - lastWords; over > lastWords {
		t.text = slices.Delete(t.text, 0, over)
	}
	return len(b), nil
}

// words returns the last lines, each on one of its own, indented.
func (t *tail) words() string {
	const most = 12
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.text), "\ufffd"))
	if text == "" {
		return ", and said nothing"
	}
	lines := strings.Split(text, "\n")
	return ":\n  " + strings.Join(lines[max(0, len(lines)-most):], "\n  ")
}
