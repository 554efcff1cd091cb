package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk puts the controller's data on a small disk of its own, and starts it again
// there. It returns where that is mounted, and the controller's command line.
func (f fabric) smallDisk() (dir string, line []string) {
	f.Helper()
	line = f.kill(f.pid("server"))
	dir = filepath.Join(runDir, "labs", f.name, "data")
	aside := dir + ".aside"
	if err := os.Rename(dir, aside); err != nil {
		f.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=260m"); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			f.Errorf("unmount the small disk: %v", err)
		}
	})
	// etcd takes the room for its log beforehand, but not that for its database.
	copies := "cp -a --sparse=always $0/. $1 && cp -a --sparse=never $0/member/wal $1/member/"
	if out, err := bounded(f, "sh", "-c", copies, aside, dir).CombinedOutput(); err != nil {
		f.Fatalf("copy the store: %v\n%s", err, out)
	}
	f.restart("", line)
	return dir, line
}

// fill takes what room a disk has left.
func (f fabric) fill(dir string) (free func()) {
	f.Helper()
	path := filepath.Join(dir, "filler")
	file, err := os.Create(path)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	for _, size := range []int{1 << 20, 1 << 12} {
		for block := make([]byte, size); err == nil; {
			_, err = file.Write(block)
		}
		err = nil
	}
	return func() {
		if err := os.Remove(path); err != nil {
			f.Fatal(err)
		}
	}
}

// TestDiskFull fills the controller's disk. Packets and agents do not mind, who wants a
// change is told why there is none, and when there is room again changes are made.
func TestDiskFull(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	dir, line := f.smallDisk()
	f.inSync()
	pulses := []*pulse{f.pulse("vm1", vm2), f.pulse("vm1", vm3), f.pulse("vm1", internetAddress)}
	f.apply("{kind: Port, name: vm7, subnet: net2, node: host1}")
	before := f.sarn("port", "list", "-o", "json")
	free := f.fill(dir)
	refused := func() {
		t.Helper()
		for _, change := range [][]string{
			{"port", "create", "vm8", "--subnet", "net2", "--node", "host1"},
			{"port", "delete", "vm7"},
			{"port", "move", "vm5", "--to", "host2", "--wait"},
			{"vpc", "mode", "main", "direct", "--wait"},
		} {
			if out, code := f.try(change...); code == 0 || !strings.Contains(out, "the disk is full") || !strings.Contains(out, "make room") {
				t.Errorf("on a full disk %v has exit code %d and says\n%s", change, code, out)
			}
		}
		if now := f.sarn("port", "list", "-o", "json"); now != before {
			t.Errorf("the ports have changed from\n%s\nto\n%s", before, now)
		}
	}
	refused()
	// Agents go on: they heal, and say so.
	repairs := f.repairs("host1")
	f.sh("host1", "ip route del "+vm1+" table 5001")
	f.eventually("healed", func() bool { return f.repairs("host1") > repairs })
	f.inSync()
	// A controller that starts on the full disk does as much.
	f.kill(f.pid("server"))
	f.restart("", line)
	f.inSync()
	refused()

	free()
	f.apply("{kind: Port, name: vm8, subnet: net2, node: host1}")
	f.sh("vm8", "ping -c 1 -W 30 "+vm3)
	f.sarn("port", "delete", "vm7", "--wait")
	f.lostAtMost(0, pulses...)
}
