package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// troubledNFT starts a node's agent again with another nft before the real one. While
// there is a file of that name in the directory that is returned, nft is `held` up, is
// `slow` and takes half a second, is `broken`, or fails every other time, as often as
// there are lines in `flaky`.
func (f fabric) troubledNFT(node string) (dir string) {
	f.Helper()
	found, err := exec.LookPath("nft")
	if err != nil {
		f.Fatal(err)
	}
	dir = f.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
cd %s
while [ -e held ]; do sleep 0.05; done
[ -e slow ] && sleep 0.5
if [ -s flaky ]; then
	sed -i 1d flaky
	if [ -e odd ]; then rm odd; else touch odd broken-once; fi
fi
if [ -e broken ] || rm broken-once 2>/dev/null; then
	echo 'nft: out of luck' >&2
	exit 1
fi
exec %s "$@"
`, dir, found)
	if err := os.WriteFile(filepath.Join(dir, "nft"), []byte(script), 0o755); err != nil {
		f.Fatal(err)
	}
	line := f.kill(f.pid("agent", node))
	f.restart(node, append([]string{"/usr/bin/env", "PATH=" + dir + ":" + os.Getenv("PATH")}, line...))
	f.inSync()
	return dir
}

func (f fabric) trouble(dir, name string) (end func()) {
	f.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("1\n2\n3\n4\n"), 0o644); err != nil {
		f.Fatal(err)
	}
	return func() { os.Remove(path) }
}

// TestSlowNFT has an nft that takes long, and one that fails.
func TestSlowNFT(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	pulses := []*pulse{f.pulse("vm1", vm2), f.pulse("vm1", vm3), f.pulse("vm4", vm1), f.pulse("vm1", internetAddress)}
	dir := f.troubledNFT("host1")

	end, release := f.trouble(dir, "slow"), f.trouble(dir, "held")
	f.sarn("port", "create", "vm9", "--subnet", "net1", "--node", "host1", "--address", "10.10.10.99")
	watched := f.watchPort("vm9")
	// host2 is not held up with host1.
	f.sarn("port", "create", "vm8", "--subnet", "net1", "--node", "host2", "--address", "10.10.10.88")
	f.eventually("the port of host2 answers", func() bool {
		_, code := f.try("lab", "exec", "vm3", "--", "ping", "-c", "1", "-W", "1", "10.10.10.88")
		return code == 0
	})
	if f.tracesOf("host1", "vm9", "10.10.10.99") != "" {
		t.Error("host1 has made a port without nft")
	}
	release()
	f.sarn("status", "--wait")
	f.sh("vm9", "ping -c 1 -W 30 "+vm3)
	watched()
	end()

	end = f.trouble(dir, "broken")
	f.sarn("port", "create", "vm10", "--subnet", "net1", "--node", "host1", "--address", "10.10.10.100")
	f.eventually("it is said", func() bool {
		out, _ := f.try("status")
		return strings.Contains(out, "out of luck")
	})
	if got := f.sh("host1", "ip -br link"); strings.Contains(got, "vp_vm10") {
		t.Errorf("the port is there without its filter:\n%s", got)
	}
	f.trouble(dir, "flaky")
	end()
	f.inSync()
	f.sh("vm10", "ping -c 1 -W 30 "+vm3)
	f.lostAtMost(0, pulses...)
}

// watchPort looks at a port of host1 again and again, ten times at least, until the
// returned function is called. If its device is up, its filter is to be there.
func (f fabric) watchPort(port string) (stop func()) {
	stopped, done := make(chan struct{}), sync.WaitGroup{}
	done.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stopped:
				if n >= 10 {
					return
				}
			default:
			}
			// In this order: what is up now had its filter before.
			out, _ := f.try("lab", "exec", "host1", "--", "sh", "-c",
				"ip -br link show vp_"+port+" 2>/dev/null | grep -q -e LOWER_UP -e ,UP -e '<UP' && { nft list map bridge sarn ports; nft list chain bridge sarn port_"+port+"; echo up; }")
			if strings.Contains(out, "up\n") && (!strings.Contains(out, "vp_"+port) || !strings.Contains(out, "saddr")) {
				f.Errorf("%s is up without its filter:\n%s", port, out)
				return
			}
		}
	})
	return func() {
		close(stopped)
		done.Wait()
	}
}

// clock is the machine's clock, stepped by an offset from what it was.
type clock struct {
	f     fabric
	start unix.Timespec // on the clock that nobody can step,
	wall  unix.Timespec // and on the wall
}

func (f fabric) clock() *clock {
	f.Helper()
	c := &clock{f: f}
	for id, at := range map[int32]*unix.Timespec{unix.CLOCK_MONOTONIC: &c.start, unix.CLOCK_REALTIME: &c.wall} {
		if err := unix.ClockGettime(id, at); err != nil {
			f.Fatal(err)
		}
	}
	return c
}

// step sets the wall clock to what it would be without any step, and this much more.
func (c *clock) step(by time.Duration) {
	c.f.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		c.f.Fatal(err)
	}
	to := unix.NsecToTimespec(c.wall.Nano() + now.Nano() - c.start.Nano() + by.Nanoseconds())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &to); err != nil {
		c.f.Errorf("step the clock by %s: %v", by, err)
	}
}

// TestAloneClockSteps steps the machine's clock to and fro by a hundred seconds. Nothing
// that waits, and no packet, goes by that clock. As it is everybody's, make test runs this
// when no other test runs.
func TestAloneClockSteps(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	pulses := []*pulse{f.pulse("vm1", vm2), f.pulse("vm1", vm3), f.pulse("vm1", internetAddress)}
	c := f.clock()
	f.Cleanup(func() { c.step(0) })
	for i, by := range []time.Duration{100 * time.Second, -100 * time.Second} {
		host, port := fmt.Sprint("host", i+1), fmt.Sprint("clock", i)
		c.step(by)
		f.sarn("port", "create", port, "--subnet", "net1", "--node", host, "--wait", "--timeout", "60s")
		repairs := f.repairs("host1")
		f.sh("host1", "ip route del "+vm1+" table 5001")
		f.eventually("healed", func() bool { return f.repairs("host1") > repairs })
		out := f.sarn("status", "--wait", "--timeout", "60s")
		c.step(0)
		out += f.sarn("status", "--wait", "--timeout", "60s")
		if strings.Contains(out, "-1") || strings.Contains(out, "-9") || strings.Contains(out, " no ") {
			t.Errorf("with the clock stepped by %s, and back:\n%s", by, out)
		}
		f.sh(port, "ping -c 1 -W 30 "+vm3)
	}
	f.lostAtMost(0, pulses...)
	f.quiet()
}
