package e2e

import (
	"strings"
	"testing"
	"time"
)

// public lets the internet open connections to a subnet: no NAT, and a way back.
func (f fabric) public(subnet, cidr string) {
	f.Helper()
	f.apply("{kind: Subnet, name: " + subnet + ", vpc: main, cidr: " + cidr + ", nat: false}")
	f.sh("internet", "ip route add "+cidr+" via 203.0.113.2")
}

// TestSwitchingModesLosesNothing goes to direct mode and back under traffic, and looks
// at the way that packets take.
func TestSwitchingModesLosesNothing(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	f.public("net2", "10.10.20.0/24")
	hops := func(mode string, want int) {
		t.Helper()
		var path string
		if !f.poll(30*time.Second, func() bool { // a hop may be silent: see TestHopsAsPromised
			path = f.sh("vm1", "traceroute -I -n -q 1 -w 2 vm3")
			return strings.Count(path, "\n")-1 == want
		}) {
			t.Errorf("in %s mode it is not %d hops:\n%s", mode, want, path)
		}
	}
	hops("router", 4) // host, router, host, VM
	pulses := []*pulse{f.pulse("vm1", vm3), f.pulse("vm2", vm3), f.pulse("vm5", "10.10.20.4"), f.pulse("internet", "10.10.20.4")}
	for i := range 4 {
		mode, want := "direct", 3
		if i%2 == 1 {
			mode, want = "router", 4
		}
		f.sarn("vpc", "mode", "main", mode, "--wait")
		hops(mode, want)
	}
	f.lostAtMost(0, pulses...)
}

// TestDirectModeKeepsTheRouter for what it alone has: the gateway, the internet, and
// addresses that nobody holds.
func TestDirectModeKeepsTheRouter(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	f.sarn("vpc", "mode", "main", "direct", "--wait")
	f.sarn("lab", "ping-all", "--timeout", "30s")
	f.sh("vm1", "ping -c 1 -W 30 "+gateway+" && ping -c 1 -W 30 internet")
	if out, _ := f.try("lab", "exec", "vm1", "--", "ping", "-c", "1", "-W", "2", "10.10.10.99"); !strings.Contains(out, "Host Unreachable") {
		t.Errorf("nobody's address:\n%s", out)
	}
	// A route that the host has lost is the router's, until it is there again.
	f.kill(f.pid("agent", "host1"))
	f.sh("host1", "ip route del "+vm3+" table 5001")
	f.sh("vm1", "ping -c 1 -W 30 vm3")
}

// TestMoveUnderTraffic moves a port to and fro, with pulses from a VM on the
// host that it leaves, one on the host that it comes to, and the internet.
func TestMoveUnderTraffic(t *testing.T) {
	for _, mode := range []string{"router", "direct"} {
		t.Run(mode, func(t *testing.T) {
			f := up(t, "two-hosts.yaml")
			f.public("net2", "10.10.20.0/24")
			f.sarn("vpc", "mode", "main", mode, "--wait")
			pulses := []*pulse{f.pulse("vm1", vm5), f.pulse("vm3", vm5), f.pulse("internet", vm5)}
			for _, host := range []string{"host2", "host1", "host2"} {
				f.sarn("port", "move", "vm5", "--to", host, "--wait")
				if out := f.sarn("port", "get", "vm5", "-o", "json"); !strings.Contains(out, `"node": "`+host+`"`) || strings.Contains(out, `"move"`) || !strings.Contains(out, vm5) {
					t.Errorf("the port is not on %s, with its address:\n%s", host, out)
				}
			}
			f.lostAtMost(2, pulses...)
			if got := f.sh("host1", "ip -o link; ip route show table all proto 83"); strings.Contains(got, "vp_vm5") || strings.Contains(got, "10.10.20.3 dev") {
				t.Errorf("host1 still holds the port:\n%s", got)
			}
			f.sarn("lab", "ping-all", "--timeout", "30s")
		})
	}
}

// TestMoveFromAHostThatIsDown gets a port away from a host whose agent is dead.
func TestMoveFromAHostThatIsDown(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	f.kill(f.pid("agent", "host1"))
	f.sarn("port", "move", "vm1", "--to", "host2")
	f.eventually("the move is over", func() bool { return !strings.Contains(f.sarn("port", "get", "vm1", "-o", "json"), `"move"`) })
	f.sh("vm5", "ping -c 1 -W 30 vm3") // what is left on host1 works on
	f.sh("router", "ping -c 1 -W 30 "+vm1)
}

// TestToolsKnowWhereAMovingPortIs has a move that cannot go on: the port is where it was.
func TestToolsKnowWhereAMovingPortIs(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	f.kill(f.pid("agent", "host2"))
	f.sarn("port", "move", "vm1", "--to", "host2")
	f.sh("vm1", "ping -c 1 -W 30 vm2")
	f.sarn("trace", "vm1", "vm3")
	f.sarn("lab", "ping-all", "--timeout", "30s")
	if out := f.sarn("port", "list"); !strings.Contains(out, "host1 > host2") {
		t.Errorf("the list does not show the move:\n%s", out)
	}
}

// TestPortOnAnExistingInterface takes in a device that somebody else makes, whenever it
// comes, and lets it go as it was.
func TestPortOnAnExistingInterface(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	// The port waits for its device; that is no failure.
	f.apply("{kind: Port, name: vm9, subnet: net1, node: host1, address: 10.10.10.77, mac: '02:00:00:00:00:77', attach: {type: interface, interface: tap77}}")
	// A guest as somebody else would start it.
	guest := func(line string) string {
		return f.sh("host1", "nsenter --net=/proc/$(cat "+f.pidFile()+")/ns/net "+line)
	}
	f.sh("host1", `setsid unshare --net sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >`+f.pidFile())
	f.eventually("the guest is apart", func() bool {
		return f.sh("host1", "readlink /proc/self/ns/net /proc/$(cat "+f.pidFile()+")/ns/net | uniq | wc -l") == "2\n"
	})
	f.sh("host1", "ip link add tap77 type veth peer name eth0 address 02:00:00:00:00:77 netns $(cat "+f.pidFile()+")")
	t.Cleanup(func() { f.sh("host1", "kill $(cat "+f.pidFile()+")") })
	guest("sh -c 'ip addr add 10.10.10.77/24 dev eth0; ip link set eth0 up; ip route add default via 10.10.10.1'")
	f.eventually("the device is in the network", func() bool { return strings.Contains(f.sh("host1", "ip link show tap77"), "br_net1") })
	f.eventually("the guest is reached", func() bool {
		return strings.Contains(guest("sh -c 'ping -c 1 -W 1 "+vm3+" || true'"), " 0% packet loss")
	})
	f.sh("vm3", "ping -c 1 -W 30 10.10.10.77")
	f.sarn("trace", "vm9", "vm3")
	f.sarn("trace", "vm5", "vm9")
	f.sarn("lab", "ping-all", "--timeout", "30s")
	// Its packets are checked like any port's.
	guest("ip addr add 10.10.10.78/24 dev eth0")
	if out := guest("sh -c 'ping -c 1 -W 1 -I 10.10.10.78 " + vm3 + " || true'"); !strings.Contains(out, "100% packet loss") {
		t.Errorf("a forged address got through:\n%s", out)
	}
	f.sarn("port", "delete", "vm9", "--wait")
	if got := f.sh("host1", "ip link show tap77"); strings.Contains(got, "master") {
		t.Errorf("the device is still in the bridge:\n%s", got)
	}
	// One that is in somebody else's bridge stays there, and that is said.
	f.sh("host1", "ip link add theirs type bridge && ip link set tap77 master theirs")
	f.sarn("port", "create", "vm9", "--subnet", "net1", "--node", "host1", "--attach", "interface", "--interface", "tap77")
	f.eventually("it is said", func() bool {
		out, _ := f.try("status")
		return strings.Contains(out, "tap77 is in the bridge theirs")
	})
	f.sh("vm1", "ping -c 1 -W 30 vm3")
	f.sh("host1", "ip link set tap77 nomaster")
	f.sarn("status", "--wait", "--timeout", patience.String())
}

func (f fabric) pidFile() string { return runDir + "/" + f.name + ".guest" }
