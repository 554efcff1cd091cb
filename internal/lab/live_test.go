package lab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"sarn/internal/cli"
	"sarn/internal/intent"
	"sarn/internal/kernel"
	"sarn/internal/lab"
	"sarn/internal/netnstest"
	"sarn/internal/netstate"
)

// The test binary is the program too: started with a command's name, it is sarn.
// Labs start it as their controllers and agents.
func TestMain(m *testing.M) {
	if os.Getenv("SARN_LAB_FIRST_THREAD_ENDS") != "" {
		endFirstThread()
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.State{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Version: "test",
		}))
	}
	goleak.VerifyTestMain(m)
}

// endFirstThread ends the thread that it is on, if that is the process's first, and leaves
// another until standard input ends.
func endFirstThread() {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() { // a program begins on its first thread
		fmt.Println(syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // not Raw: others take over its part in running goroutines
}

// runDir is in the /run that netnstest gives each test, under a name that no mount of
// the machine's own labs has.
const runDir = "/run/lab-test"

// sarn runs the program and returns its output and exit code.
func sarn(t *testing.T, stdin string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "SARN_RUN_DIR="+runDir)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// must runs the program, which must succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, code := sarn(t, "", args...)
	if code != 0 {
		t.Fatalf("sarn %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s has no %q:\n%s", what, p, text)
		}
	}
}

// remains lists what a lab could leave behind: processes, mounts, files.
func remains(t *testing.T) string {
	t.Helper()
	var left []string
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		line, err := os.ReadFile(filepath.Join(d, "cmdline"))
		if err == nil && len(line) > 0 && d != fmt.Sprintf("/proc/%d", os.Getpid()) {
			left = append(left, "process "+string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, runDir) {
			left = append(left, "mount "+line)
		}
	}
	files, err := filepath.Glob(runDir + "/labs/*")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(left, files...), "\n")
}

func TestWiringAppliedTwice(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		file := "../../examples/three-vpcs.yaml"
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := lab.Parse(file, data, "")
		if err != nil {
			t.Fatal(err)
		}
		k, err := kernel.New(kernel.Config{NetnsDir: "/run/netns", Owner: lab.Owner()})
		if err != nil {
			t.Fatal(err)
		}
		diff := func(want netstate.Machine) []netstate.Op {
			t.Helper()
			have, err := k.Read(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			delete(have, "")
			ops, err := lab.Owner().Diff(want, have)
			if err != nil {
				t.Fatal(err)
			}
			return ops
		}
		if err := k.Apply(t.Context(), diff(p.Wiring())); err != nil {
			t.Fatal(err)
		}
		for _, op := range diff(p.Wiring()) {
			t.Errorf("the second time still does: %s", op.Command())
		}
		ping := exec.Command("ip", "netns", "exec", "client", "ping", "-c1", "-W30", "192.168.56.1")
		if out, err := ping.CombinedOutput(); err != nil {
			t.Errorf("the client does not reach the router: %v\n%s", err, out)
		}
		// To an agent of the node all this is somebody else's.
		agents, err := kernel.New(kernel.Config{NetnsDir: "/run/netns"})
		if err != nil {
			t.Fatal(err)
		}
		have, err := agents.Read(t.Context(), netstate.Machine{"router": {}})
		if err != nil {
			t.Fatal(err)
		}
		ops, err := netstate.Diff(netstate.Machine{"router": {}}, have)
		if err != nil || len(ops) > 0 {
			t.Errorf("an agent would undo it: %v, %v", ops, err)
		}
	})
}

func TestUpAndDown(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		began := time.Now()
		out := must(t, "lab", "up", "../../examples/two-hosts.yaml")
		contains(t, "up", out, "lab two-hosts is up", "3 nodes, 6 VMs")
		t.Logf("up after %s", time.Since(began))

		contains(t, "list", must(t, "lab", "list"), "two-hosts", "ok")
		pairs(t, "36/36 pairs, 0% lost")
		tested(t, "../../examples/two-hosts.test.yaml", "19/19 as expected")
		contains(t, "port list", must(t, "port", "list"), "vm6")

		out, code := sarn(t, "", "lab", "up", "../../examples/two-hosts.yaml")
		if code != 1 || !strings.Contains(out, "up already") {
			t.Errorf("up again: exit code %d\n%s", code, out)
		}
		must(t, "lab", "down")
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
		contains(t, "down again", must(t, "lab", "down"), "nothing to take down")
		refused(t, 1, `there is no lab "two-hosts"`, "lab", "down", "two-hosts")
	})
}

func TestExpectationsMissed(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		must(t, "lab", "up", "../../examples/two-hosts.yaml")
		file := filepath.Join(t.TempDir(), "wrong.yaml")
		text := `kind: LabTest
expect:
  - {from: vm1, to: vm3, hops: [host1, host2]}
  - {from: vm1, to: vm3, allow: false}
  - {from: internet, to: vm1}
  - {from: vm1, to: vm2, protocol: tcp, port: 80, allow: false}
  - {from: vm1, to: 10.10.10.99, protocol: udp, port: 53}
  - {from: vm1, to: vm2}
  - {from: vm1, to: 10.10.10.2, protocol: tcp, port: 81}
  - {from: vm1, to: 10.10.10.2, protocol: tcp, port: 81, allow: false}
  - {from: vm1, to: 10.10.10.2, protocol: udp, port: 81, allow: false}
`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, code := again(t, "2/9 as expected", "lab", "test", file)
		if code != 5 || strings.Count(out, "MISS") != 7 || strings.Count(out, "it arrives, and nobody listens there") != 3 {
			t.Errorf("exit code %d, want 5, and seven misses:\n%s", code, out)
		}
		contains(t, "the table", out, "via host1, router, host2")
		out, code = sarn(t, "", "lab", "exec", "host2", "ip", "link", "set", "br_net2", "down")
		if code != 0 {
			t.Fatal(out)
		}
		// The agent heals it: nothing is lost once it has.
		deadline := time.Now().Add(time.Minute)
		for {
			if out, code = sarn(t, "", "lab", "ping-all"); code == 0 || time.Now().After(deadline) {
				break
			}
			if code != 5 {
				t.Fatalf("exit code %d, want 5\n%s", code, out)
			}
		}
		if code != 0 {
			t.Errorf("not healed:\n%s", out)
		}
	})
}

func TestExecAndShell(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		must(t, "lab", "up", "../../examples/one-host.yaml")
		contains(t, "ping by name", must(t, "lab", "exec", "vm1", "ping", "-c1", "-W30", "vm2"), "10.10.10.11")
		contains(t, "/sys", must(t, "lab", "exec", "lan", "--", "ls", "/sys/class/net"), "to-host1", "bridge")
		hosts, err := os.ReadFile("/etc/hosts")
		if err != nil || bytes.Contains(hosts, []byte("vm2")) {
			t.Errorf("the lab's names are outside too: %v\n%s", err, hosts)
		}
		for _, c := range []struct {
			args []string
			code int
			want string
		}{
			{[]string{"vm1", "sh", "-c", "exit 7"}, 7, ""},
			{[]string{"vm1", "sh", "-c", "kill -9 $$"}, 137, ""},
			{[]string{"vm9", "true"}, 2, `nothing called "vm9"`},
			{[]string{"vm1", "no-such-command"}, 1, "no-such-command"},
			{[]string{"vm1"}, 2, "give the command"},
		} {
			out, code := sarn(t, "", append([]string{"lab", "exec"}, c.args...)...)
			if code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("exec %v: exit code %d, want %d\n%s", c.args, code, c.code, out)
			}
		}
		if out, _ := sarn(t, "words", "lab", "exec", "vm1", "cat"); out != "words" {
			t.Errorf("standard input became %q", out)
		}
		out, code := sarn(t, "# a script\nnodes\nports\nvm1 ping -c1 -W30 vm2 | tail -2\nping-all\nvm3 true\nvm2 exit 3\n", "lab", "shell")
		if code != 3 {
			t.Errorf("the script's exit code is %d, not its last command's 3", code)
		}
		contains(t, "the script", out, "router   node", "vm2    net1", "0% packet loss", "2/2 pairs", `nothing called "vm3"`)

		// A port that comes later is there too.
		must(t, "port", "create", "late", "--subnet", "net1", "--node", "host1", "--wait")
		contains(t, "ping the late one", must(t, "lab", "exec", "vm1", "ping", "-c1", "-W30", "late"), "0% packet loss")
		pairs(t, "6/6 pairs")
	})
}

func TestLabsSideBySide(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		// What is not the labs' own survives them: a namespace, a link, a process.
		foreign := exec.Command("ip", "netns", "add", "two-hosts")
		if out, err := foreign.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		bystander := exec.Command("ip", "netns", "exec", "two-hosts", "sleep", "1000")
		if err := bystander.Start(); err != nil {
			t.Fatal(err)
		}
		must(t, "lab", "up", "../../examples/one-host.yaml")
		must(t, "lab", "up", "../../examples/one-host.yaml", "--name", "second")
		out, code := sarn(t, "", "lab", "ping-all")
		if code == 0 || !strings.Contains(out, "2 labs are up") {
			t.Errorf("which lab is not clear: exit code %d\n%s", code, out)
		}
		must(t, "port", "delete", "vm2", "--wait", "--lab", "second")
		pairs(t, "2/2 pairs", "--lab", "one-host")
		pairs(t, "0/0 pairs", "--lab", "second")
		must(t, "lab", "down", "one-host")
		contains(t, "status of the second", must(t, "status"), "host1")
		must(t, "lab", "down", "--all")
		var st unix.Statfs_t
		if unix.Statfs("/run/netns/two-hosts", &st) != nil || st.Type != unix.NSFS_MAGIC {
			t.Error("somebody else's namespace is gone")
		}
		if err := bystander.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = bystander.Wait() // how it ended is in its state
		if w, ok := bystander.ProcessState.Sys().(syscall.WaitStatus); !ok || w.Signal() != syscall.SIGKILL {
			t.Errorf("somebody else's process was ended: %s", bystander.ProcessState)
		}
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}

// TestProbesInProcess leaves no goroutine behind; TestMain looks.
func TestProbesInProcess(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		must(t, "lab", "up", "../../examples/two-hosts.yaml")
		labs, err := lab.New(lab.Config{RunDir: runDir})
		if err != nil {
			t.Fatal(err)
		}
		one, err := labs.Find("")
		if err != nil {
			t.Fatal(err)
		}
		d, err := one.Directory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m, err := one.PingAll(t.Context(), d, lab.PingOptions{Count: 3, Wait: 30 * time.Second, Nodes: true})
		if err != nil {
			t.Fatal(err)
		}
		if m.Summary() != "78/78 pairs, 0% lost" {
			t.Error(m.Summary(), m.Failures())
		}
		file := "../../examples/two-hosts.test.yaml"
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all, err := lab.ParseExpectations(file, data)
		if err != nil {
			t.Fatal(err)
		}
		verdicts, err := one.Test(t.Context(), d, all, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range verdicts {
			if !v.OK {
				t.Errorf("line %d: %s to %s %s: expected %s, seen %s", v.Line, v.From, v.To, v.What, v.Expected, v.Seen)
			}
		}
		infos, err := labs.Running()
		if err != nil || len(infos) != 1 || infos[0].Name != "two-hosts" || infos[0].Socket != one.Socket() {
			t.Errorf("running: %v, %v", infos, err)
		}
	})
}

// kill ends a process of the lab, and waits for the end.
func kill(t *testing.T, name, process string) {
	t.Helper()
	var pid int
	text, err := os.ReadFile(runDir + "/labs/" + name + "/pids/" + process)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	// A process lives on for a moment after the signal; its descriptor tells the end.
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for n := 0; n != 1; {
		if n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000); n == 0 || err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatalf("%s is still there: %v", process, err)
		}
	}
}

func TestCrashedLab(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		must(t, "lab", "up", "../../examples/one-host.yaml")
		kill(t, "one-host", "agent-host1")
		contains(t, "list", must(t, "lab", "list"), "degraded: agent-host1 died")
		must(t, "port", "create", "late", "--subnet", "net1", "--node", "host1")
		if _, code := pairs(t, "2/6 pairs"); code != 5 {
			t.Errorf("ping-all without an agent: exit code %d", code)
		}
		// What cannot be tried is not what is kept out.
		file := filepath.Join(t.TempDir(), "late.yaml")
		if err := os.WriteFile(file, []byte("kind: LabTest\nexpect: [{from: late, to: vm1, allow: false}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := sarn(t, "", "lab", "test", file); code != 5 {
			t.Errorf("test without an agent: exit code %d\n%s", code, out)
		}
		kill(t, "one-host", "server")
		contains(t, "list", must(t, "lab", "list"), "degraded: agent-host1, server died")
		// One can still look inside, by what the lab's file says.
		contains(t, "exec", must(t, "lab", "exec", "vm1", "ping", "-c1", "-W30", "vm2"), "0% packet loss")
		if out, code := sarn(t, "", "lab", "up", "../../examples/one-host.yaml"); code != 1 {
			t.Errorf("up over it: exit code %d\n%s", code, out)
		}
		must(t, "lab", "down")
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}

// TestFailedUp is about labs whose program is not sarn, or does not work.
func TestFailedUp(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		file := "../../examples/one-host.yaml"
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := lab.Parse(file, data, "")
		if err != nil {
			t.Fatal(err)
		}
		good := p
		script := func(text string) string {
			path := filepath.Join(t.TempDir(), "sarn")
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
				t.Fatal(err)
			}
			return path
		}
		up := func(ctx context.Context, binary string) error {
			labs, err := lab.New(lab.Config{RunDir: runDir, Binary: binary})
			if err != nil {
				t.Fatal(err)
			}
			_, err = labs.Up(ctx, p, data, t.Logf)
			if left := remains(t); left != "" {
				t.Errorf("a failed up leaves\n%s", left)
			}
			return err
		}
		err = up(t.Context(), script("echo out of cheese >&2; exit 1"))
		if err == nil || !strings.Contains(err.Error(), "server ended by itself") || !strings.Contains(err.Error(), "out of cheese") {
			t.Errorf("a server that fails: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waiting := filepath.Join(t.TempDir(), "waiting")
		go func() {
			for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(waiting); err == nil {
					cancel()
				}
			}
		}()
		if err = up(ctx, script("touch "+waiting+"; exec sleep 1000")); !errors.Is(err, context.Canceled) {
			t.Errorf("a server that hangs, and then Ctrl-C: %v", err)
		}
		cancel()
		sarnAgents := fmt.Sprintf("test $1 = agent && { echo no agent >&2; exit 1; }; exec %s \"$@\"", os.Args[0])
		bad := *p
		bad.Intent.Subnets = []*intent.Subnet{{Header: intent.Header{Name: "net1"}, VPC: "nowhere", CIDR: intent.MustCIDR("10.10.10.0/24")}}
		p = &bad
		err = up(t.Context(), os.Args[0])
		if err == nil || !strings.Contains(err.Error(), `../../examples/one-host.yaml:27: subnet "net1": vpc`) {
			t.Errorf("intent that the controller refuses: %v", err)
		}
		p = good
		if err = up(t.Context(), script(sarnAgents)); err == nil || !strings.Contains(err.Error(), "no agent") {
			t.Errorf("agents that fail: %v", err)
		}
	})
}
