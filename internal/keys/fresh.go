package keys

import (
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// lookEvery is how often, at most, files are asked whether they have changed.
	lookEvery = time.Second
	// tryEvery is how often what could not be read is tried again without a change: the
	// reason may be another file that they name, or a program with too many files open.
	tryEvery = 5 * time.Second
)

// Fresh is what files hold. It may be asked from several goroutines.
type Fresh[T any] struct {
	read  func() (T, error)
	wrong func(error)
	files []string

	mu     sync.Mutex
	value  T
	states []state
	looked time.Time
	tried  time.Time // when the files were read last
	said   string    // why they could not be; "" if they could
}

// state tells one content of a file from another. The zero one is that of no file.
type state struct {
	device, inode   uint64
	size            int64
	written, change syscall.Timespec
}

// NewFresh reads files, and fails if that does. Later, what cannot be read leaves the
// value as it was and is tried again; wrong, unless it is nil, is told so once for each
// change of the files and each reason.
func NewFresh[T any](read func() (T, error), wrong func(error), files ...string) (*Fresh[T], error) {
	f := &Fresh[T]{read: read, wrong: wrong, files: files, looked: time.Now()}
	f.states = f.look() // before: what changes while it is read is read again
	var err error
	f.value, err = read()
	return f, err
}

// Now is what the files hold. It looks at them if it has not done so for a second.
func (f *Fresh[T]) Now() T {
	value, _ := f.Changed()
	return value
}

// Changed is Now, and whether the value is another than before.
func (f *Fresh[T]) Changed() (value T, changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < lookEvery {
		return f.value, false
	}
	f.looked = time.Now()
	now := f.look()
	other := !same(now, f.states)
	if !other && (f.said == "" || time.Since(f.tried) < tryEvery) {
		return f.value, false
	}
	f.states, f.tried = now, time.Now()
	read, err := f.read()
	if err != nil {
		if f.wrong != nil && (other || f.said != err.Error()) {
			f.wrong(err)
		}
		f.said = err.Error()
		return f.value, false
	}
	f.value, f.said = read, ""
	return f.value, true
}

func (f *Fresh[T]) look() []state {
	states := make([]state, len(f.files))
	for i, file := range f.files {
		info, err := os.Stat(file) // follows links, which are what is exchanged at some places
		if err != nil {
			continue
		}
		states[i].size = info.Size()
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			states[i] = state{device: s.Dev, inode: s.Ino, size: s.Size, written: s.Mtim, change: s.Ctim}
		}
	}
	return states
}

func same(a, b []state) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
