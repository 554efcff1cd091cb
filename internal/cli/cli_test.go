package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// run runs the program as from a shell with the environment, and returns its exit
// code and what it printed.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), args, State{
		In: strings.NewReader(""), Out: &out, Err: &errs,
		Getenv: func(name string) string { return env[name] },
	})
	return code, out.String(), errs.String()
}

func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

// Every command shows an example, and each line of it names a command, flags and
// arguments that there are.
func TestExamplesRun(t *testing.T) {
	for _, cmd := range commands(newTestRoot(t)) {
		if cmd.IsAdditionalHelpTopicCommand() {
			continue
		}
		if cmd.Example == "" {
			t.Errorf("`%s` has no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			own := 0
			for part := range strings.SplitSeq(line, " | ") {
				if words := strings.Fields(part); len(words) > 0 && words[0] == "sarn" {
					own++
					checkExample(t, cmd.CommandPath(), words[1:])
				}
			}
			if own == 0 {
				t.Errorf("`%s`: example %q does not run sarn", cmd.CommandPath(), line)
			}
		}
	}
}

func checkExample(t *testing.T, path string, args []string) {
	t.Helper()
	fail := func(format string, a ...any) {
		t.Errorf("`%s`: example `sarn %s`: "+format, append([]any{path, strings.Join(args, " ")}, a...)...)
	}
	found, rest, err := newTestRoot(t).Find(args) // a tree of its own: parsing leaves values behind
	if err != nil {
		fail("%v", err)
		return
	}
	if err := found.ParseFlags(rest); err != nil {
		fail("%v", err)
		return
	}
	if found.HasSubCommands() || !found.Runnable() {
		fail("is not a whole command")
	}
	if err := found.ValidateArgs(found.Flags().Args()); err != nil {
		fail("%v", err)
	}
	if !strings.HasPrefix(found.CommandPath(), path) {
		fail("is of another command")
	}
}

func newTestRoot(t *testing.T) *cobra.Command {
	t.Helper()
	a := &app{State: State{Getenv: func(string) string { return "" }}}
	return a.rootCommand()
}

func TestMistakesAreOneLineAndExitCode2(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"prot", "list"}, "`sarn` has no command \"prot\" (did you mean \"port\"?)"},
		{[]string{"port", "crate", "x"}, "`sarn port` has no command \"crate\" (did you mean \"create\"?)"},
		{[]string{"port", "list", "--no-header"}, "`sarn port list` has no flag --no-header (did you mean \"no-headers\"?)"},
		{[]string{"port", "list", "-x"}, "has no flag -x"},
		{[]string{"port", "list", "vm1"}, "this command takes no names"},
		{[]string{"port", "create"}, "name the port"},
		{[]string{"port", "create", "a", "b"}, "one port at a time"},
		{[]string{"port", "create", "vm1", "--node", "host1"}, "needs --subnet"},
		{[]string{"port", "create", "vm1", "--subnet", "net1", "--node", "host1", "--address", "10.10"}, "is not an IPv4 address"},
		{[]string{"port", "create", "Vm1", "--subnet", "net1", "--node", "host1"}, "use lower-case letters"},
		{[]string{"port", "create", "vm1", "--subnet", "net1", "--node", "host1", "--attach", "wire"}, "use netns or tap"},
		{[]string{"port", "list", "-o", "xml"}, "use table, json, yaml"},
		{[]string{"port", "describe", "vm1", "-o", "json"}, "describe is for people"},
		{[]string{"port", "list", "--server", "unix:///x", "--lab", "y"}, "give one of them"},
		{[]string{"status", "--timeout", "3s"}, "give --wait too"},
		{[]string{"apply"}, "needs -f FILE"},
		{[]string{"apply", "-f", "/does/not/exist"}, "no such file"},
		{[]string{"server", "--listen", "unix://x"}, "not an absolute path"},
		{[]string{"server", "--listen", "0.0.0.0:7470"}, "can be reached by other machines"},
		{[]string{"server", "--etcd-endpoints", "https://x:1", "--data-dir", "/x"}, "two stores"},
		{[]string{"server", "--log-format", "xml"}, "use text or json"},
		{[]string{"pki", "issue", "--dir", "x"}, "one of --admin NAME"},
		{[]string{"context", "use", "x"}, "no context \"x\""},
	} {
		code, out, errs := run(t, map[string]string{"XDG_CONFIG_HOME": t.TempDir(), "SARN_RUN_DIR": t.TempDir()}, c.args...)
		if code != exitUsage || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("sarn %s: code %d, out %q, err %q; want 2 and %q", strings.Join(c.args, " "), code, out, errs, c.want)
		}
	}
}

func TestUnreachableSaysWhatWasTriedAndWhy(t *testing.T) {
	dir := t.TempDir()
	code, _, errs := run(t, map[string]string{"SARN_RUN_DIR": dir}, "port", "list")
	for _, want := range []string{"no controller answers at unix://" + dir + "/api.sock", "the default", "sarn server", "sarn help environment"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%q lacks %q", errs, want)
		}
	}
	if code != exitUnreachable {
		t.Errorf("exit code %d, want %d", code, exitUnreachable)
	}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "What the network should be:"},
		{[]string{"port"}, "Available Commands:"},
		{[]string{"help", "exit-codes"}, "4  the time for --wait ran out"},
		{[]string{"help", "environment"}, "SARN_SERVER"},
		{[]string{"help"}, "sarn port create vm7"},
	} {
		code, out, errs := run(t, nil, c.args...)
		if code != exitOK || !strings.Contains(out, c.want) || errs != "" {
			t.Errorf("sarn %s: code %d, err %q, out %s\nlacks %q", strings.Join(c.args, " "), code, errs, out, c.want)
		}
	}
}

func TestInterruptedIs130(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	silent, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		conn, err := silent.Accept()
		if err != nil {
			return
		}
		interrupt()
		io.Copy(io.Discard, conn) // until the client gives up
		conn.Close()
	}()
	var errs bytes.Buffer
	code := Run(ctx, []string{"status", "--server", "unix://" + path}, State{
		Out: io.Discard, Err: &errs, Getenv: func(string) string { return "" },
	})
	if code != exitInterrupted || errs.String() != "interrupted\n" {
		t.Errorf("exit code %d, stderr %q; want %d", code, errs.String(), exitInterrupted)
	}
	<-asked
}
