package term

import (
	"io"
	"sync"
	"time"
)

// output writes to a terminal that may stall (a connection that hangs, a person who has
// pressed Ctrl-S somewhere), without holding up who writes. It is for one who draws only
// when all from before is written: what waits is one drawing.
type output struct {
	to io.Writer

	mu      sync.Mutex
	waiting []byte
	busy    bool
	err     error
	idle    chan struct{} // gets a token when all is written
}

func newOutput(to io.Writer) *output { return &output{to: to, idle: make(chan struct{}, 1)} }

// Write never waits.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	o.waiting = append(o.waiting, b...)
	if !o.busy {
		o.busy = true
		go o.drain()
	}
	return len(b), nil
}

// drain writes what waits, until nothing does.
func (o *output) drain() {
	var b []byte
	for {
		o.mu.Lock()
		b, o.waiting = o.waiting, b[:0]
		if len(b) == 0 {
			o.busy = false
			o.mu.Unlock()
			select {
			case o.idle <- struct{}{}:
			default:
			}
			return
		}
		o.mu.Unlock()
		if _, err := o.to.Write(b); err != nil {
			o.mu.Lock()
			o.err, o.waiting = err, nil
			o.mu.Unlock()
		}
	}
}

// stalled says whether something is still to be written.
func (o *output) stalled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.busy
}

// flush waits until all is written, but not longer than the time given.
func (o *output) flush(most time.Duration) {
	timeout := time.After(most)
	for o.stalled() {
		select {
		case <-o.idle:
		case <-timeout:
			return
		}
	}
}
