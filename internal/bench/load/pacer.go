package load

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
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
	const century = 100 * 365 * 24 * time.Hour // a time.Duration holds less than three
	return p.begin.Add(time.Duration(min(float64(n)/p.rate*float64(time.Second), float64(century))))
}

// all is how many requests fall due: with an end, those that are due before it.
func (p *pacer) all() int64 {
	if p.end.IsZero() {
		return p.requests
	}
	n := int64(math.Ceil(p.end.Sub(p.begin).Seconds() * p.rate))
	if n > 1 && !p.at(n-1).Before(p.end) {
		n-- // the product was rounded up
	}
	if p.requests > 0 {
		n = min(n, p.requests)
	}
	return n
}

// unsent is how many requests were due and never started.
func (p *pacer) unsent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.due - p.started
}

// putUnsent adds to the latencies from due what was due and never sent, with the time for
// which it had waited at the test's end. Without it a server that stands still at the end
// would look like one that nobody asked.
func (p *pacer) putUnsent(h *hdrhistogram.Histogram, end time.Time) {
	// In steps, where there are very many: near each other they have waited the same.
	step := (p.due-p.started)/100_000 + 1
	for n := p.started; n < p.due; n += step {
		waited := min(max(end.Sub(p.at(n)), 0), longest)
		_ = h.RecordValues(int64(waited), min(step, p.due-n)) // it is in range
	}
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
	for all := p.all(); ; {
		now := time.Now()
		n := min(int64(now.Sub(p.begin).Seconds()*p.rate)+1, all)
		p.mu.Lock()
		for range n - p.due {
			p.fell.Signal() // to wake all would be work for as many as are idle
		}
		p.due, p.over = n, n == all
		over := p.over || p.stopped
		if over {
			p.fell.Broadcast()
		}
		p.mu.Unlock()
		if over {
			return
		}
		p.sleepExactly(max(p.at(n).Sub(now), finest))
	}
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
