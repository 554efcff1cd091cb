package collect

import (
	"os"
	"path/filepath"
	"strings"

	"sarn/internal/monitor/sample"
)

// disk is what is known of a line of /proc/diskstats.
type disk struct {
	name  string
	whole bool // not a partition, and with a size
	stack bool // see stacked
	seen  uint64
	now   diskCounters
}

// diskCounters are those of Documentation/admin-guide/iostats.rst that a sample has.
type diskCounters struct {
	reads, readSectors, readMillis    uint64
	writes, writeSectors, writeMillis uint64
	busyMillis                        uint64
}

// A sector of /proc/diskstats is this many bytes, whatever the disk's own is.
const sector = 512

func (c *Collector) readDisks(s *sample.Sample) {
	for l := lines(c.files.read(&c.buf, c.proc+"/diskstats")); ; {
		line, ok := l.next()
		if !ok {
			break
		}
		line.skip(2)
		name := line.next()
		if len(name) == 0 {
			continue
		}
		d, known := c.disks[string(name)]
		if !known {
			d = &disk{name: string(name)}
			d.whole = c.wholeDisk(d.name)
			c.disks[d.name] = d
		}
		d.seen = c.pass
		before := d.now
		d.now = scanDisk(line)
		if !d.whole || d.now == (diskCounters{}) && strings.HasPrefix(d.name, "loop") || !c.backed(d) {
			continue
		}
		if !known || c.pass%rarely == 0 {
			d.stack = c.stacked(d.name)
		}
		row := sample.Disk{Name: d.name, Stacked: d.stack}
		if known {
			c.diskRates(&row, before, d.now)
		}
		s.Disks = append(s.Disks, row)
	}
	for name, d := range c.disks {
		if d.seen != c.pass {
			delete(c.disks, name)
		}
	}
}

func scanDisk(line words) diskCounters {
	var d diskCounters
	d.reads = line.number()
	line.skip(1) // merged
	d.readSectors, d.readMillis, d.writes = line.number(), line.number(), line.number()
	line.skip(1) // merged
	d.writeSectors, d.writeMillis = line.number(), line.number()
	line.skip(1) // in flight
	d.busyMillis = line.number()
	return d
}

func (c *Collector) diskRates(row *sample.Disk, before, now diskCounters) {
	row.Reads = c.per(before.reads, now.reads)
	row.Writes = c.per(before.writes, now.writes)
	row.ReadBytes = c.per(before.readSectors, now.readSectors) * sector
	row.WriteBytes = c.per(before.writeSectors, now.writeSectors) * sector
	row.Busy = min(c.per(before.busyMillis, now.busyMillis)/1000, 1)
	if requests := row.Reads + row.Writes; requests > 0 {
		row.Wait = (c.per(before.readMillis, now.readMillis) + c.per(before.writeMillis, now.writeMillis)) / 1000 / requests
	}
}

// wholeDisk reports whether the block device is one of its own: a partition has no
// directory there. In sysfs a slash of a name is an exclamation mark.
func (c *Collector) wholeDisk(name string) bool {
	if strings.HasPrefix(name, "ram") {
		return false
	}
	_, err := os.Stat(filepath.Join(c.sys, "block", strings.ReplaceAll(name, "/", "!")))
	return err == nil
}

// stacked reports whether the block device is made of others, of a file or of memory.
func (c *Collector) stacked(name string) bool {
	if strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "zram") {
		return true
	}
	below, err := os.ReadDir(filepath.Join(c.sys, "block", strings.ReplaceAll(name, "/", "!"), "slaves"))
	return err == nil && len(below) > 0
}

// backed reports whether there is a file behind a loop device.
func (c *Collector) backed(d *disk) bool {
	if !strings.HasPrefix(d.name, "loop") {
		return true
	}
	_, err := os.Stat(filepath.Join(c.sys, "block", d.name, "loop", "backing_file"))
	return err == nil
}
