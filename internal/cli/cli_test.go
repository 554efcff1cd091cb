package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"sarn/internal/api"
)

// run runs the program as from a shell with the environment, and returns its exit
// code and what it printed.
func run(t testing.TB, env map[string]string, args ...string) (code int, stdout, stderr string) {
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
		{[]string{"port", "create", "vm1", "--subnet", "net1", "--node", "host1", "--attach", "wire"}, "use netns, tap or interface"},
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
		{[]string{"pki", "issue", "--dir", "x", "--admin", "ann", "--days", "0"}, "--days 0: a certificate is valid for 1 to 36500 days"},
		{[]string{"pki", "issue", "--dir", "x", "--admin", "ann", "--days", "36501"}, "1 to 36500 days"},
		{[]string{"pki", "issue", "--dir", "x", "--admin", "ann", "--days", "9223372036854775807"}, "1 to 36500 days"},
		{[]string{"pki", "issue", "--dir", "x", "--node", "Host_1"}, "--node \"Host_1\" is not a name; use lower-case"},
		{[]string{"agent", "--node", ""}, "--node is missing"},
		{[]string{"agent", "--node", "../host1"}, "--node \"../host1\" is not a name"},
		{[]string{"agent", "--node", "host1", "--tls-ca", "ca.crt"}, "--tls-ca ca.crt has no use with controller address unix://"},
		{[]string{"doctor", "--node", "Host_1"}, "--node \"Host_1\" is not a name"},
		{[]string{"doctor", "--offline", "--server", "unix:///x"}, "--offline asks no controller"},
		{[]string{"doctor", "host1"}, "this command takes no names"},
		{[]string{"status", "--tls-ca", "ca.crt"}, "--tls-ca ca.crt has no use with controller address unix://"},
		{[]string{"status", "--tls-key", "k", "--server", "http://127.0.0.1:1"}, "--tls-key k has no use with controller address http://127.0.0.1:1"},
		{[]string{"server", "--server", "unix:///x"}, "--server has no use with `sarn server`"},
		{[]string{"server", "--lab", "x"}, "--lab has no use with `sarn server`"},
		{[]string{"server", "--etcd-endpoints", "http://127.0.0.1:1", "--etcd-ca", "ca.crt"}, "no use with etcd endpoint http://127.0.0.1:1"},
		{[]string{"server", "--etcd-endpoints", "https://127.0.0.1:1", "--etcd-ca", "/does/not/exist"}, "read etcd CA"},
		{[]string{"port", "get", ""}, "name: is missing"},
		{[]string{"port", "get", ".."}, "port \"..\": name: "},
		{[]string{"port", "describe", "."}, "port \".\": name: "},
		{[]string{"port", "delete", "a/b"}, "port \"a/b\": name: "},
		{[]string{"port", "get", "a\nb\x1b[2J"}, `port "a\nb\x1b[2J": name: `},
		{[]string{"bench", "compare"}, "name a FILE, or two URLs or more"},
		{[]string{"bench", "compare", "http://127.0.0.1:1/"}, "one URL is nothing to compare"},
		{[]string{"bench", "compare", "/does/not/exist"}, "no such file"},
		{[]string{"bench", "compare", "http://127.0.0.1:1/", "file.yaml"}, "\"file.yaml\" is not a URL"},
		{[]string{"bench", "compare", "http://127.0.0.1:1/", "ftp://x/"}, "\"ftp\" is not a scheme"},
		{[]string{"bench", "compare", "http://127.0.0.1:1/", "http://127.0.0.1:2/", "--rounds", "0"}, "there is a round at least"},
		{[]string{"bench", "compare", "http://127.0.0.1:1/", "http://127.0.0.1:2/", "-n", "0"}, "--requests 0 asks for nothing"},
		{[]string{"bench", "compare", "http://127.0.0.1:1/", "http://127.0.0.1:2/", "-t", "0"}, "--duration 0 asks for nothing"},
		{[]string{"bench", "compare", "http://127.0.0.1:1/", "http://127.0.0.1:2/", "--warmup", "-1s"}, "use seconds"},
		{[]string{"bench", "compare", "http://127.0.0.1:1/", "http://127.0.0.1:2/", "--chart", "/does/not/exist/c.svg"}, "write /does/not/exist/c.svg: "},
		{[]string{"bench", "compare", "http://127.0.0.1:1/", "http://127.0.0.1:2/", "-o", "xml"}, "use table, json, yaml, csv, html"},
		{[]string{"context", "use", "x"}, "no context \"x\""},
	} {
		code, out, errs := run(t, map[string]string{"XDG_CONFIG_HOME": t.TempDir(), "SARN_RUN_DIR": t.TempDir()}, c.args...)
		if code != exitUsage || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("sarn %s: code %d, out %q, err %q; want 2 and %q", strings.Join(c.args, " "), code, out, errs, c.want)
		}
	}
}

// A bad flag is told before anything is made.
func TestBadServerLeavesNothing(t *testing.T) {
	for _, args := range [][]string{
		{"--listen", "127.0.0.1:0", "--tls-cert", "nope", "--tls-key", "nope", "--tls-ca", "nope"},
		{"--listen", "127.0.0.1:0", "--tls-cert", "nope"},
		{"--listen", "127.0.0.1:99999"},
		{"--listen", "unix:///" + strings.Repeat("x", 120)},
		{"--server", "unix:///x"},
	} {
		data := filepath.Join(t.TempDir(), "data")
		code, _, errs := run(t, nil, append([]string{"server", "--data-dir", data}, args...)...)
		if _, err := os.Stat(data); code != exitUsage || !os.IsNotExist(err) || strings.Count(errs, "\n") != 1 {
			t.Errorf("sarn server %s: code %d, %q; the data directory: %v", strings.Join(args, " "), code, errs, err)
		}
	}
}

func TestUnreadableFilesAreUsage(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	code, _, errs := run(t, nil, "apply", "-f", dir)
	if code != exitUsage || !strings.Contains(errs, "a.yaml: no such file") {
		t.Errorf("code %d, %q; want %d", code, errs, exitUsage)
	}
}

// What listens and does not get to its answer is no controller that can be reached.
func TestNoAnswerIsUnreachable(t *testing.T) {
	for want, answer := range map[string]http.HandlerFunc{
		"no controller answers at": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"is stopping (--server": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"type":"`+api.Stopping+`","detail":"the controller is stopping"}`)
		},
	} {
		for _, args := range [][]string{{"status"}, {"status", "--wait"}, {"port", "delete", "vm1"}} {
			s := httptest.NewServer(answer)
			code, _, errs := run(t, nil, append(args, "--server", s.URL)...)
			s.Close()
			if code != exitUnreachable || !strings.Contains(errs, want) {
				t.Errorf("sarn %s: code %d, %q; want %d and %q", strings.Join(args, " "), code, errs, exitUnreachable, want)
			}
		}
	}
}

// A wait says for whom, once in the same words.
func TestWaitSaysForWhom(t *testing.T) {
	late := &api.NodeStatus{Node: "host2", Role: "host", Connected: true, Wanted: 7, Error: "no nft"}
	said := 0
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if said++; said == 4 {
			interrupt()
			<-r.Context().Done()
			return
		}
		late.Error = []string{"", "no nft", "no nft", "no ip"}[said]
		w.WriteHeader(http.StatusGatewayTimeout)
		json.NewEncoder(w).Encode(map[string]any{"detail": "late", "statuses": []*api.NodeStatus{late}})
	}))
	defer s.Close()
	var errs bytes.Buffer
	code := Run(ctx, []string{"status", "--wait", "--server", s.URL}, State{
		Out: io.Discard, Err: &errs, Getenv: func(string) string { return "" },
	})
	if want := "waiting: host2 failed at revision 7: no nft\nwaiting: host2 failed at revision 7: no ip\ninterrupted\n"; code != exitInterrupted || errs.String() != want {
		t.Errorf("code %d, %q; want %q", code, errs.String(), want)
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
	asked := make(chan net.Conn, 1) // held open: the controller never answers
	go func() {
		conn, err := silent.Accept()
		if err != nil {
			t.Error(err)
		}
		interrupt()
		asked <- conn
	}()
	var errs bytes.Buffer
	code := Run(ctx, []string{"status", "--server", "unix://" + path}, State{
		Out: io.Discard, Err: &errs, Getenv: func(string) string { return "" },
	})
	if code != exitInterrupted || errs.String() != "interrupted\n" {
		t.Errorf("exit code %d, stderr %q; want %d", code, errs.String(), exitInterrupted)
	}
	if conn := <-asked; conn != nil {
		conn.Close()
	}
}
