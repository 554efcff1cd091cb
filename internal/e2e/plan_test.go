package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestAgentsDoWhatIsPlanned compares what `sarn plan` says of changes with what the
// agents then write into their logs, and tells that they wrote it.
func TestAgentsDoWhatIsPlanned(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	logs := map[string]string{}
	for _, node := range []string{"host1", "host2", "router"} {
		args := f.kill(f.pid("agent", node))
		logs[node] = f.restart(node, append(args, "--log-level", "debug"))
	}
	f.inSync()
	for _, change := range []struct {
		what  string
		flags []string
	}{
		{"a port more", []string{"-f", f.file(`
kind: Port
name: vm9
subnet: net1
node: host2
address: 10.10.10.99
`)}},
		{"a tap more", []string{"-f", f.file("{kind: Port, name: vm8, subnet: net2, node: host1, attach: {type: tap}}")}},
		{"a port less", []string{"--delete", "port/vm4"}},
		{"a subnet more", []string{"-f", f.file("{kind: Subnet, name: net3, vpc: main, cidr: 10.10.30.0/24, nat: true}")}},
	} {
		what, flags := change.what, change.flags
		before := map[string]int{}
		for node, log := range logs {
			before[node] = len(f.read(log))
		}
		var plan struct {
			Nodes []struct {
				Node     string
				InSync   bool
				Commands []string
			}
		}
		if err := json.Unmarshal([]byte(f.sarn(append([]string{"plan", "-o", "json"}, flags...)...)), &plan); err != nil {
			t.Fatal(err)
		}
		if len(plan.Nodes) == 0 {
			t.Errorf("%s: nothing is planned", what)
		}
		planned := map[string][]string{}
		for _, n := range plan.Nodes {
			if planned[n.Node] = n.Commands; !n.InSync {
				t.Errorf("%s: %s is not in sync", what, n.Node)
			}
		}
		if flags[0] == "-f" {
			f.sarn("apply", "-f", flags[1], "--wait")
		} else {
			f.sarn("port", "delete", "vm4", "--wait")
		}
		for node, log := range logs {
			done := applied(f.read(log)[before[node]:])
			want := slices.Clone(planned[node])
			slices.Sort(want)
			slices.Sort(done)
			if !slices.Equal(done, want) {
				t.Errorf("%s: %s did\n%s\nplanned was\n%s", what, node, strings.Join(done, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestPlansCanBePasted types what is planned for a host whose agent is away, in its
// order: when the agent is back it finds nothing to do.
func TestPlansCanBePasted(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	agent := f.kill(f.pid("agent", "host1"))
	f.eventually("host1's agent is missed", func() bool { return strings.Contains(f.sarn("status"), "not connected") })
	tap := f.file("{kind: Port, name: vm8, subnet: net2, node: host1, attach: {type: tap, owner: 64055}}")
	_, mine, _ := strings.Cut(f.sarn("plan", "-f", tap), "\nhost1: ")
	mine, _, _ = strings.Cut(mine, "\n\n")
	head, commands, _ := strings.Cut(mine, "\n")
	if !strings.Contains(head, "its agent is not connected") || strings.Count(commands, "\n") < 15 {
		t.Fatalf("planned is:\n%s", mine)
	}
	f.sh("host1", "set -e\n"+commands)
	f.sarn("apply", "-f", tap)
	log := f.restart("host1", append(agent, "--log-level", "debug"))
	f.sarn("status", "--wait")
	if done := applied(f.read(log)); len(done) > 0 {
		t.Errorf("the agent still had to\n%s", strings.Join(done, "\n"))
	}
}

var command = regexp.MustCompile(`msg=apply .*command=(".*"|\S+)`)

// applied returns the commands in an agent's debug log.
func applied(log string) (all []string) {
	for _, m := range command.FindAllStringSubmatch(log, -1) {
		c, err := strconv.Unquote(m[1])
		if err != nil {
			c = m[1]
		}
		all = append(all, c)
	}
	return all
}

// file writes text into a file and returns its path.
func (f fabric) file(text string) string {
	f.Helper()
	path := filepath.Join(f.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.Fatal(err)
	}
	return path
}

func (f fabric) read(path string) string {
	f.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}
