package load

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// result puts together what the lanes have.
func (t *Test) result(begin, end time.Time, d *dialer, used *usage) *Result {
	c := &t.config
	sum := merge(t.lanes)
	if sum.corrected != nil {
		t.pacer.putUnsent(sum.corrected, end)
	}
	r := &Result{
		URL: c.URL.String(), Method: c.Method, Protocol: "HTTP/1.1", Server: cut(sum.server), TLS: d.spoken,
		Loop: Closed, Started: begin, Concurrency: c.Concurrency, KeepAlive: c.KeepAlive, Rate: c.Rate,
		Requests: sum.answered, Statuses: map[int]int64{}, Failed: sum.failed, Failures: sum.faults,
		CutOff: sum.cut, Interim: sum.interim, Resent: sum.resent, Connections: sum.opened,
		BytesReceived: d.received.Load(), BytesSent: d.sent.Load(),
		BodyBytes: sum.body, ShortestBody: sum.short, LongestBody: sum.long,
		Latency: *latency(sum.latency), Corrected: latency(sum.corrected), Client: used.client(),
		Interval: sum.timeline.width.Seconds(), Timeline: append([]Slice{}, sum.timeline.parts...),
	}
	if c.HTTP2 {
		r.Protocol, r.Streams = "HTTP/2", c.Streams
	}
	if c.Rate > 0 {
		r.Loop, r.Unsent = Open, t.pacer.unsent()
	}
	if sum.connect.TotalCount() > 0 {
		r.Connect = latency(sum.connect)
	}
	for status, n := range sum.statuses {
		if n > 0 {
			r.Statuses[status] = n
		}
	}
	if !sum.last.IsZero() {
		r.Seconds = sum.last.Sub(begin).Seconds()
	}
	if r.Seconds > 0 && r.Requests > 0 {
		r.RequestsPerSecond = float64(r.Requests) / r.Seconds
		r.TimePerRequest = 1000 * r.Seconds * float64(r.Concurrency) / float64(r.Requests)
	}
	n := notes{Result: r, sum: sum, used: used, local: isLocal(d.address.Addr())}
	n.write()
	return r
}

// merge puts lanes together. It leaves them as they are.
func merge(lanes []*lane) *lane {
	sum := newLane()
	for _, l := range lanes {
		l.Lock()
		sum.add(l)
		l.Unlock()
	}
	slices.SortFunc(sum.faults, func(a, b Failure) int { return int(b.Count - a.Count) })
	return sum
}

func (l *lane) add(from *lane) {
	if from.answered > 0 {
		if l.answered == 0 || from.short < l.short {
			l.short = from.short
		}
		l.long = max(l.long, from.long)
	}
	l.answered += from.answered
	l.failed += from.failed
	l.cut += from.cut
	l.interim += from.interim
	l.resent += from.resent
	l.opened += from.opened
	l.body += from.body
	for status, n := range from.statuses {
		l.statuses[status] += n
	}
	l.latency.Merge(from.latency)
	l.connect.Merge(from.connect)
	if from.corrected != nil {
		if l.corrected == nil {
			l.corrected, l.lag = newHistogram(), newHistogram()
		}
		l.corrected.Merge(from.corrected)
		l.lag.Merge(from.lag)
	}
	if from.last.After(l.last) {
		l.last = from.last
	}
	l.timeline.merge(&from.timeline)
	for _, f := range from.faults {
		i := slices.IndexFunc(l.faults, func(have Failure) bool { return have.Kind == f.Kind })
		if i < 0 {
			l.faults = append(l.faults, f)
			continue
		}
		l.faults[i].Count += f.Count
	}
	if l.server == "" {
		l.server = from.server
	}
	if l.location == "" {
		l.location, l.redirects = from.location, from.redirects
	}
}

// latency reads a histogram, which may be nil.
func latency(h *hdrhistogram.Histogram) *Latency {
	if h == nil {
		return nil
	}
	at := func(quantile float64) float64 { return ms(time.Duration(h.ValueAtQuantile(100 * quantile))) }
	l := &Latency{
		Count: h.TotalCount(), Mean: h.Mean() / float64(time.Millisecond), StdDev: h.StdDev() / float64(time.Millisecond),
		P50: at(0.5), P75: at(0.75), P90: at(0.9), P95: at(0.95), P99: at(0.99), P999: at(0.999), Max: at(1),
		Curve: []Point{},
	}
	if l.Count == 0 {
		l.Mean, l.StdDev = 0, 0
		return l
	}
	l.Min = ms(time.Duration(h.Min()))
	// Five points for each halving of what is slower still, as HDR's own lists have it.
	for _, b := range h.CumulativeDistributionWithTicks(5) {
		l.Curve = append(l.Curve, Point{b.Quantile / 100, ms(time.Duration(b.ValueAt))})
	}
	return l
}
