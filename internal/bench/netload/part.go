package netload

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// silence is how long one end waits for the other before it says that there is nothing.
const silence = 3 * time.Second

// What can go wrong with a test's data, in the words that a person reads after "tcp-rr: ".
var (
	errSilent   = errors.New("no answer any more: is the way cut?")
	errClosed   = errors.New("the other end closed the connection in the middle of the test")
	errTooShort = errors.New("no request was answered within the test's time; let it measure longer")
	errNothing  = errors.New("connected, but no data arrives: are packets of full size (the path's MTU) lost on the way?")
)

// part is what one end does in one test. Its threads look at stop at each turn, and no
// call of theirs lasts longer than a glance.
type part struct {
	test Test
	cpu  int
	stop atomic.Bool
	// answer is what the server of a tcp-crr test sends.
	answer []byte
	// think is how long the server takes for an answer; tests set it.
	think time.Duration
}

// limit stops the part when ctx ends, or after so long. The function that it returns
// takes that back.
func (p *part) limit(ctx context.Context, after time.Duration) (release func()) {
	end := func() { p.stop.Store(true) }
	timer := time.AfterFunc(after, end)
	unhook := context.AfterFunc(ctx, end)
	return func() { timer.Stop(); unhook() }
}

// threads runs f once for each socket, each on a thread, and returns the first error.
func (p *part) threads(fds []int, f func(i, fd int) error) error {
	errs := make(chan error, len(fds))
	for i, fd := range fds {
		go func() { errs <- pinned(p.cpu, func() error { return f(i, fd) }) }()
	}
	var first error
	for range fds {
		if err := <-errs; err != nil && first == nil {
			first = err
			p.stop.Store(true)
		}
	}
	return first
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd) //nolint:errcheck // nothing is kept
	}
}

// sleep waits, a glance at a time.
func (p *part) sleep(d time.Duration) {
	for end := time.Now().Add(d); d > 0 && !p.stop.Load(); d = time.Until(end) {
		ts := unix.NsecToTimespec(int64(min(d, glance)))
		_ = unix.Nanosleep(&ts, nil) // a signal makes it shorter: it goes on
	}
}
