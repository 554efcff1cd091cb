package e2e

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sarn/internal/monitor/sample"
)

// What the old kernel runs: a MiB goes from one nc to the other while sarn looks, three
// times at most. In /proc/net/tcp6, 0A is who listens.
const oldInit = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
ip link set lo up
mkfifo /go
sleep 1000 | nc -l -p 9 > /dev/null &
until cat /proc/net/tcp* | grep -q ':0009 .* 0A '; do usleep 10000; done
{ read x < /go; { dd if=/dev/zero bs=64k count=16 2> /dev/null; sleep 1000; } | nc 127.0.0.1 9; } &
echo BEGIN
/sarn top --once --count 4 --interval 2s -o json | { read -r before; echo > /go; cat; }
echo END
poweroff -f
`

// TestTopOnOldKernel has the monitor on the kernel that Debian 12 has, whose structures are
// others than those of today, in a virtual machine: BPF reads its processes too, and counts
// what they send.
func TestTopOnOldKernel(t *testing.T) {
	kernels, err := filepath.Glob(filepath.Join(guestKernel, "boot/vmlinuz-*"))
	if err != nil || len(kernels) == 0 {
		t.Fatalf("no kernel in %s; make deps fetches it", guestKernel)
	}
	tree := t.TempDir()
	for _, dir := range []string{"bin", "proc", "sys", "dev", "tmp"} {
		if err := os.Mkdir(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, busybox, filepath.Join(tree, "bin/busybox"))
	copyFile(t, program, filepath.Join(tree, "sarn"))
	if err := os.WriteFile(filepath.Join(tree, "init"), []byte(oldInit), 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "initramfs")
	if out, err := bounded(t, "sh", "-c", "cd "+tree+" && find . | busybox cpio -o -H newc > "+archive).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := bounded(t, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-nographic", "-no-reboot", "-net", "none",
		"-kernel", kernels[0], "-initrd", archive, "-append", "console=ttyS0 quiet loglevel=1 panic=-1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, text, _ := strings.Cut(string(out), "BEGIN")
	text, _, _ = strings.Cut(text, "END")
	var s sample.Sample
	var rx, tx float64
	samples := json.NewDecoder(strings.NewReader(text))
	for range 3 {
		s = sample.Sample{}
		if err := samples.Decode(&s); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, p := range s.Processes {
			if p.Name == "nc" {
				rx, tx = rx+p.RxBytes*s.Interval, tx+p.TxBytes*s.Interval
			}
		}
	}
	if s.Host.Reader != "bpf" || len(s.Missing) > 1 || len(s.Missing) == 1 && s.Missing[0].What != "pressure" {
		t.Errorf("%+v, missing %+v", s.Host, s.Missing)
	}
	if math.Abs(rx-1<<20) > 1 || math.Abs(tx-1<<20) > 1 {
		t.Errorf("%d bytes went from one process to another, seen %.0f received and %.0f sent: %+v", 1<<20, rx, tx, s.Processes)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
}
