package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Test is one run of a Config.
type Test struct {
	config Config
	lanes  []*lane
	start  atomic.Int64 // of the clock, in ns since the epoch; 0 before
	pacer  *pacer

	// What Progress said last.
	said   time.Time
	before int64
}

// New makes a test of a config, or says what is wrong with it. It connects to nobody.
func New(c Config) (*Test, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.fill()
	t := &Test{config: c}
	// More lanes than threads, so that a thread seldom waits for one.
	for range min(c.Concurrency, 4*runtime.GOMAXPROCS(0)) {
		t.lanes = append(t.lanes, newLane())
	}
	return t, nil
}

// Run asks until the test's end and returns what it measured. When ctx ends it stops at
// once and returns what there is, without an error: Result.CutOff counts what was under
// way.
//
// An error is about the test itself, such as a host that cannot be found or a server
// that cannot be connected to even once. What the server does wrong later stands in the
// result.
func (t *Test) Run(ctx context.Context) (*Result, error) {
	c := &t.config
	d, first, err := newDialer(ctx, c)
	if err != nil {
		return nil, err
	}
	clients, err := t.clients(d, first)
	if err != nil {
		return nil, err
	}
	t.lanes[0].count(1, first.took)
	used := newUsage()
	// The first connection is a part of the first request, and was opened already.
	begin := time.Now().Add(-first.took)
	t.pacer = newPacer(c, begin)
	t.start.Store(begin.UnixNano())

	cut := context.AfterFunc(ctx, func() {
		t.pacer.stop()
		for _, a := range clients {
			a.abort()
		}
	})
	var all sync.WaitGroup
	for i, a := range clients {
		w := &worker{client: a, lane: t.lanes[i%len(t.lanes)], pacer: t.pacer, begin: begin, closed: c.Rate == 0}
		all.Go(func() { w.run(ctx) })
	}
	if c.Rate > 0 {
		t.pacer.run()
	}
	all.Wait()
	cut()
	end := time.Now()
	used.stop()
	for _, a := range clients {
		a.close()
	}
	return t.result(begin, end, d, used), nil
}

// clients makes a client for each request that may be under way. The first takes over
// the connection that there is already.
func (t *Test) clients(d *dialer, first *connection) ([]client, error) {
	c := &t.config
	clients := make([]client, c.Concurrency)
	if c.HTTP2 {
		return clients, makeHTTP2(c, d, first, clients)
	}
	request, err := c.request()
	if err != nil {
		first.Close() //nolint:errcheck // err says more
		return nil, fmt.Errorf("write the request: %w", err)
	}
	for i := range clients {
		clients[i] = newHTTP1(c, d, request)
	}
	clients[0].(*http1Client).adopt(first)
	return clients, nil
}

// Progress is how far a running test is.
type Progress struct {
	Elapsed           time.Duration
	Requests, Failed  int64
	RequestsPerSecond float64 // since the last call
}

// Progress may be called while Run runs, by one goroutine.
func (t *Test) Progress() Progress {
	at := t.start.Load()
	if at == 0 {
		return Progress{}
	}
	now, begin := time.Now(), time.Unix(0, at)
	p := Progress{Elapsed: now.Sub(begin)}
	for _, l := range t.lanes {
		l.Lock()
		p.Requests += l.answered
		p.Failed += l.failed
		l.Unlock()
	}
	if t.said.IsZero() {
		t.said = begin
	}
	if since := now.Sub(t.said).Seconds(); since > 0 {
		p.RequestsPerSecond = float64(p.Requests-t.before) / since
	}
	t.said, t.before = now, p.Requests
	return p
}
