package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sarn/internal/kernel"
)

// program is the built sarn, run where its labs are.
var program, runDir string

// guestKernel is the kernel that make deps fetches for virtual machines.
var guestKernel, _ = filepath.Abs("../../.cache/kernel") // fails without a working directory only

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		if os.Getenv("SARN_REQUIRE_NETNS") == "1" {
			fmt.Fprintln(os.Stderr, "e2e: these tests need root")
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "sarn-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program, runDir = filepath.Join(dir, "sarn"), filepath.Join(dir, "run")
	build := exec.Command("go", "build", "-o", program, "sarn/cmd/sarn")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build sarn: %v\n%s", err, out)
		return 1
	}
	os.Setenv("SARN_RUN_DIR", runDir)
	os.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	os.Setenv("TMUX_TMPDIR", dir) // another run has terminals by the same names
	os.Unsetenv("SARN_SERVER")
	code := m.Run()
	if left := leftovers(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "e2e: labs left this behind:\n%s\n", left)
		return 1
	}
	return code
}

// leftovers lists the mounts and processes of labs that are no more. Who has just been
// killed may be a while about it.
func leftovers() (left string) {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if left = remains(); left == "" || time.Now().After(end) {
			return left
		}
	}
}

func remains() string {
	var left []string
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, runDir) {
			left = append(left, "mount "+line)
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, p := range procs {
		if exe, err := os.Readlink(p); err == nil && exe == program {
			left = append(left, "process "+p)
		}
	}
	return strings.Join(left, "\n")
}

// fabric is a lab that is up for the length of a test.
type fabric struct {
	*testing.T
	name string
}

// up brings a lab up from an example.
func up(t *testing.T, example string) fabric {
	t.Helper()
	return upFile(t, filepath.Join("../../examples", example))
}

// upFile brings a lab up from any file.
func upFile(t *testing.T, file string) fabric {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	f := fabric{t, strings.TrimRight(name[:min(len(name), 40)], "-")}
	if out, err := bounded(t, program, "lab", "up", file, "--name", f.name).CombinedOutput(); err != nil {
		t.Fatalf("lab up: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(runDir, "labs", f.name, "logs", "*"))
			for _, l := range logs {
				b, _ := os.ReadFile(l)
				t.Logf("%s:\n%s", filepath.Base(l), b[max(0, len(b)-3000):])
			}
		}
		if out, err := bounded(t, program, "lab", "down", f.name).CombinedOutput(); err != nil {
			t.Errorf("lab down: %v\n%s", err, out)
		}
	})
	return f
}

// bounded is a program that is asked with SIGQUIT what it is at, and killed, when it is
// still there after three minutes or at the end of the test: what hangs fails its own
// test and says why.
func bounded(t testing.TB, argv ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = 30 * time.Second
	return cmd
}

// patience is what tests have with whatever comes sooner or later, on a machine that may
// stall for seconds. Only a broken program uses it up.
const patience = time.Minute

// program is sarn run against the lab.
func (f fabric) program(args ...string) *exec.Cmd {
	return bounded(f, append([]string{program, "--lab", f.name}, args...)...)
}

// sarn runs a command against the lab and returns what it prints. It must succeed.
func (f fabric) sarn(args ...string) string {
	f.Helper()
	out, code := f.try(args...)
	if code != 0 {
		f.Fatalf("sarn %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// try runs a command against the lab and returns what it prints and its exit code.
func (f fabric) try(args ...string) (string, int) {
	f.Helper()
	cmd := f.program(args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// apply applies YAML and waits until every node has it.
func (f fabric) apply(yaml string) string {
	f.Helper()
	cmd := f.program("apply", "-f", "-", "--wait")
	cmd.Stdin = strings.NewReader(yaml)
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.Fatalf("apply: %v\n%s", err, out)
	}
	return string(out)
}

// netns returns the path of the network namespace of a machine, switch or VM.
func (f fabric) netns(name string) string {
	f.Helper()
	for _, pattern := range []string{"netns/" + name, "guests/*/" + name} {
		if found, _ := filepath.Glob(filepath.Join(runDir, "labs", f.name, pattern)); len(found) == 1 {
			return found[0]
		}
	}
	f.Fatalf("the lab has no %s", name)
	return ""
}

// in runs fn in a machine's network namespace.
func (f fabric) in(name string, fn func() error) {
	f.Helper()
	if err := kernel.Enter(f.netns(name), fn); err != nil {
		f.Fatalf("in %s: %v", name, err)
	}
}

// sh runs a shell line in a machine's network namespace, with the lab's names.
func (f fabric) sh(name, line string) string {
	f.Helper()
	return f.sarn("lab", "exec", name, "--", "sh", "-c", line)
}

// background starts a shell line in a machine; the returned function waits for its
// end and returns what it printed.
func (f fabric) background(name, line string) func() string {
	f.Helper()
	var out bytes.Buffer
	cmd := f.program("lab", "exec", name, "--", "sh", "-c", line)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		f.Fatal(err)
	}
	return func() string {
		_ = cmd.Wait() // what it printed tells
		return out.String()
	}
}

// eventually polls until ok holds; the events that tests await have no other sign.
func (f fabric) eventually(what string, ok func() bool) {
	f.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	f.Fatalf("still not so: %s", what)
}

// log returns what a process of the lab has logged.
func (f fabric) log(process string) string {
	f.Helper()
	found, _ := filepath.Glob(filepath.Join(runDir, "labs", f.name, "logs", "*"+process+"*"))
	if len(found) != 1 {
		f.Fatalf("logs of %s: %v", process, found)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}
