package collect

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
	"sarn/internal/netnstest"
)

func machineOf(s *sample.Sample, id string) *sample.Machine {
	i := slices.IndexFunc(s.Machines, func(m sample.Machine) bool { return m.ID == id })
	if i < 0 {
		return nil
	}
	return &s.Machines[i]
}

// network makes a tap for a guest, and a disk to boot from, on which there is a loop.
func network(t *testing.T) (disk string) {
	t.Helper()
	disk = filepath.Join(t.TempDir(), "disk")
	boot := make([]byte, 512)
	copy(boot, []byte{0xeb, 0xfe}) // jmp to itself
	copy(boot[510:], []byte{0x55, 0xaa})
	if err := os.WriteFile(disk, boot, 0o600); err != nil {
		t.Fatal(err)
	}
	ip(t, "tuntap", "add", "tap7", "mode", "tap")
	ip(t, "link", "set", "tap7", "addrgenmode", "none", "up")
	ip(t, "address", "add", "10.9.9.1/24", "dev", "tap7")
	ip(t, "neighbour", "add", "10.9.9.2", "lladdr", "02:00:00:00:00:02", "dev", "tap7")
	return disk
}

// A guest as libvirt starts it: the tap is a descriptor, the command line does not name it.
func TestGuest(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		disk := network(t)
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		tap := os.NewFile(uintptr(fd), "tap7")
		defer tap.Close()
		request, err := unix.NewIfreq("tap7")
		if err != nil {
			t.Fatal(err)
		}
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("qemu-system-x86_64", "-S", "-name", "guest=web1,debug-threads=on", "-accel", "tcg", "-smp", "2,sockets=1,cores=2",
			"-m", "size=64M", "-display", "none", "-nodefaults", "-monitor", "none", "-drive", "format=raw,file="+disk, "-netdev", "tap,id=n,fd=3")
		cmd.ExtraFiles = []*os.File{tap}
		launch(t, cmd)
		c := newCollector(t, Config{})
		var m *sample.Machine
		await(t, c, func(s *sample.Sample) bool {
			m = machineOf(s, "vm/web1")
			return m != nil && len(m.VCPUs) == 2 && len(m.Interfaces) == 1
		})
		if m.Name != "web1" || m.PID != cmd.Process.Pid || m.CPUs != 2 || m.Memory != 64<<20 || m.Used == 0 || m.Interfaces[0] != "tap7" || m.RxBytes < 0 {
			t.Fatalf("machine %+v", m)
		}
		if p := mustHave(t, pass(t, c), m.PID); p.Machine != "vm/web1" {
			t.Errorf("its process is %+v", p)
		}
	})
}

// A guest under load: its virtual CPU is busy, and what the host sends, it receives.
func TestGuestUnderLoad(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		start(t, "qemu-system-x86_64", "-name", "web,,2,debug-threads=on", "-accel", "tcg", "-display", "none", "-nodefaults", "-monitor", "none",
			"-drive", "format=raw,file="+network(t), "-netdev", "tap,id=n,ifname=tap7,script=no,downscript=no")
		c := newCollector(t, Config{})
		busy := func(s *sample.Sample) bool { // an idle guest's is at 0
			m := machineOf(s, "vm/web,2")
			return m != nil && len(m.VCPUs) == 1 && m.VCPUs[0] > 0.1
		}
		await(t, c, busy)
		const count, size = 200, 1042
		pass(t, c)
		var got float64
		send(t, count)
		for end := time.Now().Add(time.Minute); got < count*size-0.5; time.Sleep(100 * time.Millisecond) {
			s := pass(t, c)
			m := machineOf(s, "vm/web,2")
			got += m.RxBytes * s.Interval
			if m.TxBytes != 0 {
				t.Errorf("the guest has sent nothing, seen %.0f bytes/s", m.TxBytes)
			}
			if time.Now().After(end) {
				t.Fatalf("%.0f bytes received by the guest, sent %d", got, count*size)
			}
		}
		if math.Abs(got-count*size) > size {
			t.Errorf("%.0f bytes received by the guest, sent %d", got, count*size)
		}
		// The process is read a little before its thread: on a busy machine some time may be
		// between, so there are a few attempts.
		for attempt := 1; ; attempt++ {
			time.Sleep(500 * time.Millisecond) // the length of a measurement
			s := pass(t, c)
			m := machineOf(s, "vm/web,2")
			if m.VCPUs[0] <= m.CPU+3*tick/s.Interval && m.CPU > 0.05 {
				break
			}
			t.Logf("its virtual CPU uses %.2f CPUs, it as a whole %.2f", m.VCPUs[0], m.CPU)
			if attempt == 20 {
				t.Fatal("a virtual CPU uses more than its machine, or the machine nothing")
			}
		}
	})
}

func await(t *testing.T, c *Collector, ok func(*sample.Sample) bool) {
	t.Helper()
	// A guest whose monitor was too slow to answer is asked again after askAfterSilence.
	for end := time.Now().Add(askAfterSilence + 90*time.Second); ; time.Sleep(50 * time.Millisecond) {
		s := pass(t, c)
		if ok(s) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("machines %+v", s.Machines)
		}
	}
}

func TestParseQEMU(t *testing.T) {
	for _, test := range []struct {
		args string
		want guest
	}{
		{"/usr/bin/qemu-system-x86_64 -name guest=web1,debug-threads=on -S -m size=2097152k,slots=2 -smp 4,maxcpus=8,sockets=8", guest{name: "web1", cpus: 4, memory: 2 << 30}},
		{"qemu-system-aarch64 --name db -m 1.5G -smp sockets=2,cores=3,threads=2 -enable-kvm", guest{name: "db", cpus: 12, memory: 1536 << 20}},
		{"/usr/libexec/qemu-kvm -uuid 1-2 -m 512", guest{name: "1-2", cpus: 1, memory: 512 << 20}},
		{"kvm -netdev tap,id=a,ifname=tap0 -netdev user,id=b,ifname=no -nic tap,ifname=tap1 -name a,,b", guest{name: "a,b", cpus: 1, memory: 128 << 20, taps: []string{"tap0", "tap1"}, user: true}},
		{"kvm -name a -qmp unix:/run/a.qmp,server=on,wait=off", guest{name: "a", cpus: 1, memory: 128 << 20, qmp: "/run/a.qmp"}},
		{"kvm -name a -qmp unix:/run/a.qmp,server=on", guest{name: "a", cpus: 1, memory: 128 << 20}},
		{"kvm -name a -chardev socket,id=q,path=/run/a,,b,server,nowait -mon chardev=q,mode=control", guest{name: "a", cpus: 1, memory: 128 << 20, qmp: "/run/a,b"}},
		{"kvm -name a -chardev socket,id=q,path=/run/a,server=on,wait=off -mon chardev=q,mode=readline", guest{name: "a", cpus: 1, memory: 128 << 20}},
		{"kvm -name a -chardev socket,id=q,fd=9,server=on,wait=off -mon chardev=q,mode=control", guest{name: "a", cpus: 1, memory: 128 << 20}},
		{"qemu-system-x86_64 -m x -smp x -name", guest{name: "", cpus: 1, memory: 0}},
	} {
		got, ok := parseQEMU(strings.ReplaceAll(test.args, " ", "\x00") + "\x00")
		if !ok || got.name != test.want.name || got.cpus != test.want.cpus || got.memory != test.want.memory || got.qmp != test.want.qmp || got.user != test.want.user || !slices.Equal(got.taps, test.want.taps) {
			t.Errorf("%s: %+v, want %+v", test.args, got, test.want)
		}
	}
	for _, args := range []string{"", "vim qemu-system-x86_64", "/usr/bin/qemu-img create"} {
		if g, ok := parseQEMU(strings.ReplaceAll(args, " ", "\x00")); ok {
			t.Errorf("%q is taken for a VM: %+v", args, g)
		}
	}
}

func TestParseCgroup(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for path, want := range map[string]string{
		"0::/system.slice/docker-" + id + ".scope": "docker/0123456789ab",
		"0::/docker/" + id + "/init.scope":         "docker/0123456789ab",
		"12:cpu:/\n4:memory:/docker/" + id:         "docker/0123456789ab",
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope/container":             "podman/0123456789ab",
		"0::/machine.slice/libpod-conmon-" + id + ".scope":                                                          "",
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" + id + ".scope": "kubernetes/0123456789ab",
		"0::/kubepods/besteffort/pod12-34/" + id:                                                                    "kubernetes/0123456789ab",
		"0::/lxc.payload.web/init.scope":                                                                            "lxc/web",
		"0::/lxc/db":                                                                                                "lxc/db",
		"0::/machine.slice/systemd-nspawn@my\\x2dbox.service/payload":                                               "systemd-nspawn/my-box",
		"0::/machine.slice/machine-qemu\\x2d1\\x2dweb1.scope/libvirt/emulator":                                      "",
		"0::/user.slice/user-0.slice/session-1.scope":                                                               "",
		"0::/docker/../../etc":                                                                                      "",
		"":                                                                                                          "",
	} {
		got := ""
		if c, ok := parseCgroup(path + "\n"); ok {
			got = c.by + "/" + c.name
		}
		if got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// A container as its engine would make it: a cgroup and processes.
func TestContainer(t *testing.T) {
	root := cgroup2("/proc")
	if root == "" {
		root = t.TempDir()
		if err := unix.Mount("none", root, "cgroup2", 0, ""); err != nil {
			t.Fatalf("mount cgroup2: %v", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	}
	id := fmt.Sprintf("%012x%052x", os.Getpid(), 0)
	group := root + "/docker-" + id + ".scope" // a name that nobody else has
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeGroup(t, group) })
	cmd := start(t, "sh", "-c", "while :; do :; done")
	if err := os.WriteFile(group+"/cgroup.procs", []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	c := newCollector(t, Config{})
	await(t, c, func(s *sample.Sample) bool {
		m := machineOf(s, "docker/"+id[:12])
		return m != nil && m.CPU > 0.1 && m.Used > 0 && m.PID == cmd.Process.Pid && m.Processes >= 1
	})
	p := mustHave(t, pass(t, c), cmd.Process.Pid)
	if p.Machine != "docker/"+id[:12] {
		t.Errorf("its process is %+v", p)
	}
}
