package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// settling is how long packets may be lost when a fault is over: kernels look at carriers
// and ask for neighbours again when they come to it, on a busy machine later.
const settling = 5 * time.Second

// TestRouterReboots takes the router away as a reboot does: its processes, cables and
// all that its kernel held. Hosts of a VPC in direct mode do without it; what needs it
// is lost until its agent has put everything back, and no longer.
func TestRouterReboots(t *testing.T) {
	inEachMode(t, func(f fabric, mode string) {
		local, remote, outside := f.pulse("vm1", vm2), f.pulse("vm1", vm3), f.pulse("vm3", internetAddress)
		before := f.kernelState("host1")

		down := time.Now()
		line := f.kill(f.pid("agent", "router"))
		f.sh("router", `ip link set enp0s8 down; ip link set enp0s3 down; ip addr flush dev lo; ip addr add 127.0.0.1/8 dev lo
nft flush ruleset; ip route flush table all proto 83; ip rule | grep -q 'proto 83' && exit 1
for i in all enp0s8 enp0s3; do sysctl -qw net.ipv4.conf.$i.forwarding=0 net.ipv4.conf.$i.send_redirects=1; done`)
		outside.felt(down)
		// The machine's own network comes back before the agent is started.
		f.sh("router", "ip link set enp0s8 up; ip link set enp0s3 up; ip route replace default via 203.0.113.1")
		log := f.restart("router", line)
		f.eventually("the router has applied", func() bool {
			b, _ := os.ReadFile(log)
			return strings.Contains(string(b), "msg=applied")
		})
		applied := time.Now()
		outside.again()
		remote.again()
		f.inSync()
		f.lostAtMost(0, local)
		f.lostOnly(down, applied.Add(settling), outside)
		if mode == "direct" {
			f.lostAtMost(0, remote)
		} else {
			f.lostOnly(down, applied.Add(settling), remote)
		}
		if after := f.kernelState("host1"); after != before {
			t.Errorf("host1 has changed with the router from\n%s\nto\n%s", before, after)
		}
		f.sarn("lab", "ping-all", "--timeout", "30s")
	})
}

// cut takes a machine's cable out at the switch; the returned function puts it back.
func (f fabric) cut(machine string) (back func()) {
	f.Helper()
	index := strings.TrimSpace(f.sh(machine, "cat /sys/class/net/enp0s8/iflink"))
	end := strings.TrimSpace(f.sh("lan", "ip -o link | sed -n 's/^"+index+": \\([^@:]*\\).*/\\1/p'"))
	f.sh("lan", "ip link set "+end+" down")
	return func() { f.sh("lan", "ip link set "+end+" up") }
}

// TestCableOutAndBack cuts host1 off from the others. Its agent stays in touch with the
// controller at first and has nothing to do, then it does not learn of what is changed,
// then it is dead while more changes; each time it comes to hold what is true now.
func TestCableOutAndBack(t *testing.T) {
	inEachMode(t, func(f fabric, _ string) {
		f.apply(`{kind: Port, name: gone1, subnet: net2, node: host1, address: 10.10.20.81}
---
{kind: Port, name: gone2, subnet: net2, node: host1, address: 10.10.20.82}
---
{kind: Port, name: away1, subnet: net2, node: host1, address: 10.10.20.83}
---
{kind: Port, name: away2, subnet: net2, node: host1, address: 10.10.20.84}`)
		here, there := f.pulse("vm1", vm2), f.pulse("vm3", vm4)
		between, outside := f.pulse("vm1", vm3), f.pulse("vm1", internetAddress)
		before := f.kernelState("host1")

		out := time.Now()
		back := f.cut("host1")
		f.eventually("the host has seen it", func() bool { return strings.Contains(f.sh("host1", "ip link show enp0s8"), "NO-CARRIER") })
		f.quiet()
		if now := f.kernelState("host1"); strings.ReplaceAll(now, " linkdown", "") != before {
			t.Errorf("without its cable host1 went from\n%s\nto\n%s", before, now)
		}
		resume := f.pause("host1")
		f.sarn("port", "delete", "gone1")
		f.sarn("port", "create", "new1", "--subnet", "net2", "--node", "host1", "--address", "10.10.20.91")
		f.sarn("port", "move", "away1", "--to", "host2")
		back()
		in := time.Now()
		between.again()
		outside.again()
		resume()
		f.arrived()
		f.isOn("host2", "away1", "10.10.20.83")
		f.isOn("host1", "new1", "10.10.20.91")
		if left := f.tracesOf("host1", "gone1", "10.10.20.81"); left != "" {
			t.Errorf("host1 still holds of gone1\n%s", left)
		}
		f.lostAtMost(0, here, there)
		f.lostOnly(out, in.Add(settling), between, outside)
		f.cutOffAndDead()
	})
}

// cutOffAndDead has host1's agent die when its cable is out, and start again when it is
// back and the world has changed.
func (f fabric) cutOffAndDead() {
	f.Helper()
	pulses := []*pulse{f.pulse("vm1", vm2), f.pulse("vm3", vm4), f.pulse("vm4", internetAddress)}
	back := f.cut("host1")
	line := f.kill(f.pid("agent", "host1"))
	f.sarn("port", "delete", "gone2")
	f.sarn("port", "create", "new2", "--subnet", "net2", "--node", "host1", "--address", "10.10.20.92")
	f.sarn("port", "move", "away2", "--to", "host2", "--wait=false")
	f.eventually("the port has moved without its old host", func() bool {
		return !strings.Contains(f.sarn("port", "get", "away2", "-o", "json"), `"move"`)
	})
	f.sh("vm3", "ping -c 1 -W 30 10.10.20.84")
	if f.tracesOf("host1", "gone2", "10.10.20.82") == "" || f.tracesOf("host1", "away2", "10.10.20.84") == "" {
		f.Error("host1 has changed though its agent is dead")
	}
	back()
	f.restart("host1", line)
	f.arrived()
	f.isOn("host2", "away2", "10.10.20.84")
	f.isOn("host1", "new2", "10.10.20.92")
	if left := f.tracesOf("host1", "gone2", "10.10.20.82"); left != "" {
		f.Errorf("host1 still holds of gone2\n%s", left)
	}
	f.lostAtMost(0, pulses...)
}

// TestUnderlayDown takes a host's own interface down, with which the kernel drops every
// route over it, and up again: they come back by themselves.
func TestUnderlayDown(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	before := f.kernelState("host1")
	here, between := f.pulse("vm1", vm2), f.pulse("vm1", vm3)
	f.sh("host1", "ip link set enp0s8 down")
	f.eventually("it is said", func() bool {
		out, _ := f.try("status")
		return strings.Contains(out, "enp0s8") || strings.Contains(out, "no interface that is up")
	})
	f.sh("host1", "ip link set enp0s8 up")
	between.again()
	f.eventually("all is as before", func() bool { return f.kernelState("host1") == before })
	f.inSync()
	f.lostAtMost(0, here)
}
