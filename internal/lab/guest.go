package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"sarn/internal/compile"
	"sarn/internal/intent"
)

const (
	// bootTime is how long a VM may take to answer. Without KVM it computes slowly.
	bootTime = 2 * time.Minute
	// The sockets of a VM's serial lines, in its directory.
	consoleSocket = "console"
	serveSocket   = "serve"
	consoleLog    = "console.log"
)

// equipment is what the VMs of a plan are made with.
type equipment struct {
	qemu, busybox string
	accelerator   string
	kernels       map[string]guestKernel // by VM
	images        map[string]string      // likewise
}

// equip finds what the plan's VMs need, or says what is missing, before anything is
// built.
func (p *Plan) equip(ctx context.Context, kernel string) (*equipment, error) {
	e := &equipment{kernels: map[string]guestKernel{}, images: map[string]string{}}
	if len(p.VMs) == 0 {
		return e, nil
	}
	var err error
	if e.qemu, err = exec.LookPath("qemu-system-x86_64"); err != nil {
		return nil, errors.New("VMs of the kind qemu are run by qemu-system-x86_64, which is not here; install the package qemu-system-x86")
	}
	var ps intent.Problems
	for i, v := range p.VMs {
		field := element("vms", i, v.Name)
		if v.Image != "" {
			e.images[v.Name] = p.beside(v.Image)
			if _, err := os.Stat(e.images[v.Name]); err != nil {
				ps = append(ps, p.problem(field+".image", "%v", err))
			}
			continue
		}
		if e.busybox, err = findBusybox(); err != nil {
			return nil, err
		}
		if e.kernels[v.Name], err = findKernel(p.beside(v.Kernel), kernel); err != nil {
			ps = append(ps, p.problem(field+".kernel", "%v", err))
		}
	}
	if len(ps) > 0 {
		return nil, ps
	}
	e.accelerator = accelerator(ctx, e.qemu)
	return e, nil
}

// beside returns the absolute path of a file that the lab's file names.
func (p *Plan) beside(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	path = filepath.Join(filepath.Dir(p.docs[0].File), path)
	if absolute, err := filepath.Abs(path); err == nil {
		return absolute
	}
	return path
}

// guest is a VM with what its port says of it.
type guest struct {
	VM
	port   *intent.Port
	subnet *intent.Subnet
}

// guests joins the plan's VMs with the ports as the controller has them.
func (p *Plan) guests(now intent.Set) ([]guest, error) {
	var all []guest
	for _, v := range p.VMs {
		g := guest{VM: v}
		for _, o := range now.Ports {
			if o.Name == v.Name {
				g.port = o
			}
		}
		for _, s := range now.Subnets {
			if g.port != nil && s.Name == g.port.Subnet {
				g.subnet = s
			}
		}
		if g.subnet == nil {
			return nil, fmt.Errorf("the controller knows no port and subnet for the VM %s", v.Name)
		}
		all = append(all, g)
	}
	return all, nil
}

// startVMs starts the plan's VMs, each on its tap in its host's network namespace, and
// returns when those of the lab's own making answer. One that boots an image takes its
// own time.
func (l *Lab) startVMs(ctx context.Context, p *Plan, e *equipment) error {
	now, err := l.current(ctx)
	if err != nil {
		return err
	}
	guests, err := p.guests(now)
	if err != nil {
		return err
	}
	hosts := l.directory(p, now).Hosts()
	for _, g := range guests {
		dir := l.path("vms", g.Name)
		err := os.MkdirAll(dir, 0o755)
		if err == nil && g.Image == "" {
			err = writeInitramfs(filepath.Join(dir, "initramfs"), e.kernels[g.Name], e.busybox, hosts)
		}
		if err == nil {
			err = l.launch(command{
				name: vmName(g.Name), netns: l.netns(g.port.Node), dir: dir,
				program: e.qemu, args: g.arguments(e),
			})
		}
		if err != nil {
			return fmt.Errorf("start the VM %s: %w", g.Name, err)
		}
	}
	sockets := newPingers()
	for _, g := range guests {
		if g.Image != "" {
			continue
		}
		if err := l.awaitGuest(ctx, sockets, g); err != nil {
			return &stuckError{vmName(g.Name), err}
		}
	}
	return nil
}

func vmName(vm string) string { return "vm-" + vm }

func writeInitramfs(file string, k guestKernel, busybox, hosts string) error {
	data, err := initramfs(k, busybox, hosts)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// arguments returns qemu's. Paths of sockets are relative, since they have to be short
// (unix(7)).
func (g guest) arguments(e *equipment) []string {
	memory := g.Memory
	if memory == 0 {
		memory = defaultMemory
	}
	args := []string{
		"-accel", e.accelerator, "-name", g.Name, "-m", strconv.Itoa(memory), "-nodefaults", "-display", "none", "-no-reboot",
		"-chardev", "socket,id=console,path=" + consoleSocket + ",server=on,wait=off,logfile=" + consoleLog,
		"-serial", "chardev:console",
		"-netdev", "tap,id=net,ifname=" + compile.PortDevice(g.Name) + ",script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=net,mac=" + string(g.port.MAC),
	}
	if g.Image != "" {
		return append(args, "-drive", "if=virtio,snapshot=on,file="+e.images[g.Name])
	}
	return append(args,
		"-chardev", "socket,id=serve,path="+serveSocket+",server=on,wait=off", "-serial", "chardev:serve",
		"-kernel", e.kernels[g.Name].image, "-initrd", "initramfs",
		"-append", fmt.Sprintf("console=ttyS0 quiet panic=-1 name=%s addr=%s gw=%s", g.Name,
			netip.PrefixFrom(g.port.Address.Addr, g.subnet.CIDR.Bits()), g.subnet.Gateway))
}

// awaitGuest returns when the VM answers its host's ping, and runs commands.
func (l *Lab) awaitGuest(ctx context.Context, sockets *pingers, g guest) error {
	p, err := sockets.open(l.netns(g.port.Node))
	if err != nil {
		return err
	}
	defer p.close()
	const again = 50 * time.Millisecond
	for {
		_, _, err := p.ping(ctx, g.port.Address.Addr, again)
		if err == nil {
			break
		}
		if pause(ctx, glance) != nil {
			return err
		}
	}
	// What is sent before the guest listens on its line is lost, so it is sent again.
	const begin = 500 * time.Millisecond
	m := Member{Name: g.Name, Lines: l.path("vms", g.Name)}
	for {
		_, err := m.exec(ctx, "true", io.Discard, begin)
		if err == nil || pause(ctx, glance) != nil {
			return err
		}
	}
}
