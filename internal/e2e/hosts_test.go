package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sarn/internal/monitor/fleet"
)

// terminal is a shell in a tmux of its own.
type terminal struct {
	fabric
	socket string
}

func openTerminal(t *testing.T, width, height int) *terminal {
	t.Helper()
	term := &terminal{fabric{T: t}, strings.ToLower(t.Name())}
	term.tmux("new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "env PS1=ready: TERM=screen LC_ALL=C.UTF-8 HISTFILE= sh")
	t.Cleanup(func() { term.tmux("kill-server") })
	term.shows("ready:")
	return term
}

func (t *terminal) tmux(args ...string) string {
	t.Helper()
	cmd := bounded(t, append([]string{"tmux", "-L", t.socket, "-f", "/dev/null"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// runs types a command line.
func (t *terminal) runs(line string) {
	t.Helper()
	t.tmux("send-keys", "-l", "clear; "+line+"; echo rc=$?")
	t.keys("Enter")
}

func (t *terminal) keys(keys ...string) {
	t.Helper()
	t.tmux(append([]string{"send-keys"}, keys...)...)
}

func (t *terminal) types(text string) {
	t.Helper()
	t.tmux("send-keys", "-l", text)
}

// shows waits until the screen has all texts, and returns it.
func (t *terminal) shows(texts ...string) string {
	t.Helper()
	return t.until(fmt.Sprintf("%q", texts), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

func (t *terminal) until(what string, ok func(screen string) bool) string {
	t.Helper()
	var screen string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if screen = t.tmux("capture-pane", "-p"); ok(screen) {
			return screen
		}
	}
	t.Fatalf("the screen never has %s:\n%s", what, screen)
	return ""
}

// below waits until the first row below the heading has the text.
func (t *terminal) below(heading, text string) {
	t.Helper()
	t.until(text+" first below "+heading, func(screen string) bool {
		lines := strings.Split(screen, "\n")
		for i, line := range lines[:len(lines)-1] {
			if strings.Contains(line, heading) {
				return strings.Contains(lines[i+1], text)
			}
		}
		return false
	})
}

// again starts the monitor at the address that it had.
func (w *watcher) again(args ...string) *watcher {
	w.Helper()
	return watch(w.T, append([]string{"--listen", w.address()}, args...)...)
}

func (w *watcher) address() string { return strings.TrimPrefix(w.at, "http://") }

// quiet is a monitor without history.
func quiet(t *testing.T, args ...string) *watcher {
	t.Helper()
	return watch(t, append([]string{"--no-history", "--state", t.TempDir()}, args...)...)
}

// hostile is a program whose name would steer a terminal.
func hostile(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "\x1b[31mred")
	text, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := bounded(t, path, "300")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // Wait tells
		cmd.Wait()         //nolint:errcheck // it was killed
	})
}

// TestTopHost is the view of another machine: as of this one, nothing can be changed,
// and when the server dies and comes back it goes on by itself.
func TestTopHost(t *testing.T) {
	hostile(t)
	w := quiet(t)
	term := openTerminal(t, 180, 30)
	term.runs(program + " top --host " + w.address())
	term.shows("CPU%v", "COMMAND", "Mem [", w.address())
	term.types("/[31mred")
	term.keys("Enter")
	screen := term.shows(`\x1b[31mred 300`)
	if strings.Contains(screen, "\x1b[31mred") {
		t.Errorf("the name steers the terminal:\n%s", screen)
	}
	term.keys("Down", "k")
	term.shows("processes cannot be changed from here")
	term.keys("Escape")
	w.kill()
	term.shows("no connection since", "trying again")
	back := w.again("--no-history", "--state", t.TempDir())
	term.until("no complaint", func(screen string) bool {
		return strings.Contains(screen, "COMMAND") && !strings.Contains(screen, "no connection")
	})
	term.keys("q")
	term.shows("rc=0")

	out, err := bounded(t, program, "top", "--host", back.address(), "--once", "-o", "json", "--filter", "red").CombinedOutput()
	if err != nil || !json.Valid(out) || !strings.Contains(string(out), `\\x1b[31mred`) {
		t.Errorf("once: %v, %s", err, out)
	}
	back.stop()
	cmd := bounded(t, program, "top", "--host", back.address(), "--once")
	out, _ = cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 || !strings.Contains(string(out), "nobody listens there") {
		t.Errorf("with nobody there: %v, %s", cmd.ProcessState, out)
	}
}

// TestBrowse is the list of hosts: sorted, filtered, opened and come back from, with one
// that dies and comes back.
func TestBrowse(t *testing.T) {
	one, two := quiet(t), quiet(t)
	file := filepath.Join(t.TempDir(), "hosts.yaml")
	text := fmt.Sprintf("hosts:\n  - {name: alpha, address: %s}\n  - {name: beta, address: %s}\n  - {name: gone, address: \"127.0.0.1:1\"}\n", one.address(), two.address())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	term := openTerminal(t, 120, 24)
	term.runs(program + " top --interval 200ms --browse " + file)
	term.shows("3 hosts", "up 2", "down 1!", "no connection since", "nobody listens there", "1 Hosts")
	term.below("HOST^", "alpha")
	term.keys("A")
	term.below("HOSTv", "gone")
	term.keys("S")
	term.below("STATE^", "gone")
	term.types("/bet")
	term.keys("Enter")
	term.below("STATE^", "beta")
	term.keys("Enter")
	term.shows("COMMAND", "Mem [", "beta")

	two.kill()
	term.shows("no connection since", "trying again")
	back := two.again("--no-history", "--state", t.TempDir())
	term.until("no complaint", func(screen string) bool {
		return strings.Contains(screen, "COMMAND") && !strings.Contains(screen, "no connection")
	})
	term.keys("q")
	term.shows("3 hosts", "filter: bet")
	term.below("STATE^", "beta")
	term.keys("Escape")
	term.below("STATE^", "gone")
	back.kill()
	term.shows("down 2!")
	two.again("--no-history", "--state", t.TempDir())
	term.shows("up 2", "down 1!")

	term.keys("2")
	term.shows("HOST", "PID", "COMMAND")
	term.types("/alpha")
	term.keys("Enter")
	term.below("CPU%v", "alpha")
	// Escape and a letter that come together are another key.
	term.keys("Escape")
	term.until("all processes", func(screen string) bool { return !strings.Contains(screen, "filter: alpha") })
	term.keys("3")
	term.shows("KIND", "GIVEN")
	term.keys("?")
	term.shows("open the host; there q and Esc come back here")
	term.keys("Escape")
	term.until("no help", func(screen string) bool { return !strings.Contains(screen, "open the host; there") })
	term.keys("q")
	term.until("the shell", func(screen string) bool {
		return strings.Contains(screen, "rc=0") && !strings.Contains(screen, "3 hosts")
	})

	one.eventually("once it is the same", func() bool {
		out, err := bounded(t, program, "top", "--browse", file, "--once", "-o", "json").CombinedOutput()
		var list []fleet.Status
		return err == nil && json.Unmarshal(out, &list) == nil && len(list) == 3 && list[0].State == "up" && list[0].Summary.Host.CPUs > 0 && list[2].State == "down"
	})
}

// TestServeHosts: a monitor that has a file of hosts serves them too.
func TestServeHosts(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "alerts.yaml")
	if err := os.WriteFile(rules, []byte("rules:\n  - {name: alive, of: system, value: processes, warning: 1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := quiet(t, "--alerts", rules)
	file := filepath.Join(t.TempDir(), "hosts.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "hosts:\n  - {name: alpha, address: %s}\n", one.address()), 0o600); err != nil {
		t.Fatal(err)
	}
	all := quiet(t, "--hosts", file)
	var list []fleet.Status
	all.eventually("alpha is up, with its alert", func() bool {
		all.get("/api/v1/hosts", &list)
		return len(list) == 1 && list[0].State == "up" && list[0].Summary.Alerts == 1 && list[0].Summary.Worst.Level == "warning"
	})
	var far, near struct{ Host struct{ Boot time.Time } }
	all.get("/api/v1/hosts/alpha/sample", &far)
	one.get("/api/v1/sample", &near)
	if far.Host.Boot.IsZero() || far.Host.Boot.Sub(near.Host.Boot).Abs() > time.Minute {
		t.Errorf("by way of the other it is %+v, itself says %+v", far, near)
	}
	all.eventually("the first processes are known", func() bool {
		var top []fleet.Process
		all.get("/api/v1/hosts/top?n=3", &top)
		return len(top) > 0 && top[0].Host == "alpha" && top[0].Process.CPU > 0
	})
}

// keeps runs a daemon in a machine of the lab until the test ends.
func (f fabric) keeps(member, line string) {
	f.Helper()
	file := filepath.Join(f.TempDir(), "pid")
	ended := f.background(member, "echo $$ >"+file+"; exec "+line)
	f.Cleanup(func() {
		var pid int
		text, _ := os.ReadFile(file)
		fmt.Sscan(string(text), &pid) //nolint:errcheck // then pid is 0
		if pid > 1 {
			syscall.Kill(pid, syscall.SIGTERM) //nolint:errcheck // ended says what it said
		}
		if said := ended(); f.Failed() {
			f.Logf("%s said:\n%s", line, said)
		}
	})
}

// certificates are flags with those that somebody has.
func certificates(dir, who string) string {
	return fmt.Sprintf("--tls-ca %[1]s/ca.crt --tls-cert %[1]s/%[2]s.crt --tls-key %[1]s/%[2]s.key", dir, who)
}

// TestBrowseNodes finds the nodes of a controller and asks them over mutual TLS: who has
// no certificate, or an agent's, is told so. The certificates are those of flags or of
// the context.
func TestBrowseNodes(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	dir := filepath.Join(t.TempDir(), "pki")
	f.sarn("pki", "init", dir)
	f.sarn("pki", "issue", "--dir", dir, "--admin", "ann")
	for _, node := range []string{"host1", "host2"} {
		f.sarn("pki", "issue", "--dir", dir, "--node", node)
		f.keeps(node, program+" monitor serve --no-history --listen 0.0.0.0:61208 "+certificates(dir, "node-"+node))
	}
	browse := func(where string) map[string]fleet.Status {
		out := f.sh("router", where+" top --browse --nodes --once -o json 2>&1")
		var list []fleet.Status
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		hosts := map[string]fleet.Status{}
		for _, h := range list {
			hosts[h.Name] = h
		}
		return hosts
	}
	inLab := program + " --lab " + f.name + " "
	var hosts map[string]fleet.Status
	f.eventually("both hosts are up", func() bool {
		hosts = browse(inLab + certificates(dir, "admin-ann"))
		return hosts["host1"].State == "up" && hosts["host2"].State == "up"
	})
	if h := hosts["router"]; h.State != "down" || !strings.Contains(h.Error, "nobody listens") {
		t.Errorf("the router, which has no monitor, is %+v", h)
	}
	for flags, want := range map[string]string{
		certificates(dir, "node-host2"): "for its agent", "--tls-ca " + dir + "/ca.crt": "wants a", "": "none of this system's authorities",
	} {
		f.eventually(fmt.Sprintf("with %q it is said of host1: %s", flags, want), func() bool {
			h := browse(inLab + flags)["host1"]
			return h.State == "down" && strings.Contains(h.Error, want)
		})
	}

	// A controller that is asked over mutual TLS itself, by a context.
	f.sarn("pki", "issue", "--dir", dir, "--server", "controller", "--address", "192.168.56.101")
	f.keeps("router", fmt.Sprintf("%[1]s server --data-dir %[2]s/data --listen unix://%[2]s/api.sock --listen 192.168.56.101:7470 %[3]s", program, dir, certificates(dir, "server-controller")))
	controller := func(args ...string) error {
		return bounded(t, append([]string{program, "--server", "unix://" + dir + "/api.sock", "node"}, args...)...).Run()
	}
	f.eventually("the controller answers", func() bool { return controller("list") == nil })
	if err := controller("create", "host2", "--role", "host", "--address", "192.168.56.104", "--interface", "enp0s8"); err != nil {
		t.Fatal(err)
	}
	inContext := "env XDG_CONFIG_HOME=" + dir + " " + program + " "
	f.sh("router", inContext+"context create prod --server https://192.168.56.101:7470 "+certificates(dir, "admin-ann")+" && "+inContext+"context use prod")
	f.eventually("with the context's certificates host2 is up", func() bool {
		hosts := browse(inContext)
		return len(hosts) == 1 && hosts["host2"].State == "up"
	})

	all := quiet(t, "--lab", f.name, "--nodes")
	f.eventually("a monitor serves the nodes", func() bool {
		var list []fleet.Status
		all.get("/api/v1/hosts", &list)
		return len(list) == 3 && list[0].Name == "host1" && list[0].Address == "192.168.56.103:61208"
	})
}

// TestBrowseMDNS finds two monitors on one network that announce themselves.
func TestBrowseMDNS(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	dir := filepath.Join(t.TempDir(), "pki")
	f.sarn("pki", "init", dir)
	f.sarn("pki", "issue", "--dir", dir, "--admin", "ann")
	for _, node := range []string{"host1", "host2"} {
		f.sarn("pki", "issue", "--dir", dir, "--node", node)
		// The lab's machines share their host name.
		f.keeps(node, fmt.Sprintf("unshare --uts sh -c 'hostname %s; exec %s monitor serve --no-history --listen 0.0.0.0:61208 --announce=enp0s8 %s'", node, program, certificates(dir, "node-"+node)))
	}
	f.eventually("both are found and up", func() bool {
		out := f.sh("router", fmt.Sprintf("%s %s top --browse --mdns=enp0s8 --once -o csv 2>&1", program, certificates(dir, "admin-ann")))
		return strings.Contains(out, "host1,192.168.56.103:61208,up,") && strings.Contains(out, "host2,192.168.56.104:61208,up,")
	})
}
