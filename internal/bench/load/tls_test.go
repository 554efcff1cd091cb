package load

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sarn/internal/timetest"
)

// certified is a TLS server's config.
func certified(t testing.TB) *tls.Config {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates}
}

// secure runs a test of a server that knows TLS, but not HTTP.
func secure(t testing.TB, with func(net.Conn), change func(*Config)) *Result {
	t.Helper()
	return run(t, strings.Replace(speak(t, with), "http:", "https:", 1), func(c *Config) {
		c.TLS = &tls.Config{InsecureSkipVerify: true}
		change(c)
	})
}

// cutting is a connection that closes in the middle of a write, once it is told to.
type cutting struct {
	net.Conn
	now bool
}

func (c *cutting) Write(b []byte) (int, error) {
	if c.now {
		_, _ = c.Conn.Write(b[:len(b)/2])
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(b)
}

// TestTLSFaults come after the handshake.
func TestTLSFaults(t *testing.T) {
	conf := certified(t)
	asking := conf.Clone()
	asking.ClientAuth = tls.RequireAnyClientCert
	for name, c := range map[string]struct {
		with  func(net.Conn)
		kind  Kind
		words string
	}{
		"wants a certificate": {func(c net.Conn) {
			_ = tls.Server(c, asking).Handshake()
			io.Copy(io.Discard, c)
		}, BadTLS, "TLS: the server refused: certificate required"},
		"closes in a record": {func(c net.Conn) {
			cut := &cutting{Conn: c}
			s := tls.Server(cut, conf)
			if _, err := readRequest(bufio.NewReader(s)); err == nil {
				io.WriteString(s, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
				cut.now = true
				io.WriteString(s, strings.Repeat("x", 95))
				io.Copy(io.Discard, c)
			}
		}, Truncated, "the server closed the connection after 5 of the body's 100 bytes"},
	} {
		r := secure(t, c.with, func(to *Config) { to.Requests = 2 })
		if len(r.Failures) != 1 || r.Failures[0] != (Failure{c.kind, 2, c.words}) {
			t.Errorf("%s: %d answered, %+v", name, r.Requests, r.Failures)
		}
	}
}

// TestAServerThatDoesNotRead has the request's time end while it is sent.
func TestAServerThatDoesNotRead(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		conf := certified(t)
		r := secure(t, func(c net.Conn) {
			_ = tls.Server(c, conf).Handshake()
			<-t.Context().Done()
		}, func(c *Config) {
			c.Requests, c.Timeout, c.Body = 1, t.Patience(300*time.Millisecond), make([]byte, 32<<20)
		})
		if want := (Failure{Timeout, 1, "the request could not be sent in time: the server does not read it"}); len(r.Failures) != 1 || r.Failures[0] != want {
			t.Errorf("%+v", r.Failures)
		}
	})
}

// TestAnAddressThatDoesNotAnswer leaves time for the next one.
func TestAnAddressThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	timetest.Try(t, func(t *timetest.T) {
		conf := certified(t)
		host := func(address string) netip.AddrPort {
			return netip.MustParseAddrPort(strings.Trim(strings.TrimPrefix(address, "http:"), "/"))
		}
		silent := host(speak(t, func(c net.Conn) { io.Copy(io.Discard, c) }))
		good := host(speak(t, func(c net.Conn) {
			_ = tls.Server(c, conf).Handshake()
			io.Copy(io.Discard, c)
		}))
		d := &dialer{tls: &tls.Config{InsecureSkipVerify: true}}
		c, err := d.choose(t.Context(), []netip.AddrPort{silent, good}, time.Now().Add(t.Patience(2*time.Second)))
		if err != nil || d.address != good || d.spoken == "" {
			t.Fatalf("%v: %s, %q", err, d.address, d.spoken)
		}
		c.Close()
	})
}
