package load

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// pacer says when the next request starts. In a closed loop that is when a worker is
// free; in an open loop, when it is due: request n is due n/Rate after the start.
type pacer struct {
	requests int64 // in all, or 0
	begin    time.Time
	end      time.Time // or zero
	rate     float64
	taken    atomic.Int64 // closed loop: requests that have started

	mu       sync.Mutex
	fell     *sync.Cond // requests fell due, or no more will
	due      int64      // open loop: requests that have fallen due
	started  int64      // open loop: those of them that have started
	over     bool       // no more fall due
	stopped  bool       // none starts any more
	stopping chan struct{}
}

func newPacer(c *Config, begin time.Time) *pacer {
	p := &pacer{requests: c.Requests, begin: begin, rate: c.Rate, stopping: make(chan struct{})}
	if c.Duration > 0 {
		p.end = begin.Add(c.Duration)
	}
	p.fell = sync.NewCond(&p.mu)
	return p
}

// next waits until a request may start. It returns when it was due, and whether it had
// to be waited for; false says that there are no more. now is the time.
func (p *pacer) next(now time.Time) (due time.Time, waited, ok bool) {
	if p.rate == 0 {
		ended := p.requests > 0 && p.taken.Add(1) > p.requests || !p.end.IsZero() && !now.Before(p.end)
		return now, false, !ended && !p.isStopped()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.started == p.due && !p.over && !p.stopped {
		waited = true
		p.fell.Wait()
	}
	// What is due and has not started when the time is over never does: it would
	// lengthen the test as far as the server is behind.
	if p.stopped || p.started == p.due || !p.end.IsZero() && !waited && !now.Before(p.end) {
		return due, waited, false
	}
	due = p.at(p.started)
	p.started++
	return due, waited, true
}

// at is when request n, from 0, is due.
func (p *pacer) at(n int64) time.Time {
	return p.begin.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
}

// unsent is how many requests were due and never started.
func (p *pacer) unsent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.due - p.started
}

// finest is the least time that an open loop waits: what falls due within it starts
// together.
const finest = 100 * time.Microsecond

// run lets requests fall due until the last one is. It sleeps in the kernel, on a thread
// of its own: Go's timers are up to a millisecond late in a process that is idle.
func (p *pacer) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The slack is 50 µs otherwise: prctl(2), PR_SET_TIMERSLACK. Without it times are
	// less exact, no more.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	for n := int64(0); ; {
		now := time.Now()
		n = p.fallen(now)
		last := p.requests > 0 && n >= p.requests || !p.end.IsZero() && !p.at(n).Before(p.end)
		p.mu.Lock()
		p.due, p.over = n, last
		over := last || p.stopped
		p.fell.Broadcast()
		p.mu.Unlock()
		if over {
			return
		}
		p.sleepExactly(max(p.at(n).Sub(now), finest))
	}
}

// fallen is how many requests are due by now.
func (p *pacer) fallen(now time.Time) int64 {
	if !p.end.IsZero() && now.After(p.end) {
		now = p.end
	}
	n := int64(now.Sub(p.begin).Seconds()*p.rate) + 1
	if p.requests > 0 {
		n = min(n, p.requests)
	}
	return n
}

// sleepExactly sleeps for d, or until the pacer is stopped.
func (p *pacer) sleepExactly(d time.Duration) {
	// The last part in the kernel, which nothing wakes.
	const part = 20 * time.Millisecond
	if d > part && !p.sleep(d-part) {
		return
	}
	ts := unix.NsecToTimespec(int64(min(d, part)))
	_ = unix.Nanosleep(&ts, nil) // a signal may end it early; then it is asked again
}

// sleep sleeps for d and reports whether the test still goes on then.
func (p *pacer) sleep(d time.Duration) bool {
	if !p.end.IsZero() {
		d = min(d, time.Until(p.end))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.stopping:
		return false
	}
}

func (p *pacer) isStopped() bool {
	select {
	case <-p.stopping:
		return true
	default:
		return false
	}
}

// stop ends the test now.
func (p *pacer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		p.stopped = true
		close(p.stopping)
		p.fell.Broadcast()
	}
}
