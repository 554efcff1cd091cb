package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sarn/internal/api"
	"sarn/internal/timetest"
)

func TestMain(m *testing.M) {
	testscript.Main(leakFree{m}, map[string]func(){"sarn": func() {
		os.Exit(Run(context.Background(), os.Args[1:], State{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Version: "v1.2.3",
		}))
	}})
}

// leakFree fails when the tests leave goroutines behind.
type leakFree struct{ m *testing.M }

func (l leakFree) Run() int { return timetest.Run(l.m) }

// Scripts run sarn against a real controller and nodes that do nothing but report.
func TestScripts(t *testing.T) {
	var scripts atomic.Int64
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SARN_RUN_DIR", e.WorkDir+"/run")
			e.Setenv("XDG_CONFIG_HOME", e.WorkDir+"/config")
			// Nobody listens there, and nobody else takes it meanwhile: all of 127.0.0.0/8
			// is this machine.
			pid := os.Getpid()
			host := fmt.Sprintf("127.%d.%d.%d", 1+pid>>16, pid>>8&0xff, pid&0xff)
			e.Setenv("FREE_HOST", host)
			e.Setenv("FREE", fmt.Sprintf("%s:%d", host, 10_000+scripts.Add(1)))
			return os.MkdirAll(e.WorkDir+"/run", 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"controller": func(ts *testscript.TestScript, _ bool, args []string) { startController(t, ts, args) },
			"node":       startNode,
			"exits":      exits,
			"mode":       mode,
		},
	})
}

// startController runs `sarn server` with the arguments, at the default socket, and
// returns when it says that it is ready. One that does not end well fails the test t.
func startController(t *testing.T, ts *testscript.TestScript, args []string) {
	notify := ts.MkAbs("run/notify")
	sock, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	ts.Check(err)
	defer sock.Close()
	env := map[string]string{"NOTIFY_SOCKET": notify, "SARN_RUN_DIR": ts.Getenv("SARN_RUN_DIR")}
	ctx, stop := context.WithCancel(context.Background())
	var log bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		code := Run(ctx, append([]string{"server", "--data-dir", ts.MkAbs("data")}, args...), State{
			Out: &log, Err: &log, Getenv: func(name string) string { return env[name] },
		})
		sock.Close()
		ended <- code
	}()
	ts.Defer(func() {
		stop()
		if code := <-ended; code != exitOK {
			// The script has ended: its own Fatalf would panic here.
			t.Errorf("sarn server: exit code %d:\n%s", code, log.String())
		}
	})
	word := make([]byte, 64)
	ts.Check(sock.SetReadDeadline(time.Now().Add(2 * time.Minute)))
	n, err := sock.Read(word)
	if err != nil || string(word[:n]) != "READY=1" {
		ts.Fatalf("sarn server is not ready: %q, %v", word[:n], err)
	}
}

// startNode connects a node that reports every state as applied, or as failed with
// the message of -fail, in which \e is an escape character.
func startNode(ts *testscript.TestScript, _ bool, args []string) {
	fails := ""
	if len(args) == 3 && args[0] == "-fail" {
		fails, args = strings.ReplaceAll(args[1], `\e`, "\x1b"), args[2:]
	}
	if len(args) != 1 {
		ts.Fatalf("usage: node [-fail MESSAGE] NAME")
	}
	node := args[0]
	client, err := api.New(api.Endpoint{Address: "unix://" + ts.Getenv("SARN_RUN_DIR") + "/api.sock"})
	ts.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	connected := make(chan struct{})
	once := sync.OnceFunc(func() { close(connected) })
	wg.Go(func() {
		defer once()
		_ = client.Follow(ctx, node, "", func(e api.NodeEvent) error {
			defer once()
			return client.Report(ctx, node, api.NodeReport{
				Revision: e.Revision, AppliedAt: time.Now(), Error: fails, Version: "v1.2.3",
			})
		})
	})
	ts.Defer(func() {
		stop()
		wg.Wait()
		client.Close()
	})
	<-connected
}

// exits runs a command that must end with the exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// mode checks a file's permissions.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode 0600 FILE")
	}
	fi, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%#o", fi.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}
