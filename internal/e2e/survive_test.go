package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pid returns the process of a lab that has the words on its command line.
func (f fabric) pid(words ...string) int {
	f.Helper()
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, l := range lines {
		b, _ := os.ReadFile(l)
		line := strings.ReplaceAll(string(b), "\x00", " ")
		if !strings.HasPrefix(line, program+" ") || !strings.Contains(line, "/labs/"+f.name+"/") {
			continue
		}
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, " "+w+" ")
		}
		if all {
			return atoi(filepath.Base(filepath.Dir(l)))
		}
	}
	f.Fatalf("no process with %v", words)
	return 0
}

// kill ends a process as a crash would, and returns its command line and when it is
// gone.
func (f fabric) kill(pid int) []string {
	f.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		f.Fatal(err)
	}
	// Its descriptor tells the end of all threads: the first may be a zombie while others
	// still hold the files and sockets that who comes next wants.
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		f.Fatal(err)
	}
	defer unix.Close(fd)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		f.Fatal(err)
	}
	f.eventually("the process is dead", func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	})
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// restart starts a killed process again, in a machine's namespace if one is named,
// and returns the file of its log.
func (f fabric) restart(machine string, args []string) string {
	f.Helper()
	log := filepath.Join(f.TempDir(), "log")
	file, err := os.Create(log)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	cmd := bounded(f, args...)
	cmd.Stdout, cmd.Stderr = file, file
	start := cmd.Start
	if machine != "" {
		start = func() (err error) {
			f.in(machine, func() error { err = cmd.Start(); return nil })
			return err
		}
	}
	if err := start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if said, _ := os.ReadFile(log); f.Failed() {
			f.Logf("%v said last:\n%s", args[:min(len(args), 4)], said[max(0, len(said)-1500):])
		}
	})
	return log
}

// TestCrashesLoseNothing kills agents and the controller under traffic. Packets go
// on; what comes back up finds all as it should be and writes nothing.
func TestCrashesLoseNothing(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	traffic := f.pulse("vm1", vm3)
	host1 := f.kill(f.pid("agent", "host1"))
	router := f.kill(f.pid("agent", "router"))
	server := f.kill(f.pid("server"))

	// The agents come back first, find no controller and leave things as they are.
	logs := []string{f.restart("host1", host1), f.restart("router", router), filepath.Join(runDir, "labs", f.name, "logs", "agent-host2.log")}
	f.eventually("the agents look for the controller", func() bool {
		for _, l := range logs {
			if b, _ := os.ReadFile(l); !strings.Contains(string(b), "not following the controller") {
				return false
			}
		}
		return true
	})
	f.restart("", server)
	f.inSync()
	traffic.again()
	f.lostAtMost(0, traffic)
	for _, l := range logs {
		b, err := os.ReadFile(l)
		if err != nil {
			t.Fatal(err)
		}
		_, after, found := strings.Cut(string(b), "not following the controller")
		if !found || strings.Contains(after, "msg=applied") {
			t.Errorf("an agent did not miss the controller, or wrote though nothing had changed:\n%s", b)
		}
	}
	f.apply("{kind: Port, name: vm9, subnet: net1, node: host1}")
	f.sh("vm9", "ping -c 1 -W 30 vm3")
}

// TestApplyTwice applies a file again: nothing changes and nobody writes.
func TestApplyTwice(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	before := f.sarn("status", "-o", "json")
	writes := strings.Count(f.log("host1"), "msg=applied")
	out := f.sarn("apply", "-f", "../../examples/two-hosts.yaml", "--wait")
	if strings.Contains(out, "created") || strings.Contains(out, "updated") || !strings.Contains(out, "unchanged") {
		t.Errorf("the second apply says\n%s", out)
	}
	wanted := regexp.MustCompile(`"wanted": ?\d+`)
	if a, b := wanted.FindAllString(before, -1), wanted.FindAllString(f.sarn("status", "-o", "json"), -1); strings.Join(a, " ") != strings.Join(b, " ") {
		t.Errorf("the wanted revisions went from %v to %v", a, b)
	}
	if after := strings.Count(f.log("host1"), "msg=applied"); after != writes {
		t.Errorf("the agent wrote %d times more", after-writes)
	}
}

// foreign are objects of other programs, and how each shows.
var foreign = []struct{ make, show, want string }{
	{"nft add table inet theirs && nft 'add chain inet theirs in { type filter hook input priority 0; }' && nft add rule inet theirs in counter", "nft list table inet theirs", "counter"},
	{"nft add table ip nat && nft 'add chain ip nat post { type nat hook postrouting priority 100; }'", "nft list table ip nat", "post"},
	{"nft add table bridge theirs", "nft list tables", "table bridge theirs"},
	{"ip route add 172.16.0.0/16 via 192.168.56.1", "ip route", "172.16.0.0/16 via 192.168.56.1"},
	{"ip route add unreachable 10.99.0.0/16 table 10000", "ip route show table 10000", "10.99.0.0/16"},
	{"ip rule add pref 10001 from 172.16.0.1 lookup 77", "ip rule", "10001:\tfrom 172.16.0.1 lookup 77"},
	{"ip link add br_theirs type bridge && ip link set br_theirs up && ip addr add 172.17.0.1/24 dev br_theirs", "ip addr show br_theirs", "172.17.0.1/24"},
	{"ip addr add 192.168.56.200/32 dev lo", "ip addr show lo", "192.168.56.200"},
	{"ip neigh add 192.168.56.250 lladdr 02:00:00:00:00:01 dev enp0s8 nud permanent", "ip neigh", "192.168.56.250"},
}

// TestForeignObjectsSurvive puts other programs' objects beside Sarn's, changes the
// fabric, and takes it all down.
func TestForeignObjectsSurvive(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	check := func(when string) {
		t.Helper()
		for _, node := range []string{"host1", "router"} {
			for _, o := range foreign {
				if got := f.sh(node, o.show); !strings.Contains(got, o.want) {
					t.Errorf("%s, %s: %s is gone:\n%s", when, node, o.want, got)
				}
			}
		}
	}
	for _, node := range []string{"host1", "router"} {
		for _, o := range foreign {
			f.sh(node, o.make)
		}
	}
	check("at first")
	f.apply("{kind: Port, name: vm9, subnet: net1, node: host1}")
	check("after a port more")
	f.sarn("port", "delete", "vm1", "vm2", "vm3", "vm4", "vm5", "vm6", "vm9", "--wait")
	f.sarn("subnet", "delete", "net1", "net2", "--wait")
	f.sarn("vpc", "delete", "main", "--wait")
	check("after the last network went")
	for what, show := range map[string]string{
		"links":  "ip -o link | grep -e vp_ -e br_net || true",
		"routes": "ip route show table all proto 83",
		"guests": "ls " + filepath.Join(runDir, "labs", f.name, "guests", "host1"),
	} {
		if got := strings.TrimSpace(f.sh("host1", show)); got != "" {
			t.Errorf("Sarn's %s are still there: %s", what, got)
		}
	}
	if got := strings.TrimSpace(f.sh("router", "ip route show table all proto 83; ip -o addr show label lo:sarn")); got != "" {
		t.Errorf("the router still holds %s", got)
	}
}

// TestDriftHeals takes things away behind the agent's back.
func TestDriftHeals(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	for _, loss := range []string{
		"ip route del 10.10.10.10 table 5001",
		"ip route flush table 10002",
		"ip route add 10.10.10.200 via 192.168.56.104 table 5001 proto 83",
		"ip rule del pref 10001",
		"ip rule del pref 5001",
		"ip link set br_net1 down",
		"ip link set vp_vm1 down",
		"ip link del vp_vm1",
		"nft delete table bridge sarn",
		"nft flush chain bridge sarn port_vm1",
		"nft flush map bridge sarn ports",
		"ip neigh flush dev br_net1 nud permanent",
		"bridge link set dev vp_vm1 isolated off",
		"ip addr del 10.10.10.2/32 dev br_net1",
		"ip link set vp_vm2 nomaster",
		"ip link set vp_vm1 down && ip link set vp_vm1 name gone",
		"sysctl -qw net.ipv4.conf.br_net1.proxy_arp=0",
		"sysctl -qw net.ipv4.conf.enp0s8.forwarding=0",
		"bridge fdb del 0a:5a:0a:0a:0a:0a dev vp_vm1 master",
		"sysctl -qw net.ipv4.conf.all.forwarding=1 && sysctl -qw net.ipv4.conf.all.forwarding=0",
		"sysctl -qw net.ipv4.neigh.br_net1.proxy_delay=80",
		"sysctl -qw net.ipv4.conf.br_net1.proxy_arp_pvlan=0",
		"sysctl -qw net.ipv4.conf.all.send_redirects=1",
		"ip link set vp_vm1 mtu 1400",
		"ip link set br_net1 down && ip link del vp_vm1 && nft delete table bridge sarn && ip rule del pref 10000 && ip rule del pref 10001",
	} {
		wanted, before := f.kernelState("host1"), f.repairs("host1")
		f.sh("host1", loss)
		f.eventually("healed of: "+loss, func() bool { return f.kernelState("host1") == wanted })
		f.eventually("counted: "+loss, func() bool { return f.repairs("host1") > before })
		f.eventually("packets pass after: "+loss, func() bool {
			_, code := f.try("lab", "exec", "vm1", "--", "sh", "-c", "ping -c 1 -W 1 vm3 && ping -c 1 -W 1 vm2 && ping -c 1 -W 1 vm5")
			return code == 0
		})
	}
}

// TestATenantHoldsUpNobody has a tenant who spoils the inside of a port's namespace
// while other ports come and go on the same host.
func TestATenantHoldsUpNobody(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	f.sh("vm1", "ip route replace default via 10.10.10.2; ip link set eth0 alias mine; ip link add dev spare type bridge")
	f.apply("{kind: Port, name: vm7, subnet: net1, node: host1}")
	f.sh("vm7", "ping -c 1 -W 30 vm3")
	f.sarn("port", "delete", "vm7", "--wait")
	if got := f.sh("host1", "ip -br link"); strings.Contains(got, "vp_vm7") {
		t.Errorf("the deleted port is still there:\n%s", got)
	}
	if got := f.sh("vm1", "ip route show default; ip link show eth0"); !strings.Contains(got, "via "+gateway) || !strings.Contains(got, "alias sarn port vm1") {
		t.Errorf("the tenant's own is as he left it:\n%s", got)
	}
}

// kernelState is all that Sarn has put into a host, in words that do not change
// when an object is made anew.
func (f fabric) kernelState(host string) string {
	return f.sh(host, `ip -o link | sed 's/^[0-9]*: //; s/@[^ ]*//; s/link\/ether [^ ]*//; s/link-netns.*//; s/qlen.*//' | grep -e br_ -e vp_ -e gone | sort
ip -o addr show dev br_net1 | sed 's/^[0-9]*: //'; ip -o addr show dev br_net2 | sed 's/^[0-9]*: //'
ip rule | sort; ip route show table all proto 83 | sort
ip neigh show nud permanent | sort; bridge fdb show | grep -o '0a:5a.* dev vp_[a-z0-9]*' | sort; bridge -d link show | grep -o -e 'vp_[a-z0-9]*' -e 'isolated on' -e 'learning off' | sort
nft -s list ruleset | sort
sysctl net.ipv4.conf.br_net1.proxy_arp net.ipv4.conf.enp0s8.forwarding net.ipv4.conf.br_net1.forwarding \
	net.ipv4.neigh.br_net1.proxy_delay net.ipv4.conf.br_net1.proxy_arp_pvlan net.ipv4.conf.all.send_redirects 2>&1`)
}

// repairs is how many commands a node's agent says it took to undo what others did.
func (f fabric) repairs(node string) int64 {
	f.Helper()
	var nodes []struct {
		Node    string
		Repairs int64
	}
	if err := json.Unmarshal([]byte(f.sarn("status", "-o", "json")), &nodes); err != nil {
		f.Fatal(err)
	}
	for _, n := range nodes {
		if n.Node == node {
			return n.Repairs
		}
	}
	f.Fatalf("no status of %s", node)
	return 0
}
