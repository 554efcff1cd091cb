package load

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"sarn/internal/timetest"
)

// TestHTTP2Faults are those that only HTTP/2 has.
func TestHTTP2Faults(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "hello")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/hang":
			<-r.Context().Done()
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "ok")
		}
	}))
	s.Config.ErrorLog = quiet()
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	ask := func(path string, timeout time.Duration) *Result {
		return run(t, s.URL+path, func(c *Config) {
			c.HTTP2, c.Requests, c.Timeout = true, 2, timeout
			c.TLS = &tls.Config{InsecureSkipVerify: true}
		})
	}
	if r := ask("/abort", time.Minute); r.Failed != 2 || r.Failures[0].Kind != Stream || r.Failures[0].Words != "HTTP/2: the server ended the stream: INTERNAL_ERROR" {
		t.Errorf("abort: %+v", r.Failures)
	}
	timetest.Try(t, func(t *timetest.T) {
		if r := ask("/hang", t.Patience(300*time.Millisecond)); r.Failed != 2 || r.Failures[0].Kind != Timeout || r.Failures[0].Words != "no answer in time" {
			t.Errorf("hang: %+v", r.Failures)
		}
	})
	if r := ask("/hints", time.Minute); r.Requests != 2 || r.Interim != 2 {
		t.Errorf("hints: %d answered, %d interim, %+v", r.Requests, r.Interim, r.Failures)
	}
}

// TestHTTP2OutlivesATimeout has connections live longer than one request may take.
func TestHTTP2OutlivesATimeout(t *testing.T) {
	t.Parallel()
	timetest.Try(t, func(t *timetest.T) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.EnableHTTP2 = true
		s.StartTLS()
		defer s.Close()
		r := run(t, s.URL, func(c *Config) {
			timeout := t.Patience(300 * time.Millisecond)
			c.HTTP2, c.Concurrency, c.Duration, c.Timeout = true, 2, 3*timeout, timeout
			c.TLS = &tls.Config{InsecureSkipVerify: true}
		})
		if r.Failed != 0 || r.Connections != 2 || r.Resent != 0 {
			t.Errorf("%d connections, %d resent, failed: %+v", r.Connections, r.Resent, r.Failures)
		}
	})
}

// frames speaks HTTP/2 without TLS, and has a function answer each request.
func frames(t *testing.T, answer func(to *http2.Framer, stream uint32) (last bool)) string {
	return speak(t, func(c net.Conn) {
		if _, err := io.CopyN(io.Discard, c, int64(len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		_ = f.WriteSettings()
		for {
			got, err := f.ReadFrame()
			if err != nil {
				return
			}
			if h, ok := got.(*http2.HeadersFrame); ok && answer(f, h.StreamID) {
				return
			}
		}
	})
}

// headers writes an answer's header, with pairs of names and values. It reports if that
// failed.
func headers(to *http2.Framer, stream uint32, end bool, pairs ...string) bool {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return to.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b.Bytes(), EndHeaders: true, EndStream: end}) != nil
}

// TestHTTP2OddServers are told in words that do not come from Go.
func TestHTTP2OddServers(t *testing.T) {
	for name, c := range map[string]struct {
		address string
		kind    Kind
		words   string
	}{
		"status 1000": {frames(t, func(f *http2.Framer, id uint32) bool { return headers(f, id, true, ":status", "1000") }), Malformed, `the status is not a number from 100 to 999: "1000"`},
		"status -5":   {frames(t, func(f *http2.Framer, id uint32) bool { return headers(f, id, true, ":status", "-5") }), Malformed, `the status is not a number from 100 to 999: "-5"`},
		"too much": {frames(t, func(f *http2.Framer, id uint32) bool {
			headers(f, id, false, ":status", "200", "content-length", "2")
			return f.WriteData(id, true, []byte("hello")) != nil
		}), Excess, excessWords},
		"too little": {frames(t, func(f *http2.Framer, id uint32) bool {
			headers(f, id, false, ":status", "200", "content-length", "9")
			return f.WriteData(id, true, []byte("hello")) != nil
		}), Truncated, "the server ended the stream before the body was whole"},
		"HTTP/1.1": {speak(t, func(c net.Conn) {
			_, _ = io.CopyN(io.Discard, c, int64(len(http2.ClientPreface)))
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			io.Copy(io.Discard, c)
		}), Malformed, "the server does not speak HTTP/2 there; leave --http2 out"},
		"goes": {frames(t, func(f *http2.Framer, id uint32) bool {
			return f.WriteGoAway(id, http2.ErrCodeEnhanceYourCalm, nil) == nil
		}), Stream, "HTTP/2: the server ended the connection: ENHANCE_YOUR_CALM"},
	} {
		r := run(t, c.address, func(to *Config) { to.HTTP2, to.Requests = true, 2 })
		// A server that goes may be gone before its last words are read.
		said := slices.ContainsFunc(r.Failures, func(f Failure) bool { return f.Kind == c.kind && f.Words == c.words })
		lost := name == "goes" && len(r.Failures) > 0 && r.Failures[0].Kind == Reset
		if r.Failed != 2 || !said && !lost {
			t.Errorf("%s: %d answered, %+v", name, r.Requests, r.Failures)
		}
	}
}

// TestHTTP2ConnectionsAreClosed has requests given up by the test, and none left behind.
func TestHTTP2ConnectionsAreClosed(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		closed := make(chan struct{})
		address := speak(t, func(c net.Conn) {
			defer close(closed)
			io.Copy(io.Discard, c)
		})
		r := run(t, address, func(c *Config) { c.HTTP2, c.Requests, c.Timeout = true, 1, t.Patience(200*time.Millisecond) })
		select {
		case <-closed:
		case <-time.After(time.Minute):
			t.Error("the connection is still there")
		}
		if r.Failed != 1 || r.BytesSent == 0 {
			t.Errorf("%d failed, %d bytes sent", r.Failed, r.BytesSent)
		}
	})
}

// TestHTTP2SilentReconnect has a server that takes a second connection and then does not
// agree on TLS; the third one is fine.
func TestHTTP2SilentReconnect(t *testing.T) {
	t.Parallel()
	timetest.Try(t, func(t *timetest.T) {
		served := make(chan struct{})
		answer := sync.OnceFunc(func() { close(served) })
		fine := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answer() }))
		fine.EnableHTTP2 = true
		fine.StartTLS()
		defer fine.Close()
		conns := make(chan int, 100)
		for i := range 100 {
			conns <- i
		}
		address := speak(t, func(c net.Conn) {
			n := <-conns
			if n == 1 {
				io.Copy(io.Discard, c)
				return
			}
			to, err := net.Dial("tcp", fine.Listener.Addr().String())
			if err != nil {
				return
			}
			defer to.Close()
			if n == 0 { // it breaks off once it is in use
				go func() { <-served; c.Close(); to.Close() }()
			}
			go func() { io.Copy(to, c); to.Close() }()
			io.Copy(c, to)
		})
		r := run(t, strings.Replace(address, "http:", "https:", 1), func(c *Config) {
			timeout := t.Patience(300 * time.Millisecond)
			c.HTTP2, c.Duration, c.Timeout = true, 5*timeout, timeout
			c.TLS = &tls.Config{InsecureSkipVerify: true}
		})
		last := r.Timeline[len(r.Timeline)-1]
		if r.Failed == 0 || last.Requests == 0 {
			t.Errorf("%d answered, last of all %+v: %+v", r.Requests, last, r.Failures)
		}
	})
}

// TestTheFirstConnectionIsCounted also where others take all requests.
func TestTheFirstConnectionIsCounted(t *testing.T) {
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, now http.ConnState) {
		if now == http.StateNew {
			conns.Add(1)
		}
	}
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	for i := range 20 {
		conns.Store(0)
		r := run(t, s.URL, func(c *Config) {
			c.HTTP2, c.KeepAlive, c.Concurrency, c.Requests = i%2 == 0, true, 20, 20
			c.TLS = &tls.Config{InsecureSkipVerify: true}
		})
		if n := conns.Load(); r.Connections != n || r.Connect.Count != n {
			t.Fatalf("HTTP/2 %v: %d connections, counted %d, timed %d", i%2 == 0, n, r.Connections, r.Connect.Count)
		}
	}
}
