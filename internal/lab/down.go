package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Down takes the lab down: its processes, everything that runs in its namespaces, the
// namespaces and the directory. It works from what it finds, so it undoes a lab that
// was half built as well, and does nothing to one that is gone.
func (l *Lab) Down(ctx context.Context) error {
	if err := requireRoot(); err != nil {
		return err
	}
	if _, err := os.Lstat(l.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	release, err := l.lock()
	if err != nil {
		return err
	}
	defer release()
	return l.takeDown(ctx)
}

// takeDown is Down for who holds the lock.
func (l *Lab) takeDown(ctx context.Context) error {
	_, err := os.Lstat(l.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case !l.there():
		return l.strange()
	}
	mounts, err := mountsBelow(l.dir)
	if err != nil {
		return err
	}
	namespaces := namespacesAt(mounts)
	if own, err := os.Readlink("/proc/self/ns/net"); err == nil && namespaces[own] {
		return fmt.Errorf("this shell is inside lab %s; leave it first", l.Name)
	}
	if err := l.stopAll(ctx, namespaces); err != nil {
		return err
	}
	if err := unmount(l.dir); err != nil {
		return err
	}
	if err := l.remove(); err != nil {
		return fmt.Errorf("remove lab %s: %w", l.Name, err)
	}
	return nil
}

// stopAll ends the lab's processes, in rounds: one that is about to end may start another.
func (l *Lab) stopAll(ctx context.Context, namespaces map[string]bool) error {
	for range 10 {
		ps, err := l.everyProcess(namespaces)
		if err != nil {
			return err
		}
		// In the middle of execve(2) a process has no environment to be known by.
		named, err := l.processes()
		if err != nil {
			return err
		}
		for _, p := range named {
			if p.alive() && !slices.ContainsFunc(ps, func(other process) bool { return other.pid == p.pid }) {
				ps = append(ps, p)
			}
		}
		if len(ps) == 0 {
			return nil
		}
		if err := stop(ctx, ps); err != nil {
			return err
		}
	}
	return fmt.Errorf("something keeps starting processes in lab %s", l.Name)
}

// remove removes the directory, and its mark last: what is left if this is cut short
// is still a lab's.
func (l *Lab) remove() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == mark {
			continue
		}
		if err := os.RemoveAll(l.path(e.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(l.dir)
}

func requireRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("labs are made of network namespaces, which only root can make; try again with sudo")
	}
	return nil
}

// unmount unmounts everything below dir, what was mounted last first. A mount that an
// agent makes in between, or that lies on top of another, is found in the next round.
func unmount(dir string) error {
	for range 10 {
		mounts, err := mountsBelow(dir)
		if err != nil {
			return err
		}
		if len(mounts) == 0 {
			return nil
		}
		for _, m := range slices.Backward(mounts) {
			err := unix.Unmount(m, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
			if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("unmount %s: %w", m, err)
			}
		}
	}
	return fmt.Errorf("something keeps mounting below %s", dir)
}

// mountsBelow lists the mount points below dir, in the order of their making:
// proc_pid_mountinfo(5).
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	var mounts []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // overlay mounts have long options
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if point := unescape(fields[4]); strings.HasPrefix(point, dir+"/") {
			mounts = append(mounts, point)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return mounts, nil
}

var octalRE = regexp.MustCompile(`\\[0-7]{3}`)

// unescape undoes the kernel's writing of blanks in paths, such as \040.
func unescape(s string) string {
	return octalRE.ReplaceAllStringFunc(s, func(o string) string {
		n, _ := strconv.ParseUint(o[1:], 8, 8)
		return string([]byte{byte(n)})
	})
}

// namespacesAt returns the network namespaces that are mounted there, by the name
// that /proc/PID/ns/net has for them.
func namespacesAt(mounts []string) map[string]bool {
	found := map[string]bool{}
	for _, m := range mounts {
		var fs unix.Statfs_t
		var st unix.Stat_t
		if unix.Statfs(m, &fs) == nil && fs.Type == unix.NSFS_MAGIC && unix.Stat(m, &st) == nil {
			found[fmt.Sprintf("net:[%d]", st.Ino)] = true
		}
	}
	return found
}
