package load

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sarn/internal/timetest"
)

// within fails unless a latency is what the server waited, and a little more.
func within(t *timetest.T, what string, got, want float64) {
	t.Helper()
	if got < want {
		t.Errorf("%s: %.1f ms, the server took %.0f", what, got, want)
	}
	if got > 1.5*want+30 {
		t.Slow("%s: %.1f ms, the server took %.0f", what, got, want)
	}
}

// about fails unless a latency is what it should be where all happens at its time.
func about(t *timetest.T, what string, got, want float64) {
	t.Helper()
	if got < want || got > 1.5*want+30 {
		t.Slow("%s: %.1f ms, want %.0f", what, got, want)
	}
}

func TestFixedDelay(t *testing.T) {
	t.Parallel()
	timetest.Try(t, func(t *timetest.T) {
		const delay = 100
		address := serve(t, func(http.ResponseWriter, *http.Request) { time.Sleep(delay * time.Millisecond) })
		r := run(t, address, func(c *Config) { c.KeepAlive, c.Concurrency, c.Requests = true, 10, 40 })
		for what, got := range map[string]float64{"min": r.Latency.Min, "mean": r.Latency.Mean, "p50": r.Latency.P50, "p99": r.Latency.P99, "max": r.Latency.Max} {
			within(t, what, got, delay)
		}
		// Ten at a time, so a request every 10 ms.
		if r.TimePerRequest < delay || r.RequestsPerSecond > 10*1000/delay {
			t.Errorf("%.1f ms a request, %.0f a second", r.TimePerRequest, r.RequestsPerSecond)
		}
		if r.Corrected != nil {
			t.Error("a closed loop has corrected latencies")
		}
		open := run(t, address, func(c *Config) { c.KeepAlive, c.Concurrency, c.Requests, c.Rate = true, 30, 40, 100 })
		within(t, "open, p50", open.Corrected.P50, delay)
		within(t, "open, p99", open.Corrected.P99, delay)
		if open.Corrected.Min < open.Latency.Min {
			t.Errorf("corrected %.2f ms, raw %.2f", open.Corrected.Min, open.Latency.Min)
		}
	})
}

func TestBimodalDelay(t *testing.T) {
	t.Parallel()
	timetest.Try(t, func(t *timetest.T) {
		var n atomic.Int64
		address := serve(t, func(http.ResponseWriter, *http.Request) {
			if n.Add(1)%10 == 0 {
				time.Sleep(300 * time.Millisecond)
				return
			}
			time.Sleep(50 * time.Millisecond)
		})
		r := run(t, address, func(c *Config) { c.KeepAlive, c.Concurrency, c.Requests = true, 20, 200 })
		within(t, "p50", r.Latency.P50, 50)
		within(t, "p75", r.Latency.P75, 50)
		within(t, "p95", r.Latency.P95, 300)
		within(t, "max", r.Latency.Max, 300)
		if at := share(r.Latency, 200); at < 0.89 || at > 0.91 {
			t.Slow("%.3f of all were faster than 200 ms, want 0.9", at)
		}
	})
}

// share is the part of all that took at most ms.
func share(l Latency, ms float64) float64 {
	at := 0.0
	for _, p := range l.Curve {
		if p.MS <= ms {
			at = p.Quantile
		}
	}
	return at
}

// TestStall has a server that stands still for two seconds: an open loop shows what
// those who came meanwhile had to wait, a closed loop does not and says why.
func TestStall(t *testing.T) {
	t.Parallel()
	timetest.Try(t, func(t *timetest.T) {
		const stall = 2000
		var begin atomic.Pointer[sync.Once]
		var until atomic.Int64
		address := serve(t, func(http.ResponseWriter, *http.Request) {
			begin.Load().Do(func() {
				time.AfterFunc(500*time.Millisecond, func() { until.Store(time.Now().Add(stall * time.Millisecond).UnixNano()) })
			})
			time.Sleep(time.Until(time.Unix(0, until.Load())))
		})
		test := func(rate float64) *Result {
			begin.Store(new(sync.Once))
			until.Store(0)
			return run(t, address, func(c *Config) {
				c.KeepAlive, c.Concurrency, c.Duration, c.Rate = true, 5, 3*time.Second, rate
			})
		}
		// Of three seconds of requests those of two fell due in the stall, and waited from
		// nothing to all of it.
		open := test(500)
		about(t, "open, corrected p50", open.Corrected.P50, 500)
		about(t, "open, corrected p90", open.Corrected.P90, 1700)
		about(t, "open, corrected max", open.Corrected.Max, stall-10)
		if at := share(*open.Corrected, 100); at < 0.2 || at > 0.5 {
			t.Slow("%.2f of all did not have to wait, want a third", at)
		}
		if open.Latency.P90 > 200 {
			t.Slow("raw p90 %.0f ms: most were sent after the stall", open.Latency.P90)
		}
		closed := test(0)
		about(t, "closed, max", closed.Latency.Max, stall-10)
		if closed.Latency.P99 > 200 {
			t.Slow("closed, p99 %.0f ms: only 5 were under way in the stall", closed.Latency.P99)
		}
		notes := strings.Join(closed.Notes, "\n")
		if !strings.Contains(notes, "In a closed loop nobody asks while all wait") || !strings.Contains(notes, "--rate") {
			t.Slow("the closed loop does not say what it misses: %s", notes)
		}
	})
}

// TestEveryLatencyHasItsConnection, of the first request too, whose connection is there
// when the test begins.
func TestEveryLatencyHasItsConnection(t *testing.T) {
	t.Parallel()
	conf := certified(t)
	r := secure(t, func(c net.Conn) {
		time.Sleep(50 * time.Millisecond)
		say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true)(tls.Server(c, conf))
	}, func(c *Config) { c.Requests = 3 })
	if r.Requests != 3 || r.Connect.Min < 50 || r.Latency.Min < 50 {
		t.Errorf("%d answers, connections took %.1f ms, requests with them %.1f", r.Requests, r.Connect.Min, r.Latency.Min)
	}
}

// TestTheServerDoesNotKeepUp asks more than it can, for a time.
func TestTheServerDoesNotKeepUp(t *testing.T) {
	t.Parallel()
	timetest.Try(t, func(t *timetest.T) {
		address := serve(t, func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) })
		r := run(t, address, func(c *Config) {
			c.KeepAlive, c.Concurrency, c.Duration, c.Rate = true, 2, time.Second, 500
		})
		if r.Seconds > 2 {
			t.Slow("500 requests in a second took %.1f s", r.Seconds)
		}
		if r.Requests > 105 || r.Requests+r.Unsent != 500 {
			t.Errorf("%d of 500 in %.1f s, %d not sent", r.Requests, r.Seconds, r.Unsent)
		}
		if r.Corrected.Max < 500 || r.Latency.P50 > 100 {
			t.Slow("corrected %.0f ms, raw %.0f", r.Corrected.Max, r.Latency.P50)
		}
		if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "did not keep up with 500 requests a second") {
			t.Errorf("it is not said: %s", notes)
		}
	})
}

// TestPace is how evenly an open loop sends, as the server sees it.
func TestPace(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		var mu sync.Mutex
		var at []time.Time
		address := serve(t, func(http.ResponseWriter, *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
		})
		r := run(t, address, func(c *Config) { c.KeepAlive, c.Concurrency, c.Rate, c.Requests = true, 20, 400, 400 })
		if len(at) != 400 || r.Seconds < 0.99 {
			t.Fatalf("%d requests in %.2f s", len(at), r.Seconds)
		}
		if r.Seconds > 1.3 {
			t.Slow("400 requests in %.2f s", r.Seconds)
		}
		// Each hundredth stands where it should, and no two thirds come in one heap.
		for i := 0; i < 400; i += 100 {
			off := at[i].Sub(at[0]) - time.Duration(i)*2500*time.Microsecond
			if off < -20*time.Millisecond || off > 100*time.Millisecond {
				t.Slow("request %d came %s off its time", i, off)
			}
		}
		heaped := 0
		for i := 1; i < len(at); i++ {
			if at[i].Sub(at[i-1]) < time.Millisecond {
				heaped++
			}
		}
		if heaped > 200 {
			t.Slow("%d of 400 came less than 1 ms after the one before, where 2.5 ms are due", heaped)
		}
	})
}

// TestManyIdleConnections do not make requests wait, however late they are woken.
func TestManyIdleConnections(t *testing.T) {
	n := notes{Result: &Result{Loop: Open, Rate: 10}, sum: newLane()}
	for range 1000 {
		at := time.Now()
		n.sum.record(&answer{status: 200}, nil, sample{due: at, start: at.Add(5 * time.Millisecond), end: at.Add(6 * time.Millisecond), begin: at, waited: true})
	}
	n.Latency, n.Corrected = *latency(n.sum.latency), latency(n.sum.corrected)
	n.open()
	if len(n.Notes) > 0 {
		t.Errorf("all connections were idle: %s", n.Notes)
	}
}

// TestFewerRequestsThanClients does not count the time of clients that had nothing to do.
func TestFewerRequestsThanClients(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) {})
	r := run(t, address, func(c *Config) { c.Concurrency, c.Requests = 50, 1 })
	if r.Concurrency != 1 || r.TimePerRequest > 1.01*1000*r.Seconds {
		t.Errorf("%d at a time, %.3f ms a request in %.3f ms", r.Concurrency, r.TimePerRequest, 1000*r.Seconds)
	}
}

// TestAStallAtTheEnd has a server that stands still when the time is over: those whom
// nobody asked for any more have waited too.
func TestAStallAtTheEnd(t *testing.T) {
	t.Parallel()
	timetest.Try(t, func(t *timetest.T) {
		first := sync.OnceValue(time.Now)
		address := serve(t, func(http.ResponseWriter, *http.Request) {
			if at := time.Since(first()); at > 200*time.Millisecond {
				time.Sleep(1200*time.Millisecond - at)
			}
		})
		r := run(t, address, func(c *Config) {
			c.KeepAlive, c.Concurrency, c.Duration, c.Rate = true, 2, 800*time.Millisecond, 500
		})
		if r.Requests+r.Unsent != 400 || r.Corrected.Count != 400 {
			t.Fatalf("%d answered, %d unsent, %d corrected", r.Requests, r.Unsent, r.Corrected.Count)
		}
		// Three of four were due in the stall, and had waited 400 ms or more at its end.
		if r.Unsent < 200 || r.Corrected.P50 < 400 || r.Latency.P50 > 200 {
			t.Slow("%d were unsent, half waited %.0f ms (raw %.0f)", r.Unsent, r.Corrected.P50, r.Latency.P50)
		}
	})
}

// TestAnAnswerThatNeverComes does not slow down what was answered.
func TestAnAnswerThatNeverComes(t *testing.T) {
	t.Parallel()
	timetest.Try(t, func(t *timetest.T) {
		var n atomic.Int64
		address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				<-r.Context().Done()
			}
		})
		r := run(t, address, func(c *Config) {
			c.KeepAlive, c.Concurrency, c.Duration, c.Timeout = true, 2, 400*time.Millisecond, time.Second
		})
		if r.Failed != 1 || r.Seconds < 0.39 || r.Seconds > 0.9 {
			t.Slow("%d failed, the test took %.2f s of 0.4", r.Failed, r.Seconds)
		}
	})
}
