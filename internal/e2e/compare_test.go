package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// lastPort tells the ports of one run apart.
var lastPort atomic.Uint32

// addresses returns n TCP addresses that nobody listens at. Their ports are above those
// that the kernel gives to who asks for any (ip_local_port_range), so that nobody gets
// one before it is used.
func addresses(t *testing.T, n int) (all []string) {
	t.Helper()
	const from, to = 61300, 65500
	for range to - from {
		a := fmt.Sprintf("127.0.0.1:%d", from+(uint32(os.Getpid())*97+lastPort.Add(1))%(to-from))
		l, err := net.Listen("tcp", a)
		if err != nil {
			continue
		}
		l.Close()
		if all = append(all, a); len(all) == n {
			return all
		}
	}
	t.Fatal("all ports are taken")
	return nil
}

// nginxServer is a server of a comparison: an nginx with two workers that answers with a file
// of so many bytes.
func nginxServer(t *testing.T, dir, name, address string, bytes int) string {
	t.Helper()
	conf := fmt.Sprintf(`daemon off; worker_processes 2; pid %[1]s.pid; error_log stderr;
events {}
http { access_log off; client_body_temp_path b%[1]s; proxy_temp_path b%[1]s; fastcgi_temp_path b%[1]s; uwsgi_temp_path b%[1]s; scgi_temp_path b%[1]s;
  server { listen %[2]s; location / { root www; } } }
`, name, address)
	if err := os.WriteFile(filepath.Join(dir, name+".conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`
  - name: %[1]s
    url: http://%[2]s/%[1]s
    prepare: [sh, -c, "mkdir -p $1/www && head -c %[3]d /dev/zero > $1/www/%[1]s", sh, "{tmp}"]
    command: [/usr/sbin/nginx, -p, "{tmp}/", -c, "{dir}/%[1]s.conf", -e, stderr]`, name, address, bytes)
}

// comparison writes a comparison's file.
func comparison(t *testing.T, dir, head string, servers ...string) string {
	t.Helper()
	file := filepath.Join(dir, "compare.yaml")
	if err := os.WriteFile(file, []byte(head+"\nservers:"+strings.Join(servers, "")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// compared is what a comparison prints, as far as tests look at it.
type compared struct {
	Order   [][]string `json:"order"`
	Servers []struct {
		Name     string  `json:"name"`
		Software string  `json:"software"`
		Busy     float64 `json:"server_cpus_busy"`
		Failure  string  `json:"failure"`
		Requests int     `json:"requests"`
		Rounds   []any   `json:"rounds"`
	} `json:"servers"`
	Pairs []struct {
		Faster  string `json:"faster"`
		Slower  string `json:"slower"`
		Verdict string `json:"verdict"`
		Ratio   struct {
			Value float64 `json:"value"`
		} `json:"ratio"`
	} `json:"pairs"`
	Interrupted bool `json:"interrupted"`
}

// nobodyAt fails unless the addresses become free.
func nobodyAt(t *testing.T, addresses []string) {
	t.Helper()
	for _, a := range addresses {
		end := time.Now().Add(patience)
		for {
			conn, err := net.Dial("tcp", a)
			if err != nil {
				break
			}
			conn.Close()
			if time.Now().After(end) {
				t.Fatalf("somebody still listens at %s", a)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestCompareServers(t *testing.T) {
	dir, at := t.TempDir(), addresses(t, 4)
	hello := fmt.Sprintf(`
  - name: hello
    url: http://%[1]s/
    prepare: [go, build, -o, "{tmp}/hello", sarn/examples/bench/hello]
    command: ["{tmp}/hello", "%[1]s"]
    dir: %[2]s
    expect: {body: "Hello, World!"}`, at[3], must(os.Getwd()))
	file := comparison(t, dir, "rounds: 5\nrequests: 100\nconcurrency: 4\nwarmup: 100ms\nseed: 3",
		nginxServer(t, dir, "small", at[0], 100), nginxServer(t, dir, "twin", at[1], 100), nginxServer(t, dir, "large", at[2], 2<<20), hello)
	chart, page := filepath.Join(dir, "chart.svg"), filepath.Join(dir, "report.html")
	var odd []string
	for range 4 { // the machine may be busy, which shows in rounds as short as these
		cmd := bounded(t, program, "bench", "compare", file, "-o", "json", "--chart", chart, "--report", page)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, errs.String())
		}
		nobodyAt(t, at)
		var r compared
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Order) != 5 || len(r.Servers) != 4 || len(r.Pairs) != 6 {
			t.Fatalf("%s", out)
		}
		for _, s := range r.Servers {
			// The kernel counts in ticks, of which the small answers may take none.
			if s.Requests != 500 || s.Name != "hello" && !strings.HasPrefix(s.Software, "nginx") || s.Name == "large" && s.Busy <= 0 {
				t.Errorf("%+v", s)
			}
		}
		if odd = r.odd(); len(odd) == 0 {
			break
		}
	}
	if len(odd) > 0 {
		t.Error(odd)
	}
	for _, f := range []string{chart, page} {
		if text, err := os.ReadFile(f); err != nil || !bytes.Contains(text, []byte("twin")) {
			t.Errorf("%s: %v, %.60q", f, err, text)
		}
	}
}

// odd lists what small, twin, hello and large should not show.
func (r *compared) odd() (odd []string) {
	if last := r.Servers[3].Name; last != "large" {
		odd = append(odd, last+" is the slowest")
	}
	for _, p := range r.Pairs {
		twins := p.Faster+p.Slower == "smalltwin" || p.Faster+p.Slower == "twinsmall"
		// The large answers are work for the client too.
		shown := p.Verdict == "faster" || p.Verdict == "at-least" || p.Verdict == "client-limited" && p.Ratio.Value > 3
		if p.Slower == "large" && !shown || twins && p.Ratio.Value > 3 {
			odd = append(odd, fmt.Sprintf("%+v", p))
		}
	}
	return odd
}

func must(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

// running starts a comparison and returns when a line with the word stands on its
// standard error.
func running(t *testing.T, word, file string) (cmd *exec.Cmd, out *bytes.Buffer, rest func() string) {
	t.Helper()
	cmd, out = bounded(t, program, "bench", "compare", file, "-o", "json"), &bytes.Buffer{}
	cmd.Stdout = out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewReader(pipe)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it ended before %q: %v", word, cmd.Wait())
		}
		if strings.Contains(line, word) {
			break
		}
	}
	return cmd, out, func() string {
		text, _ := io.ReadAll(lines)
		return string(text)
	}
}

func TestCompareIsInterrupted(t *testing.T) {
	dir, at := t.TempDir(), addresses(t, 2)
	file := comparison(t, dir, "rounds: 1000\nrequests: 300\nwarmup: 0s", nginxServer(t, dir, "a", at[0], 100), nginxServer(t, dir, "b", at[1], 100))
	cmd, out, rest := running(t, "round 3 of 1000", file)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	said := rest()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 || !strings.HasSuffix(said, "interrupted\n") {
		t.Errorf("%v, and it said %q", err, said)
	}
	nobodyAt(t, at)
	var r compared
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || len(r.Order) < 2 || len(r.Order) > 999 || len(r.Servers[0].Rounds) != len(r.Order) || len(r.Servers[1].Rounds) != len(r.Order) {
		t.Errorf("%s", out)
	}
}

// A comparison that is killed cannot stop its servers; the kernel tells them to.
func TestCompareIsKilled(t *testing.T) {
	dir, at := t.TempDir(), addresses(t, 2)
	tmp := must(os.MkdirTemp("", "sarn-e2e-")) // nobody else clears up behind it
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // nginx reads there as somebody else
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", tmp)
	file := comparison(t, dir, "rounds: 1000\nrequests: 300\nwarmup: 0s", nginxServer(t, dir, "a", at[0], 100), nginxServer(t, dir, "b", at[1], 100))
	cmd, _, rest := running(t, "round 2 of 1000", file)
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	rest()
	_ = cmd.Wait()
	nobodyAt(t, at)
}

// An nginx that nobody told to stay goes into the background, leaves its session and
// overwrites its environment. It is not left there.
func TestCompareServerInTheBackground(t *testing.T) {
	dir, at := t.TempDir(), addresses(t, 1)
	server := nginxServer(t, dir, "a", at[0], 100)
	conf := filepath.Join(dir, "a.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, bytes.Replace(text, []byte("daemon off; "), nil, 1), 0o644); err != nil {
		t.Fatal(err)
	}
	said, err := bounded(t, program, "bench", "compare", comparison(t, dir, "", server)).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(said), "it ended (exit status 0); one that goes into the background must be told to stay") {
		t.Errorf("%v: %s", err, said)
	}
	nobodyAt(t, at)
}

// mortal is a server that ends at its 250th request.
const mortal = `package main

import (
	"io"
	"net/http"
	"os"
	"sync/atomic"
)

func main() {
	var served atomic.Int32
	panic(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) == 250 {
			os.Exit(7)
		}
		io.WriteString(w, "still here")
	})))
}
`

func TestComparedServerDies(t *testing.T) {
	dir, at := t.TempDir(), addresses(t, 2)
	source := filepath.Join(dir, "bad.go")
	if err := os.WriteFile(source, []byte(mortal), 0o644); err != nil {
		t.Fatal(err)
	}
	bad := fmt.Sprintf(`
  - name: bad
    url: http://%[1]s/
    prepare: [go, build, -o, "{tmp}/bad", %[2]s]
    command: ["{tmp}/bad", "%[1]s"]`, at[1], source)
	file := comparison(t, dir, "rounds: 4\nrequests: 100\nwarmup: 0s", nginxServer(t, dir, "good", at[0], 100), bad)
	cmd := bounded(t, program, "bench", "compare", file, "-o", "json")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(errs.String(), "sarn: bad dropped out: in round ") {
		t.Errorf("%v: %s", err, errs.String())
	}
	nobodyAt(t, at)
	var r compared
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Servers {
		if s.Name == "good" && len(s.Rounds) != 4 || s.Name == "bad" && (len(s.Rounds) != 2 || !strings.Contains(s.Failure, "it ended (exit status 7)")) {
			t.Errorf("%+v", s)
		}
	}
}
