package collect

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// links are the network interfaces of the namespace that the collector was made in.
type links struct {
	socket int // to ask for flags, -1 if there is none
	known  map[string]*link
}

type link struct {
	name     string
	speed    uint64
	physical bool
	seen     uint64
	counters linkCounters
	rate     linkRate
}

// linkCounters are the columns of /proc/net/dev: bytes, packets, errors, drops.
type linkCounters struct{ rx, tx [4]uint64 }

// linkRate is what a machine behind the link is told of it.
type linkRate struct{ rx, tx float64 }

func newLinks() links {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	return links{socket: fd, known: map[string]*link{}}
}

func (l *links) close() {
	if l.known != nil && l.socket >= 0 {
		_ = unix.Close(l.socket)
	}
}

// rarely is in how many passes what seldom changes is looked at again.
const rarely = 30

func (c *Collector) readInterfaces(s *sample.Sample) {
	for l := lines(c.files.read(&c.buf, c.proc+"/net/dev")); ; {
		line, ok := l.next()
		if !ok {
			break
		}
		name, counters, ok := scanLink(line)
		if !ok {
			continue
		}
		known := c.links.known[string(name)]
		first := known == nil
		if first {
			known = &link{name: string(name), counters: counters}
			c.links.known[known.name] = known
		}
		if first || c.pass%rarely == 0 {
			known.speed, known.physical = c.speed(known.name), c.physical(known.name)
		}
		before := known.counters
		known.counters, known.seen = counters, c.pass
		row := sample.Interface{Name: known.name, Speed: known.speed, Up: c.links.up(known.name), Physical: known.physical}
		for i, to := range []*float64{&row.RxBytes, &row.RxPackets, &row.RxErrors, &row.RxDrops} {
			*to = c.per(before.rx[i], counters.rx[i])
		}
		for i, to := range []*float64{&row.TxBytes, &row.TxPackets, &row.TxErrors, &row.TxDrops} {
			*to = c.per(before.tx[i], counters.tx[i])
		}
		known.rate = linkRate{row.RxBytes, row.TxBytes}
		s.Interfaces = append(s.Interfaces, row)
	}
	for name, k := range c.links.known {
		if k.seen != c.pass {
			delete(c.links.known, name)
		}
	}
}

// scanLink reads a line of /proc/net/dev; no interface has a colon in its name.
func scanLink(line words) (name []byte, c linkCounters, ok bool) {
	for i, b := range line {
		if b != ':' {
			continue
		}
		head := line[:i]
		name = head.next()
		rest := line[i+1:]
		for j := range c.rx {
			c.rx[j] = rest.number()
		}
		rest.skip(4) // fifo, frame, compressed, multicast
		for j := range c.tx {
			c.tx[j] = rest.number()
		}
		return name, c, len(name) > 0
	}
	return nil, c, false
}

// up reports whether the interface is up and has a carrier.
func (l *links) up(name string) bool {
	request, err := unix.NewIfreq(name)
	if err != nil || unix.IoctlIfreq(l.socket, unix.SIOCGIFFLAGS, request) != nil {
		return false
	}
	const both = unix.IFF_UP | unix.IFF_RUNNING
	return request.Uint16()&both == both
}

// speed returns bits a second, 0 if the driver does not know.
func (c *Collector) speed(name string) uint64 {
	b, err := os.ReadFile(filepath.Join(c.sys, "class/net", name, "speed"))
	if err != nil {
		return 0
	}
	megabits, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || megabits <= 0 {
		return 0
	}
	return uint64(megabits) * 1e6
}

// physical reports whether the interface has a device.
func (c *Collector) physical(name string) bool {
	_, err := os.Stat(filepath.Join(c.sys, "class/net", name, "device"))
	return err == nil
}
