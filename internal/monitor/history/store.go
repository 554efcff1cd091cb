package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
)

// Store is history on disk. Its methods may be called at the same time.
type Store struct {
	archive // guards what follows too
	cfg     Config
	lock    *os.File
	rollers []*roller // what tier i is made with; nil for the finest
	seq     uint64
	failing bool
	syncer
}

// ErrNone says that nothing is known of a time.
var ErrNone = errors.New("history: nothing is recorded of that time or before it")

// Open opens the history in a directory, which it makes if it is missing, mends what a
// crash has left, and keeps other writers out until Close. OpenReader is for those who
// only read.
func Open(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Store{archive: archive{schema: newSchema(cfg.Top)}, cfg: cfg}
	var err error
	if !cfg.Memory {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if s.lock, err = lockDir(cfg.Dir); err != nil {
			return nil, err
		}
	}
	if s.coder, err = newCoder(s.schema); err != nil {
		_ = s.lock.Close()
		return nil, err
	}
	for i, t := range cfg.Tiers {
		tier, err := openTier(cfg, i)
		if err != nil {
			s.release()
			_ = s.lock.Close()
			return nil, fmt.Errorf("history: %w", err)
		}
		s.tiers = append(s.tiers, tier)
		s.rollers = append(s.rollers, nil)
		if i > 0 {
			s.rollers[i] = newRoller(s.schema, t.Step)
		}
		s.seq = max(s.seq, tier.newest())
	}
	s.rebuild()
	return s, nil
}

// lockDir makes sure that one process writes: two would mix their blocks.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("history: lock %s: %w", path, err)
		}
		who := ""
		if pid, err := os.ReadFile(path); err == nil && len(pid) > 0 {
			who = fmt.Sprintf(" (%s)", strings.TrimSpace(string(pid)))
		}
		return nil, fmt.Errorf("history: %s is in use by another process%s: stop that one, or give this one another directory", dir, who)
	}
	// Only for the words above: without it the lock holds just as well.
	_ = f.Truncate(0)
	_, _ = fmt.Fprintf(f, "process %d\n", os.Getpid())
	return f, nil
}

// rebuild makes again what the coarser tiers had not yet written when the process ended:
// their records, and the periods that had begun.
func (s *Store) rebuild() {
	for i := len(s.tiers) - 2; i >= 0; i-- {
		from, done := s.tiers[i], s.tiers[i+1].newest()
		for _, seg := range from.segments {
			for j := range seg.blocks {
				b := &seg.blocks[j]
				if b.Last <= done {
					continue
				}
				for record := range int(b.Records) {
					e, err := s.entry(seg, b, record)
					if err != nil {
						break // damaged
					}
					if e.seq > done {
						_ = s.roll(i+1, e) // a full disk is reported by the next Add
					}
				}
			}
		}
	}
}

// Add keeps a sample, which the caller may change afterwards. An error means that it, and
// those before it that were not yet written, are in memory alone: it is returned once, and
// writing is tried again with later samples until it works; when too many wait the oldest
// are given up. A collector's first pass, which has no interval, is not kept: it knows no
// rates, and its zeros would stand in charts as a machine that did nothing.
func (s *Store) Add(sm *sample.Sample) error {
	switch {
	case sm.Time.IsZero():
		return errors.New("history: a sample without a time")
	case sm.Interval == 0:
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	s.seq++
	err := s.add(0, s.schema.entry(sm, s.seq))
	return s.report(worse(err, s.sync()))
}

func (s *Store) report(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errWritten):
		s.failing = false
		return nil
	case s.failing:
		return nil
	}
	s.failing = true
	return fmt.Errorf("history: %w", err)
}

// errWritten says that something was written: a full disk has room again.
var errWritten = errors.New("written")

func (s *Store) add(i int, e *entry) error {
	t := s.tiers[i]
	t.pending = append(t.pending, e)
	var err error
	if len(t.pending)%t.block == 0 {
		err = s.flush(t)
	}
	if i+1 == len(s.tiers) {
		return err
	}
	return worse(err, s.roll(i+1, e))
}

// worse is what to report of two results.
func worse(a, b error) error {
	if b == nil || a != nil && !errors.Is(a, errWritten) {
		return a
	}
	return b
}

// roll takes a record of the tier before i into tier i.
func (s *Store) roll(i int, e *entry) error {
	if done := s.rollers[i].add(e); done != nil {
		return s.add(i, done)
	}
	return nil
}

// waiting is how many blocks may wait for a disk that is full.
const waiting = 4

// flush writes what is pending, and first that of finer tiers: no tier on the disk is ahead
// of a finer one, from which rebuild goes on.
func (s *Store) flush(t *tier) error {
	for _, finer := range s.tiers {
		if finer == t {
			break
		}
		if len(finer.pending) > 0 {
			_ = s.flush(finer) // what goes wrong is told when that one is full
		}
	}
	h, data := s.coder.encode(t.pending, t.peaks)
	err := s.room(int64(len(data)))
	if err == nil {
		err = t.append(h, data)
	}
	if err != nil {
		if len(t.pending) >= waiting*t.block {
			t.pending = append([]*entry(nil), t.pending[t.block:]...)
		}
		return err
	}
	t.pending = nil
	if t == s.tiers[0] {
		s.unsafe++
	}
	if err := t.expire(); err != nil {
		return err
	}
	if s.readers == 0 {
		s.bury()
	}
	return errWritten
}

// room removes the oldest segments until n more bytes are within the bound.
func (s *Store) room(n int64) error {
	n += segmentHeader
	for {
		total := n
		var oldest *tier
		for _, t := range s.tiers {
			total += t.bytes()
			if len(t.segments) < 2 {
				continue
			}
			if oldest == nil || age(t.segments[0]) < age(oldest.segments[0]) {
				oldest = t
			}
		}
		switch {
		case total <= s.cfg.MaxBytes:
			return nil
		case oldest == nil:
			return fmt.Errorf("%d bytes are not within the bound of %d: give history more", total, s.cfg.MaxBytes)
		}
		if err := oldest.remove(1); err != nil {
			return err
		}
	}
}

// age is the seq of the oldest record in a segment.
func age(s *segment) uint64 {
	if len(s.blocks) == 0 {
		return 0
	}
	return s.blocks[0].First
}

// Close writes what is pending and lets other processes in. Who is being answered still
// gets the answer.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var all []error
	for _, t := range s.tiers {
		if len(t.pending) > 0 {
			if err := s.flush(t); !errors.Is(err, errWritten) {
				all = append(all, fmt.Errorf("history: %w", err))
			}
		}
	}
	s.syncing.Wait()
	if s.synced != nil {
		if err := <-s.synced; err != nil {
			all = append(all, fmt.Errorf("history: %w", err))
		}
		s.readers--
	}
	if !s.cfg.Memory {
		if err := syncFiles(s.cfg.Dir, s.unsynced()); err != nil {
			all = append(all, fmt.Errorf("history: %w", err))
		}
	}
	s.end()
	_ = s.lock.Close()
	return errors.Join(all...)
}
