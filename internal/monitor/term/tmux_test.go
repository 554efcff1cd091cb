package term

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"sarn/internal/monitor/sample"
)

// TestMain is the program that runs in tmux, when it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("SARN_TERM_END") == "" {
		os.Exit(m.Run())
	}
	if err := session(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// feed is a Source and Actions: samples of much, and one process that there is.
type feed struct {
	end  string
	pid  int
	born time.Time
	n    atomic.Int64
}

func (f *feed) Next(ctx context.Context) (*sample.Sample, error) {
	n := f.n.Add(1)
	if n > 2 && f.end == "error" {
		return nil, errors.New("the server of samples is gone")
	}
	if n > 2 && f.end == "stall" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if n > 2 && f.end == "sourcepanic" {
		panic("the source")
	}
	s := busy(4, 300, 2)
	s.Processes = append(s.Processes, sample.Process{PID: f.pid, Parent: 1, Start: f.born, User: "root", Name: "sleep", Command: "sleep-child", CPU: 0.5})
	return s, nil
}

func (f *feed) Kill(pid int, start time.Time, s syscall.Signal) error {
	if pid != f.pid || !start.Equal(f.born) {
		return fmt.Errorf("kill %d: not permitted: it belongs to another user", pid)
	}
	return syscall.Kill(pid, s)
}

func (f *feed) Renice(pid int, _ time.Time, nice int) error {
	if pid != f.pid {
		return fmt.Errorf("renice %d: not permitted: only root may", pid)
	}
	return syscall.Setpriority(syscall.PRIO_PROCESS, pid, nice)
}

// bomb is a screen that blows up when something is drawn on it.
type bomb struct{ tcell.Screen }

func (bomb) Show() { panic("the screen") }

func session() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	pid, _ := strconv.Atoi(os.Getenv("SARN_TERM_PID"))
	f := &feed{end: os.Getenv("SARN_TERM_END"), pid: pid, born: when()}
	c := Config{Source: f, Actions: f, Interval: 200 * time.Millisecond, In: os.Stdin, Out: os.Stdout,
		Term: os.Getenv("TERM"), NoColor: os.Getenv("NO_COLOR") != "", Version: "1.2.3"}
	if f.end != "panic" {
		return Run(ctx, c)
	}
	tty, err := newTTY(c.In, c.Out)
	if err != nil {
		return err
	}
	screen, err := tcell.NewTerminfoScreenFromTty(tty)
	if err != nil {
		return err
	}
	return show(ctx, bomb{screen}, tty.written, &c)
}

// pane is a shell in a tmux server of its own.
type pane struct {
	*testing.T
	socket string
	dir    string
}

func newPane(t *testing.T) *pane {
	t.Helper()
	dir, err := os.MkdirTemp("", "term") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &pane{t, "sarn", dir}
	p.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env PS1=ready: LC_ALL=C.UTF-8 HISTFILE= sh")
	t.Cleanup(func() { p.tmux("kill-server") })
	p.awaits("ready:")
	return p
}

func (p *pane) tmux(args ...string) string {
	p.Helper()
	cmd := exec.Command("tmux", append([]string{"-L", p.socket}, args...)...)
	cmd.Env = append(os.Environ(), "TMUX_TMPDIR="+p.dir, "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// until polls the screen until it is as wanted.
func (p *pane) until(what string, ok func(screen string) bool) string {
	p.Helper()
	var screen string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if screen = p.tmux("capture-pane", "-p"); ok(screen) {
			return screen
		}
	}
	p.Fatalf("the screen never has %s:\n%s", what, screen)
	return ""
}

func (p *pane) awaits(text ...string) string {
	p.Helper()
	return p.until(fmt.Sprintf("%q", text), func(screen string) bool {
		for _, t := range text {
			if !strings.Contains(screen, t) {
				return false
			}
		}
		return true
	})
}

// first waits until the first row of the processes has the text.
func (p *pane) first(text string) {
	p.Helper()
	p.until(text+" as first process", func(screen string) bool {
		_, rows, _ := strings.Cut(screen, "COMMAND")
		lines := strings.Split(rows, "\n")
		return len(lines) > 1 && strings.Contains(lines[1], text)
	})
}

func (p *pane) keys(keys ...string) { p.tmux(append([]string{"send-keys"}, keys...)...) }
func (p *pane) types(text string)   { p.tmux("send-keys", "-l", text) }

// runs starts the view in the shell. Behind it the shell compares the terminal's modes.
func (p *pane) runs(env string, pid int) {
	p.Helper()
	program, err := os.Executable()
	if err != nil {
		p.Fatal(err)
	}
	script := filepath.Join(p.dir, "run")
	text := fmt.Sprintf("stty -g >%[1]s/before\nenv SARN_TERM_PID=%[2]d %[3]s %[4]s 2>%[1]s/errors\necho rc=$?\nstty -g >%[1]s/after\ncmp %[1]s/before %[1]s/after && echo SAME MODES\n",
		p.dir, pid, env, program)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
	p.types("echo BE''FORE; . " + script)
	p.keys("Enter")
}

// clean waits for the end and looks at what it has left.
func (p *pane) clean(code int) {
	p.Helper()
	p.awaits("BEFORE") // the screen from before; some terminals have only one
	p.ended(code)
}

// ended is clean without the screen from before.
func (p *pane) ended(code int) {
	p.Helper()
	p.awaits(fmt.Sprintf("rc=%d", code), "SAME MODES")
	if state := strings.TrimSpace(p.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{keypad_cursor_flag}")); state != "0 1 0 0" {
		p.Errorf("alternate screen, cursor, mouse, keypad: %s, not 0 1 0 0", state)
	}
}

// sleeper is a child that can be killed, and what tells that it was.
func sleeper(t *testing.T) (pid int, ended chan error) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd.Process.Pid, ended
}

func TestSession(t *testing.T) {
	p := newPane(t)
	pid, ended := sleeper(t)
	p.runs("SARN_TERM_END=q", pid)
	p.awaits("hyper1", "CPU%v", "web0", "prog0")
	p.keys("M")
	p.first("prog299")
	p.keys("C")
	p.first("prog0")
	p.types("/sleep-")
	p.awaits("filter: sleep-")
	p.first("sleep-child")
	p.keys("Enter")
	p.awaits("filter: sleep- (Esc clears)")
	p.tmux("resize-window", "-x", "120", "-y", "40")
	p.awaits("Sensors", "sleep-child")
	p.tmux("resize-window", "-x", "40", "-y", "10")
	p.until("ten lines", func(screen string) bool {
		return strings.Count(screen, "\n") == 10 && strings.Contains(screen, "sleep-child") && strings.Contains(screen, "filter: sleep- (Esc clears)")
	})
	p.tmux("resize-window", "-x", "100", "-y", "30")
	p.awaits("Disks", "sleep-child", "not seen:")
	p.keys("Down", "r")
	p.types("7")
	p.keys("Enter")
	p.awaits("renice "+strconv.Itoa(pid), "to 7?")
	p.types("y")
	p.awaits("reniced")
	if nice, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid); err != nil || 20-nice != 7 {
		t.Errorf("nice is %d (%v), not 7", 20-nice, err)
	}
	p.keys("k", "Enter")
	p.awaits("send SIGTERM to " + strconv.Itoa(pid))
	select {
	case <-ended:
		t.Fatal("killed before the answer")
	default:
	}
	p.types("y")
	select {
	case err := <-ended:
		if err == nil || err.Error() != "signal: terminated" {
			t.Errorf("the child ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the child is not killed")
	}
	p.awaits("sent SIGTERM to")
	p.keys("Escape")
	p.first("prog0")
	p.keys("t")
	p.awaits("`-")
	p.keys("Down", "k", "Enter", "y")
	p.awaits("error: kill", "not permitted")
	p.keys("q")
	p.clean(0)
}

func TestEveryEndRestoresTheTerminal(t *testing.T) {
	for end, test := range map[string]struct {
		code int
		says string
	}{
		"ctrlc": {0, ""}, "stall": {0, ""}, "sigterm": {1, "context canceled"}, "error": {1, "the server of samples is gone"},
		"sourcepanic": {1, "a fault of Sarn: the source"}, "panic": {2, "panic: the screen"},
	} {
		t.Run(end, func(t *testing.T) {
			p := newPane(t)
			p.runs("SARN_TERM_END="+end, 1)
			switch end {
			case "ctrlc":
				p.awaits("prog0")
				p.keys("C-c")
			case "stall":
				p.until("how long no sample came", regexp.MustCompile(`no sample for \d+s`).MatchString) // polled, so not each second
				p.keys("q")
			case "sigterm":
				p.awaits("prog0")
				shell := strings.TrimSpace(p.tmux("display-message", "-p", "#{pane_pid}"))
				if err := syscall.Kill(child(t, shell), syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			p.clean(test.code)
			said, err := os.ReadFile(filepath.Join(p.dir, "errors"))
			if err != nil || !strings.Contains(string(said), test.says) {
				t.Errorf("it says %q (%v), not %q", said, err, test.says)
			}
		})
	}
}

// child is the only child of a process.
func child(t *testing.T, parent string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + parent + "/task/" + parent + "/children")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("children of %s: %q", parent, text)
	}
	return pid
}

func TestTerminals(t *testing.T) {
	colour := regexp.MustCompile(`\x1b\[([0-9]+;)*(3[0-8]|9[0-7])[;m]`)
	p := newPane(t)
	for _, term := range []string{"xterm", "screen", "linux", "tmux-256color", "vt100", "xterm NO_COLOR=1"} {
		p.runs("SARN_TERM_END=q TERM="+term, 1)
		p.awaits("hyper1", "prog0", "CPU%v")
		coloured := colour.MatchString(p.tmux("capture-pane", "-p", "-e"))
		if want := term != "vt100" && !strings.Contains(term, "NO_COLOR"); coloured != want {
			t.Errorf("TERM=%s: coloured is %v", term, coloured)
		}
		p.keys("q")
		p.ended(0)
		p.types("clear")
		p.keys("Enter")
		p.until("nothing", func(screen string) bool { return !strings.Contains(screen, "SAME") })
	}
	for term, says := range map[string]string{"dumb": `TERM="dumb"`, "": `TERM=""`, "nosuchterm": "try TERM=xterm"} {
		p.runs("SARN_TERM_END=q TERM="+term, 1)
		p.ended(1)
		f, err := os.Open(filepath.Join(p.dir, "errors"))
		if err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(f).ReadString('\n')
		f.Close()
		if !strings.Contains(line, says) {
			t.Errorf("TERM=%q: it says %q", term, line)
		}
		p.types("clear")
		p.keys("Enter")
		p.until("nothing", func(screen string) bool { return !strings.Contains(screen, "SAME") })
	}
}
