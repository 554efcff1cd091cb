package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	segmentMagic  = "SARNHIST"
	version       = 3
	segmentHeader = 16 // magic, version, checksum of both
)

// segment is one file: a header, then blocks.
type segment struct {
	number int
	file   *os.File
	size   int64
	blocks []block
	// closed says that nothing is added: it is full or was damaged.
	closed bool
}

type block struct {
	header
	at int64
}

func (s *segment) records() (n int) {
	for i := range s.blocks {
		n += int(s.blocks[i].Records)
	}
	return n
}

// section reads one section of a block, packed.
func (s *segment) section(b *block, section int) ([]byte, error) {
	packed := make([]byte, b.Sizes[section])
	_, err := s.file.ReadAt(packed, b.at+b.offset(section))
	return packed, err
}

func segmentPath(dir string, step time.Duration, number int) string {
	return filepath.Join(dir, fmt.Sprintf("%ds-%010d.seg", int(step.Seconds()), number))
}

// segmentNumber is the number in a name that segmentPath made, or -1.
func segmentNumber(name string, step time.Duration) int {
	digits, ok := strings.CutPrefix(name, fmt.Sprintf("%ds-", int(step.Seconds())))
	digits, ok2 := strings.CutSuffix(digits, ".seg")
	n, err := strconv.Atoi(digits)
	if !ok || !ok2 || err != nil || n < 0 {
		return -1
	}
	return n
}

func segmentStart() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(segmentMagic), version)
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

// createSegment makes a file, in memory if there is no directory.
func createSegment(dir string, step time.Duration, number int) (*segment, error) {
	path := segmentPath(dir, step, number)
	var f *os.File
	var err error
	if dir == "" {
		f, err = memoryFile(path)
	} else {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(segmentStart()); err != nil {
		err = errors.Join(err, f.Close())
		if dir != "" {
			err = errors.Join(err, os.Remove(path))
		}
		return nil, err
	}
	return &segment{number: number, file: f, size: segmentHeader}, nil
}

// memoryFile is a file without a place: memfd_create(2).
func memoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate("sarn-history-"+name, unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3 does not know the seal
		fd, err = unix.MemfdCreate("sarn-history-"+name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, fmt.Errorf("memory for history: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openSegment finds the blocks of a file. The newest one of a tier is looked at more
// closely, since a crash leaves it torn: what is not whole at its end is cut off.
func openSegment(dir string, step time.Duration, number int, newest bool) (*segment, error) {
	f, err := os.OpenFile(segmentPath(dir, step, number), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	s := &segment{number: number, file: f, closed: !newest}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.size = info.Size()
	var end int64
	var whole bool
	s.blocks, end, whole, err = scan(f, s.size, newest)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Name(), err), f.Close())
	}
	s.closed = s.closed || !whole
	if !s.closed && end < s.size {
		if err := f.Truncate(end); err != nil {
			return nil, errors.Join(fmt.Errorf("cut off what a crash has left: %w", err), f.Close())
		}
		s.size = end
	}
	return s, nil
}

// scan finds the blocks of a segment and where the last one ends. After damage it looks
// for the next block. It says whether the start of the file is whole. If deep, the
// sections are read too and blocks with a damaged one are left out.
func scan(f io.ReaderAt, size int64, deep bool) (blocks []block, end int64, whole bool, err error) {
	start := make([]byte, segmentHeader)
	if n, err := f.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, false, err
	} else if n == segmentHeader && checksum(start[:12]) == binary.LittleEndian.Uint32(start[12:]) && string(start[:8]) == segmentMagic {
		if v := binary.LittleEndian.Uint32(start[8:]); v != version {
			return nil, 0, false, fmt.Errorf("history of format %d, but this program knows format %d alone: use the sarn that made it, or give this one another directory", v, version)
		}
		whole, end = true, segmentHeader
	}
	blocks, end, err = scanBlocks(f, end, size, deep)
	return blocks, end, whole, err
}

// scanBlocks is scan from where a block is expected.
func scanBlocks(f io.ReaderAt, from, size int64, deep bool) (blocks []block, end int64, err error) {
	end = from
	buf := make([]byte, headerSize)
	for at := end; at >= 0 && at+headerSize <= size; {
		if _, err := f.ReadAt(buf, at); err != nil {
			return nil, 0, err
		}
		h, err := parseHeader(buf)
		if err != nil || at+h.size() > size {
			if at, err = next(f, at+1, size); err != nil {
				return nil, 0, err
			}
			continue
		}
		b := block{h, at}
		at += h.size()
		if deep && !sound(f, &b) {
			continue
		}
		blocks, end = append(blocks, b), at
	}
	return blocks, end, nil
}

func sound(f io.ReaderAt, b *block) bool {
	buf := make([]byte, b.size()-headerSize)
	if _, err := f.ReadAt(buf, b.at+headerSize); err != nil {
		return false
	}
	for i, size := range b.Sizes {
		if checksum(buf[:size]) != b.Sums[i] {
			return false
		}
		buf = buf[size:]
	}
	return true
}

// next is where the next block may start, or -1.
func next(f io.ReaderAt, at, size int64) (int64, error) {
	magic := binary.LittleEndian.AppendUint32(nil, blockMagic)
	buf := make([]byte, 64<<10)
	for at+headerSize <= size {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return -1, err
		}
		if i := bytes.Index(buf[:n], magic); i >= 0 {
			return at + int64(i), nil
		}
		if n < len(magic) {
			break
		}
		at += int64(n - len(magic) + 1)
	}
	return -1, nil
}
