package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestMonitorDemo runs examples/monitor/demo.sh and what it says to try, printed once.
func TestMonitorDemo(t *testing.T) {
	f := fabric{T: t}
	temporary := t.TempDir()
	_, port, _ := strings.Cut(addresses(t, 1)[0], ":")
	demo := bounded(t, "sh", "examples/monitor/demo.sh")
	demo.Dir = "../.."
	demo.Env = append(os.Environ(), "SARN="+program, "PORT="+port, "TMPDIR="+temporary)
	demo.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out said
	demo.Stdout, demo.Stderr = &out, &out
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	defer demo.Wait()
	defer syscall.Kill(-demo.Process.Pid, syscall.SIGKILL)
	f.eventually("the demo says what to try", func() bool { return strings.Contains(out.String(), "in a browser") })
	for _, want := range []string{"warning at or above 0.1 CPUs, for 2s", "event=fire rule=busy subject=yes[", "event=clear rule=busy"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not show %q:\n%s", want, out.String())
		}
	}
	_, try, _ := strings.Cut(out.String(), "another terminal:\n")
	for line := range strings.Lines(try) {
		line, _, _ := strings.Cut(strings.TrimSpace(line), "#")
		if address, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(address, "http") {
			page, err := http.Get(address)
			if err != nil {
				t.Error(err)
				continue
			}
			page.Body.Close()
			if page.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", address, page.Status)
			}
			continue
		}
		if !strings.Contains(line, "--once") {
			line += " --once"
		}
		cmd := bounded(t, "sh", "-c", line)
		cmd.Dir = "../.."
		if shown, err := cmd.CombinedOutput(); err != nil || len(shown) == 0 {
			t.Errorf("%s: %v\n%s", line, err, shown)
		}
	}
	if err := syscall.Kill(-demo.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("the demo ends with %v:\n%s", err, out.String())
	}
	if left, err := filepath.Glob(filepath.Join(temporary, "*")); err != nil || len(left) > 0 {
		t.Errorf("the demo leaves %v, %v", left, err)
	}
}

// said is what a program has printed so far.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
