package collect

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/netnstest"
)

// readers runs a test with each way to read processes.
func readers(t *testing.T, body func(t *testing.T, conf Config)) {
	t.Helper()
	for _, r := range []Reader{BPF, Files} {
		t.Run(string(r), func(t *testing.T) { body(t, Config{Reader: r}) })
	}
}

// The object is made of the text beside it; otherwise run bpf/build.
func TestProgramsAreBuilt(t *testing.T) {
	text, err := os.ReadFile("bpf/tasks.c")
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(programs))
	if err != nil {
		t.Fatal(err)
	}
	made, err := f.Section("source").Data()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x\x00", sha256.Sum256(text)); string(made) != want {
		t.Errorf("bpf/tasks.o is made of %q, bpf/tasks.c is %q: run go generate ./internal/monitor/collect", made, want)
	}
}

// aHelper in the environment makes the test binary a process for tests to look at.
const aHelper = "SARN_COLLECT_HELPER"

// helper starts this binary as such a process, and waits until it has done what it does.
func helper(t testing.TB, kind string) *assistant {
	t.Helper()
	return helperIn(t, kind, 0)
}

// helperIn starts it in new namespaces, with arguments that it does not read.
func helperIn(t testing.TB, kind string, namespaces uintptr, args ...string) *assistant {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	if len(args) > 0 {
		cmd.Args = args
	}
	cmd.Env = append(os.Environ(), aHelper+"="+kind)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	launch(t, cmd)
	a := &assistant{cmd.Process.Pid, stdin, out}
	a.ready(t)
	return a
}

// assistant is such a process.
type assistant struct {
	pid int
	in  io.Writer
	out io.Reader
}

func (a *assistant) ready(t testing.TB) {
	t.Helper()
	if _, err := a.out.Read(make([]byte, 8)); err != nil {
		t.Fatalf("the helper has ended: %v", err)
	}
}

// tell has it do its next step.
func (a *assistant) tell(t testing.TB) {
	t.Helper()
	if _, err := a.in.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
}

func told() { _, _ = os.Stdin.Read(make([]byte, 1)) }

// help is what such a process does.
func help(kind string) {
	switch kind {
	case "look":
		look()
		return
	case "work": // by threads that have ended, and one that has not
		for range 3 {
			done := make(chan struct{})
			go func() { defer close(done); burn(100 * time.Millisecond) }()
			<-done
		}
		f, err := os.CreateTemp(".", "collect-*")
		if err != nil {
			panic(err)
		}
		_ = os.Remove(f.Name())
		_, _ = f.Write(make([]byte, 1<<20))
		_ = f.Sync()
	case "named":
		if err := os.WriteFile("/proc/self/comm", []byte("a) R \\n\n(b"), 0); err != nil {
			panic(err)
		}
	case "talk":
		fmt.Println("ready")
		told()
		talk()
	case "steady":
		fmt.Println("ready")
		told()
		go steady()
	case "ending":
		fmt.Println("ready")
		told()
		endSlowly()
	case "leaderless": // its first thread ends, others go on
		leave := make(chan struct{})
		go endFirst(leave)
		<-leave
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// steady burns about a quarter of a CPU, and writes 64 KiB to a disk 40 times a second.
func steady() {
	f, err := os.CreateTemp(".", "collect-*")
	must(err)
	must(os.Remove(f.Name()))
	for at := time.Now(); ; at = at.Add(25 * time.Millisecond) {
		for end := time.Now().Add(6 * time.Millisecond); time.Now().Before(end); { //nolint:revive // it is to burn
		}
		_, err := f.WriteAt(make([]byte, 64<<10), 0)
		must(err)
		must(f.Sync())
		time.Sleep(time.Until(at.Add(25 * time.Millisecond)))
	}
}

// endFirst ends the first thread of the process.
func endFirst(left chan<- struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		go endFirst(left)
		select {} // keeps this thread, so that another gets the next one
	}
	time.AfterFunc(100*time.Millisecond, func() { close(left) })
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
}

// endSlowly burns in many threads, and ends one after another.
func endSlowly() {
	var burnt, ended sync.WaitGroup
	leave := make(chan struct{})
	for range endings {
		burnt.Add(1)
		ended.Go(func() {
			burn(ending)
			burnt.Done()
			<-leave
		})
	}
	burnt.Wait()
	fmt.Println("ready")
	told()
	for range endings {
		leave <- struct{}{}
		time.Sleep(3 * time.Millisecond)
	}
	ended.Wait()
}

const (
	endings = 24
	ending  = 60 * time.Millisecond // of CPU time, about
)

// motley starts processes of all sorts and returns the state that each is to be in.
func motley(t *testing.T) map[int]string {
	t.Helper()
	states := map[int]string{}
	add := func(pid int, state string) int { states[pid] = state; return pid }
	add(start(t, "sleep", "1000").Process.Pid, "S")
	if err := unix.Setpriority(unix.PRIO_PROCESS, add(start(t, "sleep", "1000").Process.Pid, "S"), 7); err != nil {
		t.Fatal(err)
	}
	stopped := start(t, "sleep", "1000")
	if err := stopped.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	add(stopped.Process.Pid, "T")
	add(start(t, "true").Process.Pid, "Z") // nobody waits before the test ends
	for kind, state := range map[string]string{"named": "S", "work": "S", "leaderless": "Z"} {
		add(helper(t, kind).pid, state)
	}
	c := newCollector(t, Config{Reader: Files})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		s, settled := pass(t, c), true
		for pid, state := range states {
			settled = settled && mustHave(t, s, pid).State == state
		}
		if settled {
			return states
		}
		if time.Now().After(end) {
			t.Fatalf("processes do not settle: %+v", s.Processes)
		}
	}
}

// Between two readings of files, BPF reads the same: what grows is between, what did not
// change is equal.
func TestReadersAgree(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		states := motley(t)
		byFile, byBPF := newCollector(t, Config{Reader: Files}), newCollector(t, Config{Reader: BPF})
		for range 4 { // until those are identified that have run another program
			pass(t, byFile)
			pass(t, byBPF)
		}
		// What changes and changes back meanwhile differs once, and not each time.
		for attempt := 1; ; attempt++ {
			differ := differences(t, byFile, byBPF, states)
			if len(differ) == 0 {
				return
			}
			if attempt == 5 {
				t.Fatal(strings.Join(differ, "\n"))
			}
		}
	})
}

// differences are in what the readers differ, of one pass by BPF between two of files.
func differences(t *testing.T, byFile, byBPF *Collector, states map[int]string) (differ []string) {
	t.Helper()
	was := map[int]process{}
	pass(t, byFile)
	for pid, p := range byFile.processes {
		was[pid] = *p
	}
	s := pass(t, byBPF)
	pass(t, byFile)
	if s.Host.Reader != string(BPF) {
		t.Fatalf("read by %s", s.Host.Reader)
	}
	for pid, before := range was {
		after, got := byFile.processes[pid], byBPF.processes[pid]
		if got == nil || after == nil {
			differ = append(differ, fmt.Sprintf("process %d: %+v, %+v", pid, got, after))
			continue
		}
		differ = append(differ, agree(&before, got, after)...)
		if want := states[pid]; want != "" && stateName(got.stat.state) != want {
			differ = append(differ, fmt.Sprintf("process %d %s: state %c, want %s", pid, got.name, got.stat.state, want))
		}
	}
	return differ
}

// agree holds what was read against what was before and after.
func agree(before, got, after *process) (differ []string) {
	type growing struct {
		what          string
		low, is, high uint64
	}
	const rounding = 2e9 / ticksPerSecond // of user and system time each
	for _, g := range []growing{
		{"CPU time", before.stat.used, got.stat.used, after.stat.used + rounding},
		{"faults", before.stat.faults, got.stat.faults, after.stat.faults},
		{"bytes read", before.io.read, got.io.read, after.io.read},
		{"bytes written", before.io.write, got.io.write, after.io.write},
	} {
		if g.is < g.low || g.is > g.high {
			differ = append(differ, fmt.Sprintf("process %d %s: %s %d by BPF, %d to %d by files", got.pid, got.name, g.what, g.is, g.low, g.high))
		}
	}
	steady := func(p *process) string {
		return fmt.Sprintf("parent %d, nice %d, threads %d, start %d, kernel %v, virtual %d, resident %d, shared %d, user %q, name %q, command %q",
			p.stat.parent, p.stat.nice, p.stat.threads, p.stat.start, p.stat.isKernelThread(), p.stat.virtual,
			p.memory.resident, p.memory.shared, p.user, p.name, p.command)
	}
	if low := steady(before); low == steady(after) && low != steady(got) {
		differ = append(differ, fmt.Sprintf("process %d by BPF: %s\nby files: %s", got.pid, steady(got), low))
	}
	return differ
}

// Kernel threads are not in a namespace of their own, so these are the machine's, of which
// those count that are the same before and after.
func TestReadersAgreeOnKernelThreads(t *testing.T) {
	byFile, byBPF := newCollector(t, Config{Reader: Files}), newCollector(t, Config{Reader: BPF})
	same := func(a, b *process) bool {
		return a != nil && b != nil && a.name == b.name && a.command == b.command && a.stat.parent == b.stat.parent &&
			a.stat.nice == b.stat.nice && a.stat.start == b.stat.start && a.stat.isKernelThread() && b.stat.isKernelThread()
	}
	was := map[int]process{}
	pass(t, byFile)
	for pid, p := range byFile.processes {
		was[pid] = *p
	}
	pass(t, byBPF)
	pass(t, byFile)
	n := 0
	for pid, want := range was {
		if !same(&want, byFile.processes[pid]) || strings.HasPrefix(want.name, "kworker") { // whose name is what it works on
			continue
		}
		if got := byBPF.processes[pid]; !same(&want, got) || got.memory != (memory{}) {
			t.Errorf("by files %+v\nby BPF %+v", want, got)
		}
		n++
	}
	if n < 5 {
		t.Errorf("%d kernel threads", n)
	}
}

// A thread that ends while its process is read is counted once: not twice, and not never.
func TestThreadsThatEndWhileRead(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		a := helper(t, "ending")
		sleepers(t, 500) // so that time goes by between its first thread and the others
		a.tell(t)
		a.ready(t)
		c := newCollector(t, Config{Reader: BPF})
		for range 4 {
			pass(t, c)
		}
		a.tell(t)
		before, at := c.processes[a.pid].stat.used, time.Now()
		left := c.processes[a.pid].stat.threads - endings/2 // it may make others meanwhile
		for end := time.Now().Add(time.Minute); time.Now().Before(end) && c.processes[a.pid].stat.threads > left; {
			pass(t, c)
			used, now := c.processes[a.pid].stat.used, time.Now()
			most := uint64(now.Sub(at))*uint64(runtime.NumCPU()) + uint64(ending)/2
			if used < before || used-before > most {
				t.Errorf("its CPU time went from %v to %v in %v", time.Duration(before), time.Duration(used), now.Sub(at))
			}
			before, at = used, now
		}
		if now := c.processes[a.pid].stat.threads; now > left {
			t.Errorf("%d threads are left, want %d", now, left)
		}
	})
}
