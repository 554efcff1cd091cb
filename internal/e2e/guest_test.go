package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVirtualMachine has Debian's cloud kernel under qemu on a tap port of the large
// example: a real VM, with its own kernel's ARP and TCP/IP, reaches and is reached.
func TestVirtualMachine(t *testing.T) {
	if _, err := os.Stat(guestKernel); err != nil {
		t.Fatalf("%v; make deps fetches it", err)
	}
	t.Setenv("SARN_GUEST_KERNEL", guestKernel)
	data, err := os.ReadFile("../../examples/two-hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "machines:\n", "vms: [{name: guest, kind: qemu}]\nmachines:\n", 1) + `---
{kind: Port, name: guest, subnet: net1, node: host1, address: 10.10.10.50, attach: {type: tap}}
`
	file := filepath.Join(t.TempDir(), "guest.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := upFile(t, file)
	for _, to := range []string{vm1, vm3, "vm6", internet, gateway} {
		f.sarn("lab", "exec", "guest", "--", "ping", "-c", "1", "-W", "3", to)
	}
	for _, from := range []string{"vm2", "vm4", "vm5", "host1", "host2"} {
		f.sh(from, "ping -c 2 -W 30 guest")
	}
}
