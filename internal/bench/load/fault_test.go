package load

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"sarn/internal/bench/http1"
	"sarn/internal/timetest"
)

// TestFaults has servers that do what they should not, each told in words of its own.
func TestFaults(t *testing.T) {
	const header = "HTTP/1.1 200 OK\r\n"
	hang := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			r := bufio.NewReader(c)
			if _, err := readRequest(r); err == nil {
				io.WriteString(c, text)
				io.Copy(io.Discard, r) // until the load test goes
			}
		}
	}
	for _, c := range []struct {
		name  string
		with  func(net.Conn)
		kind  Kind
		words string
	}{
		{"hangs up", say("", true), Truncated, "the server closed the connection without an answer"},
		{"closes in the header", say("HTTP/1.1 200 OK\r\nServ", true), Truncated, "the server closed the connection in the middle of the header, after 21 bytes"},
		{"closes in the body", say(header+"Content-Length: 100\r\n\r\nhello", true), Truncated, "the server closed the connection after 5 of the body's 100 bytes"},
		{"closes in a chunk", say(header+"Transfer-Encoding: chunked\r\n\r\n64\r\nhello", true), Truncated, "the server closed the connection in the middle of a chunked body, after 5 bytes of it"},
		{"a length too small", say(header+"Content-Length: 2\r\n\r\nhello", false), Excess, "the server sent more than the answer: its Content-Length is too small, or it answered twice"},
		{"bad chunks", say(header+"Transfer-Encoding: chunked\r\n\r\nhello\r\n", false), Malformed, `a chunk's size is not a hexadecimal number: "hello"`},
		{"not HTTP, and waits", hang("220 ready"), Malformed, `the answer does not begin as HTTP: "220 ready"`},
		{"not HTTP", say("220 ready\r\n", false), Malformed, `the answer does not begin as HTTP: "220 ready"`},
		{"switches", say("HTTP/1.1 101 Switching Protocols\r\n\r\n", false), Malformed, "the server switched to another protocol (101)"},
		{"speaks TLS", say("\x15\x03\x01\x00\x02\x02\x46", true), Malformed, "the server speaks TLS there; try https://"},
		{"resets", func(c net.Conn) { _, _ = readRequest(bufio.NewReader(c)); reset(c) }, Reset, "the server broke the connection off without an answer"},
		{"resets in the body", func(c net.Conn) {
			_, _ = readRequest(bufio.NewReader(c))
			io.WriteString(c, header+"Content-Length: 100\r\n\r\nhello")
			// What it has not read makes the kernel reset it; SO_LINGER would take the
			// answer back.
			time.Sleep(20 * time.Millisecond)
			reset(c)
		}, Reset, "the server broke the connection off after 5 of the body's 100 bytes"},
		{"says nothing", hang(""), Timeout, "no answer in time"},
		{"header too slow", hang("HTTP/1.1 200"), Timeout, "the header was not whole in time: 12 bytes had come"},
		{"body too slow", hang(header + "Content-Length: 100\r\n\r\nhello"), Timeout, "the body was not whole in time: 5 of 100 bytes had come"},
		{"chunks too slow", hang(header + "Transfer-Encoding: chunked\r\n\r\n64\r\nhello"), Timeout, "the body was not whole in time: 5 bytes had come"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, keepAlive := range []bool{false, true} {
				timetest.Try(t, func(t *timetest.T) {
					r := run(t, speak(t, c.with), func(to *Config) {
						to.Requests, to.KeepAlive = 2, keepAlive
						if c.kind == Timeout {
							to.Timeout = t.Patience(300 * time.Millisecond)
						}
					})
					if len(r.Failures) != 1 || r.Failures[0] != (Failure{c.kind, 2, c.words}) || r.Failed != 2 || r.Requests != 0 {
						t.Errorf("keep-alive %v: %d answered, %d failed: %+v", keepAlive, r.Requests, r.Failed, r.Failures)
					}
				})
			}
		})
	}
}

// TestOddButRight are answers that are unusual and nevertheless count.
func TestOddButRight(t *testing.T) {
	for name, with := range map[string]func(net.Conn){
		"interim":     say("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
		"until close": say("HTTP/1.1 200 OK\r\n\r\nok", true),
		"chunked":     say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", false),
		"slow": func(c net.Conn) {
			_, _ = readRequest(bufio.NewReader(c))
			for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		},
	} {
		r := run(t, speak(t, with), func(c *Config) { c.Requests = 3 })
		if r.Requests != 3 || r.Failed != 0 || r.BodyBytes != 6 {
			t.Errorf("%s: %d answered with %d bytes, %+v", name, r.Requests, r.BodyBytes, r.Failures)
		}
		if want := map[bool]int64{true: 3}[name == "interim"]; r.Interim != want {
			t.Errorf("%s: %d interim answers", name, r.Interim)
		}
	}
}

func TestStatusesAreToldApart(t *testing.T) {
	n := 0
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch n++; n % 3 {
		case 0:
			http.Redirect(w, r, "https://example.org/\x01there", http.StatusFound)
		case 1:
			http.Error(w, "no", http.StatusServiceUnavailable)
		}
	})
	r := run(t, address, func(c *Config) { c.Requests = 9 })
	if r.Requests != 9 || r.Statuses[200] != 3 || r.Statuses[302] != 3 || r.Statuses[503] != 3 || r.Failed != 0 {
		t.Errorf("got %v, %v", r.Statuses, r.Failures)
	}
	notes := strings.Join(r.Notes, "\n")
	if !strings.Contains(notes, "The server redirects to") || !strings.Contains(notes, "example.org") || !strings.Contains(notes, "3 of 9 answers were errors") {
		t.Errorf("the notes do not say it: %s", notes)
	}
}

// TestAServerThatRefusesABody answers before it has read it.
func TestAServerThatRefusesABody(t *testing.T) {
	address := speak(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := readRequest(r); err == nil {
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, r)
		}
	})
	r := run(t, address, func(c *Config) { c.Requests, c.Body = 2, make([]byte, 8<<20) })
	if r.Statuses[413] != 2 {
		t.Errorf("got %v, %+v", r.Statuses, r.Failures)
	}
}

// TestNoStart are tests that end before they begin, with one line that says why.
func TestNoStart(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	secure := httptest.NewUnstartedServer(ok)
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewUnstartedServer(ok)
	plain.Config.ErrorLog = quiet()
	plain.Start()
	defer plain.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	nobody := nobodyListens(t)
	silent := strings.TrimPrefix(strings.TrimSuffix(speak(t, func(c net.Conn) { io.Copy(io.Discard, c) }), "/"), "http://")
	trusted := &tls.Config{RootCAs: roots}
	for _, c := range []struct {
		address string
		tls     *tls.Config
		h2      bool
		want    string
	}{
		{address: "http://" + nobody, want: "nobody listens on " + nobody + ": connection refused"},
		{address: "http://no-such-host.invalid/", want: `"no-such-host.invalid"`}, // in words of TestWordsAreNotGos, as the name server has it
		{address: secure.URL, want: "nobody that this machine trusts has signed the server's certificate"},
		{address: secure.URL, tls: &tls.Config{RootCAs: roots, ServerName: "other.test"}, want: "the server's certificate is for another name"},
		{address: secure.URL, tls: &tls.Config{RootCAs: roots, Time: func() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }}, want: "the server's certificate is not valid now"},
		{address: secure.URL, tls: trusted, h2: true, want: "does not speak"},
		{address: "https://" + strings.TrimPrefix(plain.URL, "http://"), want: "the server does not speak TLS there; try http://"},
		{address: "https://" + silent, want: "the server did not answer in time"},
	} {
		timetest.Try(t, func(t *timetest.T) {
			r, err := tryRun(t, t.Context(), c.address, func(to *Config) {
				to.TLS, to.HTTP2, to.Timeout = c.tls, c.h2, t.Patience(time.Second)
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.address, err, c.want)
			}
			if r != nil {
				t.Errorf("%s: there is a result", c.address)
			}
		})
	}
	if r := run(t, secure.URL, func(c *Config) { c.TLS = trusted }); r.Requests != 1 || !strings.HasPrefix(r.TLS, "TLS 1.3 TLS_") {
		t.Errorf("trusted: %d answered, %q", r.Requests, r.TLS)
	}
}

// TestWordsAreNotGos has errors that a test cannot have the kernel or a name server make.
func TestWordsAreNotGos(t *testing.T) {
	kernel := func(op string, number syscall.Errno) error {
		return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, number)}
	}
	to := netip.MustParseAddrPort("192.0.2.1:80")
	for _, c := range []struct {
		err  error
		want Fault
	}{
		{&dialError{to, kernel("connect", syscall.EHOSTUNREACH)}, Fault{NoRoute, "there is no way to 192.0.2.1: no route to host"}},
		{&dialError{to, kernel("connect", syscall.EPERM)}, Fault{NoConnect, "no connection to 192.0.2.1:80: operation not permitted"}},
		{&dialError{to, kernel("connect", syscall.EADDRNOTAVAIL)}, Fault{NoPort, "this machine has no local port left: closed connections keep theirs for a minute; use -k, or widen net.ipv4.ip_local_port_range"}},
		{&http1.ReadError{Stage: http1.Content, Got: 5, Want: 9, Err: kernel("read", syscall.EHOSTUNREACH)}, Fault{Other, "no route to host after 5 of the body's 9 bytes"}},
		{&ioError{"send the request", kernel("write", syscall.ENETDOWN)}, Fault{Other, "network is down"}},
		{&streamError{kernel("read", syscall.ENETDOWN), 0}, Fault{Stream, "HTTP/2: network is down"}},
	} {
		if got := faultOf(c.err); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.err, got, c.want)
		}
	}
	for _, c := range []struct {
		dns  net.DNSError
		want string
	}{
		{net.DNSError{Err: "no such host", Name: "a.test", IsNotFound: true}, `there is no host named "a.test"; check the URL, or /etc/hosts and the name server`},
		{net.DNSError{Err: "i/o timeout", Name: "a.test", Server: "192.0.2.1:53", IsTimeout: true}, `no name server said in time where "a.test" is; check /etc/resolv.conf`},
		{net.DNSError{Err: "server misbehaving", Name: "a.test", Server: "192.0.2.1:53"}, `"a.test" cannot be looked up: the name server says: server misbehaving`},
	} {
		if got := lookUpError("a.test", &c.dns); got.Error() != c.want {
			t.Errorf("%v: %v, want %s", &c.dns, got, c.want)
		}
	}
}
