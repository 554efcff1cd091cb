package load

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sarn/internal/timetest"
)

// TestWritesInPieces has requests and answers that go in more than one piece: none waits
// for the other end to acknowledge the one before, which takes 40 ms (tcp(7), TCP_NODELAY).
func TestWritesInPieces(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		big := make([]byte, 100<<10)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Write(big)
		}))
		s.EnableHTTP2 = true
		s.StartTLS()
		defer s.Close()
		for _, h2 := range []bool{false, true} {
			start := time.Now()
			r := run(t, s.URL, func(c *Config) {
				c.HTTP2, c.KeepAlive, c.Requests, c.Body = h2, true, 100, big[:40<<10]
				c.TLS = &tls.Config{InsecureSkipVerify: true}
			})
			if r.Requests != 100 {
				t.Errorf("HTTP/2 %v: %d requests, %+v", h2, r.Requests, r.Failures)
			}
			if r.Latency.P50 > 30 {
				t.Slow("HTTP/2 %v: half of %d requests took more than %.1f ms", h2, r.Requests, r.Latency.P50)
			}
			// The time of the test holds all that its requests took, the connection's too.
			if r.Seconds*1000 < r.Latency.Max || time.Since(start).Seconds() < r.Seconds {
				t.Errorf("HTTP/2 %v: %.3f s, the slowest %.1f ms", h2, r.Seconds, r.Latency.Max)
			}
		}
		if r := run(t, s.URL, func(c *Config) { c.TLS = &tls.Config{InsecureSkipVerify: true} }); r.Seconds*1000 < 0.99*r.Latency.Max {
			t.Errorf("one request of %.3f ms in %.6f s", r.Latency.Max, r.Seconds)
		}
	})
}
