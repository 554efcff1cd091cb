package lab_test

import (
	"bufio"
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

	"sarn/internal/lab"
	"sarn/internal/netnstest"
)

const oneHost = "../../examples/one-host.yaml"

// refused runs the program, which must fail with that exit code and those words.
func refused(t *testing.T, code int, words string, args ...string) {
	t.Helper()
	out, got := sarn(t, "", args...)
	if got != code || !strings.Contains(out, words) {
		t.Errorf("sarn %s: exit code %d, want %d and %q\n%s", strings.Join(args, " "), got, code, words, out)
	}
}

// TestOneNameTwoProcesses has a lab that never gets built, and others who want its name.
func TestOneNameTwoProcesses(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		data, err := os.ReadFile(oneHost)
		if err != nil {
			t.Fatal(err)
		}
		p, err := lab.Parse(oneHost, data, "")
		if err != nil {
			t.Fatal(err)
		}
		binary := filepath.Join(t.TempDir(), "sarn")
		if err := os.WriteFile(binary, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		labs, err := lab.New(lab.Config{RunDir: runDir, Binary: binary})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		wired, ended := make(chan bool, 1), make(chan error, 1)
		go func() {
			_, err := labs.Up(ctx, p, data, func(string, ...any) { wired <- true })
			ended <- err
		}()
		<-wired
		busy := fmt.Sprintf("lab one-host: it is being built or taken down by process %d", os.Getpid())
		refused(t, 1, busy, "lab", "down", "one-host")
		refused(t, 1, busy, "lab", "up", oneHost)
		must(t, "lab", "up", oneHost, "--name", "other") // names are locked, not labs
		must(t, "lab", "down", "other")
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v", err)
		}
		if left := remains(t); left != "" {
			t.Errorf("they leave\n%s", left)
		}
		// Of many who begin at once one succeeds, and who is refused undoes nothing.
		all := make(chan error)
		for range 4 {
			go func() {
				cmd := exec.Command(os.Args[0], "lab", "up", oneHost)
				cmd.Env = append(os.Environ(), "SARN_RUN_DIR="+runDir)
				all <- cmd.Run()
			}()
		}
		good := 0
		for range 4 {
			if <-all == nil {
				good++
			}
		}
		if good != 1 {
			t.Errorf("%d of four are up", good)
		}
		pairs(t, "2/2 pairs")
		must(t, "lab", "down")
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}

// TestKilledUp kills the builder, in the moment before it notes whom it has started.
func TestKilledUp(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		up := exec.Command(os.Args[0], "lab", "up", oneHost)
		up.Env = append(os.Environ(), "SARN_RUN_DIR="+runDir)
		progress, err := up.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := up.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(progress).ReadString('\n'); err != nil {
			t.Fatalf("up says %q: %v", line, err)
		}
		if err := up.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = up.Wait() // it was killed
		if err := os.RemoveAll(runDir + "/labs/one-host/pids"); err != nil {
			t.Fatal(err)
		}
		if left := remains(t); !strings.Contains(left, " server ") {
			t.Fatalf("no server is left, so there is nothing to see:\n%s", left)
		}
		// Somebody else's process is none of the lab's, whatever it says of itself.
		other := exec.Command("sleep", "1000")
		other.Env = []string{"SARN_LAB_PROCESS=" + runDir + "/labs/one-host/pids/server"}
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		must(t, "lab", "down")
		if err := other.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = other.Wait() // how it ended is in its state
		if w, ok := other.ProcessState.Sys().(syscall.WaitStatus); !ok || w.Signal() != syscall.SIGKILL {
			t.Errorf("somebody else's process was ended: %s", other.ProcessState)
		}
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}

func TestRunDirBehindSymlink(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		const real = "/run/lab-real"
		if err := os.Mkdir(real, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, runDir); err != nil {
			t.Fatal(err)
		}
		must(t, "lab", "up", oneHost)
		pairs(t, "2/2 pairs")
		must(t, "lab", "down")
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil || bytes.Contains(mounts, []byte(real)) {
			t.Errorf("down leaves mounts: %v\n%s", err, mounts)
		}
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}

// TestServerEnded is about a lab without its controller: commands must not go to
// another in its place.
func TestServerEnded(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		must(t, "lab", "up", oneHost)
		const dir = runDir + "/labs/one-host"
		text, err := os.ReadFile(dir + "/pids/server")
		if err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Sscan(string(text), &pid); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(dir + "/api.sock"); os.IsNotExist(err) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the server keeps its socket")
			}
		}
		refused(t, 3, `no controller answers at unix://`+dir+`/api.sock (the lab "one-host" is up)`, "vpc", "create", "stray", "--cidr", "10.99.0.0/16")
		refused(t, 3, "(--lab says so)", "port", "list", "--lab", "one-host")
		must(t, "lab", "down")
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}

// TestForeignDirectory has something in a lab's place that Sarn did not make.
func TestForeignDirectory(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		const file = runDir + "/labs/mine/thesis"
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("years of work"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{}, {"--all"}} {
			contains(t, "down", must(t, append([]string{"lab", "down"}, args...)...), "nothing to take down")
		}
		refused(t, 1, `there is no lab "mine"`, "lab", "down", "mine")
		refused(t, 1, runDir+"/labs/mine is in the way of lab mine", "lab", "up", oneHost, "--name", "mine")
		// What a crash leaves of a claim is in nobody's way.
		if err := os.Mkdir(runDir+"/labs/one-host", 0o755); err != nil {
			t.Fatal(err)
		}
		must(t, "lab", "up", oneHost)
		labs, err := lab.New(lab.Config{RunDir: runDir})
		if err != nil {
			t.Fatal(err)
		}
		one, err := labs.Find("")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(runDir+"/labs/one-host/lab.yaml", runDir+"/aside"); err != nil {
			t.Fatal(err)
		}
		if err := one.Down(t.Context()); err == nil || !strings.Contains(err.Error(), "in the way") {
			t.Errorf("down without the mark: %v", err)
		}
		if err := os.Rename(runDir+"/aside", runDir+"/labs/one-host/lab.yaml"); err != nil {
			t.Fatal(err)
		}
		pairs(t, "2/2 pairs")
		must(t, "lab", "down")
		if text, err := os.ReadFile(file); err != nil || string(text) != "years of work" {
			t.Errorf("what is not Sarn's: %q, %v", text, err)
		}
	})
}
