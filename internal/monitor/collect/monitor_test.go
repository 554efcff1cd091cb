package collect

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
	"sarn/internal/netnstest"
)

// awaitState passes until the guest is in a state.
func awaitState(t *testing.T, c *Collector, id, state string) {
	t.Helper()
	await(t, c, func(s *sample.Sample) bool {
		m := machineOf(s, id)
		return m != nil && m.State == state
	})
}

// A guest that its monitor has paused is so here, and running when it runs again.
func TestGuestIsPaused(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "qmp")
		start(t, "qemu-system-x86_64", "-S", "-name", "web", "-accel", "tcg", "-display", "none", "-nodefaults",
			"-chardev", "socket,id=q,path="+socket+",server=on,wait=off", "-mon", "chardev=q,mode=control")
		c := newCollector(t, Config{})
		awaitState(t, c, "vm/web", "prelaunch")
		for _, step := range [][2]string{{"cont", "running"}, {"stop", "paused"}} {
			command, state := step[0], step[1]
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, `{"execute":"qmp_capabilities"}{"execute":%q}`, command)
			for said := ""; strings.Count(said, "return") < 2; {
				b := make([]byte, 1024)
				n, err := conn.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				said += string(b[:n])
			}
			pass(t, c) // while another has the monitor
			_ = conn.Close()
			awaitState(t, c, "vm/web", state)
		}
	})
}

// Who asks a guest may be held up for as long as it takes; passes go on.
func TestPassesDoNotWaitForMonitors(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		if err := os.MkdirAll("/run/libvirt/qemu", 0o755); err != nil {
			t.Fatal(err)
		}
		const file = "/run/libvirt/qemu/web.xml" // who reads it waits for as long as somebody may write
		if err := unix.Mkfifo(file, 0o600); err != nil {
			t.Fatal(err)
		}
		writer, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		pretend(t, "web", "/nowhere")
		c := newCollector(t, Config{})
		held := atomic.Bool{}
		answer := sync.OnceFunc(func() {
			_ = os.Remove(file) // who asks later finds nothing
			_ = writer.Close()
		})
		defer time.AfterFunc(time.Minute, func() { held.Store(true); answer() }).Stop()
		for range 3 {
			if m := machineOf(pass(t, c), "vm/web"); m == nil || m.State != "running" {
				t.Errorf("%+v", m)
			}
		}
		if c.monitors.askedAll(1) {
			t.Error("the guest has answered, and could not")
		}
		answer()
		if held.Load() {
			t.Error("a pass waits for a guest's monitor")
		}
	})
}

// pretend starts a process that looks like QEMU with a QMP socket.
func pretend(t *testing.T, name, socket string) int {
	t.Helper()
	cmd := exec.Command("sh")
	cmd.Args = []string{"qemu-system-x86_64", "-c", "read x", "-name", name, "-qmp", "unix:" + socket + ",server=on,wait=off"}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	launch(t, cmd)
	return cmd.Process.Pid
}

// Whatever is behind the socket, passes go on, the guest is taken to run, and nothing is
// said to a server that is no QEMU.
func TestMonitorsThatLie(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		servers := map[string]string{
			"silent": "", "other": "SSH-2.0-x\r\n", "endless": "{" + strings.Repeat(" ", 1<<20), "refuses": `{"QMP":{}} {"error":{}}`,
			"escape": `{"QMP":{}} {"return":{}} {"return":{"status":"\u001b[31m"}}`, "type": `{"QMP":{}} {"return":{}} {"return":{"status":7}}`,
			"events": `{"QMP":{}}` + strings.Repeat(`{"event":"X"}`, 1<<16),
		}
		dir := t.TempDir()
		said := make(chan string, 100)
		for name, text := range servers {
			l, err := net.Listen("unix", filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = io.WriteString(conn, text)
					b := make([]byte, 100)
					if n, _ := conn.Read(b); n > 0 && !strings.Contains(text, "QMP") {
						said <- name + ": " + string(b[:n])
					}
					_ = conn.Close()
				}
			}()
			pretend(t, name, filepath.Join(dir, name))
		}
		pretend(t, "nobody", filepath.Join(dir, "not-there"))
		c := newCollector(t, Config{})
		for end := time.Now().Add(2 * time.Minute); c.monitors == nil || !c.monitors.askedAll(len(servers)+1); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not all have been asked")
			}
			for _, m := range pass(t, c).Machines {
				if m.State != "running" {
					t.Errorf("%+v", m)
				}
			}
		}
		select {
		case text := <-said:
			t.Errorf("said to one that is no QEMU: %s", text)
		default:
		}
	})
}

func (m *monitors) askedAll(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.known {
		if v.next.IsZero() {
			return false
		}
	}
	return len(m.known) == n
}

// A socket of another user than the guest's is not connected to: its path is from a
// command line.
func TestMonitorOfAnother(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "other")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if conn, err := dialOwned(socket, uint32(os.Geteuid())); err != nil {
		t.Error(err)
	} else {
		_ = conn.Close()
	}
	if conn, err := dialOwned(socket, 12345); err == nil {
		_ = conn.Close()
		t.Error("connected to another user's socket")
	}
	if conn, err := dialOwned("/dev/null", uint32(os.Geteuid())); err == nil {
		_ = conn.Close()
		t.Error("connected to a device")
	}
}

// Guests of libvirt are as its own file says; its monitor is not touched.
func TestStateByLibvirt(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		pid := pretend(t, "web", "/nowhere")
		if err := os.MkdirAll("/run/libvirt/qemu", 0o755); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			pid         int
			state, want string
		}{{pid, "paused", "paused"}, {pid, "running", "running"}, {pid + 1, "paused", "running"}, {pid, "a\x1bb", "running"}} {
			text := fmt.Sprintf("<!-- Do not edit. -->\n<domstatus state='%s' reason='user' pid='%d'>\n  <monitor path='/x'/>\n", test.state, test.pid)
			if err := os.WriteFile("/run/libvirt/qemu/web.xml", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c := newCollector(t, Config{})
			awaitState(t, c, "vm/web", test.want)
			got, err := libvirtState(inquiry{pid: pid, name: "web"})
			if (err == nil) != (test.pid == pid && len(test.state) > 3) || err == nil && got != test.want {
				t.Errorf("%+v: %q, %v", test, got, err)
			}
		}
		if got, err := libvirtState(inquiry{pid: pid, name: "../qemu/web"}); err == nil {
			t.Errorf("a name that is a path: %q", got)
		}
	})
}
