package serve

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/sample"
)

// impatient is a server that waits for clients so many times less long.
func impatient(t *testing.T, less time.Duration, c Config, source Source) *Server {
	t.Helper()
	c.Listen, c.Interval = "127.0.0.1:0", 100*time.Millisecond
	s, err := New(c, Deps{Source: source, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.patience /= less
	run(t, s)
	return s
}

// busy is a machine all of whose processes are others in each pass.
type busy struct{ n int }

func (b *busy) Pass() (*sample.Sample, error) {
	b.n++
	s := &sample.Sample{Time: time.Unix(int64(b.n), 0), Interval: 1}
	for i := range 1000 {
		s.Processes = append(s.Processes, sample.Process{PID: i + 1, Command: strings.Repeat("x", 100), CPUTime: float64(b.n)})
	}
	return s, nil
}

func dial(t *testing.T, s *Server, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

// until polls what has no event of its own.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// TestNeverReads: who reads nothing is dropped, holds up nobody, and holds few frames.
func TestNeverReads(t *testing.T) {
	s := impatient(t, 4, Config{Viewers: 100}, &busy{})
	r, _ := open(t, "http://"+s.Address()+"/api/v1/stream")
	for range 99 {
		dial(t, s, "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	until(t, "most look on", func() bool { return s.hub.viewers.Load() > 20 })
	// Who reads goes on, and has deltas again when the others are gone, if not before.
	for last := ""; s.hub.viewers.Load() > 1 || last != "delta"; {
		e, err := readEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		last = e.name
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d bytes are held", m.HeapAlloc)
	}
}

// TestSlowRequests: who sends a request bit by bit, or none, is dropped, and does not keep
// others out for longer.
func TestSlowRequests(t *testing.T) {
	s := impatient(t, 20, Config{Viewers: 1, Token: token}, &machine{})
	var slow []net.Conn
	for i := range 2 * spare {
		slow = append(slow, dial(t, s, []string{"", "GET /api/v1/sample HTTP/1.1\r\nHost: x", "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\ntoken="}[i%3]))
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Address()+"/api/v1/sample", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	until(t, "another is served", func() bool { // who is stopped for longer than the patience is dropped too
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		a.Body.Close()
		return a.StatusCode == http.StatusOK
	})
	for i, c := range slow {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) { // a reset is an end too
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// TestNobodyLooksOn: a server that nobody asks keeps the last two samples and no more.
func TestNobodyLooksOn(t *testing.T) {
	h, b := newHub(), &busy{}
	held := func(n int) uint64 {
		for range n {
			s, _ := b.Pass()
			h.publish(s, nil)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held(5)
	if after := held(200); after > before+(1<<20) {
		t.Errorf("200 samples later %d bytes more are held", after-before)
	}
	runtime.KeepAlive(h)
}

// TestPackedStream is one stream to any client, though its parts were packed once for all.
func TestPackedStream(t *testing.T) {
	s := serving(t, Config{}, &machine{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Address()+"/api/v1/stream", nil)
	r.Header.Set("Accept-Encoding", "br, gzip")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.Header.Get("Content-Encoding") != "gzip" {
		t.Fatal(a.Header)
	}
	if len(a.TransferEncoding) > 0 {
		t.Errorf("a stream is sent as %v, which takes several writes for an event", a.TransferEncoding)
	}
	z, err := gzip.NewReader(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(z)
	for i := range 6 {
		e, err := readEvent(lines)
		if err != nil || !json.Valid([]byte(e.data)) {
			t.Fatalf("event %d: %v %+v", i, err, e)
		}
	}
	for accept, want := range map[string]bool{"": false, "gzip": true, "GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000, br": false, "deflate": false, "x-gzip": true} {
		r.Header.Set("Accept-Encoding", accept)
		if got := takesGzip(r); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

// TestEncodedOnce: however many look on, and whatever they take.
func TestEncodedOnce(t *testing.T) {
	n := 0
	e := newHub().event("x", 1, marshal(func() any { n++; return n }))
	packed, plain := e.packed(), e.plain()
	for range 3 {
		if got := string(e.plain()); got != "event: x\nid: 1\ndata: 1\n\n" {
			t.Errorf("got %q", got)
		}
		if &e.packed()[0] != &packed[0] || &e.plain()[0] != &plain[0] {
			t.Error("made twice")
		}
	}
}

// TestHeadOfAStream takes no place.
func TestHeadOfAStream(t *testing.T) {
	s := serving(t, Config{Viewers: 1}, &machine{})
	for range 3 {
		a, err := http.Head("http://" + s.Address() + "/api/v1/stream")
		if err != nil || a.StatusCode != http.StatusOK {
			t.Fatal(a, err)
		}
		a.Body.Close()
	}
}
