package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"sarn/internal/bench/http1"
)

// makeHTTP2 fills clients with those that speak HTTP/2, as many to a connection as the
// config says. The first of them take over the connection that there is.
func makeHTTP2(c *Config, d *dialer, first *connection, clients []client) error {
	if secure, ok := first.Conn.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol != "h2" {
		first.Close() //nolint:errcheck // nothing is lost
		return errors.New("the server does not speak HTTP/2 there: it has not agreed to h2 (ALPN); leave --http2 out")
	}
	var s *shared
	for i := range clients {
		if i%c.Streams == 0 {
			s = newShared(c, d, first)
			first = nil
		}
		clients[i] = newHTTP2(c, s)
	}
	return nil
}

// shared is an HTTP/2 connection that some clients share. net/http opens it, and opens
// it again when it is lost.
type shared struct {
	transport *http.Transport
	dialer    *dialer
	timeout   time.Duration

	mu    sync.Mutex
	first *connection // there already and counted, and not used yet
	// What was opened, and how long the last one took, that no answer has told of yet.
	opened int
	took   time.Duration
}

func newShared(c *Config, d *dialer, first *connection) *shared {
	s := &shared{dialer: d, timeout: c.Timeout, first: first}
	s.transport = &http.Transport{
		Protocols: new(http.Protocols), DialContext: s.dial, DialTLSContext: s.dial, DisableCompression: true,
		// One connection, and requests that wait if the server allows fewer streams.
		MaxConnsPerHost: 1, HTTP2: &http.HTTP2Config{StrictMaxConcurrentRequests: true},
	}
	s.transport.Protocols.SetHTTP2(d.tls != nil)
	s.transport.Protocols.SetUnencryptedHTTP2(d.tls == nil)
	return s
}

func (s *shared) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	c := s.first
	s.first = nil
	s.mu.Unlock()
	if c == nil {
		// The context has no end: net/http dials on for those who ask later.
		var err error
		if c, err = s.dialer.dial(ctx, time.Now().Add(s.timeout)); err != nil {
			return nil, err
		}
		s.count(c)
	}
	// From here on each request's context bounds it.
	if err := c.SetDeadline(time.Time{}); err != nil {
		c.Close() //nolint:errcheck // err says more
		return nil, &ioError{"set the connection's deadline", err}
	}
	return c.Conn, nil // *tls.Conn, so that net/http sees what was agreed on
}

func (s *shared) count(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	s.took = c.took
}

func (s *shared) close() {
	s.transport.CloseIdleConnections()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first != nil {
		s.first.Close() //nolint:errcheck // nothing was asked on it
		s.first = nil
	}
}

// tell moves what was opened into an answer.
func (s *shared) tell(a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.opened, a.connect = a.opened+s.opened, max(a.connect, s.took)
	s.opened, s.took = 0, 0
}

// http2Client sends one request at a time over a shared connection.
type http2Client struct {
	shared  *shared
	request *http.Request
	body    []byte
	timeout time.Duration
	drop    []byte // what bodies are read into
	trace   *httptrace.ClientTrace
	interim atomic.Int32
	wrote   atomic.Int32 // how often the request was sent
}

func newHTTP2(c *Config, s *shared) *http2Client {
	h := &http2Client{shared: s, body: c.Body, timeout: c.Timeout, drop: make([]byte, 32<<10)}
	h.trace = &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { h.interim.Add(1); return nil },
		WroteHeaders:   func() { h.wrote.Add(1) },
	}
	h.request = &http.Request{
		Method: c.Method, URL: c.URL, Host: c.host(), Header: c.header(), ContentLength: int64(len(c.Body)),
		Proto: "HTTP/2.0", ProtoMajor: 2,
	}
	return h
}

func (h *http2Client) abort() {} // the context does it

func (h *http2Client) close() { h.shared.close() }

// ask implements client.
func (h *http2Client) ask(ctx context.Context, start time.Time, a *answer) error {
	ctx, cancel := context.WithDeadline(httptrace.WithClientTrace(ctx, h.trace), start.Add(h.timeout))
	defer cancel()
	h.interim.Store(0)
	h.wrote.Store(0)
	err := h.exchange(ctx, a)
	h.shared.tell(a)
	a.interim = int(h.interim.Load())
	a.resent = h.wrote.Load() > 1
	if err != nil {
		return &streamError{err, a.body}
	}
	return nil
}

func (h *http2Client) exchange(ctx context.Context, a *answer) error {
	request := h.request.WithContext(ctx)
	if len(h.body) > 0 {
		request.Body = io.NopCloser(bytes.NewReader(h.body))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(h.body)), nil }
	}
	r, err := h.shared.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode < 100 || r.StatusCode > 999 { // net/http takes any number
		return &http1.SyntaxError{What: "the status is not a number from 100 to 999", Text: strconv.Itoa(r.StatusCode)}
	}
	a.status, a.server = r.StatusCode, r.Header.Get("Server")
	if r.StatusCode >= 300 && r.StatusCode < 400 {
		a.location = r.Header.Get("Location")
	}
	for {
		n, err := r.Body.Read(h.drop)
		a.body += int64(n)
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// streamError is a failure of an HTTP/2 request, of whose body there were got bytes.
type streamError struct {
	err error
	got int64
}

func (e *streamError) Error() string { return e.err.Error() }
func (e *streamError) Unwrap() error { return e.err }

func (e *streamError) fault() Fault {
	var (
		dial   *dialError
		secure *tlsError
		reset  http2.StreamError
		syntax *http1.SyntaxError
		words  = e.err.Error() // what has no type of its own is known by them
	)
	switch {
	case errors.As(e.err, &dial):
		return dial.fault()
	case errors.As(e.err, &secure):
		return secure.fault()
	case errors.As(e.err, &syntax):
		return syntaxFault(syntax)
	case strings.Contains(words, "looked like an HTTP/1.1 header"), strings.Contains(words, "client conn could not be established"):
		return Fault{Malformed, "the server does not speak HTTP/2 there; leave --http2 out"}
	case strings.Contains(words, "server sent GOAWAY"):
		_, code, _ := strings.Cut(words, "ErrCode=")
		code, _, _ = strings.Cut(code, ",")
		return Fault{Stream, "HTTP/2: the server ended the connection: " + code}
	case strings.Contains(words, "more than declared Content-Length"):
		return Fault{Excess, excessWords}
	case isTimeout(e.err) && e.got > 0:
		return readFault(&http1.ReadError{Stage: http1.Content, Got: e.got, Want: -1, Err: e.err})
	case isTimeout(e.err):
		return Fault{Timeout, "no answer in time"}
	case errors.Is(e.err, io.ErrUnexpectedEOF):
		return Fault{Truncated, "the server ended the stream before the body was whole"}
	case errors.As(e.err, &reset):
		return Fault{Stream, "HTTP/2: the server ended the stream: " + reset.Code.String()}
	case hungUp(e.err):
		return Fault{Reset, "HTTP/2: the server broke the connection off"}
	}
	return Fault{Stream, "HTTP/2: " + strings.TrimPrefix(reason(e.err), "http2: ")}
}
