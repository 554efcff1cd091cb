package load

import (
	"context"
	"sync"
	"testing"
	"time"

	"sarn/internal/timetest"
)

// TestNoneIsDueAtTheEnd has a pacer that wakes long after the test's end: what falls due
// does not depend on that.
func TestNoneIsDueAtTheEnd(t *testing.T) {
	for _, c := range []struct {
		rate     float64
		duration time.Duration
		requests int64
		want     int64
	}{
		{500, time.Second, 0, 500}, {30, 100 * time.Millisecond, 0, 3}, {3, time.Second, 0, 3}, {0.1, time.Second, 0, 1},
		{1e-10, time.Second, 0, 1}, {500, time.Second, 7, 7}, {1e6, 0, 7, 7},
	} {
		p := newPacer(&Config{Rate: c.rate, Duration: c.duration, Requests: c.requests}, time.Now().Add(-10*time.Second))
		done := make(chan struct{})
		go func() { p.run(); close(done) }()
		select {
		case <-done:
		case <-time.After(time.Minute):
			p.stop()
			t.Errorf("%+v: it does not end", c)
			<-done
		}
		if p.due != c.want {
			t.Errorf("%+v: %d fell due", c, p.due)
		}
	}
}

// TestIdleWorkersCostNothing has many workers of which few are needed at a time.
func TestIdleWorkersCostNothing(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		used := func(workers int) float64 {
			p := newPacer(&Config{Rate: 1000, Requests: 500}, time.Now())
			var ready, all sync.WaitGroup
			ready.Add(workers)
			for range workers {
				all.Go(func() {
					ready.Done()
					for ok := true; ok; {
						_, _, ok = p.next(time.Now())
					}
				})
			}
			ready.Wait()
			before := processTime()
			p.begin = time.Now()
			p.run()
			used := processTime() - before
			all.Wait()
			if p.started != 500 {
				t.Errorf("%d workers started %d of 500", workers, p.started)
			}
			return used
		}
		few, many := used(5), used(20_000)
		if many > 5*few+0.1 {
			t.Slow("5 workers took %.3f s of CPU, 20,000 took %.3f", few, many)
		}
	})
}

// takes is a client that has its answer after a time.
type takes time.Duration

func (t takes) ask(context.Context, time.Time, *answer) error {
	time.Sleep(time.Duration(t))
	return nil
}
func (takes) abort() {}
func (takes) close() {}

// TestNothingIsSentBeforeItIsDue has a request fall due while its worker still sees to
// the one before: raw latencies do not begin before corrected ones.
func TestNothingIsSentBeforeItIsDue(t *testing.T) {
	p := newPacer(&Config{Rate: 1, Requests: 1}, time.Now().Add(500*time.Microsecond))
	p.due, p.over = 1, true
	w := &worker{client: takes(5 * time.Millisecond), lane: newLane(), pacer: p, begin: p.begin}
	w.run(t.Context())
	if raw, corrected := w.lane.latency.Max(), w.lane.corrected.Max(); raw == 0 || raw > corrected {
		t.Errorf("raw %d ns, corrected %d ns", raw, corrected)
	}
}

// TestTimeline keeps all that ended, of tests of any length in little memory.
func TestTimeline(t *testing.T) {
	short, long := timeline{width: firstWidth}, timeline{width: firstWidth}
	for i := range 50 {
		short.part(time.Duration(i) * firstWidth).add(Slice{Requests: 1, MaxMS: float64(i)})
	}
	for i := range 10_000 {
		long.part(time.Duration(i) * time.Second).add(Slice{Requests: 1, Failed: 1})
	}
	for _, c := range [][2]timeline{{short, long}, {long, short}} {
		sum := timeline{width: firstWidth}
		sum.merge(&c[0])
		sum.merge(&c[1])
		var all Slice
		for _, p := range sum.parts {
			all.add(p)
		}
		if all != (Slice{10_050, 10_000, 49}) || len(sum.parts) > mostParts || sum.parts[len(sum.parts)-1].Requests == 0 {
			t.Errorf("%d parts of %s hold %+v", len(sum.parts), sum.width, all)
		}
		if first := sum.parts[0].Requests; first != 50+int64(sum.width/time.Second)+1 && first != 50+int64(sum.width/time.Second) {
			t.Errorf("the first %s hold %d", sum.width, first)
		}
		if end := time.Duration(len(sum.parts)) * sum.width; end < 10_000*time.Second || end > 10_000*time.Second+sum.width {
			t.Errorf("the timeline ends at %s", end)
		}
	}
}
