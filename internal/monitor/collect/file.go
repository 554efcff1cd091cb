package collect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// buffer is what files are read into. What it returns holds until the next read.
type buffer struct{ b []byte }

// all reads a file of several records from its start to its end.
func (b *buffer) all(fd int) ([]byte, error) {
	n := 0
	for {
		if n == len(b.b) {
			b.b = append(b.b, make([]byte, len(b.b))...)
		}
		m, err := unix.Pread(fd, b.b[n:], int64(n))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case m == 0:
			return b.b[:n], nil
		default:
			n += m
		}
	}
}

// one reads a file that the kernel gives in one piece.
func (b *buffer) one(fd int) ([]byte, error) {
	for {
		n, err := unix.Pread(fd, b.b, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return b.b[:n], nil
	}
}

// files are the system's files, kept open by path.
type files map[string]int

// read returns the file's content, or nothing if it cannot be read.
func (f files) read(b *buffer, path string) []byte {
	fd, open := f[path]
	if !open {
		var err error
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil
		}
		f[path] = fd
	}
	data, err := b.all(fd)
	if err != nil {
		f.drop(path)
		return nil
	}
	return data
}

func (f files) drop(path string) {
	if fd, open := f[path]; open {
		_ = unix.Close(fd)
		delete(f, path)
	}
}

func (f files) close() {
	for path := range f {
		f.drop(path)
	}
}

// budget counts the descriptors of processes that are kept.
type budget struct{ most, kept int }

func (b *budget) take() bool {
	if b.kept >= b.most {
		return false
	}
	b.kept++
	return true
}

func halfOfLimit() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int(min(l.Cur, 1<<20) / 2)
}

// path is a file's path below a directory, built without allocation.
type path []byte

func (p path) number(n int) path  { return strconv.AppendInt(p, int64(n), 10) }
func (p path) name(s string) path { return append(p, s...) }

// openAt opens what p names below the directory.
func openAt(dir int, p path, flags int) (int, error) {
	p = append(p, 0)
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(&p[0])), uintptr(flags|unix.O_CLOEXEC), 0, 0, 0)
		switch errno {
		case 0:
			return int(fd), nil
		case unix.EINTR:
		default:
			return -1, errno
		}
	}
}

// directory lists the names of a directory that are numbers, without allocation.
type directory struct {
	fd      int
	entries []byte
	numbers []int
}

func openDirectory(path string) (*directory, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &directory{fd: fd, entries: make([]byte, 32<<10)}, nil
}

func (d *directory) close() { _ = unix.Close(d.fd) }

// list returns the numbers, which hold until the next call.
func (d *directory) list() ([]int, error) {
	if _, err := unix.Seek(d.fd, 0, unix.SEEK_SET); err != nil {
		return nil, err
	}
	d.numbers = d.numbers[:0]
	for {
		n, err := unix.Getdents(d.fd, d.entries)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return d.numbers, nil
		}
		d.numbers = appendNumbers(d.numbers, d.entries[:n])
	}
}

// appendNumbers reads struct linux_dirent64: getdents64(2).
func appendNumbers(to []int, entries []byte) []int {
	const length, name = 16, 19
	for len(entries) > name {
		size := int(binary.NativeEndian.Uint16(entries[length:]))
		if size <= name || size > len(entries) {
			return to
		}
		if n, ok := pidOf(entries[name:size]); ok {
			to = append(to, n)
		}
		entries = entries[size:]
	}
	return to
}

func pidOf(name []byte) (int, bool) {
	n, digits := 0, 0
	for _, b := range name {
		if b == 0 {
			break
		}
		if b < '0' || b > '9' || digits > 9 {
			return 0, false
		}
		n, digits = n*10+int(b-'0'), digits+1
	}
	return n, digits > 0
}

// numbersIn lists the numbers in a directory once.
func numbersIn(parts ...string) []int {
	d, err := openDirectory(filepath.Join(parts...))
	if err != nil {
		return nil
	}
	defer d.close()
	numbers, err := d.list()
	if err != nil {
		return nil
	}
	return numbers
}
