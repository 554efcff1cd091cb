package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reader reads a history that another process may be writing. It takes no lock and writes
// nothing, so the writer never knows of it. What the writer has not written yet (Store: of
// the finest tier up to 10 passes) it does not have. Its methods may be called at the
// same time.
type Reader struct {
	archive
	dir   string
	fresh time.Time     // when the directory was last looked at
	often time.Duration // how old that may be
}

// OpenReader opens a history to be read. The error is fs.ErrNotExist if there is none.
func OpenReader(dir string) (*Reader, error) {
	r := &Reader{archive: archive{schema: newSchema(defaultTop)}, dir: dir, often: oftenEnough}
	var err error
	if r.coder, err = newCoder(r.schema); err != nil {
		return nil, err
	}
	r.renew = r.look
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.look(); err != nil {
		r.release()
		return nil, err
	}
	if len(r.tiers) == 0 {
		r.release()
		return nil, fmt.Errorf("history: there is none in %s: %w", dir, fs.ErrNotExist)
	}
	return r, nil
}

// Close closes the files. Who is being answered still gets the answer.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.end()
	}
	return nil
}

// oftenEnough: the writer adds to the directory every ten passes.
const oftenEnough = 500 * time.Millisecond

// look brings the tiers to what is in the directory.
func (r *Reader) look() error {
	if time.Since(r.fresh) < r.often {
		return nil
	}
	files, err := os.ReadDir(r.dir)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	there := map[time.Duration][]int{}
	for _, f := range files {
		if step := stepOf(f.Name()); step > 0 {
			if n := segmentNumber(f.Name(), step); n >= 0 {
				there[step] = append(there[step], n)
			}
		}
	}
	for step := range there {
		if !slices.ContainsFunc(r.tiers, func(t *tier) bool { return t.step == step }) {
			r.tiers = append(r.tiers, &tier{dir: r.dir, step: step})
		}
	}
	slices.SortFunc(r.tiers, func(a, b *tier) int { return int(a.step - b.step) })
	for i, t := range r.tiers {
		slices.Sort(there[t.step])
		if err := t.follow(there[t.step]); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		t.peaks = i > 0
	}
	if r.readers == 0 {
		r.bury()
	}
	r.fresh = time.Now()
	return nil
}

// stepOf is the step in a segment's name, 0 if it is none.
func stepOf(name string) time.Duration {
	digits, rest, ok := strings.Cut(name, "s-")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n <= 0 || n > 1<<30 || !strings.HasSuffix(rest, ".seg") {
		return 0
	}
	return time.Duration(n) * time.Second
}

// follow makes the segments those with the numbers, and finds what was added to them.
// Lists that a reader has are left as they are.
func (t *tier) follow(numbers []int) error {
	have := map[int]*segment{}
	for _, s := range t.segments {
		have[s.number] = s
	}
	var now []*segment
	for i, n := range numbers {
		s := have[n]
		if s != nil && s.replaced() {
			s = nil
		}
		var err error
		if s == nil {
			s, err = watchSegment(t.dir, t.step, n, i == len(numbers)-1)
		} else if i >= len(numbers)-2 { // before these nothing is written any more
			err = s.grow()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has expired meanwhile
			continue
		case err != nil:
			t.segments = append(now, t.segments...) // to be closed
			return err
		}
		now = append(now, s)
	}
	for _, s := range t.segments {
		if !slices.Contains(now, s) {
			t.removed = append(t.removed, s.file)
		}
	}
	t.segments = now
	return nil
}

// replaced says whether another file has the segment's name.
func (s *segment) replaced() bool {
	mine, err := s.file.Stat()
	if err != nil {
		return true
	}
	now, err := os.Stat(s.file.Name())
	return err != nil || !os.SameFile(mine, now) || now.Size() < s.size
}

// watchSegment opens a file that may be growing, which the newest one does.
func watchSegment(dir string, step time.Duration, number int, newest bool) (*segment, error) {
	f, err := os.Open(segmentPath(dir, step, number))
	if err != nil {
		return nil, err
	}
	s := &segment{number: number, file: f}
	info, err := f.Stat()
	if err == nil {
		var whole bool
		if s.blocks, s.size, whole, err = scan(f, info.Size(), newest); err == nil && !whole && len(s.blocks) == 0 {
			err = fs.ErrNotExist // its first bytes are still to come
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Name(), err), f.Close())
	}
	return s, nil
}

// grow finds the blocks behind those that are known. One that is not whole yet is found
// the next time.
func (s *segment) grow() error {
	info, err := s.file.Stat()
	if err != nil || info.Size() <= s.size {
		return err
	}
	blocks, end, err := scanBlocks(s.file, s.size, info.Size(), true)
	if err != nil {
		return fmt.Errorf("%s: %w", s.file.Name(), err)
	}
	s.blocks, s.size = append(slices.Clip(s.blocks), blocks...), end
	return nil
}
