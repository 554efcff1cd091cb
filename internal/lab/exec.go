package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"

	"sarn/internal/kernel"
)

// Start starts the command inside the member: in its network namespace, with the
// lab's names in /etc/hosts and its own devices in /sys.
func (l *Lab) Start(d *Directory, m Member, cmd *exec.Cmd) error {
	if err := requireRoot(); err != nil {
		return err
	}
	if m.Netns == "" {
		return fmt.Errorf("%s is a VM of its own on a tap; what runs inside is not the lab's to start (it runs VMs itself that its file lists under `vms:`)", m.Name)
	}
	if err := l.writeHosts(d); err != nil {
		return err
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "SARN_LAB="+l.Name, "SARN_LAB_NODE="+m.Name, "PS1="+m.Name+`:\w# `)
	err := kernel.Enter(m.Netns, func() error {
		// The thread gets a mount table of its own, which it cannot give back. It
		// stays locked, so that it ends with this goroutine.
		runtime.LockOSThread()
		if err := ownMounts(l.path("hosts")); err != nil {
			return err
		}
		return cmd.Start()
	})
	if err != nil {
		return fmt.Errorf("run %s in %s: %w", cmd.Args[0], m.Name, err)
	}
	return nil
}

// writeHosts replaces the hosts file. Commands that run already keep the one they
// began with.
func (l *Lab) writeHosts(d *Directory) error {
	f, err := os.CreateTemp(l.dir, "hosts.*")
	if err != nil {
		return fmt.Errorf("write the lab's hosts file: %w", err)
	}
	_, err = f.WriteString(d.Hosts())
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), l.path("hosts"))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the lab's hosts file: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// ownMounts does for this thread what ip netns exec does: /sys shows the devices of
// the network namespace that it was mounted in.
func ownMounts(hosts string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	// What is unmounted outside goes away inside as well, but not the other way.
	if err := unix.Mount("", "/", "none", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("detach mounts: %w", err)
	}
	var sys unix.Statfs_t
	if err := unix.Statfs("/sys", &sys); err == nil {
		if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount /sys: %w", err)
		}
		if err := unix.Mount("sysfs", "/sys", "sysfs", uintptr(sys.Flags)&unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("mount /sys: %w", err)
		}
	}
	err := unix.Mount(hosts, "/etc/hosts", "none", unix.MS_BIND, "")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a system without one has no use for ours
		return fmt.Errorf("mount /etc/hosts: %w", err)
	}
	return nil
}
