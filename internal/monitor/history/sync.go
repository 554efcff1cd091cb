package history

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// syncBlocks is after how many blocks of the finest tier files are synced: what a power
// cut can lose, a minute of seconds.
const syncBlocks = 6

// syncer is what a Store knows of what is not safe from a power cut.
type syncer struct {
	unsafe  int // blocks of the finest tier since files were last synced
	syncing sync.WaitGroup
	synced  chan error // what became of syncing, nil while nobody is at it
}

// sync sees to it that what was written is on the disk, some time later: a disk that
// hangs must not hold up samples. It returns what became of the time before.
func (s *Store) sync() (err error) {
	if s.synced != nil {
		select {
		case err = <-s.synced:
			s.synced = nil
			s.readers--
		default:
			return nil // still at it
		}
	}
	if s.unsafe < syncBlocks || s.cfg.Memory {
		return err
	}
	s.unsafe = 0
	files := s.unsynced()
	done := make(chan error, 1)
	s.synced = done
	s.readers++ // so that no file is closed meanwhile
	s.syncing.Go(func() { done <- syncFiles(s.cfg.Dir, files) })
	return err
}

// unsynced are the files that were written to since they were synced.
func (s *Store) unsynced() (files []*os.File) {
	for _, t := range s.tiers {
		files = append(files, t.unsynced...)
		t.unsynced = nil
	}
	return files
}

// syncFiles syncs files and the directory that has their names.
func syncFiles(dir string, files []*os.File) error {
	var all []error
	for _, f := range files {
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			all = append(all, fmt.Errorf("sync %s: %w", f.Name(), err))
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return errors.Join(append(all, err)...)
	}
	return errors.Join(append(all, d.Sync(), d.Close())...)
}
