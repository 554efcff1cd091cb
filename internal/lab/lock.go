package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lock keeps every other process from building the lab or taking it down, until
// release is called or this process ends, however it does. It does not wait: who is
// second is told who is first.
func (l *Lab) lock() (release func(), err error) {
	path := filepath.Join(filepath.Dir(l.dir), "."+l.Name+".lock")
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("lock lab %s: %w", l.Name, err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && !isAt(f, path) {
			f.Close() //nolint:errcheck // its holder removed it before we had it
			continue
		}
		if err == nil {
			err = write(f, fmt.Sprint(os.Getpid()))
		} else if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("it is being built or taken down by %s; try again when that has ended", holder(path))
		}
		if err != nil {
			f.Close() //nolint:errcheck // err says more
			return nil, fmt.Errorf("lab %s: %w", l.Name, err)
		}
		return func() {
			os.Remove(path) //nolint:errcheck // one that stays is as good as none
			f.Close()       //nolint:errcheck // nothing is lost
		}, nil
	}
}

// isAt reports whether path still leads to the open file.
func isAt(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	found, err := os.Stat(path)
	return err == nil && os.SameFile(held, found)
}

// write makes text all that the file says.
func write(f *os.File, text string) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// holder names the process that holds the lock at path.
func holder(path string) string {
	pid, err := os.ReadFile(path)
	if text := strings.TrimSpace(string(pid)); err == nil && text != "" {
		return "process " + text
	}
	return "another process" // which has not written its number yet, or has just ended
}
