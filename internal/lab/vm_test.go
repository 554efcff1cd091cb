package lab_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sarn/internal/netnstest"
)

const vmFile = "../../examples/virtual-machine.yaml"

// needKernel makes VMs boot the kernel that make deps fetches.
func needKernel(t *testing.T) {
	t.Helper()
	tree, err := filepath.Abs("../../.cache/kernel")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tree); err != nil {
		if os.Getenv("SARN_REQUIRE_NETNS") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v; make deps fetches it", err)
	}
	t.Setenv("SARN_GUEST_KERNEL", tree)
}

// started starts the program and returns it with what it prints.
func started(t *testing.T, args ...string) (*exec.Cmd, io.WriteCloser, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "SARN_RUN_DIR="+runDir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, in, out
}

func TestVirtualMachine(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		needKernel(t)
		contains(t, "up", must(t, "lab", "up", vmFile), "1 VM booted")
		contains(t, "list", must(t, "lab", "list", "--no-headers"), "virtual-machine   3   3")
		all, _ := pairs(t, "6/6 pairs")
		contains(t, "ping-all", all, "guest   -")
		tested(t, "../../examples/virtual-machine.test.yaml", "4/4 as expected")

		// Commands run inside, and what they say and how they end comes back.
		contains(t, "the guest's kernel", must(t, "lab", "exec", "guest", "cat", "/proc/cmdline"), "name=guest addr=10.10.10.3/24 gw=10.10.10.1")
		contains(t, "ping by name", must(t, "lab", "exec", "guest", "--", "ping", "-c1", "-W30", "vm2"), "10.10.10.5", " 0% packet loss")
		for _, c := range []struct {
			args []string
			out  string
			code int
		}{
			{[]string{"sh", "-c", `printf "it's"; exit 7`}, "it's", 7},
			{[]string{"sh", "-c", "echo a; echo b >&2"}, "a\nb\n", 0},
			{[]string{"sh", "-c", "kill -9 $$"}, "Killed\n", 137},
			{[]string{"cat"}, "", 0},
			{[]string{"seq", "-s", "\n", "3000"}, "", 0},
		} {
			if c.args[0] == "seq" {
				for i := range 3000 {
					c.out += fmt.Sprintln(i + 1)
				}
			}
			out, code := sarn(t, "not for it", append([]string{"lab", "exec", "guest", "--"}, c.args...)...)
			if out != c.out || code != c.code {
				t.Errorf("%v: %q, exit code %d, want %q and %d", c.args, out, code, c.out, c.code)
			}
		}
		cmd, _, out := started(t, "lab", "exec", "guest", "ping", "vm1")
		readUntil(t, out, "seq=0")
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		readUntil(t, out, "packets transmitted") // ping sums up when it is interrupted
		_ = cmd.Wait()                           // the exit code tells
		if code := cmd.ProcessState.ExitCode(); code != 0 && code != 130 {
			t.Errorf("an interrupted ping: exit code %d", code)
		}
		// One that is killed leaves its command behind; the next is not held up.
		cmd, _, out = started(t, "lab", "exec", "guest", "ping", "vm1")
		readUntil(t, out, "seq=0")
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		contains(t, "after it", must(t, "lab", "exec", "guest", "hostname"), "guest\n")

		cmd, in, out := started(t, "lab", "console", "guest")
		if _, err := io.WriteString(in, "echo hi-$((40+2))\n"); err != nil {
			t.Fatal(err)
		}
		readUntil(t, out, "hi-42")
		if _, err := io.WriteString(in, "\x1d"); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("a console that was left: %v", err)
		}
		refused(t, 1, "vm1 is no VM that the lab runs", "lab", "console", "vm1")
		scripted, _ := sarn(t, "guest hostname\n", "lab", "shell")
		contains(t, "the shell", scripted, "guest\n")

		seen := startCapture(t, 1, "guest", "-c", "1", "icmp")
		must(t, "lab", "exec", "vm1", "ping", "-c1", "-W30", "guest")
		if got, said, code := seen.end(); code != 0 || !strings.Contains(got, "> 10.10.10.3: ICMP echo request") {
			t.Errorf("capture: exit code %d\n%s%s", code, got, said)
		}

		if _, code := sarn(t, "", "lab", "exec", "guest", "poweroff", "-f"); code == 0 {
			t.Error("a VM that is switched off answers")
		}
		// The connection ends before qemu does.
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			list := must(t, "lab", "list")
			if strings.Contains(list, "degraded: vm-guest died") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("a VM that was switched off is not told of:\n%s", list)
			}
		}
		refused(t, 1, "guest does not run", "lab", "exec", "guest", "true")
		must(t, "lab", "down")
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}

// TestVirtualMachineFromAnImage boots a disk of one sector, whose program says OK on the
// serial line and stops.
func TestVirtualMachineFromAnImage(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		dir := t.TempDir()
		sector := make([]byte, 1<<20)
		copy(sector, []byte{
			0xba, 0xf8, 0x03, // mov $0x3f8, %dx
			0xb0, 'O', 0xee, // mov $'O', %al; out %al, %dx
			0xb0, 'K', 0xee,
			0xb0, '\n', 0xee,
			0xf4, 0xeb, 0xfd, // hlt, again and again
		})
		sector[510], sector[511] = 0x55, 0xaa
		data, err := os.ReadFile(vmFile)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(data), "    kind: qemu\n", "    kind: qemu\n    image: disk\n", 1)
		for name, content := range map[string]string{"disk": string(sector), "lab.yaml": text} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		must(t, "lab", "up", filepath.Join(dir, "lab.yaml"))
		log := runDir + "/labs/virtual-machine/vms/guest/console.log"
		awaitFile(t, log, "OK")
		refused(t, 1, "guest boots an image of its own", "lab", "exec", "guest", "true")
		if _, code := pairs(t, "2/4 pairs"); code != 5 { // it is asked, and does not ask
			t.Errorf("ping-all: exit code %d", code)
		}
		must(t, "lab", "down")
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}

func TestVirtualMachinesThatCannotBe(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		data, err := os.ReadFile(vmFile)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "lab.yaml")
		for _, c := range []struct{ more, want string }{
			{"    kernel: nowhere\n", file + ":12: lab \"virtual-machine\": vms.guest.kernel: there is no kernel for VMs in " + filepath.Dir(file) + "/nowhere"},
			{"    image: nowhere\n", file + ":12: lab \"virtual-machine\": vms.guest.image: stat " + filepath.Dir(file) + "/nowhere: no such file"},
			{"    memory: 16\n", "vms.guest.memory: 16 is not a usable size"},
			{"    kernel: a\n    image: b\n", "vms.guest.image: an image brings its own kernel"},
		} {
			text := strings.Replace(string(data), "    kind: qemu\n", "    kind: qemu\n"+c.more, 1)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, 2, c.want, "lab", "up", file)
		}
		t.Setenv("PATH", "/nonexistent")
		refused(t, 1, "install the package qemu-system-x86", "lab", "up", vmFile)
		if left := remains(t); left != "" {
			t.Errorf("what was refused leaves\n%s", left)
		}
	})
}

// awaitFile returns when the file holds the text.
func awaitFile(t *testing.T, file, text string) {
	t.Helper()
	tail := exec.Command("tail", "-c", "+1", "-F", file)
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	readUntil(t, out, text)
	_ = tail.Process.Kill()
	_ = tail.Wait() // it was killed
}
