package load

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// run tests the URL and fails if the test itself does.
func run(t testing.TB, address string, change func(*Config)) *Result {
	t.Helper()
	r, err := tryRun(t, t.Context(), address, change)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryRun(t testing.TB, ctx context.Context, address string, change func(*Config)) (*Result, error) { //nolint:revive // t comes first in tests
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{URL: u, Concurrency: 1, Timeout: time.Minute}
	change(&c)
	if c.Requests == 0 && c.Duration == 0 {
		c.Requests = 1
	}
	test, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return test.Run(ctx)
}

// serve starts a server of net/http.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// speak starts a server that hands each connection to a function, which may forget to
// close it.
func speak(t testing.TB, with func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.Map
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			all.Go(func() {
				with(c)
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		all.Wait()
	})
	return "http://" + l.Addr().String() + "/"
}

// say answers every request of a connection with a text, until the text is to be the
// last one.
func say(text string, last bool) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			if _, err := readRequest(r); err != nil {
				return
			}
			if _, err := c.Write([]byte(text)); err != nil || last {
				return
			}
		}
	}
}

// readRequest reads a request without a body.
func readRequest(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		l, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		b.WriteString(l)
		if l == "\r\n" {
			return b.String(), nil
		}
	}
}

// reset closes a connection so that the other end sees it broken off.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// tryRunWith runs a test that others can look at.
func tryRunWith(t *testing.T, address string, c Config, tests chan<- *Test) (*Result, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	c.URL = u
	test, err := New(c)
	if err != nil {
		return nil, err
	}
	tests <- test
	return test.Run(t.Context())
}

// quiet is for servers that would log what a test does to them.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// bound is a socket that has an address, taken until the test ends, and does not listen.
func bound(t testing.TB) (fd int, at netip.AddrPort) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	own := name.(*unix.SockaddrInet4)
	return fd, netip.AddrPortFrom(netip.AddrFrom4(own.Addr), uint16(own.Port))
}

// nobodyListens is an address that is taken until the test ends, and refuses connections.
func nobodyListens(t testing.TB) string {
	t.Helper()
	_, at := bound(t)
	return at.String()
}
