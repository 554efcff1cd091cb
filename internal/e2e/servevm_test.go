package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// computer is a real virtual machine, with a disk and a network card, that does what it
// is told on its console.
type computer struct {
	*testing.T
	cmd     *exec.Cmd
	console io.Writer
	name    string
	tap     string

	mu  sync.Mutex
	out bytes.Buffer
}

var guestMAC = net.HardwareAddr{0x52, 0x54, 0, 0x73, 0x61, 0x72}

const guestInit = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for pass in 1 2 3; do for f in /lib/modules/*; do insmod "$f" 2>/dev/null; done; done
ip link set eth0 up
stty -echo
echo "guest is up"
while read -r line; do eval "$line"; done
`

// boot starts a machine by that name. Its network card is a tap that goes with it.
func boot(t *testing.T, name string) *computer {
	t.Helper()
	dir := t.TempDir()
	image, modules := guestParts(t)
	tree := filepath.Join(dir, "tree")
	sh := func(line string) {
		t.Helper()
		if out, err := bounded(t, "sh", "-ec", line).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	sh("mkdir -p " + tree + "/bin " + tree + "/dev " + tree + "/proc " + tree + "/lib/modules; cp $(command -v busybox) " + tree + "/bin/busybox; cp " + strings.Join(modules, " ") + " " + tree + "/lib/modules")
	if err := os.WriteFile(tree+"/init", []byte(guestInit), 0o755); err != nil {
		t.Fatal(err)
	}
	sh("cd " + tree + "; find . | busybox cpio -o -H newc >../initrd 2>/dev/null; truncate -s 64M ../disk")
	g := &computer{T: t, name: name, tap: fmt.Sprintf("sarnvm%d", os.Getpid()%100000)}
	// It must get its CPU however busy this machine is, or its load would not be known.
	g.cmd = bounded(t, "chrt", "-r", "1", "qemu-system-x86_64", "-name", "guest="+name+",debug-threads=on", "-accel", "tcg", "-m", "192", "-smp", "1",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", image, "-initrd", filepath.Join(dir, "initrd"),
		"-append", "console=ttyS0 quiet panic=-1",
		"-drive", "file="+filepath.Join(dir, "disk")+",format=raw,if=virtio",
		"-netdev", "tap,id=n,ifname="+g.tap+",script=no,downscript=no", "-device", "virtio-net-pci,netdev=n,romfile=,mac="+guestMAC.String())
	in, err := g.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.console = in
	g.cmd.Stdout, g.cmd.Stderr = g, g
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.cmd.Process.Kill()
		_ = g.cmd.Wait()
	})
	g.waitFor("guest is up")
	// Without an address of its own it changes nothing for the machine's other programs.
	sh("echo 1 >/proc/sys/net/ipv6/conf/" + g.tap + "/disable_ipv6 || true; ip link set " + g.tap + " up")
	return g
}

// guestParts are a kernel and the modules of its disk and network card.
func guestParts(t *testing.T) (image string, modules []string) {
	t.Helper()
	images, _ := filepath.Glob(guestKernel + "/boot/vmlinuz-*")
	if len(images) == 0 {
		t.Fatalf("no kernel in %s; make deps fetches it", guestKernel)
	}
	for _, m := range []string{"virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover", "net_failover", "virtio_net", "virtio_blk"} {
		found, _ := filepath.Glob(guestKernel + "/lib/modules/*/kernel/*/*/" + m + ".ko*")
		more, _ := filepath.Glob(guestKernel + "/lib/modules/*/kernel/*/" + m + ".ko*")
		modules = append(append(modules, found...), more...)
	}
	return images[0], modules
}

// Write is the console.
func (g *computer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.Write(p)
}

// waitFor waits for a word on the console.
func (g *computer) waitFor(word string) {
	g.Helper()
	f := fabric{T: g.T}
	said := ""
	if !f.poll(2*time.Minute, func() bool { // a machine without KVM boots slowly where others compute
		g.mu.Lock()
		defer g.mu.Unlock()
		said = g.out.String()
		return strings.Contains(said, word)
	}) {
		f.Fatalf("the guest does not say %q: %s", word, said)
	}
}

// do has the guest do something.
func (g *computer) do(line string) {
	g.Helper()
	if _, err := fmt.Fprintln(g.console, line); err != nil {
		g.Fatal(err)
	}
}

// hook is a webhook that keeps what it is told.
type hook struct {
	*httptest.Server
	mu   sync.Mutex
	told []string // event and subject
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n struct {
			Event string
			Alert struct{ Subject string }
		}
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.told = append(h.told, n.Event+" "+n.Alert.Subject)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) heard() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.told, ", ")
}

// TestMonitorServeWatchesAMachine: a real guest under load appears by its name, with the
// figures that the kernel has of it; an alert on it fires after its `for`, is told once,
// outlives a crash, and clears with hysteresis. Nobody looks on.
func TestMonitorServeWatchesAMachine(t *testing.T) {
	g := boot(t, fmt.Sprint("web", os.Getpid())) // another run has one too
	h := newHook(t)
	dir := t.TempDir()
	rules := filepath.Join(dir, "alerts.yaml")
	text := fmt.Sprintf(`
actions: [{name: hook, webhook: {url: %q}}]
rules:
- {name: busy, of: machine, value: cpu, match: {name: %q}, critical: 60%%, clear: 20%%, for: 3s, clear_for: 2s, actions: [hook]}
`, h.URL, g.name)
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := watch(t, "--state", dir, "--alerts", rules)
	g.figures(w)

	var alerts struct {
		Active []struct {
			ID, Subject  string
			Since, Fired time.Time
		}
	}
	look := func() { w.get("/api/v1/alerts", &alerts) }
	g.do("while :; do :; done &")
	w.eventually("it fires", func() bool { look(); return len(alerts.Active) == 1 })
	fired := alerts.Active[0]
	if d := fired.Fired.Sub(fired.Since); d < 2900*time.Millisecond || fired.Subject != "vm/"+g.name && fired.Subject != g.name {
		t.Errorf("it fired after %v: %+v", d, fired)
	}
	w.eventually("the webhook is called", func() bool { return h.heard() != "" })

	w.eventually("its state is saved", func() bool {
		saved, _ := os.ReadFile(dir + "/alerts.json")
		return bytes.Contains(saved, []byte(fired.ID)) && !bytes.Contains(saved, []byte(`"queues":{"hook"`))
	})
	w.kill()
	w = watch(t, "--state", dir, "--alerts", rules)
	w.seen(5)
	if look(); len(alerts.Active) != 1 || alerts.Active[0].ID != fired.ID || !alerts.Active[0].Fired.Equal(fired.Fired) {
		t.Errorf("after a crash: %+v, want %+v", alerts.Active, fired)
	}

	// Half the load is below what fires and above what clears.
	stop := g.half()
	w.eventually("half the load", func() bool { c := w.machine(g.name).CPU; return c > 0.25 && c < 0.6 })
	w.seen(4)
	if look(); len(alerts.Active) != 1 || alerts.Active[0].ID != fired.ID {
		t.Errorf("between its thresholds: %+v", alerts.Active)
	}
	stop()
	g.do("kill $!")
	w.eventually("it clears", func() bool { look(); return len(alerts.Active) == 0 })
	w.eventually("that is told", func() bool { return strings.Contains(h.heard(), "clear") })
	w.seen(3)
	if got := h.heard(); got != "fire "+fired.Subject+", clear "+fired.Subject {
		t.Errorf("told: %s", got)
	}
}

// seen waits for so many more passes.
func (w *watcher) seen(n float64) {
	w.Helper()
	const count = "sarn_monitor_passes_total"
	from := w.metric(count)
	w.eventually("more passes", func() bool { return w.metric(count) >= from+n })
}

// machine is the one of a name.
func (w *watcher) machine(name string) sample.Machine {
	w.Helper()
	var s sample.Sample
	w.get("/api/v1/sample", &s)
	for _, m := range s.Machines {
		if m.Name == name {
			return m
		}
	}
	return sample.Machine{}
}

// figures holds what the monitor says of the guest against what it was made to do.
func (g *computer) figures(w *watcher) {
	g.Helper()
	w.eventually("the guest appears", func() bool { return w.machine(g.name).ID != "" })
	if m := w.machine(g.name); m.ID != "vm/"+g.name || m.By != "qemu" || m.State != "running" || m.CPUs != 1 || m.Memory != 192<<20 || len(m.VCPUs) != 1 || len(m.Interfaces) != 1 || m.Interfaces[0] != g.tap {
		g.Errorf("got %+v", m)
	}
	count := func(name string) float64 { return w.metric("sarn_machine_"+name+"_total", "vm/"+g.name) }
	// Each figure is from when to when the pass that it is in saw it; so idle before and after.
	w.seen(2)

	wrote := count("disk_written_bytes")
	g.do("dd if=/dev/zero of=/dev/vda bs=1M count=16 conv=fsync 2>/dev/null; echo writ''ten")
	g.waitFor("written")
	const disk = 16 << 20
	w.eventually("what it wrote is seen", func() bool { return count("disk_written_bytes") >= wrote+disk })
	if got := count("disk_written_bytes") - wrote; got > disk*1.1 {
		g.Errorf("it wrote %v bytes, not %v", got, disk)
	}

	g.do("echo re''ady")
	g.waitFor("ready")
	received, sent := count("network_receive_bytes"), count("network_transmit_bytes")
	const frames, size = 500, 1000
	g.send(frames, size)
	w.eventually("what it received is seen", func() bool { return count("network_receive_bytes") >= received+frames*size })
	w.seen(2)
	if got := count("network_receive_bytes") - received; got > 1.1*frames*size {
		g.Errorf("it received %v bytes, not %v", got, frames*size)
	}
	if got := count("network_transmit_bytes") - sent; got > 0.1*frames*size {
		g.Errorf("it sent %v bytes, though it was asked to do nothing", got)
	}
	g.cpu(w)
}

// send puts frames on the guest's wire. They are of no protocol: this machine's addresses
// and routes are none of the test's business.
func (g *computer) send(frames, size int) {
	g.Helper()
	port, err := net.InterfaceByName(g.tap)
	if err != nil {
		g.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		g.Fatal(err)
	}
	defer unix.Close(fd)
	frame := make([]byte, size)
	copy(frame, guestMAC)
	frame[12], frame[13] = 0x88, 0xb5 // for experiments: IEEE 802
	f := fabric{T: g.T}
	taken := func() int { return atoi(f.read("/sys/class/net/" + g.tap + "/statistics/tx_packets")) }
	before := taken()
	for i := range frames {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: port.Index}); err != nil {
			g.Fatal(err)
		}
		if i%50 == 49 { // no more at once than the guest's queue holds
			f.eventually("the guest takes its frames", func() bool { return taken() >= before+i+1 })
		}
	}
}

// cpu holds the CPU time of the guest against its process's.
func (g *computer) cpu(w *watcher) {
	g.Helper()
	used := func() float64 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.cmd.Process.Pid))
		if err != nil {
			g.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		f := strings.Fields(rest)
		var user, system float64
		fmt.Sscan(f[11], &user)
		fmt.Sscan(f[12], &system)
		return (user + system) / 100
	}
	count := func() float64 { return w.metric("sarn_machine_cpu_seconds_total", "vm/"+g.name) }
	w.seen(1)
	from, was := count(), used()
	g.do("while :; do :; done & sleep 3; kill $!; echo com''puted")
	g.waitFor("computed")
	w.seen(2)
	got, want := count()-from, used()-was
	if want < 0.5 || got < want-0.3 || got > want+0.3 {
		g.Errorf("it used %.2f s of CPU, the monitor says %.2f", want, got)
	}
}

// half lets the guest run half of the time, until the function returned is called. It is
// kept up by nobody, like the guest.
func (g *computer) half() (stop func()) {
	g.Helper()
	turns := bounded(g.T, "chrt", "-r", "2", "sh", "-c", fmt.Sprintf("while :; do kill -STOP %[1]d; sleep 0.04; kill -CONT %[1]d; sleep 0.04; done", g.cmd.Process.Pid))
	if err := turns.Start(); err != nil {
		g.Fatal(err)
	}
	return func() {
		turns.Process.Kill()
		_ = turns.Wait()
		g.cmd.Process.Signal(syscall.SIGCONT)
	}
}
