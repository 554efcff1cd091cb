package collect

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The files of a process that are kept open.
const (
	fileStat = iota
	fileIO
	fileStatm
)

// scanStat reads a line. The name may hold anything, parentheses and newlines too, so it
// ends at the last parenthesis.
func scanStat(line []byte) (name []byte, s stat, ok bool) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return nil, s, false
	}
	rest := words(line[end+1:])
	state := rest.next()
	if len(state) == 0 {
		return nil, s, false
	}
	s.state = state[0]
	s.parent = signed(rest.next())
	rest.skip(4)
	s.flags, s.faults = rest.number(), rest.number()
	rest.skip(1)
	s.faults += rest.number()
	rest.skip(1)
	s.used = (rest.number() + rest.number()) * (1e9 / ticksPerSecond)
	rest.skip(3)
	s.nice, s.threads = signed(rest.next()), signed(rest.next())
	rest.skip(1)
	s.start, s.virtual = rest.number(), rest.number()
	pages := rest.next()
	s.pages = number(pages)
	return line[open+1 : end], s, len(pages) > 0
}

// open opens a file of a process, and the process's directory if name is empty. When the
// program has run out of descriptors it gives back some of those that are kept.
func (c *Collector) open(pid int, name string, flags int) (int, error) {
	var b [64]byte
	p := path(b[:0]).number(pid).name(name)
	fd, err := openAt(c.dir.fd, p, flags)
	if errors.Is(err, unix.EMFILE) {
		c.shrink()
		fd, err = openAt(c.dir.fd, p, flags)
	}
	return fd, err
}

// readOf reads a file of a process, by the descriptor that is kept or one to keep.
func (c *Collector) readOf(p *process, file int, name string) ([]byte, error) {
	if fd := p.kept[file]; fd >= 0 {
		return c.buf.one(fd)
	}
	fd, err := c.open(p.pid, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	data, err := c.buf.one(fd)
	if err == nil && c.keep.take() {
		p.kept[file] = fd
	} else {
		_ = unix.Close(fd)
	}
	return data, err
}

// shrink gives back half of the descriptors when the program has run out of them.
func (c *Collector) shrink() {
	c.keep.most = c.keep.kept / 2
	for _, p := range c.processes {
		if c.keep.kept <= c.keep.most {
			return
		}
		c.release(p)
	}
}

// release closes a process's descriptors; it is read without from now on.
func (c *Collector) release(p *process) {
	for i, fd := range p.kept {
		if fd >= 0 {
			_ = unix.Close(fd)
			p.kept[i] = -1
			c.keep.kept--
		}
	}
}

// readNumbers reads the processes one by one from files.
func (c *Collector) readNumbers() error {
	pids, err := c.dir.list()
	if err != nil {
		return fmt.Errorf("list %s: %w", c.proc, err)
	}
	for _, pid := range pids {
		if p := c.readProcess(pid); p != nil {
			c.live = append(c.live, p)
		}
	}
	return nil
}

// readProcess reads one, or returns nil if it has ended.
func (c *Collector) readProcess(pid int) *process {
	p := c.processes[pid]
	var data []byte
	if p != nil {
		var err error
		if data, err = c.readOf(p, fileStat, "/stat"); err != nil {
			// The process behind the descriptor has ended; its number may be another's.
			c.forget(p)
			p = nil
		}
	}
	if p == nil {
		p = c.meet(pid)
		var err error
		if data, err = c.readOf(p, fileStat, "/stat"); err != nil {
			c.forget(p)
			return nil
		}
	}
	name, now, ok := scanStat(data)
	if !ok {
		c.forget(p)
		return nil
	}
	if p.age > 0 && now.start != p.stat.start { // read without a descriptor, and another by now
		c.forget(p)
		return c.readProcess(pid)
	}
	c.update(p, now, p.rename(name))
	c.readIO(p)
	p.netRate = unknown
	return p
}

func (c *Collector) readIO(p *process) {
	if p.noIO {
		c.readDenied++
		return
	}
	data, err := c.readOf(p, fileIO, "/io")
	if err == nil {
		c.updateIO(p, scanIO(data))
		return
	}
	p.knowsIO = false
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		p.noIO = true
		c.readDenied++
	}
}

func scanIO(data []byte) (now ioCounters) {
	for l := lines(data); ; {
		line, ok := l.next()
		if !ok {
			return now
		}
		switch string(line.next()) {
		case "read_bytes:":
			now.read = line.number()
		case "write_bytes:":
			now.write = line.number()
		}
	}
}
