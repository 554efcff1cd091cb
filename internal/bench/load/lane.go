package load

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// sample is when a request was due, sent and answered.
type sample struct {
	due, start, end time.Time
	begin           time.Time // of the test
	until           time.Time // from when on nothing is sent, or zero
	waited          bool      // the worker was idle when it fell due
	closed          bool      // the loop
}

// lane is where some of the workers write what they measure.
type lane struct {
	sync.Mutex
	answered, failed, cut int64
	interim, resent       int64
	opened                int64
	body, short, long     int64
	statuses              [1000]int64
	latency, connect      *hdrhistogram.Histogram
	corrected, lag        *hdrhistogram.Histogram // of an open loop
	last                  time.Time               // a request's end
	timeline              timeline
	faults                []Failure
	location, server      string
	redirects             int // the status of the first redirect
}

func newLane() *lane {
	return &lane{latency: newHistogram(), connect: newHistogram(), timeline: timeline{width: firstWidth}}
}

// newHistogram returns one of 64 ns to an hour, to three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(64, int64(longest), 3)
}

const longest = time.Hour

func put(h *hdrhistogram.Histogram, d time.Duration) {
	// It can be out of range in no other way.
	_ = h.RecordValue(int64(min(max(d, 0), longest)))
}

// record writes down what became of a request.
func (l *lane) record(a *answer, err error, s sample) {
	l.Lock()
	defer l.Unlock()
	l.interim += int64(a.interim)
	l.count(a.opened, a.connect)
	if a.resent {
		l.resent++
	}
	if errors.Is(err, errAborted) {
		l.cut++
		return
	}
	last := s.end
	if err != nil && !s.until.IsZero() && last.After(s.until) {
		// An answer that never came does not lengthen the time in which the others did.
		last = s.until
	}
	if last.After(l.last) {
		l.last = last
	}
	part := l.timeline.part(s.end.Sub(s.begin))
	took := s.end.Sub(s.start) + a.early
	part.MaxMS = max(part.MaxMS, ms(took))
	if err != nil {
		l.failed++
		part.Failed++
		l.fault(err)
		return
	}
	l.answered++
	part.Requests++
	l.statuses[a.status]++
	if l.answered == 1 {
		l.short, l.server = a.body, a.server
	}
	l.body += a.body
	l.short, l.long = min(l.short, a.body), max(l.long, a.body)
	if l.location == "" && a.location != "" {
		l.location, l.redirects = a.location, a.status
	}
	put(l.latency, took)
	if !s.closed {
		l.putOpen(s)
	}
}

// count counts connections, of which the last took so long to open.
func (l *lane) count(opened int, took time.Duration) {
	l.opened += int64(opened)
	if took > 0 {
		put(l.connect, took)
	}
}

func (l *lane) putOpen(s sample) {
	if l.corrected == nil {
		l.corrected, l.lag = newHistogram(), newHistogram()
	}
	put(l.corrected, s.end.Sub(s.due))
	if s.waited {
		put(l.lag, s.start.Sub(s.due))
	}
}

// fault counts a failure. There are as many kinds as there are words for.
func (l *lane) fault(err error) {
	f := faultOf(err)
	i := slices.IndexFunc(l.faults, func(have Failure) bool { return have.Kind == f.Kind })
	if i < 0 {
		l.faults = append(l.faults, Failure{Kind: f.Kind, Words: f.Words})
		i = len(l.faults) - 1
	}
	l.faults[i].Count++
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
