package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAgentMonitor: an agent serves its machine's monitor to admins, by the certificates
// that it has for its controller, whether that answers or not.
func TestAgentMonitor(t *testing.T) {
	dir := t.TempDir()
	sarn := func(args ...string) {
		t.Helper()
		if out, err := bounded(t, append([]string{program}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", args, err, out)
		}
	}
	file := func(name string) string { return filepath.Join(dir, "pki", name) }
	sarn("pki", "init", file(""))
	sarn("pki", "issue", "--dir", file(""), "--node", "host1", "--address", "127.0.0.1")
	sarn("pki", "issue", "--dir", file(""), "--node", "host2")
	sarn("pki", "issue", "--dir", file(""), "--admin", "ann")
	taken, err := net.Listen("tcp", addresses(t, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	agent := []string{program, "agent", "--node", "host1", "--server", "https://127.0.0.1:1", "--netns-dir", dir + "/netns",
		"--tls-ca", file("ca.crt"), "--tls-cert", file("node-host1.crt"), "--tls-key", file("node-host1.key"), "--monitor-state", dir + "/state"}
	// A port that somebody has is no reason for the agent to end.
	w := launch(t, append(agent, "--monitor", taken.Addr().String())...)
	w.eventually("it is said that the port is taken", func() bool { return strings.Contains(w.logged(), "the monitor does not run") })
	taken.Close()
	w.listens()
	if log := w.logged(); !strings.Contains(log, "the agent goes on") || strings.Count(log, "the monitor does not run") != 1 {
		t.Errorf("of the port that was taken: %s", log)
	}
	pem, err := os.ReadFile(file("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(pem)
	for who, want := range map[string]struct {
		status int
		words  string
	}{
		"admin-ann":  {http.StatusOK, `"processes":`},
		"node-host2": {http.StatusForbidden, "a node's certificate is for its agent"},
		"":           {http.StatusUnauthorized, "a client's certificate is needed"},
	} {
		// By the node's name too, which is how a fleet asks.
		conf := &tls.Config{RootCAs: trust, ServerName: "host1"}
		if who != "" {
			pair, err := tls.LoadX509KeyPair(file(who+".crt"), file(who+".key"))
			if err != nil {
				t.Fatal(err)
			}
			conf.Certificates = []tls.Certificate{pair}
		}
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
		a, err := c.Get("https://" + strings.TrimPrefix(w.at, "http://") + "/api/v1/sample")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(a.Body)
		a.Body.Close()
		c.CloseIdleConnections()
		if a.StatusCode != want.status || !strings.Contains(string(body), want.words) {
			t.Errorf("%q: %s %.200s, want %+v", who, a.Status, body, want)
		}
	}
	w.stop()

	// What is wrong with the alerts is no reason either; without certificates it is for
	// this machine alone.
	bad := filepath.Join(dir, "alerts.yaml")
	if err := os.WriteFile(bad, []byte("rules: [{name: x}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = launch(t, program, "agent", "--node", "host1", "--server", "http://127.0.0.1:1", "--netns-dir", dir+"/netns", "--monitor", "127.0.0.1:0",
		"--monitor-alerts", bad, "--monitor-state", dir+"/state")
	w.eventually("it is said what is wrong", func() bool { return strings.Contains(w.logged(), "alerts.yaml:1") })
	good := filepath.Join(dir, "good.yaml")
	if err := os.WriteFile(good, []byte("rules:\n- {name: many, of: process, value: count, careful: 1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(good, bad); err != nil { // at once, lest half of it be read
		t.Fatal(err)
	}
	w.listens()
	var alerts struct{ Rules int }
	if w.get("/api/v1/alerts", &alerts); alerts.Rules != 1 {
		t.Errorf("got %+v", alerts)
	}
	out, err := bounded(t, program, "agent", "--node", "host1", "--monitor", "10.0.0.1:61208").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--monitor: 10.0.0.1:61208 can be reached") {
		t.Errorf("without certificates: %v %s", err, out)
	}
}

// TestAgentHangup: `systemctl reload` is for the monitor's alerts. An agent that has no
// monitor, or one that cannot run, stays.
func TestAgentHangup(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("tcp", addresses(t, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, monitor := range []string{"off", taken.Addr().String()} {
		cmd := bounded(t, program, "agent", "--node", "host1", "--server", "http://127.0.0.1:1", "--netns-dir", dir+"/netns",
			"--monitor", monitor, "--monitor-state", dir+"/state")
		out, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if monitor == "off" && strings.Contains(lines.Text(), "controller") || strings.Contains(lines.Text(), "the monitor does not run") {
				break
			}
		}
		cmd.Process.Signal(syscall.SIGHUP)
		cmd.Process.Signal(syscall.SIGTERM)
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("--monitor %s: %v", monitor, err)
		}
	}
}
