package history

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// tier is the segments of one step, and the records that are not yet in one.
type tier struct {
	dir     string
	step    time.Duration
	keep    int // records
	block   int // records
	largest int64
	peaks   bool

	segments []*segment
	pending  []*entry
	removed  []*os.File // that somebody may still read
	unsynced []*os.File // that were written to
}

// segmentsKept is how many segments the kept records are spread over, since whole ones
// expire.
const segmentsKept = 12

func openTier(cfg Config, i int) (*tier, error) {
	t := &tier{
		dir: cfg.Dir, step: cfg.Tiers[i].Step, keep: cfg.Tiers[i].records(), block: cfg.block(i),
		largest: cfg.MaxBytes / 16, peaks: i > 0,
	}
	if cfg.Memory {
		return t, nil
	}
	files, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, f := range files {
		if n := segmentNumber(f.Name(), t.step); n >= 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		s, err := openSegment(t.dir, t.step, n, i == len(numbers)-1)
		if err != nil {
			t.close()
			return nil, err
		}
		t.segments = append(t.segments, s)
	}
	return t, nil
}

func (t *tier) close() {
	for _, s := range t.segments {
		_ = s.file.Close()
	}
}

// newest is the seq of the newest record on disk.
func (t *tier) newest() (seq uint64) {
	for _, s := range t.segments {
		for i := range s.blocks {
			seq = max(seq, s.blocks[i].Last)
		}
	}
	return seq
}

func (t *tier) bytes() (n int64) {
	for _, s := range t.segments {
		n += s.size
	}
	return n
}

// open is the segment to write to, nil if a new one is due.
func (t *tier) open() *segment {
	if len(t.segments) == 0 {
		return nil
	}
	s := t.segments[len(t.segments)-1]
	if s.closed || s.size >= t.largest || s.records() >= max(t.keep/segmentsKept, t.block) {
		return nil
	}
	return s
}

// append writes a block, or leaves the file as it was.
func (t *tier) append(h header, data []byte) error {
	s := t.open()
	if s == nil {
		number := 0
		if n := len(t.segments); n > 0 {
			number = t.segments[n-1].number + 1
		}
		var err error
		if s, err = createSegment(t.dir, t.step, number); err != nil {
			return err
		}
		t.segments = append(t.segments, s)
	}
	if _, err := s.file.WriteAt(data, s.size); err != nil {
		// If not even this works, the next opening cuts it off, and a new file is begun.
		s.closed = s.file.Truncate(s.size) != nil
		return err
	}
	if !slices.Contains(t.unsynced, s.file) {
		t.unsynced = append(t.unsynced, s.file)
	}
	s.blocks = append(s.blocks, block{h, s.size})
	s.size += int64(len(data))
	return nil
}

// expire removes the segments before those that hold what is kept.
func (t *tier) expire() error {
	n := 0
	for i := len(t.segments) - 1; i >= 0; i-- {
		if n >= t.keep {
			return t.remove(i + 1)
		}
		n += t.segments[i].records()
	}
	return nil
}

// remove removes the first n segments. Who still reads one may go on.
func (t *tier) remove(n int) error {
	for ; n > 0; n-- {
		s := t.segments[0]
		if err := t.unlink(s); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove what is too old: %w", err)
		}
		t.removed = append(t.removed, s.file)
		t.unsynced = slices.DeleteFunc(t.unsynced, func(f *os.File) bool { return f == s.file })
		t.segments = slices.Clone(t.segments[1:])
	}
	return nil
}

// unlink removes a segment's file; one in memory ends when it is closed.
func (t *tier) unlink(s *segment) error {
	if t.dir == "" {
		return nil
	}
	return os.Remove(s.file.Name())
}
