package load

import (
	"context"
	"errors"
	"time"
)

// client sends requests one after the other, over as many connections as that takes.
type client interface {
	// ask sends one request and reads its answer.
	ask(ctx context.Context, start time.Time, a *answer) error
	// abort makes ask fail soon. It is called after the context's end, by any goroutine.
	abort()
	close()
}

// errAborted says that a request was under way when the test was interrupted.
var errAborted = errors.New("the test was interrupted")

// answer is what ask says of a request, in part of one that failed too.
type answer struct {
	status   int
	interim  int
	body     int64
	connect  time.Duration // of the connection that was opened for it, or 0
	early    time.Duration // that its connection took before the test
	opened   int           // connections
	resent   bool
	location string // where a redirect leads
	server   string // what the server calls itself
}

// worker has one request under way at a time.
type worker struct {
	client client
	lane   *lane
	pacer  *pacer
	begin  time.Time
	closed bool // the loop
}

// Pauses after failures of a closed loop, which would otherwise do nothing but fail.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

func (w *worker) run(ctx context.Context) {
	var (
		a     answer
		pause time.Duration
		now   = time.Now()
	)
	for {
		due, waited, ok := w.pacer.next(now)
		if !ok {
			return
		}
		start := now
		if waited {
			start = time.Now()
		}
		switch {
		case w.closed:
			due = start
		case due.After(start): // it fell due since the answer before
			start = due
		}
		a = answer{}
		err := w.client.ask(ctx, start, &a)
		now = time.Now()
		if err != nil && ctx.Err() != nil {
			err = errAborted
		}
		w.lane.record(&a, err, sample{
			due: due, start: start, end: now, begin: w.begin, until: w.pacer.end, waited: waited, closed: w.closed,
		})
		switch {
		case err == nil:
			pause = 0
		case w.closed:
			pause = min(max(2*pause, firstPause), lastPause)
			if !w.pacer.sleep(pause) {
				return
			}
			now = time.Now()
		}
	}
}
