package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sarn/internal/kernel"
)

// finding is what `sarn doctor -o json` prints of one.
type finding struct {
	Check, Status, Cause string
	Cure                 []string
}

// doctor runs `sarn doctor` in a machine and returns what it finds wrong, as "check"
// for problems and "check?" for warnings. Its exit code must agree.
func (f fabric) doctor(machine string, args ...string) (wrong []string, all []finding) {
	f.Helper()
	cmd := f.program(append([]string{"lab", "exec", machine, "--", program, "doctor", "-o", "json"}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if jsonErr := json.Unmarshal(out, &all); jsonErr != nil {
		f.Fatalf("sarn doctor in %s: %v, %v\n%s%s", machine, err, jsonErr, out, said.String())
	}
	code := cmd.ProcessState.ExitCode()
	want := 0
	for _, x := range all {
		switch x.Status {
		case "problem":
			want = 5
			wrong = append(wrong, x.Check)
		case "warning":
			wrong = append(wrong, x.Check+"?")
		}
		if (x.Status == "problem" || x.Status == "warning") && (x.Cause == "" || len(x.Cure) == 0) {
			f.Errorf("no cause or no cure: %+v", x)
		}
	}
	if code != want {
		f.Errorf("sarn doctor in %s: exit code %d, want %d\n%s", machine, code, want, out)
	}
	slices.Sort(wrong)
	return slices.Compact(wrong), all
}

// finds says that doctor finds the checks wrong and no others, and returns the cures.
func (f fabric) finds(machine string, checks ...string) (cures []string) {
	f.Helper()
	for _, x := range f.found(machine, checks...) {
		cures = append(cures, x.Cure...)
	}
	return cures
}

// found is what doctor finds: the checks, and no others. Neighbours have a second to
// answer it, which they miss on a machine that stalls, so it may look again.
func (f fabric) found(machine string, checks ...string) []finding {
	f.Helper()
	var wrong []string
	var all []finding
	slices.Sort(checks)
	if !f.poll(30*time.Second, func() bool { wrong, all = f.doctor(machine); return slices.Equal(wrong, checks) }) {
		f.Fatalf("doctor in %s finds %v wrong, want %v\n%+v", machine, wrong, checks, sick(all))
	}
	return sick(all)
}

func sick(all []finding) []finding {
	return slices.DeleteFunc(slices.Clone(all), func(x finding) bool { return x.Status == "ok" || x.Status == "skipped" })
}

// cure types what doctor says.
func (f fabric) cure(machine string, lines []string) {
	f.Helper()
	address := "unix://" + filepath.Join(runDir, "labs", f.name, "api.sock")
	script := "set -e\nexport PATH=" + filepath.Dir(program) + ":$PATH SARN_SERVER=" + address + "\n" + strings.Join(lines, "\n")
	f.sh(machine, script)
}

// pause stops a machine's agent from mending anything, until the returned function is
// called. The controller does not notice.
func (f fabric) pause(machine string) (resume func()) {
	f.Helper()
	pid := f.pid("agent", machine)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		f.Fatal(err)
	}
	resume = func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	f.Cleanup(resume)
	return resume
}

// TestDoctorIsContent has doctor look at nodes that are well.
func TestDoctorIsContent(t *testing.T) {
	for _, example := range []string{"two-hosts.yaml", "three-vpcs.yaml", "one-host.yaml"} {
		t.Run(strings.TrimSuffix(example, ".yaml"), func(t *testing.T) {
			f := up(t, example)
			for line := range strings.Lines(f.sarn("node", "list", "--no-headers")) {
				f.finds(strings.Fields(line)[0])
			}
			port := strings.Fields(f.sarn("port", "list", "--no-headers"))[0]
			f.finds(port) // no node, and nothing is left over there
		})
	}
}

// TestDoctorFindsAndCures makes faults, has doctor find just those, types its cures and
// has it find nothing any more.
func TestDoctorFindsAndCures(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	for _, c := range []struct {
		name, node string
		faults     map[string]string // what is to be found, and what brings it about
	}{
		{"a host", "host1", map[string]string{
			"forwarding": "sysctl -qw net.ipv4.conf.enp0s8.forwarding=0",
			"rp-filter":  "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.enp0s8.rp_filter=0",
			"redirects?": "sysctl -qw net.ipv4.conf.all.send_redirects=1",
			"bridges":    "sysctl -qw net.ipv4.conf.br_net1.proxy_arp_pvlan=0 net.ipv4.neigh.br_net2.proxy_delay=80",
			"leftovers":  "ip route add 10.10.10.99 dev enp0s8 proto 83; ip rule add pref 10042 iif enp0s8 lookup 10042 protocol 83; nft add table inet sarn; ip link add br_old type bridge; ip link set br_old alias 'sarn subnet old'",
			"shadows":    "ip rule add pref 100 lookup main; ip address add 10.10.10.77/28 dev lo",
			"shadows?":   "ip route add unreachable 10.99.0.0/16 table 10000",
		}},
		{"a router", "router", map[string]string{
			"forwarding": "sysctl -qw net.ipv4.conf.enp0s3.forwarding=0",
			"redirects?": "sysctl -qw net.ipv4.conf.enp0s8.accept_redirects=1 net.ipv4.conf.all.accept_redirects=1",
			"leftovers":  "ip address add 10.10.30.1/32 dev lo label lo:sarn",
			"shadows":    "ip route add 10.10.10.64/26 dev enp0s3 metric 7",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fabric{t, f.name}
			defer f.pause(c.node)()
			var checks []string
			for check, fault := range c.faults {
				checks = append(checks, check)
				f.sh(c.node, fault)
			}
			f.cure(c.node, f.finds(c.node, checks...))
			f.finds(c.node)
		})
	}
	f.sh("vm1", "ping -c 1 -W 30 vm3 && ping -c 1 -W 30 internet")
}

// TestDoctorKnowsFilters sets up filters as other programs do, and sees packets pass
// again when doctor's cure is typed.
func TestDoctorKnowsFilters(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	docker := `
table ip filter {
	chain DOCKER-USER { counter return; }
	chain DOCKER-FORWARD { iifname "docker0" counter accept; }
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
		counter jump DOCKER-USER
		counter jump DOCKER-FORWARD
	}
}`
	refusing := `
table inet guard {
	chain lan { ip saddr 192.168.0.0/16 accept; }
	chain forward {
		type filter hook forward priority 10; policy accept;
		ct state vmap { established : accept, related : accept }
		meta l4proto tcp iifname != "wg0" jump lan
		reject with icmpx admin-prohibited
	}
}`
	for _, c := range []struct{ node, rules, table string }{
		{"host1", docker, "ip filter"},
		{"router", docker, "ip filter"},
		{"host1", refusing, "inet guard"},
	} {
		f.sh(c.node, "nft -f - <<'END'\n"+c.rules+"\nEND\n")
		// The new network namespaces of a kernel with br_netfilter have it on.
		f.sh(c.node, "sysctl -qw net.bridge.bridge-nf-call-iptables=0 || true")
		cures := f.finds(c.node, "forward-filter")
		if out := f.sh("vm1", "ping -c 1 -W 1 vm3 || true"); !strings.Contains(out, "100% packet loss") {
			t.Errorf("the filter does not do what it is for:\n%s", out)
		}
		if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); err == nil {
			f.sh(c.node, "sysctl -qw net.bridge.bridge-nf-call-iptables=1")
			cures = f.finds(c.node, "bridge-netfilter?", "forward-filter")
		}
		f.cure(c.node, cures)
		f.finds(c.node)
		f.sh("vm1", "ping -c 1 -W 30 vm3")
		f.sh(c.node, "nft delete table "+c.table)
	}
}

// TestDoctorAsksTheWire has machines on the underlay that do not fit.
func TestDoctorAsksTheWire(t *testing.T) {
	example, err := os.ReadFile("../../examples/two-hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "lab.yaml")
	stranger := "machines:\n  - name: stranger\n    interfaces:\n      - {name: eth0, network: lan, address: 192.168.56.250}\n"
	if err := os.WriteFile(file, []byte(strings.Replace(string(example), "machines:\n", stranger, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	f := upFile(t, file)

	f.sh("host2", "ip link set enp0s8 mtu 1400")
	f.finds("host1", "mtu?")
	f.cure("host2", f.finds("host2", "mtu?"))
	f.finds("host2")
	f.sh("host2", "ip link set enp0s8 mtu 1400")
	f.cure("host2", f.finds("host1", "mtu?")) // its comment says where
	f.finds("host1")

	f.sh("stranger", "ip address add 192.168.56.103/24 dev eth0")
	mac := strings.TrimSpace(f.sh("stranger", "cat /sys/class/net/eth0/address"))
	for _, node := range []string{"host1", "router"} {
		if x := f.found(node, "duplicates")[0]; !strings.Contains(x.Cause, mac) || !strings.Contains(x.Cause, "192.168.56.103") {
			t.Errorf("the cause does not name the stranger %s: %s", mac, x.Cause)
		}
	}
	f.sh("stranger", "ip address del 192.168.56.103/24 dev eth0")
	f.finds("host1")

	f.sh("lan", "ip link set to-host2 down")
	f.finds("host1", "nodes?")
	f.eventually("doctor sees that there is no carrier", func() bool { wrong, _ := f.doctor("host2"); return slices.Contains(wrong, "underlay") })
	f.sh("lan", "ip link set to-host2 up")
	f.eventually("host2 is back", func() bool { wrong, _ := f.doctor("host2"); return len(wrong) == 0 })
}

// TestDoctorChecksTheUplink gives a router uplinks that are none.
func TestDoctorChecksTheUplink(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	router := "{kind: Node, name: router, role: router, address: 192.168.56.101, interface: enp0s8"
	f.apply(router + "}")
	f.cure("router", f.finds("router", "uplink"))
	f.finds("router")
	if out := f.sarn("node", "get", "router"); !strings.Contains(out, "enp0s3") {
		t.Errorf("the cure left the node as\n%s", out)
	}
	f.sh("vm1", "ping -c 1 -W 30 internet")

	f.sh("router", "ip route del default")
	cures := f.finds("router", "uplink")
	f.cure("router", []string{strings.ReplaceAll(cures[0], "GATEWAY", "203.0.113.1")})
	f.finds("router")

	apply := f.program("apply", "-f", "-")
	apply.Stdin = strings.NewReader(router + ", uplink: nosuch}")
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	f.eventually("the agent has tried", func() bool { return strings.Contains(f.sarn("status"), "nosuch") })
	f.cure("router", f.only("router", "uplink"))
	f.finds("router")
}

// only returns the cures of one check that is a problem, beside whatever else.
func (f fabric) only(machine, check string) []string {
	f.Helper()
	_, all := f.doctor(machine)
	for _, x := range all {
		if x.Check == check && x.Status == "problem" {
			return x.Cure
		}
	}
	f.Fatalf("doctor in %s finds no problem with %s: %+v", machine, check, sick(all))
	return nil
}

// TestDoctorWithoutHelp takes the agent, the controller and nft away.
func TestDoctorWithoutHelp(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	out, code := f.try("lab", "exec", "host1", "--", "env", "PATH=/nowhere", program, "doctor")
	if code != 5 || !strings.Contains(out, "PROBLEM  nft:") {
		t.Errorf("without nft: exit code %d\n%s", code, out)
	}

	agent := f.kill(f.pid("agent", "host1"))
	f.eventually("the controller notices", func() bool { return strings.Contains(f.sarn("status"), "not connected") })
	if cures := f.finds("host1", "agent"); cures[0] != "sarn agent --node host1" {
		t.Errorf("the cure is %v", cures)
	}
	f.sh("host1", "ip route del 10.10.10.10 table 5001")
	f.finds("host1", "agent", "state")
	f.restart("host1", agent)
	f.eventually("all is well again", func() bool { wrong, _ := f.doctor("host1"); return len(wrong) == 0 })

	f.sarn("node", "create", "host9", "--role", "host", "--address", "192.168.56.109", "--interface", "enp0s8")
	if wrong, _ := f.doctor("host1", "--node", "host8"); !slices.Contains(wrong, "node?") {
		t.Errorf("of a node that there is not, doctor says %v", wrong)
	}
	f.kill(f.pid("server"))
	f.finds("host1", "controller")
	f.eventually("offline, doctor finds nothing", func() bool { wrong, _ := f.doctor("host1", "--offline"); return len(wrong) == 0 })
	if err := kernel.Enter(f.netns("host1"), func() error {
		return bounded(t, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.enp0s8.rp_filter=1").Run()
	}); err != nil {
		t.Fatal(err)
	}
	f.eventually("the agent has mended it", func() bool { wrong, _ := f.doctor("host1", "--offline"); return len(wrong) == 0 })
}
