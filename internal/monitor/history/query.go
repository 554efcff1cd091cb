package history

import (
	"math"
	"os"
	"sync"
	"time"
)

// archive is what queries need: of a Store, or of a Reader.
type archive struct {
	schema *schema
	coder  *coder
	// renew brings the tiers to what is on disk, in mu; nil where they are that already.
	renew func() error

	mu      sync.Mutex
	tiers   []*tier
	readers int // that have views
	closed  bool
}

// view is a tier as it is at one time, to be read without holding up Add.
type view struct {
	tier     *tier
	peaks    bool // as in the tier
	segments []segment
	pending  []*entry
}

func (s *archive) views() ([]view, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, os.ErrClosed
	}
	if s.renew != nil {
		if err := s.renew(); err != nil {
			return nil, err
		}
	}
	s.readers++
	views := make([]view, len(s.tiers))
	for i, t := range s.tiers {
		views[i] = view{tier: t, peaks: t.peaks, pending: t.pending}
		for _, seg := range t.segments {
			views[i].segments = append(views[i].segments, *seg)
		}
	}
	return views, nil
}

// unview ends what views began: files that were removed meanwhile can be closed, and all
// else if the archive is.
func (s *archive) unview() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers--; s.readers > 0 {
		return
	}
	s.bury()
	if s.closed {
		s.release()
	}
}

// end closes the archive, in mu: at once, or after the last who reads. Nobody waits for
// those, as their disk may hang.
func (s *archive) end() {
	s.closed = true
	if s.readers == 0 {
		s.release()
	}
}

// release gives everything back. Nobody reads any more.
func (s *archive) release() {
	s.bury()
	for _, t := range s.tiers {
		t.close()
	}
	s.coder.close()
}

// bury closes the files of segments that were removed.
func (s *archive) bury() {
	for _, t := range s.tiers {
		for _, f := range t.removed {
			_ = f.Close()
		}
		t.removed = nil
	}
}

// Extent is what a tier holds.
type Extent struct {
	Step    float64   `json:"step"` // seconds
	From    time.Time `json:"from"` // zero if it holds nothing
	To      time.Time `json:"to"`
	Records int       `json:"records"`
	Bytes   int64     `json:"bytes"` // on disk
}

// Bounds are what there is, the finest tier first.
func (s *archive) Bounds() ([]Extent, error) {
	views, err := s.views()
	if err != nil {
		return nil, err
	}
	defer s.unview()
	var all []Extent
	for _, v := range views {
		x := Extent{Step: v.tier.step.Seconds(), Records: len(v.pending)}
		from, to := int64(math.MaxInt64), int64(math.MinInt64)
		for _, seg := range v.segments {
			x.Bytes += seg.size
			for i := range seg.blocks {
				b := &seg.blocks[i]
				x.Records += int(b.Records)
				from, to = min(from, b.From), max(to, b.To)
			}
		}
		for _, e := range v.pending {
			from, to = min(from, e.time), max(to, e.time)
		}
		if from <= to {
			x.From, x.To = time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC()
		}
		all = append(all, x)
	}
	return all, nil
}

// At is the newest record at or before t, of the finest tier whose step is resolution or
// more and that knows t; the coarsest if none is that coarse. If none of these knows t, a
// finer one stands in; if no tier does, it is the newest before t: see its Time. ErrNone
// if there is none.
func (s *archive) At(t time.Time, resolution time.Duration) (*Record, error) {
	views, err := s.views()
	if err != nil {
		return nil, err
	}
	defer s.unview()
	if len(views) == 0 {
		return nil, ErrNone
	}
	ms := t.UnixMilli()
	var best *found
	for _, i := range order(views, resolution) {
		f := s.find(&views[i], ms)
		if f == nil {
			continue
		}
		if ms-f.time < 2*max(views[i].tier.step.Milliseconds(), f.weight) {
			best = f
			break
		}
		if best == nil || f.time > best.time {
			best = f
		}
	}
	if best == nil {
		return nil, ErrNone
	}
	e := best.entry
	if e == nil {
		if e, err = s.entry(best.segment, best.block, best.record); err != nil {
			return nil, err
		}
	}
	peaks := best.view.peaks
	if best.block != nil {
		peaks = best.block.Peaks == 1
	}
	return s.schema.record(e, best.view.tier.step, peaks), nil
}

// order is in which the tiers are asked: from the finest that is no finer than the
// resolution to the coarsest, then the finer ones, whose newest periods the coarser
// ones do not have yet.
func order(views []view, resolution time.Duration) []int {
	first := 0
	for first+1 < len(views) && views[first].tier.step < resolution {
		first++
	}
	all := make([]int, 0, len(views))
	for i := first; i < len(views); i++ {
		all = append(all, i)
	}
	for i := first - 1; i >= 0; i-- {
		all = append(all, i)
	}
	return all
}

// found is where a record is: in memory, or in a block.
type found struct {
	view         *view
	time, weight int64
	entry        *entry
	segment      *segment
	block        *block
	record       int
}

// find is the newest record at or before a time, of those of one time the one that was
// written last, or nil.
func (s *archive) find(v *view, ms int64) *found {
	bad := map[*block]bool{}
	for {
		var best *found
		for i := range v.segments {
			seg := &v.segments[i]
			for j := range seg.blocks {
				b := &seg.blocks[j]
				// A block without a record that is newer than the best one need not be read.
				if b.From > ms || bad[b] || best != nil && min(b.To, ms) < best.time {
					continue
				}
				if b.To <= ms {
					best = &found{view: v, time: b.To, segment: seg, block: b, record: -1}
					continue
				}
				if f := s.within(v, seg, b, ms); f == nil {
					bad[b] = true
				} else if best == nil || f.time >= best.time {
					best = f
				}
			}
		}
		for _, e := range v.pending {
			if e.time <= ms && (best == nil || e.time >= best.time) {
				best = &found{view: v, time: e.time, weight: e.weight, entry: e}
			}
		}
		if best == nil || best.entry != nil {
			return best
		}
		f := s.within(v, best.segment, best.block, ms)
		if f != nil && s.readable(f) {
			return f
		}
		bad[best.block] = true
	}
}

// within finds the newest record at or before a time in a block; nil if it is damaged.
func (s *archive) within(v *view, seg *segment, b *block, ms int64) *found {
	entries, err := s.read(seg, b, 0, visitor{record: -1})
	if err != nil {
		return nil
	}
	var best *found
	for i, e := range entries {
		if e.time <= ms && (best == nil || e.time >= best.time) {
			best = &found{view: v, time: e.time, weight: e.weight, segment: seg, block: b, record: i}
		}
	}
	return best
}

func (s *archive) readable(f *found) bool {
	e, err := s.entry(f.segment, f.block, f.record)
	if err == nil {
		f.entry = e
	}
	return err == nil
}

func (s *archive) read(seg *segment, b *block, section int, visit visitor) ([]entry, error) {
	packed, err := seg.section(b, section)
	if err != nil {
		return nil, err
	}
	return s.coder.decode(&b.header, section, packed, visit)
}

// entry reads a whole record.
func (s *archive) entry(seg *segment, b *block, record int) (*entry, error) {
	var whole *entry
	for i := range nSections {
		entries, err := s.read(seg, b, i, visitor{record: record})
		if err != nil {
			return nil, err
		}
		e := &entries[record]
		if i == 0 {
			whole = e
			continue
		}
		whole.rows = append(whole.rows, e.rows...)
	}
	if len(whole.rows) != len(s.schema.shapes) {
		return nil, errDamaged
	}
	return whole, nil
}
