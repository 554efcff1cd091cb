package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

const threadNetns = "/proc/thread-self/ns/net"

// Enter runs f on an OS thread of its own that is in the network namespace at path.
// Sockets that f opens belong to that namespace, and so do processes that it starts;
// goroutines that it starts do not.
func Enter(path string, f func() error) error {
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close() //nolint:errcheck // read only
	return enter(ns, f)
}

// EnterName is Enter by name; "" is the Kernel's own namespace.
func (k *Kernel) EnterName(name string, f func() error) error {
	if name == "" {
		return enter(k.own, f)
	}
	path, err := k.path(name)
	if err != nil {
		return err
	}
	return Enter(path, f)
}

// netlinkIn is EnterName with a netlink socket. Sockets are not kept: one would keep
// alive a namespace that somebody deletes, and be of no use for another of its name.
func (k *Kernel) netlinkIn(name string, f func(*netlink.Handle) error) error {
	return k.EnterName(name, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink: %w", err)
		}
		defer h.Close()
		return f(h)
	})
}

var errGoexit = errors.New("the function ended its goroutine instead of returning")

func enter(ns *os.File, f func() error) error {
	done := make(chan error)
	go func() {
		err := errGoexit
		defer func() { done <- err }()
		runtime.LockOSThread()
		home, openErr := os.Open(threadNetns)
		if openErr != nil {
			err = fmt.Errorf("open this thread's network namespace: %w", openErr)
			return
		}
		defer home.Close() //nolint:errcheck // read only
		if setErr := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); setErr != nil {
			err = fmt.Errorf("enter network namespace %s: %w", ns.Name(), setErr)
			return
		}
		defer func() {
			// A thread that cannot go home stays locked, and so dies with this
			// goroutine: no other goroutine may run in a strange namespace.
			if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
		}()
		err = f()
	}()
	return <-done
}

// path returns the file of a named namespace. Names come from users: they must not
// lead out of the directory.
func (k *Kernel) path(name string) (string, error) {
	if name == "" || name == "." || name == ".." || filepath.Base(name) != name {
		return "", fmt.Errorf("network namespace name %q: want a name without slashes", name)
	}
	return filepath.Join(k.dir, name), nil
}

// namespaces returns the names of the namespaces in the directory, and of the files
// that a crash left where this owner's were or should have been.
func (k *Kernel) namespaces() (names, leftover []string, err error) {
	entries, err := os.ReadDir(k.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list network namespaces: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(k.dir, e.Name())
		if isNamespace(path) {
			names = append(names, e.Name())
		} else if e.Type().IsRegular() && k.marked(path) {
			leftover = append(leftover, e.Name())
		}
	}
	return names, leftover, nil
}

// marked reports whether the file is one that addNamespace makes.
func (k *Kernel) marked(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && string(text) == k.owner.Mark
}

// isNamespace tells a namespace from the file that is left where one was.
func isNamespace(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// addNamespace does what ip netns add does, except that a namespace that is already
// there is fine, and so is the file that a crash leaves between its two steps. That has
// the owner's mark for its text: without it nobody could tell whose it is.
func (k *Kernel) addNamespace(ns netstate.Netns) error {
	path, err := k.path(ns.Name)
	if err != nil {
		return err
	}
	if err := shareDir(k.dir); err != nil {
		return fmt.Errorf("prepare %s: %w", k.dir, err)
	}
	if isNamespace(path) {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o444)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && (!st.Mode().IsRegular() || st.Size() > 0 && !k.marked(path)) {
		err = fmt.Errorf("%s is there and is not a network namespace; remove it", path)
	}
	if err == nil {
		_, err = f.WriteString(k.owner.Mark)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	err = enter(k.own, func() error {
		// enter takes the thread home again.
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		// Marked before it has a name, so that none is ever left without.
		if err := markNamespace(ns.Alias); err != nil {
			return fmt.Errorf("mark: %w", err)
		}
		return unix.Mount(threadNetns, path, "none", unix.MS_BIND, "")
	})
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// markNamespace gives the loopback device of the thread's namespace an alias.
func markNamespace(alias string) error {
	if alias == "" {
		return nil
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetAlias(lo, alias)
}

// shareDir makes dir a shared mount point, as ip netns add does, so that namespaces
// that are mounted in it can be unmounted everywhere at once: one that stayed mounted
// in another mount namespace would live on after its deletion.
func shareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // read only
	// The lock is iproute2's: two at once would mount the directory on itself twice.
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	err = unix.Mount("", dir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) { // EINVAL: not a mount point yet
		return err
	}
	if err := unix.Mount(dir, dir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return unix.Mount("", dir, "none", unix.MS_SHARED|unix.MS_REC, "")
}

func (k *Kernel) deleteNamespace(name string) error {
	path, err := k.path(name)
	if err != nil {
		return err
	}
	if isNamespace(path) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount: %w", err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
