package netload

import (
	"crypto/rand"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// counter is one thread's: no other writes near it.
type counter struct {
	atomic.Int64
	_ [56]byte
}

// sendStreams sends on all sockets until the receiver closes them, or the part stops.
func (p *part) sendStreams(fds []int) (*Outcome, error) {
	payload := make([]byte, p.test.Size)
	_, _ = rand.Read(payload) // so that nothing on the way can compress it
	watched := make(chan int64, 1)
	done := make(chan struct{})
	go func() {
		// What is sent again before the time counts is left out, as the bytes are.
		select {
		case <-time.After(p.test.Omit):
		case <-done:
		}
		watched <- retransmits(fds)
	}()
	err := p.threads(fds, func(_, fd int) error { return p.sendStream(fd, payload) })
	close(done)
	return &Outcome{Retransmits: max(retransmits(fds)-<-watched, 0)}, err
}

func (p *part) sendStream(fd int, payload []byte) error {
	moved := time.Now()
	for !p.stop.Load() {
		_, err := unix.Write(fd, payload)
		switch {
		case err == nil:
			moved = time.Now()
		case again(err):
			if time.Since(moved) > silence {
				return errSilent
			}
		case err == unix.EPIPE || err == unix.ECONNRESET: //nolint:errorlint // a bare number
			return nil // the receiver has measured long enough
		default:
			return err
		}
	}
	return nil
}

// receiveStreams receives on all sockets for as long as the test says, and closes them.
func (p *part) receiveStreams(fds []int) (*Outcome, error) {
	counters := make([]counter, len(fds))
	total := func() (n int64) {
		for i := range counters {
			n += counters[i].Load()
		}
		return n
	}
	type measured struct {
		outcome *Outcome
		err     error
	}
	done := make(chan measured, 1)
	go func() {
		o, err := p.meter(total)
		p.stop.Store(true)
		done <- measured{o, err}
	}()
	err := p.threads(fds, func(i, fd int) error { return p.receiveStream(fd, &counters[i]) })
	m := <-done
	if err == nil {
		err = m.err
	}
	return m.outcome, err
}

func (p *part) receiveStream(fd int, count *counter) error {
	buffer := make([]byte, p.test.Size)
	for !p.stop.Load() {
		n, err := unix.Read(fd, buffer)
		switch {
		case n > 0:
			count.Add(int64(n))
		case err == nil:
			return errClosed
		case !again(err):
			return err
		}
	}
	return nil
}

// settle waits until the time that counts.
func (p *part) settle(total func() int64) error {
	end := time.Now().Add(p.test.Omit)
	for left := p.test.Omit; left > 0 && !p.stop.Load(); left = time.Until(end) {
		before := total()
		p.sleep(min(left, silence))
		if left > silence && total() == before && !p.stop.Load() {
			return errSilent
		}
	}
	return nil
}

// meter reads the counter at the bounds of the test's time and of its intervals. Each
// figure is of the time that has really passed.
func (p *part) meter(total func() int64) (*Outcome, error) {
	for end := time.Now().Add(silence); total() == 0; p.sleep(time.Millisecond) {
		if time.Now().After(end) {
			return nil, errNothing
		}
		if p.stop.Load() {
			return &Outcome{}, nil // the error is another's
		}
	}
	if err := p.settle(total); err != nil {
		return nil, err
	}
	o := &Outcome{Intervals: make([]float64, 0, maxIntervals)}
	start, before := time.Now(), total()
	last, have, moved := start, before, start
	for k := time.Duration(1); !p.stop.Load() && last.Sub(start) < p.test.Time; k++ {
		p.sleep(time.Until(start.Add(min(k*p.test.interval(), p.test.Time))))
		now, n := time.Now(), total()
		o.Intervals = append(o.Intervals, perSecond(float64(n-have)*8/1e6, now.Sub(last).Seconds()))
		if n > have {
			moved = now
		} else if now.Sub(moved) > silence && !p.stop.Load() {
			return nil, errSilent
		}
		last, have = now, n
	}
	o.Bytes, o.Seconds = have-before, last.Sub(start).Seconds()
	if o.Bytes == 0 && !p.stop.Load() {
		return nil, errSilent
	}
	return o, nil
}
