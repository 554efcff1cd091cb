package lab_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sarn/internal/netnstest"
)

// readUntil reads until the text has come; what comes after stays.
func readUntil(t *testing.T, r io.Reader, text string) string {
	t.Helper()
	var all []byte
	b := make([]byte, 1)
	for !bytes.Contains(all, []byte(text)) {
		if _, err := r.Read(b); err != nil {
			t.Fatalf("no %q in %q: %v", text, all, err)
		}
		all = append(all, b...)
	}
	return string(all)
}

func drain(r io.Reader) { _, _ = io.Copy(io.Discard, r) }

// capture is a capture that listens.
type capture struct {
	*testing.T
	cmd      *exec.Cmd
	out, err bytes.Buffer
	done     chan bool
}

func startCapture(t *testing.T, nodes int, args ...string) *capture {
	t.Helper()
	c := &capture{T: t, done: make(chan bool)}
	c.cmd = exec.Command(os.Args[0], append([]string{"lab", "capture"}, args...)...)
	c.cmd.Env = append(os.Environ(), "SARN_RUN_DIR="+runDir)
	c.cmd.Stdout = &c.out
	says, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range nodes {
		c.err.WriteString(readUntil(t, says, "snapshot length"))
	}
	go func() {
		_, _ = io.Copy(&c.err, says)
		c.done <- true
	}()
	return c
}

// end waits for the end and returns what was captured, what was said, and the exit code.
func (c *capture) end() (captured, said string, code int) {
	c.Helper()
	<-c.done
	_ = c.cmd.Wait() // the exit code tells
	return c.out.String(), c.err.String(), c.cmd.ProcessState.ExitCode()
}

func TestCapture(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		must(t, "lab", "up", "../../examples/two-hosts.yaml")
		ping := func() { must(t, "lab", "exec", "vm1", "ping", "-c1", "-W30", "vm3") }

		one := startCapture(t, 1, "vm1", "eth0", "-c", "2", "icmp")
		ping()
		got, said, code := one.end()
		if code != 0 || strings.Count(got, "10.10.10.10 > 10.10.10.12: ICMP echo request") != 1 || strings.Count(got, "\n") != 2 {
			t.Errorf("of vm1: exit code %d\n%s%s", code, got, said)
		}

		// Each node on the way sees it, and says so.
		way := startCapture(t, 5, "vm1,host1,router,host2,vm3", "-c", "1", "icmp[icmptype] == 8")
		ping()
		got, said, code = way.end()
		if want := regexp.MustCompile(`^vm1 .*echo request.*\nhost1 .*echo request.*\nrouter .*echo request.*\nhost2 .*echo request.*\nvm3 .*echo request.*\n$`); !want.MatchString(got) {
			t.Errorf("not the way that the packet went:\n%s", got)
		}
		if code != 0 {
			t.Errorf("exit code %d\n%s", code, said)
		}

		// The LAN sees the packet twice, to the router and from it, and Ctrl-C ends it.
		file := filepath.Join(t.TempDir(), "lan.pcap")
		lan := startCapture(t, 1, "lan", "-w", file, "icmp[icmptype] == 8")
		ping()
		const header, each = 24, 16 + 98
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if s, err := os.Stat(file); err == nil && s.Size() >= header+2*each {
				break
			}
		}
		if err := lan.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if _, said, code = lan.end(); code != 0 || !strings.Contains(said, "2 packets captured") {
			t.Errorf("of lan: exit code %d\n%s", code, said)
		}
		read, err := exec.Command("tcpdump", "-nr", file).Output()
		if err != nil || bytes.Count(read, []byte("echo request")) != 2 {
			t.Errorf("the file: %v\n%s", err, read)
		}

		refused(t, 2, `nothing called "vm9"`, "lab", "capture", "vm9")
		refused(t, 1, `"eht0" was taken for a filter; the interfaces of vm1 are any, eth0, lo`, "lab", "capture", "vm1", "eht0")
		refused(t, 2, "a capture file is of one node", "lab", "capture", "vm1,vm3", "-w", "-")
		refused(t, 2, "no such file", "lab", "capture", "vm1", "-w", "/no/such/place")
		refused(t, 2, "name the node", "lab", "capture")
		must(t, "lab", "down")
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}
