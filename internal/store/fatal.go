package store

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"

	"go.uber.org/zap/zapcore"
)

// fatal receives what etcd has to say where it would end the program, such as on a
// full disk. It ends only the goroutine that said it, so that the program can close
// with an error in words.
type fatal struct {
	dir  string
	once sync.Once
	done chan struct{} // closed when err is set
	err  error
}

func newFatal(dir string) *fatal { return &fatal{dir: dir, done: make(chan struct{})} }

// OnWrite implements zapcore.CheckWriteHook.
func (f *fatal) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	f.once.Do(func() {
		err := errors.New(entry.Message)
		for _, field := range fields {
			if cause, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
				err = fmt.Errorf("%s: %w", entry.Message, cause)
			}
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("the disk is full; make room and start again: %w", err)
		}
		f.err = fmt.Errorf("%w in %s: %w", ErrFailed, f.dir, err)
		close(f.done)
	})
	runtime.Goexit()
}

// get returns the error if there was one.
func (f *fatal) get() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}
