package e2e

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sarn/internal/kernel"
)

// TestVirtualMachine boots Debian's cloud kernel under qemu on a tap port: a real
// VM, with its own kernel's ARP and TCP/IP, reaches and is reached.
func TestVirtualMachine(t *testing.T) {
	image, err := filepath.Abs("../../.cache/guest")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "../../scripts/guest.sh", image).CombinedOutput(); err != nil {
		t.Fatalf("make the guest's image: %v\n%s", err, out)
	}
	f := up(t, "two-hosts.yaml")
	f.apply("{kind: Port, name: guest, subnet: net1, node: host1, address: 10.10.10.50, attach: {type: tap}}")

	cmd := exec.Command("qemu-system-x86_64", "-accel", "tcg", "-m", "192", "-display", "none", "-serial", "stdio", "-monitor", "none",
		"-no-reboot", "-kernel", filepath.Join(image, "vmlinuz"), "-initrd", filepath.Join(image, "initrd.gz"),
		"-append", "console=ttyS0 quiet panic=-1 addr=10.10.10.50/24 gw=10.10.10.1 try=10.10.10.10,10.10.10.12,10.10.20.4,203.0.113.1,10.10.10.1",
		"-netdev", "tap,id=n,ifname=vp_guest,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=n,mac=0a:5a:0a:0a:0a:32")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	console, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := kernel.Enter(f.netns("host1"), cmd.Start); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	stop := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer stop.Stop()

	said := readUntil(console, "sarn-guest ready")
	for _, target := range []string{vm1, vm3, "10.10.20.4", internet, gateway} {
		if !strings.Contains(said, "sarn-guest "+target+" ok") {
			t.Errorf("the VM does not reach %s:\n%s", target, said)
		}
	}
	for _, from := range []string{"vm2", "vm4", "vm5", "host1", "host2"} {
		f.sh(from, "ping -c 2 -W 2 10.10.10.50")
	}
	if _, err := io.WriteString(in, "\n"); err != nil {
		t.Error(err)
	}
}

func readUntil(r io.Reader, mark string) string {
	var all strings.Builder
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), mark) {
			break
		}
	}
	return all.String()
}
