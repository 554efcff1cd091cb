package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sarn/internal/timetest"
)

func TestMain(m *testing.M) { timetest.Main(m) }

// TestCounts sends exactly as many requests as are asked for, as the server counts
// them, and opens no connection too many.
func TestCounts(t *testing.T) {
	var served, conns atomic.Int64
	for _, secure := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			served.Add(1)
			io.WriteString(w, "hello")
		}))
		s.Config.ConnState = func(_ net.Conn, now http.ConnState) {
			if now == http.StateNew {
				conns.Add(1)
			}
		}
		s.EnableHTTP2 = true
		if secure {
			s.StartTLS()
		} else {
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetHTTP1(true)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
		}
		defer s.Close()
		for _, c := range []Config{
			{Concurrency: 1, Requests: 1},
			{Concurrency: 7, Requests: 100},
			{Concurrency: 7, Requests: 100, KeepAlive: true},
			{Concurrency: 50, Requests: 20, KeepAlive: true},
			{Concurrency: 9, Requests: 100, HTTP2: true},
			{Concurrency: 9, Requests: 100, HTTP2: true, Streams: 3},
			{Concurrency: 9, Requests: 100, KeepAlive: true, Rate: 2000},
			{Concurrency: 5, Requests: 100, Rate: 2000},
			{Concurrency: 5, Duration: 100 * time.Millisecond},
			{Concurrency: 5, Duration: 100 * time.Millisecond, Rate: 500, HTTP2: true, Streams: 5},
		} {
			ask := func() *Result {
				served.Store(0)
				conns.Store(0)
				return run(t, s.URL, func(to *Config) {
					c.URL, c.Timeout, c.TLS = to.URL, to.Timeout, &tls.Config{InsecureSkipVerify: true}
					*to = c
				})
			}
			r := ask()
			for r.Requests == 0 && c.Duration > 0 && c.Duration < time.Minute { // the machine stood still
				c.Duration *= 4
				r = ask()
			}
			name := fmt.Sprintf("tls %v, %+v", secure, c)
			if n := served.Load(); n != r.Requests || c.Requests > 0 && n != c.Requests || n == 0 {
				t.Errorf("%s: served %d, counted %d of %d", name, n, r.Requests, c.Requests)
			}
			if r.Statuses[200] != r.Requests || r.Failed != 0 || r.Latency.Count != r.Requests {
				t.Errorf("%s: %v, failed %d %v, %d latencies", name, r.Statuses, r.Failed, r.Failures, r.Latency.Count)
			}
			if r.ShortestBody != 5 || r.LongestBody != 5 || r.BodyBytes != 5*r.Requests {
				t.Errorf("%s: bodies of %d to %d bytes, %d in all", name, r.ShortestBody, r.LongestBody, r.BodyBytes)
			}
			most := int64(c.Concurrency)
			switch {
			case c.HTTP2:
				most = int64(c.Concurrency / max(c.Streams, 1))
			case !c.KeepAlive:
				most = r.Requests
			}
			if n := conns.Load(); n != r.Connections || n > most || !c.KeepAlive && !c.HTTP2 && n != most {
				t.Errorf("%s: %d connections, counted %d, at most %d", name, n, r.Connections, most)
			}
			sum := int64(0)
			for _, s := range r.Timeline {
				sum += s.Requests
			}
			if sum != r.Requests {
				t.Errorf("%s: the timeline has %d", name, sum)
			}
		}
	}
}

// TestRequest is what the server sees.
func TestRequest(t *testing.T) {
	type seen struct{ method, path, host, proto, body, header string }
	for _, h2 := range []bool{false, true} {
		got := make(chan seen, 1)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- seen{r.Method, r.RequestURI, r.Host, r.Proto, string(body), r.Header.Get("X-A") + "," + r.Header.Get("User-Agent")}
		}))
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		defer s.Close()
		proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[h2]
		run(t, s.URL+"/a%20b?c=d", func(c *Config) {
			c.HTTP2, c.Body, c.Header = h2, []byte("body"), http.Header{"X-A": {"b"}, "Host": {"other"}}
		})
		if g, want := <-got, (seen{"POST", "/a%20b?c=d", "other", proto, "body", "b,sarn-bench"}); g != want {
			t.Errorf("got %+v, want %+v", g, want)
		}
		run(t, s.URL, func(c *Config) { c.HTTP2, c.Method, c.Header = h2, "PURGE", http.Header{"User-Agent": {"me"}} })
		if g, want := <-got, (seen{"PURGE", "/", strings.TrimPrefix(s.URL, "http://"), proto, "", ",me"}); g != want {
			t.Errorf("got %+v, want %+v", g, want)
		}
	}
}

// TestHost has no zone: that is this machine's word.
func TestHost(t *testing.T) {
	for address, want := range map[string]string{
		"http://[fe80::1%25eth0]:80/": "[fe80::1]:80", "http://[fe80::1%25eth0]/": "[fe80::1]", "http://[::1]:80/": "[::1]:80", "http://a.test:80/": "a.test:80",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		c := Config{URL: u}
		if got := c.host(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestHEAD(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000") })
	r := run(t, address, func(c *Config) { c.Method, c.Requests, c.KeepAlive = "HEAD", 10, true })
	if r.Requests != 10 || r.Connections != 1 || r.BodyBytes != 0 {
		t.Errorf("%d answers over %d connections with %d bytes", r.Requests, r.Connections, r.BodyBytes)
	}
}

// TestInterrupted gives what there is.
func TestInterrupted(t *testing.T) {
	for _, c := range []Config{{}, {KeepAlive: true}, {Rate: 1000}, {HTTP2: true}} {
		ctx, interrupt := context.WithCancel(t.Context())
		release := make(chan struct{})
		var served atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if served.Add(1) > 10 {
				interrupt()
				<-release
			}
		}))
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		start := time.Now()
		r, err := tryRun(t, ctx, s.URL, func(to *Config) {
			to.Concurrency, to.Requests, to.Timeout = 3, 1000, time.Minute
			to.KeepAlive, to.Rate, to.HTTP2 = c.KeepAlive, c.Rate, c.HTTP2
		})
		if took := time.Since(start); err != nil || took > 45*time.Second {
			t.Fatalf("%+v: %v after %s", c, err, took)
		}
		if r.Requests > 10 || r.Requests+r.CutOff < 10 || r.Failed != 0 || r.CutOff == 0 || r.CutOff > 3 || r.BytesSent == 0 {
			t.Errorf("%+v: %d answered, %d failed (%v), %d cut off, %d bytes sent", c, r.Requests, r.Failed, r.Failures, r.CutOff, r.BytesSent)
		}
		close(release)
		s.Close()
		interrupt()
	}
}

// TestConnectionsThatTheServerCloses are opened again, and nothing is lost if the
// method allows to ask twice.
func TestConnectionsThatTheServerCloses(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	said := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	r := run(t, said, func(c *Config) { c.KeepAlive, c.Requests = true, 30 })
	if r.Requests != 30 || r.Failed != 0 || r.Resent != 0 || r.Connections != 30 {
		t.Errorf("said: %d answered, %v, %d resent, %d connections", r.Requests, r.Failures, r.Resent, r.Connections)
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "keep-alive was asked for") {
		t.Errorf("it is not said that the server does not keep connections: %s", notes)
	}
	unsaid := speak(t, say(ok, true))
	r = run(t, unsaid, func(c *Config) { c.KeepAlive, c.Requests = true, 30 })
	if r.Requests != 30 || r.Failed != 0 || r.Resent == 0 || r.Connections != 30 {
		t.Errorf("unsaid: %d answered, %v, %d resent, %d connections", r.Requests, r.Failures, r.Resent, r.Connections)
	}
	r = run(t, unsaid, func(c *Config) { c.KeepAlive, c.Requests, c.Method = true, 4, "POST" })
	if r.Requests+r.Failed != 4 || r.Failed == 0 || r.Resent != 0 {
		t.Errorf("POST: %d answered, %d failed, %d resent", r.Requests, r.Failed, r.Resent)
	}
}

// TestNothingIsAllocatedForARequest asks a server that allocates nothing either.
func TestNothingIsAllocatedForARequest(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		answer := []byte("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nok")
		address := speak(t, func(c net.Conn) {
			b := make([]byte, 4096)
			for {
				if _, err := c.Read(b); err != nil {
					return
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		})
		mallocs := func(n int64) uint64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if r := run(t, address, func(c *Config) { c.KeepAlive, c.Requests, c.Concurrency = true, n, 4 }); r.Requests != n {
				t.Fatal(r.Failures)
			}
			runtime.ReadMemStats(&after)
			return after.Mallocs - before.Mallocs
		}
		few, many := mallocs(1000), mallocs(11000)
		if each := float64(many) - float64(few); each > 1000 {
			t.Errorf("10,000 requests more allocated %.0f times more", each)
		}
	})
}

func TestProgress(t *testing.T) {
	release := make(chan struct{})
	var served atomic.Int64
	address := serve(t, func(http.ResponseWriter, *http.Request) {
		if served.Add(1) > 5 {
			<-release
		}
	})
	c := Config{Concurrency: 1, Requests: 6, Timeout: time.Minute, KeepAlive: true}
	r := make(chan *Result)
	tests := make(chan *Test, 1)
	go func() {
		got, _ := tryRunWith(t, address, c, tests)
		r <- got
	}()
	test := <-tests
	for began := time.Now(); test.Progress().Requests < 5; runtime.Gosched() {
		if time.Since(began) > time.Minute {
			t.Fatal("no progress is seen")
		}
	}
	if p := test.Progress(); p.Requests != 5 || p.Elapsed <= 0 || p.RequestsPerSecond != 0 {
		t.Errorf("got %+v", p)
	}
	close(release)
	<-r
	if p := test.Progress(); p.Requests != 6 {
		t.Errorf("at the end %+v", p)
	}
}
