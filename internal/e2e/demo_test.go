package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestDemo runs what make demo runs, and then, line by line, all that it says to try.
func TestDemo(t *testing.T) {
	run := func(line string) string {
		t.Helper()
		cmd := bounded(t, "sh", "-c", line)
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "SARN="+program)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		return string(out)
	}
	t.Cleanup(func() { _ = bounded(t, program, "lab", "down", "demo").Run() })
	out := run("sh examples/demo.sh")
	for _, want := range []string{"36/36 pairs, 0% lost", "10.10.10.12 via 192.168.56.104 dev enp0s8", "lladdr 0e:5a:0a:0a:0a:02"} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not show %q:\n%s", want, out)
		}
	}
	_, try, ok := strings.Cut(out, "Try:\n")
	if !ok {
		t.Fatalf("the demo does not say what to try:\n%s", out)
	}
	for line := range strings.Lines(try) {
		out := run(line)
		if strings.Contains(line, "capture") && !strings.Contains(out, "10.10.10.10 > 10.10.10.12: ICMP echo request") {
			t.Errorf("%s shows no packet of the VMs:\n%s", line, out)
		}
	}
	if out := run(program + " lab list --no-headers"); strings.TrimSpace(out) != "" {
		t.Errorf("a lab is left: %s", out)
	}
}
